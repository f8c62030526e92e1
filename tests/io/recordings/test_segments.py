import numpy as np
import pytest
from pynwb import TimeSeries
from pynwb.misc import AnnotationSeries

from nwb_dcf.errors import DCFError, ParameterError, SourceError
from nwb_dcf.io.recordings import list_sources, read_recording
from tests.nwb_files import add_intervals, make_series_session, make_spike_session


def notes_of(recording):
    return " ".join(recording.attrs["notes"])


def test_trials_are_used_and_keep_row_and_columns(tmp_path):
    trials = [(20, 22), (1, 3), (5, 6.5)]  # not in order of time
    columns = {"side": ["a", "b", "c"], "correct": [True, False, True], "force": [1.5, 2.5, np.nan]}
    recording = read_recording(make_spike_session(tmp_path / "s.nwb", trials=trials, trial_columns=columns))
    assert recording["segment_start"].values.tolist() == [1, 5, 20]
    assert recording["segment_row"].values.tolist() == [1, 2, 0]
    assert recording["trial_side"].values.tolist() == ["b", "c", "a"]
    assert recording["trial_correct"].values.tolist() == [False, True, True]
    np.testing.assert_array_equal(recording["trial_force"].values, [2.5, np.nan, 1.5])
    assert "intervals of /intervals/trials: 3 of 3" in notes_of(recording)


@pytest.mark.parametrize("trials", [[(1, 3), (2.5, 5)], [(1, 1.01)], [(900, 901)], [(1, np.nan)], [(3, 2)]])
def test_auto_falls_back_from_unusable_trials_and_says_why(tmp_path, trials):
    path = make_spike_session(tmp_path / "s.nwb", trials=trials)
    recording = read_recording(path)
    assert recording.sizes["segment"] == 1
    assert "the table 'trials' is not used" in notes_of(recording)
    with pytest.raises(DCFError) as error:
        read_recording(path, trials="trials")
    assert "/intervals/trials" in str(error.value)


def test_touching_trials_are_no_overlap(tmp_path):
    edges = 0.1 * np.arange(5, 100, 7)
    path = make_spike_session(tmp_path / "s.nwb", trials=list(zip(edges[:-1], edges[1:] + 1e-9, strict=True)))
    assert read_recording(path, trials="trials").sizes["segment"] == len(edges) - 1


def test_bad_trials_among_good_ones_are_left_out_and_counted(tmp_path):
    trials = [(1, 3), (4, np.nan), (5, 5.02), (6, 8), (40, 42), (29, 45)]
    recording = read_recording(make_spike_session(tmp_path / "s.nwb", trials=trials))
    assert recording["segment_row"].values.tolist() == [0, 3]
    reasons = {item["id"]: item["why"].split(" (")[0] for item in recording.attrs["left_out"]}
    assert reasons == {
        1: "without a finite start before a finite stop",
        2: "shorter than two bins of 0.02 s",
        4: "outside the recording",
        5: "outside the recording",
    }
    assert "2 trials left out: outside the recording" in notes_of(recording)


def test_none_ignores_trials(tmp_path):
    recording = read_recording(make_spike_session(tmp_path / "s.nwb"), trials="none")
    assert recording["segment_row"].values.tolist() == [-1]
    with pytest.raises(ParameterError, match="trials is 'none'"):
        read_recording(tmp_path / "s.nwb", trials="none", where="direction == 1")


def test_where_chooses_trials(tmp_path):
    path = make_spike_session(tmp_path / "s.nwb")
    recording = read_recording(path, where="direction == 1 and side == 'left'")
    assert set(recording["trial_direction"].values.tolist()) == {1}
    with pytest.raises(DCFError, match="no row fulfils"):
        read_recording(path, where="direction == 9")
    with pytest.raises(ParameterError, match=r"'colour'.*columns are: direction, go_time"):
        read_recording(path, where="colour == 9")


def test_where_can_take_out_the_trials_that_overlap(tmp_path):
    path = make_spike_session(
        tmp_path / "s.nwb", trials=[(1, 3), (2, 4), (5, 7)], trial_columns={"ok": [True, False, True]}
    )
    assert read_recording(path, where="ok").sizes["segment"] == 2


def test_align_cuts_windows(tmp_path):
    path = make_spike_session(tmp_path / "s.nwb")
    recording = read_recording(path, align="go_time", window=(-0.2, 0.4))
    np.testing.assert_allclose(recording["segment_start"], recording["trial_go_time"] - 0.2)
    np.testing.assert_allclose(recording["segment_stop"], recording["trial_go_time"] + 0.4)
    assert np.unique(np.bincount(recording["segment_index"])).tolist() == [30]
    np.testing.assert_allclose(recording["time"].values[0], recording["segment_start"].values[0] + 0.01)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"align": "colour", "window": (0, 1)}, "no column 'colour'.*go_time"),
        ({"align": "direction", "window": (0, 1)}, "'direction' does not hold times"),
        ({"align": "side", "window": (0, 1)}, "'side' does not hold times"),
        ({"align": "go_time"}, "belong together"),
        ({"align": "go_time", "window": (1, 0)}, "earlier first"),
        ({"align": "go_time", "window": (1, np.nan)}, "finite number"),
        ({"align": "go_time", "window": (1,)}, "as many values"),
    ],
)
def test_an_invalid_alignment_is_refused(tmp_path, settings, words):
    with pytest.raises(ParameterError, match=words):
        read_recording(make_spike_session(tmp_path / "s.nwb"), **settings)


def test_tables_are_found_by_name_and_path(tmp_path):
    path = make_spike_session(
        tmp_path / "s.nwb", trials=None, change=lambda file: add_intervals(file, "rest", [(1, 2), (3, 4)])
    )
    assert "TABLE` would use one of /intervals/rest" in notes_of(read_recording(path))
    for name in ("rest", "/intervals/rest", "intervals/rest"):
        assert read_recording(path, trials=name).sizes["segment"] == 2
    with pytest.raises(SourceError, match=r"no interval table 'work'.*/intervals/rest"):
        read_recording(path, trials="work")
    with pytest.raises(ParameterError, match=r"`trials=TABLE`: /intervals/rest"):
        read_recording(path, where="id == 0")


def mark_invalid(*intervals):
    def change(nwbfile):
        for start, stop in intervals:
            nwbfile.add_invalid_time_interval(start_time=float(start), stop_time=float(stop))

    return change


def test_invalid_times_are_cut_out_of_trials(tmp_path):
    change = mark_invalid((2.0, 2.5), (4.9, 6.6), (8.99, 20), (50, np.nan))
    trials, columns = [(1, 3), (5, 6.5), (8, 9), (10, 12)], {"side": ["a", "b", "c", "d"]}
    path = make_spike_session(tmp_path / "s.nwb", trials=trials, trial_columns=columns, change=change)
    recording = read_recording(path)
    np.testing.assert_allclose(recording["segment_start"], [1, 2.5, 8])
    np.testing.assert_allclose(recording["segment_stop"], [2, 3, 8.98])
    assert recording["segment_row"].values.tolist() == [0, 0, 2]
    assert recording["trial_side"].values.tolist() == ["a", "a", "c"]
    gone = [item["id"] for item in recording.attrs["left_out"] if item["why"] == "within invalid_times"]
    assert gone == [1, 3]
    assert "3 intervals of /intervals/invalid_times are excluded: 4.01 s of what was chosen, in 4 segments" in notes_of(
        recording
    )
    assert "1 more have no start before a stop" in notes_of(recording)


def test_invalid_times_are_cut_out_of_recorded_intervals_of_units_and_series(tmp_path):
    spikes = make_spike_session(tmp_path / "s.nwb", trials=None, change=mark_invalid((10, 12), (11, 15)))
    time = read_recording(spikes)["time"].values
    assert not ((time > 10) & (time < 15)).any()
    path = make_series_session(tmp_path / "t.nwb", rate=10.0, change=mark_invalid((2, 3)))
    recording = read_recording(path, "signal")
    assert np.bincount(recording["segment_index"]).tolist() == [20, 570]
    assert recording["time"].values[[19, 20]].tolist() == [1.9, 3.0]


def test_nothing_but_invalid_times_is_refused(tmp_path):
    path = make_spike_session(tmp_path / "s.nwb", trials=[(1, 3)], change=mark_invalid((0, 5)))
    with pytest.raises(DCFError, match=r"invalid_times: all that was chosen lies within.*choose other trials"):
        read_recording(path)


def test_several_tables_are_read_as_one(tmp_path):
    def change(nwbfile):
        add_intervals(nwbfile, "rest", [(6, 7), (2, 3)])
        add_intervals(nwbfile, "sleep", [(4, 5)])

    path = make_spike_session(tmp_path / "s.nwb", trials=None, change=change)
    for names in (("rest", "/intervals/sleep"), "rest, /intervals/sleep"):
        recording = read_recording(path, trials=names)
        assert recording["segment_start"].values.tolist() == [2, 4, 6]
        assert recording["segment_row"].values.tolist() == [1, 0, 0]
        assert recording["trial_table"].values.tolist() == ["rest", "sleep", "rest"]
    assert "the intervals of /intervals/rest and /intervals/sleep: 3 of 3" in notes_of(recording)
    assert read_recording(path, trials=("rest", "sleep"), where="table == 'sleep'").sizes["segment"] == 1
    with pytest.raises(SourceError, match="no interval table 'work'"):
        read_recording(path, trials=("rest", "work"))
    with pytest.raises(ParameterError, match="'auto' or 'none' alone"):
        read_recording(path, trials=("rest", "auto"))


def test_tables_that_overlap_each_other(tmp_path):
    def change(nwbfile):
        add_intervals(nwbfile, "rest", [(2, 4), (6, 8)])
        add_intervals(nwbfile, "sleep", [(3, 5), (8, 9)])

    path = make_spike_session(tmp_path / "s.nwb", trials=None, change=change)
    with pytest.raises(DCFError, match=r"1 intervals overlap.*`overlap='first'`"):
        read_recording(path, trials=("rest", "sleep"))
    recording = read_recording(path, trials=("rest", "sleep"), overlap="first")
    assert recording["segment_start"].values.tolist() == [2, 6, 8]
    assert "1 trials left out: begins within one that is taken" in notes_of(recording)


def test_first_of_overlapping_trials(tmp_path):
    # The third begins after the first has ended, and within the second, which is not taken.
    path = make_spike_session(tmp_path / "s.nwb", trials=[(1, 3), (2, 5), (4, 6), (6, 7)])
    recording = read_recording(path, overlap="first")
    assert recording["segment_row"].values.tolist() == [0, 2, 3]
    assert [item["id"] for item in recording.attrs["left_out"] if item["what"] == "trial"] == [1]
    with pytest.raises(ParameterError, match="overlap is 'last'"):
        read_recording(path, overlap="last")


def tag_epochs(nwbfile):
    for start, tags in ((1, ["rest"]), (3, ["run", "left"]), (5, ["run"]), (7, ["sleep"])):
        nwbfile.add_epoch(start_time=float(start), stop_time=start + 1.5, tags=tags)


def test_epochs_by_tag(tmp_path):
    path = make_spike_session(tmp_path / "s.nwb", trials=None, change=tag_epochs)
    recording = read_recording(path, tags="run")
    assert recording["segment_start"].values.tolist() == [3, 5]
    assert "the intervals of /intervals/epochs tagged run: 2 of 4" in notes_of(recording)
    assert read_recording(path, tags=("rest", "left")).sizes["segment"] == 2
    assert read_recording(path, tags="rest,sleep", trials="epochs").sizes["segment"] == 2
    assert read_recording(path, tags="run", where="start_time > 4").sizes["segment"] == 1
    with pytest.raises(ParameterError, match=r"no interval has the tag 'fly'.*tags are: left, rest, run, sleep"):
        read_recording(path, tags=("run", "fly"))
    with pytest.raises(ParameterError, match="no table of intervals has tags"):
        read_recording(make_spike_session(tmp_path / "t.nwb"), tags="run")
    with pytest.raises(ParameterError, match="the table has no tags"):
        read_recording(tmp_path / "t.nwb", tags="run", trials="trials")
    with pytest.raises(ParameterError, match="yet `align=`, `where=` or `tags=` selects"):
        read_recording(path, tags="run", trials="none")


def test_segments_shorter_than_asked_are_left_out(tmp_path):
    path = make_spike_session(tmp_path / "s.nwb", trials=[(1, 1.4), (2, 2.5), (4, 6)])
    recording = read_recording(path, min_length_s=0.5)
    assert recording["segment_row"].values.tolist() == [1, 2]
    assert {"what": "trial", "id": 0, "why": "shorter than 0.5 s"} in recording.attrs["left_out"]
    assert "1 segments dropped: shorter than 0.5 s" in notes_of(recording)
    with pytest.raises(DCFError, match=r"as long as 3 s: the longest has 2 s; give a smaller `min_length_s=`"):
        read_recording(path, min_length_s=3)


def test_runs_that_gaps_make_shorter_than_asked_are_left_out(tmp_path):
    stamps = np.delete(np.arange(600) / 10, np.r_[100:110, 115:125])  # 5 samples stand between two gaps
    path = make_series_session(tmp_path / "s.nwb", np.random.default_rng(0).normal(size=(580, 3)), timestamps=stamps)
    assert np.bincount(read_recording(path, "signal")["segment_index"]).tolist() == [100, 5, 475]
    recording = read_recording(path, "signal", min_length_s=1)
    assert np.bincount(recording["segment_index"]).tolist() == [100, 475]


def add_events(nwbfile):
    times, labels = np.arange(2.0, 20, 3), ["go", "stop"] * 3
    nwbfile.add_stimulus(AnnotationSeries(name="cues", data=[*labels, "go"], timestamps=np.append(times, -1.5e9)))
    nwbfile.add_acquisition(TimeSeries(name="pulses", data=np.arange(6), timestamps=times, unit="n/a"))


def test_align_to_events(tmp_path):
    path = make_spike_session(tmp_path / "s.nwb", change=add_events)  # whose trials have no such column
    recording = read_recording(path, align="cues", window=(-0.5, 1))
    np.testing.assert_allclose(recording["segment_start"], np.arange(2.0, 20, 3) - 0.5)
    assert recording["trial_value"].values.tolist() == ["go", "stop"] * 3
    assert "windows around the events of /stimulus/presentation/cues, -0.5 to 1 s: 6 of 7" in notes_of(recording)
    assert "1 events left out: outside the recording" in notes_of(recording)
    assert read_recording(path, align="cues", window=(-0.5, 1), where="value == 'go'").sizes["segment"] == 3
    assert read_recording(path, align="pulses", window=(0, 1), where="value > 3").sizes["segment"] == 2
    with pytest.raises(DCFError, match=r"5 windows overlap.*`overlap='first'`"):
        read_recording(path, align="pulses", window=(-2, 2))
    assert read_recording(path, align="pulses", window=(-1.9, 2), overlap="first").sizes["segment"] == 3
    # a column goes before a series, and a table that is named has to have the column
    assert "around go_time" in notes_of(read_recording(path, align="go_time", window=(0, 1)))
    with pytest.raises(ParameterError, match="no column 'cues'"):
        read_recording(path, align="cues", window=(0, 1), trials="trials")


def test_real_events(real_data):
    settings = {"align": "events", "window": (0.0, 0.5), "bin_width_s": 0.1}
    recording = read_recording(real_data("human_mtl_000207.nwb"), where="value in (0, 60, 61)", **settings)
    assert recording.sizes["segment"] == 5  # the event at -1.54e9 s and one after the last spike are none of them
    assert "2 events left out: outside the recording" in notes_of(recording)
    assert sorted(set(recording["trial_value"].values.tolist())) == [60, 61]


def test_series_are_cut_by_trials_too(tmp_path):
    path = make_series_session(tmp_path / "s.nwb", rate=10.0, starting_time=100.0, trials=[(101, 102), (103.05, 104)])
    recording = read_recording(path, "signal")
    np.testing.assert_allclose(recording["time"].values[[0, 9, 10]], [101, 101.9, 103.1])
    assert np.bincount(recording["segment_index"]).tolist() == [10, 9]


def test_real_trials_without_a_stop(real_data):
    with pytest.raises(DCFError, match="unit 1001 are not in order"):
        read_recording(real_data("mouse_alm_000006.nwb"))
    with pytest.raises(DCFError, match=r"timestamps do not increase.*153 such steps"):
        read_recording(real_data("mouse_alm_000006.nwb"), "lick_left_times")
    (trials,) = list_sources(real_data("mouse_alm_000006.nwb")).tables
    assert "340 without a finite start before a finite stop" in trials.problem
    assert trials.time_columns == ("start_time",)  # its cue and pole times count from the start of their trial


def test_real_trials_without_a_cue(real_data):
    path = real_data("mouse_alm_000009.nwb")
    recording = read_recording(path, align="cue_start_time", window=(-1, 1))
    assert "70 trials left out: without a finite cue_start_time" in notes_of(recording)
    assert np.unique(np.bincount(recording["segment_index"])).tolist() == [100]
    left_out = [item for item in recording.attrs["left_out"] if item["what"] == "trial"]
    assert len(left_out) + recording.sizes["segment"] == 412
    with pytest.raises(ParameterError, match="'photo_stim_power' does not hold times"):
        read_recording(path, align="photo_stim_power", window=(-1, 1))
    whole = read_recording(path)
    assert (whole.sizes["segment"], whole["segment_row"].values[0]) == (409, 3)
    assert "3 trials left out: outside the recording" in notes_of(whole)


def test_real_custom_tables(real_data):
    path = real_data("human_mtl_000207.nwb")
    assert "the file has no table 'trials'" in notes_of(read_recording(path, bin_width_s=0.5))
    recording = read_recording(path, trials="encoding_table", bin_width_s=0.1)
    assert recording.sizes["segment"] == 90
    assert recording["trial_Clip_name"].values[0] == "NB_24.mp4"
    with pytest.raises(DCFError, match=r"3 intervals overlap the one before.*rows 4 and 5"):
        read_recording(path, trials="recognition_table")

import warnings

import numpy as np
import pytest
from pynwb import TimeSeries

from nwb_dcf.data.recording import split_sources, validate_recording
from nwb_dcf.errors import DCFError
from nwb_dcf.io.recordings import read_recording
from nwb_dcf.io.recordings.join_sources import name_labels
from tests.nwb_files import make_spike_session, simulate_series


def add_series(nwbfile, name="hand", rate=50.0, start=0.0, n=1500, data=None, **clock):
    values = np.column_stack([start + np.arange(n) / rate, np.sin(np.arange(n) / 20)]) if data is None else data
    clock = clock or {"rate": rate, "starting_time": start}
    nwbfile.add_acquisition(TimeSeries(name=name, data=values, unit="cm", **clock))


def make_session(path, *series, **settings):
    def change(nwbfile):
        for one in series or ({},):
            add_series(nwbfile, **one)

    return make_spike_session(path, change=change, **settings)


def notes_of(recording):
    return " ".join(recording.attrs["notes"])


def test_units_keep_their_bins_and_others_join_them(tmp_path):
    path = make_session(tmp_path / "s.nwb")
    joined, units = read_recording(path, ("units", "hand")), read_recording(path, "units")
    assert joined["channel"].values.tolist() == [*(f"units/{i}" for i in range(8)), "hand/0", "hand/1"]
    assert joined["channel_source"].values.tolist() == ["units"] * 8 + ["hand"] * 2
    np.testing.assert_array_equal(joined["data"].values[:, :8], units["data"].values)
    np.testing.assert_array_equal(joined["time"], units["time"])
    # the first channel of the hand is its own time
    np.testing.assert_allclose(joined["data"].values[:, 8], units["time"], atol=1e-9)
    for name in ("segment_start", "segment_stop", "segment_row", "trial_direction", "trial_side"):
        np.testing.assert_array_equal(joined[name], units[name])
    assert (joined.attrs["kind"], joined.attrs["bin_width_s"], joined["data"].attrs["units"]) == (
        "joined",
        0.02,
        "mixed",
    )
    assert "the clock is that of /units: bins of 0.02 s" in notes_of(joined)
    assert "/acquisition/hand is resampled on that clock: the mean of the samples" in notes_of(joined)


def test_the_order_of_channels_is_that_of_the_sources(tmp_path):
    path = make_session(tmp_path / "s.nwb")
    first, last = read_recording(path, ("units", "hand")), read_recording(path, ("hand", "units"))
    assert last["channel_source"].values.tolist() == ["hand"] * 2 + ["units"] * 8
    np.testing.assert_array_equal(last["data"].values[:, :2], first["data"].values[:, 8:])


def test_it_says_what_each_source_was(tmp_path):
    recording = read_recording(make_session(tmp_path / "s.nwb"), ("units", "hand"))
    source = recording.attrs["source"]
    assert source["path"] == "/units and /acquisition/hand"
    assert [(m["label"], m["path"], m["type"], m["kind"], m["units"]) for m in source["members"]] == [
        ("units", "/units", "Units", "units", "count"),
        ("hand", "/acquisition/hand", "TimeSeries", "series", "cm"),
    ]
    assert all(len(member["sha256"]) == 64 and member["object_id"] for member in source["members"])
    units, hand = split_sources(recording)
    assert (units.attrs["kind"], units["data"].attrs["units"], units["data"].shape[1]) == ("units", "count", 8)
    assert (hand.attrs["kind"], hand["data"].attrs["units"], hand["data"].shape[1]) == ("series", "cm", 2)
    assert recording["data"].attrs["units"] == "mixed"
    validate_recording(units)


def test_without_units_the_slowest_has_the_clock(tmp_path):
    path = make_session(
        tmp_path / "s.nwb", {"name": "fast", "rate": 100.0, "n": 3000}, {"name": "slow", "rate": 8.0, "n": 240}
    )
    recording, slow = read_recording(path, ("fast", "slow")), read_recording(path, "slow")
    np.testing.assert_array_equal(recording["time"], slow["time"])
    np.testing.assert_array_equal(recording["data"].values[:, 2:], slow["data"].values)
    np.testing.assert_allclose(recording["data"].values[:, 0], recording["time"], atol=0.006)  # of 12 or 13 samples
    assert recording.attrs["bin_width_s"] is None
    assert "the clock is that of /acquisition/slow: its own samples, every 0.125 s, the slowest" in notes_of(recording)


def test_without_units_a_rate_may_be_asked_for(tmp_path):
    path = make_session(
        tmp_path / "s.nwb", {"name": "fast", "rate": 100.0, "n": 3000}, {"name": "slow", "rate": 8.0, "n": 240}
    )
    recording = read_recording(path, ("fast", "slow"), resample_hz=20.0, trials="none")
    np.testing.assert_allclose(np.diff(recording["time"]), 0.05)
    inside = slice(2, -2)
    np.testing.assert_allclose(recording["data"].values[inside, 2], recording["time"][inside], atol=1e-9)
    assert "frames at 20 Hz, as asked" in notes_of(recording)


def test_a_slow_source_is_read_around_trials_to_reach_their_ends(tmp_path):
    trials = [(1.03, 2.11), (3.0, 4.0), (4.0, 5.0)]
    path = make_session(tmp_path / "s.nwb", {"name": "slow", "rate": 2.0, "n": 60}, trials=trials)
    joined, units = read_recording(path, ("units", "slow")), read_recording(path, "units")
    np.testing.assert_array_equal(joined["time"], units["time"])
    np.testing.assert_allclose(joined["data"].values[:, 8], joined["time"], atol=1e-9)


def test_gaps_of_one_source_cut_the_segments_of_all(tmp_path):
    stamps = np.concatenate([np.arange(0, 10, 0.02), np.arange(12, 30, 0.02)])
    data = np.column_stack([stamps, np.cos(stamps)])
    path = make_session(tmp_path / "s.nwb", {"data": data, "timestamps": stamps}, trials=None)
    recording = read_recording(path, ("units", "hand"))
    time = recording["time"].values
    assert not ((time > 10.01) & (time < 11.99)).any()
    assert recording.sizes["segment"] == 2
    np.testing.assert_allclose(recording["data"].values[:, 8], time, atol=0.02)
    assert "frames dropped, which a source does not cover" in notes_of(recording)
    assert "hand: the clock has 1 gaps" in notes_of(recording)


def test_selections_go_to_the_source_that_they_are_for(tmp_path):
    path = make_session(tmp_path / "s.nwb")
    recording = read_recording(path, ("units", "hand"), units="1,3", where="direction == 1")
    assert recording["channel"].values.tolist() == ["units/1", "units/3", "hand/0", "hand/1"]
    assert set(recording["trial_direction"].values.tolist()) == {1}


def test_labels_are_short_where_they_can_be():
    assert name_labels(["/units", "/acquisition/hand"]) == {"/units": "units", "/acquisition/hand": "hand"}


def test_one_name_in_a_list_is_that_source_alone(tmp_path):
    assert read_recording(make_session(tmp_path / "s.nwb"), ("units",)).attrs["kind"] == "units"


@pytest.mark.parametrize(
    ("series", "settings", "words"),
    [
        ({"start": 1000.0}, {"source": ("units", "hand")}, "do not overlap in time: /units.*hand goes from 1000 to"),
        ({}, {"source": ("units", "hand", "units")}, "sources are units, hand, units"),
        ({}, {"source": ("units", "/units")}, "one source is named twice"),
        ({}, {"source": ("units", "foot")}, "no source 'foot'"),
        ({}, {"source": ("units", "hand"), "resample_hz": 20}, "/units: units are in bins.*`bin_width_s=`"),
        ({}, {"source": ("hand", "eye"), "units": "1"}, "units is for a units table"),
        ({}, {"source": ()}, "source is"),
    ],
)
def test_sources_that_cannot_be_joined_are_refused(tmp_path, series, settings, words):
    path = make_session(tmp_path / "s.nwb", series, {"name": "eye"})
    with pytest.raises(DCFError, match=words) as error:
        read_recording(path, **settings)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("source", ["units", "hand", ("units", "hand"), ("hand", "slow")])
def test_shifting_every_clock_shifts_time_alone(tmp_path, source):
    """Away from bin edges: spikes of the shifted file are rounded to what float64 holds at 1e6 s."""
    shift = 1e6
    paths = [
        make_session(
            tmp_path / f"{start:g}.nwb", {"start": start}, {"name": "slow", "rate": 8.0, "start": start, "n": 230},
            start_s=start,
        )
        for start in (0.0, shift)
    ]  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # a clock that starts late is no reason to doubt it
        ours, shifted = (read_recording(path, source) for path in paths)
    np.testing.assert_allclose(shifted["time"], ours["time"] + shift, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(shifted["segment_index"], ours["segment_index"])
    changed = np.abs(shifted["data"].values - ours["data"].values)
    # The first channel of each series is its time; what remains are spikes within a rounding of an edge.
    times = [i for i, name in enumerate(np.atleast_1d(ours[ours["data"].dims[1]].values)) if _is_time(ours, name)]
    changed[:, times] = np.abs(changed[:, times] - shift)
    assert (changed > 1e-6).sum() <= 2


def _is_time(recording, name):
    return name in ("hand/0", "slow/0") or (recording.attrs["kind"] == "series" and name == 0)


def test_a_rate_is_as_good_as_its_timestamps(tmp_path):
    data = simulate_series(1500)
    by_rate = make_session(tmp_path / "rate.nwb", {"data": data})
    stamps = make_session(tmp_path / "stamps.nwb", {"data": data, "timestamps": np.arange(1500) / 50})
    for source in ("hand", ("units", "hand")):
        ours, theirs = read_recording(by_rate, source), read_recording(stamps, source)
        np.testing.assert_array_equal(ours["data"], theirs["data"])
        np.testing.assert_allclose(ours["time"], theirs["time"], rtol=0, atol=1e-9)


def test_real_units_and_hand_velocity(real_data):
    path = real_data("reach_chewie.nwb")
    joined = read_recording(path, ("units", "hand_velocity"), bin_width_s=0.1)
    velocity = read_recording(path, "hand_velocity")
    np.testing.assert_array_equal(joined["data"].values[:, -2:], velocity["data"].values)
    assert joined.sizes == {"time": 1640, "channel": 165, "segment": 159}

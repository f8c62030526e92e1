import json

import numpy as np
import pytest
from pynwb import TimeSeries
from pynwb.ophys import Fluorescence

from nwb_dcf.errors import DOUBT, SourceError
from nwb_dcf.io.recordings import list_sources, read_recording
from tests.nwb_files import (
    add_intervals,
    add_plane,
    make_roi_session,
    make_rois,
    make_series_session,
    make_spike_session,
    new_nwbfile,
    write_nwbfile,
)

REAL = (
    "celegans_moving.nwb", "human_mtl_000207.nwb", "linear_track.nwb", "mouse_alm_000006.nwb", "mouse_alm_000009.nwb",
    "no_neural_data.nwb", "openfield_video.nwb", "ophys_rois.nwb", "pose_bad_clock.nwb", "reach_chewie.nwb",
    "running_mouse_video.nwb", "three_units.nwb",
)  # fmt: skip


def kinds(catalog):
    return {source.path: source.kind for source in catalog.sources}


def test_units_come_first_and_tables_are_listed(tmp_path):
    def add(file):
        file.add_acquisition(TimeSeries(name="wheel", data=np.zeros((5, 2)), rate=1.0, unit="cm"))
        add_intervals(file, "rest", [(1, 3), (2, 5)])

    catalog = list_sources(make_spike_session(tmp_path / "s.nwb", change=add))
    assert kinds(catalog) == {"/units": "units", "/acquisition/wheel": "series"}
    assert catalog.default == "/units"
    assert catalog.fits == ()
    rest, trials = catalog.tables
    assert (trials.rows, trials.problem) == (20, "")
    assert trials.time_columns == ("start_time", "stop_time", "go_time")
    assert "overlap" in rest.problem
    assert json.loads(json.dumps(catalog.to_dict()))["default"] == "/units"


@pytest.mark.parametrize(
    ("names", "default"),
    [
        ({"Fluorescence": ["raw", "Neuropil"], "DfOverF": ["dff"]}, "/processing/ophys/DfOverF/dff"),
        ({"Fluorescence": ["Deconvolved", "Neuropil", "raw"]}, "/processing/ophys/Fluorescence/raw"),
        ({"Fluorescence": ["Neuropil", "Deconvolved"]}, None),
        ({"acquisition": ["traces"]}, "/acquisition/traces"),
        ({"Fluorescence": ["Neuropil"]}, None),
    ],
)
def test_default_among_roi_responses(tmp_path, names, default):
    path = make_roi_session(tmp_path / "s.nwb", names=names)
    assert list_sources(path).default == default
    if default is None:
        with pytest.raises(SourceError, match=r"name one with `source=`: (Neuropil|Deconvolved)"):
            read_recording(path)
    else:
        assert default in read_recording(path).attrs["notes"][0]


def test_two_of_one_kind_are_announced(tmp_path):
    catalog = list_sources(make_roi_session(tmp_path / "s.nwb", names={"DfOverF": ["plane0", "plane1"]}))
    assert catalog.default == "/processing/ophys/DfOverF/plane0"
    assert "/processing/ophys/DfOverF/plane1" in catalog.why


def test_units_without_spikes_are_passed_over(tmp_path):
    def add(file):
        file.add_unit(id=3)

    path = make_series_session(tmp_path / "s.nwb", change=add)
    with pytest.raises(
        SourceError, match=r"nothing here is fitted by default.*signal.*/units \(units: it has no spike times\)"
    ):
        read_recording(path)


def test_sources_are_named_by_path_or_unique_name(tmp_path):
    def add(file):
        module = file.create_processing_module("behavior", "behaviour")
        module.add(TimeSeries(name="signal", data=np.arange(9.0), rate=1.0, unit="cm"))
        module.add(TimeSeries(name="wheel", data=np.arange(9.0), rate=1.0, unit="cm"))

    path = make_series_session(tmp_path / "s.nwb", change=add)
    for name in ("wheel", "/processing/behavior/wheel", "processing/behavior/wheel"):
        assert read_recording(path, name).attrs["source"]["path"] == "/processing/behavior/wheel"
    with pytest.raises(
        SourceError, match=r"2 objects are called 'signal'.*/acquisition/signal, /processing/behavior/signal"
    ):
        read_recording(path, "signal")
    with pytest.raises(
        SourceError, match=r"no source 'wheels'.*/acquisition/signal \(TimeSeries, shape \(600, 5\)\).*wheel"
    ):
        read_recording(path, "wheels")


def test_families_are_one_row(tmp_path):
    nwbfile = new_nwbfile()
    for i in range(6):
        nwbfile.add_acquisition(TimeSeries(name=f"cell_{i:02d}", data=np.arange(9.0), rate=1.0, unit="a.u."))
    path = write_nwbfile(nwbfile, tmp_path / "s.nwb")
    (family,) = list_sources(path).sources
    assert (family.kind, family.path, family.shape, len(family.members)) == ("family", "/acquisition/cell_*", (9, 6), 6)
    recording = read_recording(path)
    assert "a family of one-column series" in recording.attrs["notes"][0]
    assert read_recording(path, "cell_03").sizes["time"] == 9


def test_our_own_fits_are_no_sources(tmp_path):
    def add(file):
        module = file.create_processing_module("dcf", "fits")
        module.add(TimeSeries(name="units_dim3", data=np.zeros((5, 3)), rate=1.0, unit="a.u."))

    catalog = list_sources(make_spike_session(tmp_path / "s.nwb", change=add))
    assert kinds(catalog) == {"/units": "units"}
    assert catalog.fits == ("units_dim3",)


@pytest.mark.parametrize(
    ("name", "expected", "default"),
    [
        (
            "celegans_moving.nwb",
            {"/acquisition/Activity_*": "family", "/acquisition/Tracked 2D position/ss_2D": "series"},
            "/acquisition/Activity_*",
        ),
        ("linear_track.nwb", {"/units": "units", "/processing/behavior/Position/led_position": "series"}, "/units"),
        ("no_neural_data.nwb", {"/acquisition/States": "series"}, None),
        ("openfield_video.nwb", {"/acquisition/behavior_video": "video"}, "/acquisition/behavior_video"),
        ("running_mouse_video.nwb", {"/acquisition/behavior_video": "video"}, "/acquisition/behavior_video"),
        ("three_units.nwb", {"/units": "units"}, "/units"),
        (
            "ophys_rois.nwb",
            {
                "/processing/ophys/Fluorescence/RoiResponseSeries": "fluorescence",
                "/processing/ophys/Fluorescence/Deconvolved": "deconvolved",
                "/processing/ophys/Fluorescence/Neuropil": "neuropil",
            },
            "/processing/ophys/Fluorescence/RoiResponseSeries",
        ),
    ],
)
def test_real_files(real_data, name, expected, default):
    catalog = list_sources(real_data(name))
    assert kinds(catalog) == expected
    assert catalog.default == default
    json.dumps(catalog.to_dict(), allow_nan=False)


def test_real_pose_is_seen_and_its_parts_can_be_named(real_data):
    catalog = list_sources(real_data("pose_bad_clock.nwb"))
    assert kinds(catalog)["/processing/behavior/PoseEstimation"] == "pose"
    assert catalog.default == "/processing/behavior/PoseEstimation"
    assert read_recording(real_data("pose_bad_clock.nwb"), "ind1_snout").sizes["channel"] == 2


def test_nothing_to_fit_says_what_is_there(real_data):
    with pytest.raises(
        SourceError, match=r"no_neural_data\.nwb: nothing.*`source=`: States \(TimeSeries, shape \(2198,\)\)"
    ):
        read_recording(real_data("no_neural_data.nwb"))
    assert read_recording(real_data("no_neural_data.nwb"), "States").sizes["channel"] == 1


def test_no_ordinary_file_is_doubted_and_the_wrong_clock_is(real_data):
    doubted = {}
    for name in REAL:
        try:
            doubted[name] = list_sources(real_data(name)).doubts
        except SourceError:  # a video without its file beside it
            continue
    wrong = doubted.pop("pose_bad_clock.nwb")
    assert len(wrong) == 5  # its body parts, and the pose that they make
    assert all("frame numbers" in doubt for doubt in wrong)
    # one of 1711 events, whose clock was not set; true, and in two tables
    events = doubted.pop("human_mtl_000207.nwb")
    assert len(events) == 2
    assert all("1 of 1711 times lies 49 years from the others" in doubt for doubt in events)
    assert not any(doubted.values()), doubted
    (said,) = [note for note in read_recording(real_data("pose_bad_clock.nwb")).attrs["notes"] if "doubt" in note]
    assert "give `time_scale='1/RATE'`" in said


def write_ordinary_session(path, seed):
    """Write units of ordinary rates with trials and events, imaging, a wheel and a nose, each on a clock of its own."""
    rng = np.random.default_rng(seed)
    start, length = rng.choice([0.0, 12.3, 3600.5]), rng.uniform(120, 900)
    nwbfile = new_nwbfile()
    for rate in rng.lognormal(np.log(3), 1, rng.integers(4, 12)):
        nwbfile.add_unit(spike_times=start + np.sort(rng.uniform(0, length, rng.poisson(rate * length) + 2)))
    begins = start + np.arange(2.0, length - 8, rng.uniform(3, 7))
    for begin in begins:
        nwbfile.add_trial(start_time=begin, stop_time=begin + rng.uniform(1, 3))
    rewards = nwbfile.create_events_table(name="rewards", description="drops")
    for begin in begins:
        rewards.add_row(timestamp=begin + 0.7)
    frames = start + np.arange(0, length, 1 / rng.choice([7.5, 15.0, 30.0]))
    frames += rng.normal(scale=1e-4, size=len(frames))
    rois = make_rois(add_plane(nwbfile), "raw", rng.normal(size=(len(frames), 6)).cumsum(axis=0), timestamps=frames)
    nwbfile.processing["ophys"].add(Fluorescence(roi_response_series=[rois]))
    rate = float(rng.choice([30.0, 100.0, 1000.0]))
    speed = rng.normal(size=int(length * rate)).cumsum()
    nwbfile.add_acquisition(TimeSeries(name="wheel", data=speed, unit="cm", rate=rate, starting_time=start))
    nose = rng.normal(size=(len(frames), 2)).cumsum(axis=0)
    nwbfile.add_acquisition(TimeSeries(name="nose", data=nose, unit="px", timestamps=frames.astype("f8")))
    return write_nwbfile(nwbfile, path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_no_ordinary_session_is_doubted(seed, tmp_path):
    path = write_ordinary_session(tmp_path / "s.nwb", seed)
    assert list_sources(path).doubts == ()
    for source in ("units", "raw", "wheel", ["units", "raw"]):
        notes = read_recording(path, source).attrs["notes"]
        assert not any(note.startswith(DOUBT) or "--no-gaps" in note for note in notes), notes

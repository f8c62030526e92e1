"""Arrays the wrong way round, columns of shape (n, 1), pictures whose axes are x before y: what is right, by kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from pynwb import TimeSeries
from pynwb.behavior import Position, SpatialSeries
from pynwb.ecephys import LFP, ElectricalSeries
from pynwb.ophys import Fluorescence, OnePhotonSeries, TwoPhotonSeries

from nwb_dcf import list_sources, read_recording
from nwb_dcf.errors import DCFError
from tests.nwb_files import (
    add_plane,
    make_rois,
    make_series_session,
    make_spike_session,
    new_nwbfile,
    simulate_series,
    simulate_spike_times,
    write_nwbfile,
)


def replace(path: Path, name: str, change: Any) -> Path:
    """Put `change` of a dataset in its place, with its attributes; what points to it points to the new one."""
    with h5py.File(path, "r+") as file:
        kept = dict(file[name].attrs)
        values = change(file[name][:])
        del file[name]
        made = file.create_dataset(name, data=values)
        made.attrs.update(kept)
        if f"{name}_index" in file:
            file[f"{name}_index"].attrs["target"] = made.ref
    return path


def transpose(path: Path, name: str) -> Path:
    return replace(path, name, lambda values: np.ascontiguousarray(values.T))


def add_electrodes(nwbfile: Any, n: int) -> Any:
    group = nwbfile.create_electrode_group("g", description="d", location="CA1", device=nwbfile.create_device("probe"))
    for _ in range(n):
        nwbfile.add_electrode(location="CA1", group=group)
    return nwbfile.create_electrode_table_region(list(range(n)), "r")


def write_voltages(path: Path, n: int, clock: dict[str, Any], *, lfp: bool) -> tuple[Path, str]:
    nwbfile = new_nwbfile()
    series = ElectricalSeries(
        name="volts", data=simulate_series(2000, n), electrodes=add_electrodes(nwbfile, n), **clock
    )
    if lfp:
        nwbfile.create_processing_module("ecephys", "e").add(LFP(electrical_series=series))
        return write_nwbfile(nwbfile, path), "/processing/ecephys/LFP/volts"
    nwbfile.add_acquisition(series)
    return write_nwbfile(nwbfile, path), "/acquisition/volts"


def notes(recording: Any) -> str:
    return " ".join(recording.attrs["notes"])


def why_refused(path: Path, source: str | None = None, **settings: Any) -> str:
    with pytest.raises(DCFError) as error:
        read_recording(path, source, **settings)
    return str(error.value)


CLOCKS = {"rate": {"rate": 500.0}, "timestamps": {"timestamps": np.arange(2000) / 500.0}}


@pytest.mark.parametrize("lfp", [False, True])
@pytest.mark.parametrize("clock", CLOCKS)
@pytest.mark.parametrize("n", [4, 32])
@pytest.mark.parametrize("bands", ["none", "4-8"])
def test_voltages_whose_electrodes_are_the_first_axis_are_refused(tmp_path, lfp, clock, n, bands):
    path, name = write_voltages(tmp_path / "s.nwb", n, CLOCKS[clock], lfp=lfp)
    settings = {"bands": bands}
    as_written = read_recording(path, name, **settings)
    transpose(path, name.lstrip("/") + "/data")
    words = why_refused(path, name, **settings)
    assert f"({n}, 2000)" in words
    assert f"{n} electrodes" in words
    assert "`transpose=True`" in words
    turned = read_recording(path, name, transpose=True, **settings)
    np.testing.assert_allclose(turned["data"].values, as_written["data"].values)
    assert turned["data"].sizes == as_written["data"].sizes


def test_the_list_has_why_voltages_are_refused(tmp_path):
    path, _ = write_voltages(tmp_path / "s.nwb", 4, CLOCKS["rate"], lfp=False)
    transpose(path, "acquisition/volts/data")
    catalog = list_sources(path)
    assert catalog.default is None
    assert "`transpose=True`" in str(catalog.to_dict())


@pytest.mark.parametrize(("frames", "channels"), [(3, 5000), (6, 4000), (50, 600), (100, 400)])
def test_a_series_wider_than_long_is_doubted(tmp_path, frames, channels):
    path = make_series_session(tmp_path / "s.nwb", simulate_series(frames, channels), rate=50.0)
    recording = read_recording(path, "signal")
    assert f"({frames}, {channels})" in notes(recording)
    assert "`transpose=True`" in notes(recording)
    assert "`transpose=True`" in str(list_sources(path).to_dict())
    turned = read_recording(path, "signal", transpose=True)
    assert turned["data"].sizes == {"time": channels, "channel": frames}
    np.testing.assert_allclose(turned.time.values, np.arange(channels) / 50.0)
    assert "transpose" in str(turned.attrs["source"]) or "transpose" in notes(turned)


def test_a_position_of_shape_2_n_is_refused_and_turned_on_request(tmp_path):
    nwbfile = new_nwbfile()
    series = SpatialSeries(name="nose", data=simulate_series(3000, 2), rate=30.0, reference_frame="corner")
    nwbfile.create_processing_module("behavior", "b").add(Position(spatial_series=series))
    path = transpose(write_nwbfile(nwbfile, tmp_path / "s.nwb"), "processing/behavior/Position/nose/data")
    try:
        reported = notes(read_recording(path, "nose"))
    except DCFError as error:
        reported = str(error)
    assert "`transpose=True`" in reported
    assert read_recording(path, "nose", transpose=True)["data"].sizes == {"time": 3000, "channel": 2}


def test_roi_responses_of_shape_roi_time_are_turned_on_request(tmp_path):
    nwbfile = new_nwbfile()
    box = Fluorescence(name="Fluorescence")
    box.add_roi_response_series(make_rois(add_plane(nwbfile, n_rois=12), "raw", simulate_series(900, 12)))
    nwbfile.processing["ophys"].add(box)
    path = transpose(write_nwbfile(nwbfile, tmp_path / "s.nwb"), "processing/ophys/Fluorescence/raw/data")
    assert "`transpose=True`" in why_refused(path, "raw")
    turned = read_recording(path, "raw", transpose=True)
    assert turned["data"].sizes == {"time": 900, "roi": 12}
    np.testing.assert_allclose(turned["data"].values, simulate_series(900, 12))


@pytest.mark.parametrize(
    ("shape", "source"), [((600, 5), "signal"), ((40, 3), "signal"), ((200, 64), "signal"), ((1000, 1), "signal")]
)
def test_ordinary_series_are_not_doubted(tmp_path, shape, source):
    recording = read_recording(make_series_session(tmp_path / "s.nwb", simulate_series(*shape)), source)
    assert "transpose" not in notes(recording)


def test_short_voltages_of_many_electrodes_are_right_by_their_table(tmp_path):
    nwbfile = new_nwbfile()
    region = add_electrodes(nwbfile, 96)
    nwbfile.add_acquisition(ElectricalSeries(name="volts", data=simulate_series(60, 96), electrodes=region, rate=500.0))
    recording = read_recording(write_nwbfile(nwbfile, tmp_path / "s.nwb"), "volts", bands="none")
    assert recording["data"].sizes == {"time": 60, "channel": 96}
    assert "transpose" not in notes(recording)


def test_many_rois_of_a_short_session_are_right_by_their_table(tmp_path):
    nwbfile = new_nwbfile()
    box = Fluorescence(name="Fluorescence")
    box.add_roi_response_series(make_rois(add_plane(nwbfile, n_rois=300), "raw", simulate_series(120, 300)))
    nwbfile.processing["ophys"].add(box)
    recording = read_recording(write_nwbfile(nwbfile, tmp_path / "s.nwb"), "raw")
    assert recording["data"].sizes == {"time": 120, "roi": 300}
    assert "transpose" not in notes(recording)


def test_transpose_is_refused_where_it_does_not_apply(tmp_path):
    path = make_spike_session(tmp_path / "s.nwb")
    assert "transpose is for" in why_refused(path, transpose=True)


TRIALS = [(k * 3.0, k * 3.0 + 2.0) for k in range(8)]


@pytest.mark.parametrize(
    "column",
    [
        "intervals/trials/start_time",
        "intervals/trials/stop_time",
        "intervals/trials/go_cue",
        "intervals/trials/outcome",
        "units/spike_times",
        "units/location",
        "units/quality_code",
    ],
)
def test_a_column_of_shape_n_by_1_is_a_column_of_n(tmp_path, column):
    def write(path: Path) -> Path:
        return make_spike_session(
            path,
            trials=TRIALS,
            trial_columns={"go_cue": [k * 3.0 + 0.5 for k in range(8)], "outcome": ["hit", "miss"] * 4},
            unit_columns={"location": ["M1"] * 5 + ["S1"] * 3, "quality_code": [1, 1, 0, 1, 1, 1, 0, 1]},
        )

    plain, boxed = write(tmp_path / "a.nwb"), write(tmp_path / "b.nwb")
    replace(boxed, column, lambda values: values[:, None])
    for settings in (
        {"trials": "trials"},
        {"trials": "trials", "where": "outcome == 'hit'"},
        {"align": "go_cue", "window": (-0.2, 1.0)},
        {"units": "location == 'M1'"},
        {"units": "quality_code == 1"},
    ):
        expected, found = read_recording(plain, **settings), read_recording(boxed, **settings)
        assert found["data"].sizes == expected["data"].sizes
        np.testing.assert_array_equal(found["data"].values, expected["data"].values)
        np.testing.assert_array_equal(found.time.values, expected.time.values)
    assert list_sources(boxed).tables == list_sources(plain).tables


@pytest.mark.parametrize("name", ["timestamps", "data"])
def test_a_series_with_timestamps_or_values_of_shape_n_by_1(tmp_path, name):
    path = make_series_session(tmp_path / "s.nwb", simulate_series(300, 1)[:, 0], timestamps=np.arange(300) / 20)
    expected = read_recording(path, "signal")
    replace(path, f"acquisition/signal/{name}", lambda values: values[:, None])
    found = read_recording(path, "signal")
    np.testing.assert_array_equal(found["data"].values, expected["data"].values)
    np.testing.assert_array_equal(found.time.values, expected.time.values)


def write_photons(path: Path, kind: type, seen: Any) -> Path:
    """Frames `seen` (frame, row, column), written as the schema has it: (frame, x, y)."""
    nwbfile = new_nwbfile()
    add_plane(nwbfile)
    plane = nwbfile.imaging_planes["plane"]
    nwbfile.add_acquisition(
        kind(name="movie", data=seen.transpose(0, 2, 1), imaging_plane=plane, unit="a.u.", rate=10.0)
    )
    return write_nwbfile(nwbfile, path)


def simulate_cell(height: int = 24, width: int = 40) -> Any:
    """A cell at x 30 to 36, y 4 to 8 that glows, and another, weaker, at x 5 to 8, y 15 to 20."""
    seen = np.full((120, height, width), 50, np.uint16)
    seen[:, 4:8, 30:36] += (100 + 50 * np.sin(np.arange(120) / 5)).astype(np.uint16)[:, None, None]
    seen[:, 15:20, 5:8] += (60 + 20 * np.cos(np.arange(120) / 7)).astype(np.uint16)[:, None, None]
    return seen


@pytest.mark.parametrize("kind", [TwoPhotonSeries, OnePhotonSeries])
class TestPhotonSeriesAreFrameXY:
    def test_frames_are_rows_by_columns(self, tmp_path, kind):
        seen = simulate_cell()
        path = write_photons(tmp_path / "s.nwb", kind, seen)
        recording = read_recording(path, "movie")
        assert recording["data"].sizes["y"] == 24
        assert recording["data"].sizes["x"] == 40
        np.testing.assert_allclose(recording["data"].values, seen)
        np.testing.assert_array_equal(recording.x.values, np.arange(40))
        (source,) = (one for one in list_sources(path).sources if one.path == "/acquisition/movie")
        assert source.shape == (120, 24, 40)

    def test_crop_is_x_y_width_height(self, tmp_path, kind):
        seen = simulate_cell()
        recording = read_recording(write_photons(tmp_path / "s.nwb", kind, seen), "movie", crop=(30, 4, 6, 4))
        np.testing.assert_allclose(recording["data"].values, seen[:, 4:8, 30:36])

    def test_size_keeps_the_form(self, tmp_path, kind):
        recording = read_recording(write_photons(tmp_path / "s.nwb", kind, simulate_cell()), "movie", size=(20, 12))
        assert (recording["data"].sizes["x"], recording["data"].sizes["y"]) == (20, 12)

    def test_a_mask_is_a_picture(self, tmp_path, kind):
        image = pytest.importorskip("PIL.Image")
        mask = np.zeros((24, 40), np.uint8)
        mask[:10, 28:] = 255
        image.fromarray(mask).save(tmp_path / "mask.png")
        seen = simulate_cell()
        path = write_photons(tmp_path / "s.nwb", kind, seen)
        recording = read_recording(path, "movie", mask=str(tmp_path / "mask.png"))
        moving = recording["data"].std("time").values > 0
        assert moving[5, 32]
        assert not moving[17, 6]

    def test_volumes_are_refused(self, tmp_path, kind):
        nwbfile = new_nwbfile()
        add_plane(nwbfile)
        data = np.random.default_rng(0).integers(0, 99, (30, 8, 6, 4)).astype("u2")
        plane = nwbfile.imaging_planes["plane"]
        nwbfile.add_acquisition(kind(name="movie", data=data, imaging_plane=plane, unit="a.u.", rate=10.0))
        assert "(30, 8, 6, 4)" in why_refused(write_nwbfile(nwbfile, tmp_path / "s.nwb"), "movie")


def test_a_plain_image_series_stays_rows_by_columns(tmp_path):
    from tests.video_files import make_video_session, simulate_frames

    frames = simulate_frames(40, 24, 32)
    recording = read_recording(make_video_session(tmp_path / "s.nwb", data=frames), "camera")
    assert (recording["data"].sizes["y"], recording["data"].sizes["x"]) == (24, 32)
    np.testing.assert_allclose(recording["data"].values, frames)


@pytest.mark.parametrize("seed", range(20))
def test_no_ordinary_session_is_doubted(tmp_path, seed):
    """Spikes, a wheel, voltages and ROIs of usual sizes, at random."""
    rng = np.random.default_rng(seed)

    def add(nwbfile: Any) -> None:
        n, rois = int(rng.integers(1, 33)), int(rng.integers(3, 80))
        frames = int(rng.integers(300, 1500))
        wheel = TimeSeries(name="wheel", data=simulate_series(frames, int(rng.integers(1, 7))), rate=60.0, unit="cm")
        nwbfile.add_acquisition(wheel)
        volts = simulate_series(frames, n)
        region = add_electrodes(nwbfile, n)
        nwbfile.add_acquisition(ElectricalSeries(name="volts", data=volts, electrodes=region, rate=250.0))
        box = Fluorescence(name="Fluorescence")
        box.add_roi_response_series(make_rois(add_plane(nwbfile, n_rois=rois), "raw", simulate_series(frames, rois)))
        nwbfile.processing["ophys"].add(box)

    spikes = simulate_spike_times(int(rng.integers(3, 20)), 20.0, seed=seed)
    path = make_spike_session(tmp_path / "s.nwb", spike_times=spikes, duration_s=20.0, change=add)
    for source in ("units", "wheel", "volts", "raw"):
        assert "transpose" not in notes(read_recording(path, source, bands="none" if source == "volts" else None))

"""A written fit read by pynapple: every segment with all its columns, and the frames of each.

pynapple joins intervals that overlap by a rounding error, and drops the columns of all of them when it does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from pynwb import TimeSeries

from nwb_dcf import read_recording
from nwb_dcf.data.result import DCFResult
from nwb_dcf.io.results import write_result

from ..io.results.synthetic import make_result
from ..nwb_files import new_nwbfile, simulate_spike_times, write_nwbfile

pytestmark = pytest.mark.filterwarnings("ignore")
LENGTHS = (0.6, 0.7, 1.2, 2.2)


def make_trials() -> tuple[np.ndarray, np.ndarray]:
    """85 trials of these lengths without a pause: each stop is the sum of lengths, each start that of the one before.

    Sums taken in another order differ in their last digits, as the times of a file do.
    """
    lengths = np.resize(LENGTHS, 85)
    stop = np.cumsum(lengths)
    return stop - lengths, stop


def write_session(path: Path) -> Path:
    nwbfile = new_nwbfile()
    start, stop = make_trials()
    for times in simulate_spike_times(6, float(stop[-1])):
        nwbfile.add_unit(spike_times=times)
    nwbfile.add_trial_column("outcome", "text")
    nwbfile.add_trial_column("angle", "number")
    for k, (a, b) in enumerate(zip(start, stop, strict=True)):
        nwbfile.add_trial(start_time=a, stop_time=b, outcome=["hit", "miss"][k % 2], angle=45.0 * (k % 8))
    n = int(stop[-1] * 100)
    data = np.random.default_rng(0).normal(size=(n, 3)).cumsum(axis=0)
    nwbfile.add_acquisition(TimeSeries(name="wheel", data=data, rate=100.0, unit="cm"))
    return write_nwbfile(nwbfile, path)


def make_result_of(recording: xr.Dataset) -> DCFResult:
    """Make a result of random latents with the clock, the segments and the columns of a recording."""
    result = make_result(recording[recording["data"].dims[1]].values, dim=2, kind="units")
    rng, n = np.random.default_rng(1), recording.sizes["time"]
    kept = result.dataset.drop_dims(["time", "segment"])
    segments = {str(k): v for k, v in recording.variables.items() if v.dims == ("segment",) and k != "segment"}
    dataset = kept.assign_coords(
        time=recording["time"].drop_vars("segment_index"),
        segment_index=("time", recording["segment_index"].values),
        segment=recording["segment"],
    ).assign(
        **segments,
        segment_held_out=("segment", np.arange(recording.sizes["segment"]) % 5 == 0),
        **{
            name: (("time", "latent"), rng.normal(size=(n, 2)).astype(np.float32), {"units": unit})
            for name, unit in (("latents", "1"), ("flowed", "1"), ("velocity", "1/s"))
        },
    )
    provenance = {**result.provenance, "source": dict(recording.attrs["source"])}
    return DCFResult(dataset, result.config, provenance, result.weights)


def read_touching_segments(path: Path) -> xr.Dataset:
    """Read the units by a sorting of four segments, each of which begins where the last one ended."""
    spikeinterface = pytest.importorskip("spikeinterface")
    from nwb_dcf.spikeinterface import from_sorting

    rate, rng = 30000.0, np.random.default_rng(3)
    samples = [np.sort(rng.integers(0, int(length * rate), 400)) for length in LENGTHS]
    labels = [rng.integers(0, 6, 400) for _ in LENGTHS]
    sorting = spikeinterface.core.NumpySorting.from_samples_and_labels(samples, labels, rate)
    traces = [np.zeros((int(length * rate), 1), np.int16) for length in LENGTHS]
    starts = np.cumsum([0.0, *LENGTHS[:-1]])
    recording = spikeinterface.core.NumpyRecording(traces, rate, t_starts=list(starts))
    binned = from_sorting(sorting, recording, bin_width_s=0.05)
    units = read_recording(path, "units", bin_width_s=0.05).attrs["source"]
    return binned.assign_attrs(source=units)


READINGS: dict[str, Any] = {
    "units": lambda path: read_recording(path, "units", bin_width_s=0.05),
    "joined": lambda path: read_recording(path, ["units", "wheel"], bin_width_s=0.05),
    "series": lambda path: read_recording(path, "wheel"),
    "analyzer": read_touching_segments,
}


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_session(tmp_path_factory.mktemp("trials") / "s.nwb")


EDGES = "pynapple takes a microsecond from edges that are equal, and a sample that lies on one with it"


@pytest.mark.parametrize(
    "kind",
    [pytest.param(kind, marks=pytest.mark.xfail(reason=EDGES)) if kind == "series" else kind for kind in READINGS],
)
def test_every_segment_with_every_column_and_its_frames(kind: str, session: Path, tmp_path: Path) -> None:
    nap = pytest.importorskip("pynapple")
    recording = READINGS[kind](session)
    n_segments = recording.sizes["segment"]
    assert n_segments == (4 if kind == "analyzer" else 85)
    result = make_result_of(recording)
    written = write_result(result, session, output=tmp_path / "fit.nwb")
    file = nap.load_file(str(written.path))
    latents, segments = file["latents"], file["segments"]
    assert isinstance(latents, nap.TsdFrame)
    assert isinstance(segments, nap.IntervalSet)
    assert len(segments) == n_segments
    assert np.abs(segments.start - result.dataset["segment_start"].values).max() < 2e-6
    assert np.abs(segments.end - result.dataset["segment_stop"].values).max() < 2e-6
    for name in [str(name) for name in recording.data_vars if str(name).startswith("trial_")]:
        assert segments[name].tolist() == recording[name].values.tolist(), name
    assert segments["held_out"].tolist() == result.dataset["segment_held_out"].values.tolist()
    index = recording["segment_index"].values
    for number in range(n_segments):
        np.testing.assert_array_equal(
            latents.restrict(segments[[number]]).values, result.dataset["latents"].values[index == number]
        )

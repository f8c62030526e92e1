"""Long recordings in blocks: the same results as at once, from memory maps and dask arrays as from arrays."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

from nwb_dcf import DCF
from nwb_dcf.config import PrepareConfig
from nwb_dcf.data import chunks as blocks
from nwb_dcf.data.arrays import as_recording
from nwb_dcf.data.chunks import (
    compute_moments,
    frame_blocks,
    is_lazy,
    make_scratch,
    map_lazily,
    release_scratch,
    take_scattered,
)
from nwb_dcf.data.preprocessing import fit_preprocessor
from nwb_dcf.data.recording import make_recording
from nwb_dcf.errors import DataError
from nwb_dcf.model import principal_axes
from nwb_dcf.model.principal_axes import compute_principal_axes
from nwb_dcf.model.training import batches as windows

ROOT = Path(__file__).resolve().parents[2]


def draw_values(n: int = 400, n_channels: int = 6) -> np.ndarray:
    phase = np.arange(n)[:, None] / 12 + np.arange(n_channels)
    values = np.sin(phase) + 0.3 * np.cos(2 * phase) + 0.1 * np.random.default_rng(0).standard_normal(phase.shape)
    return values.astype(np.float32)


def map_values(folder: Path, values: np.ndarray) -> np.memmap[Any, Any]:
    np.save(folder / "values.npy", values)
    return np.lib.format.open_memmap(folder / "values.npy", mode="r")


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK_NUMBERS", 6 * 37)
    monkeypatch.setattr(principal_axes, "BLOCK_NUMBERS", 6 * 41)
    monkeypatch.setattr(principal_axes, "EXACT_SIZE", 64)


def test_blocks_cover_every_frame_once_in_order() -> None:
    data = xr.DataArray(np.zeros((10, 2**20)), dims=("time", "channel"))
    assert [(b.start, b.stop) for b in frame_blocks(data)] == [(0, 4), (4, 8), (8, 10)]


def test_moments_of_blocks_are_those_of_the_whole_even_far_from_zero() -> None:
    values = np.random.default_rng(1).standard_normal((100, 3)) + 1e7
    moments = compute_moments(np.split(values, [1, 40, 41]))
    np.testing.assert_allclose(moments.mean, values.mean(axis=0), rtol=1e-15)
    np.testing.assert_allclose(moments.sd, values.std(axis=0), rtol=1e-7)


@pytest.mark.parametrize("clock", ["regular", "irregular"])
def test_smoothing_in_blocks_is_smoothing_at_once(monkeypatch: pytest.MonkeyPatch, clock: str) -> None:
    """Segments of 1, 2, 100 and 297 frames in blocks of 37, which cut segments and are cut by them."""
    rng = np.random.default_rng(2)
    counts = rng.poisson(2.0, (400, 6))
    steps = np.full(400, 0.02) if clock == "regular" else rng.uniform(0.01, 0.05, 400)
    segment = np.repeat(np.arange(4), (1, 2, 100, 297))
    recording = make_recording(counts, steps.cumsum() + segment, segment_index=segment, units="count", kind="units")
    prepared = []
    for numbers in (blocks.BLOCK_NUMBERS, 6 * 37):
        monkeypatch.setattr(blocks, "BLOCK_NUMBERS", numbers)
        preparation = fit_preprocessor(recording, PrepareConfig(smooth=0.06, scale="zscore"))
        prepared.append(preparation.apply(recording)["data"].values)
    np.testing.assert_allclose(prepared[1], prepared[0], atol=1e-6)
    assert np.abs(np.diff(prepared[0][110:], axis=0)).mean() < 0.6  # of white noise of unit variance 1.1


def test_principal_axes_in_blocks_are_those_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.tensor(draw_values(500)) + 3
    whole = compute_principal_axes(x)
    monkeypatch.setattr(principal_axes, "BLOCK_NUMBERS", 6 * 41)
    monkeypatch.setattr(principal_axes, "EXACT_SIZE", 64)
    exact = compute_principal_axes(x)
    monkeypatch.setattr(principal_axes, "EXACT_SIZE", 4)
    randomised = compute_principal_axes(x)
    for found in (exact, randomised):
        torch.testing.assert_close(found.axes, whole.axes, atol=1e-4, rtol=0)
        torch.testing.assert_close(found.variance, whole.variance)
        assert found.total == pytest.approx(whole.total)


def test_scratch_is_mapped_and_holds_what_is_written() -> None:
    scratch = make_scratch((5, 3))
    assert isinstance(scratch, np.memmap)
    assert scratch.dtype == np.float32
    scratch[2] = [1, 2, 3]
    assert scratch.sum() == 6
    release_scratch()
    assert scratch.sum() == 6


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read as Linux reports it")
def test_scratch_leaves_the_memory_of_the_process_and_stays_in_its_file() -> None:
    def count_mapped() -> int:
        lines = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines() if ":" in line)
        return int(lines["RssFile"].split()[0]) * 1024

    scratch = make_scratch((2**12, 2**11))
    before = count_mapped()
    scratch[:] = 1
    held = count_mapped()
    release_scratch()
    assert held - before > 0.9 * scratch.nbytes
    assert held - count_mapped() > 0.9 * scratch.nbytes
    assert scratch[::100].all()


@pytest.mark.parametrize("in_file", [True, False])
def test_scattered_rows_of_a_file_are_taken_some_at_a_time(in_file: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each row that is read maps up to 2 MB around it, so that all of a large file would be held."""
    released: list[int] = []
    monkeypatch.setattr(blocks, "SCATTERED_ROWS", 3)
    monkeypatch.setattr(blocks, "release_scratch", lambda: released.append(1))
    values = make_scratch((20, 2)) if in_file else np.empty((20, 2), np.float32)
    values[:] = np.arange(40).reshape(20, 2)
    rows = np.array([19, 0, 7, 7, 3, 12, 1])
    # through views, as frames of images are read
    np.testing.assert_array_equal(take_scattered(np.asarray(values.reshape(20, 2, 1)), rows)[..., 0], values[rows])
    assert len(released) == (3 if in_file else 0)


def test_a_disk_without_room_for_scratch_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(blocks.os, "posix_fallocate", fail, raising=False)
    with pytest.raises(DataError, match=r"does not hold them \(No space left on device\).*TMPDIR"):
        make_scratch((5, 3))


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("kind", ["memory map", "dask"])
def test_a_fit_of_what_is_read_in_blocks_is_that_of_the_array(tmp_path: Path, kind: str) -> None:
    pytest.importorskip("dask.array")
    values = draw_values()
    mapped: Any = map_values(tmp_path, values)
    plain: Any = values
    if kind == "dask":
        lazy = xr.DataArray(map_lazily(mapped), dims=("time", "channel"))
        mapped, plain = lazy, xr.DataArray(values, dims=("time", "channel"))
        assert lazy.chunks is not None
    assert is_lazy(as_recording(mapped).recording["data"])
    given = DCF(dim=2, steps=20).fit(plain)
    read = DCF(dim=2, steps=20).fit(mapped)
    for name in ("transform", "flow", "velocity"):
        one, two = (np.asarray(getattr(fit, name)(x)) for fit, x in ((given, plain), (read, mapped)))
        assert one.shape == (400, 2)
        np.testing.assert_array_equal(two, one, err_msg=name)
    assert read.fitted_.machine["frames"] == "in a scratch file, written block by block"
    assert given.fitted_.machine["frames"] == "in memory"


@pytest.mark.usefixtures("small_blocks")
def test_windows_and_histories_reach_over_the_edges_of_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = np.random.default_rng(3).poisson(np.exp(draw_values() + 0.5))
    fit = DCF(dim=2, steps=10).fit(counts)  # counts: the code sees a window, and smoothing reaches 8 frames
    assert fit.config_.model.encoder_window > 0
    fit.fitted_.model.coupling.encoder.network[-1].weight.data.normal_(  # type: ignore[index, operator, union-attr]
        generator=torch.Generator().manual_seed(0)
    )
    names = ("transform", "flow", "velocity")
    in_blocks = [getattr(fit, name)(counts) for name in names]
    monkeypatch.setattr(blocks, "BLOCK_NUMBERS", 2**22)
    for name, found in zip(names, in_blocks, strict=True):
        np.testing.assert_allclose(found, getattr(fit, name)(counts), atol=2e-4, err_msg=name)


@pytest.mark.usefixtures("small_blocks")
def test_what_is_wrong_in_a_late_block_is_found_and_counted(tmp_path: Path) -> None:
    values = draw_values()
    values[300, 2] = values[310, 1] = np.nan
    with pytest.raises(DataError, match="2 values are NaN or infinite, the first in channel 2 at 300 s"):
        DCF(dim=2, steps=5).fit(map_values(tmp_path, values))


def test_codes_that_have_no_room_are_encoded_as_they_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each frame's code is the same either way, and the encoder's running statistics do not follow the batches."""
    values = draw_values()
    monkeypatch.setattr(windows, "CACHED_NUMBERS", 10)
    fit = DCF(dim=2, steps=30).fit(values)
    z = fit.transform(values)
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(z.std(axis=0), 1, atol=1e-3)
    assert fit.fitted_.curve.df[-1] < 0.1


MEASURE = """
import resource, sys
import numpy as np
from nwb_dcf import DCF
values = np.lib.format.open_memmap(sys.argv[1], mode="r")
fit = DCF(dim=3, steps=20).fit(values)
z = fit.transform(values)
assert z.shape == (len(values), 3) and np.isfinite(z).all()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
"""


@pytest.mark.slow
def test_a_hundred_million_values_are_fitted_in_two_gigabytes(tmp_path: Path) -> None:
    pytest.importorskip("dask.array")
    mapped = np.lib.format.open_memmap(tmp_path / "v.npy", mode="w+", dtype=np.float32, shape=(10**6, 100))
    for i in range(0, 10**6, 10**5):
        mapped[i : i + 10**5] = draw_values(10**5, 100)
    mapped.flush()
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tmp_path / "v.npy")], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 2.0  # GiB, the mapped files included


def test_scratch_is_made_by_one_thread_while_another_releases_it(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[np.ndarray] = []
    every = sys.getswitchinterval()

    def make() -> None:
        made.extend(make_scratch((8,)) for _ in range(200))

    maker = threading.Thread(target=make)
    sys.setswitchinterval(1e-6)
    try:
        maker.start()
        while maker.is_alive():
            release_scratch()
    finally:
        sys.setswitchinterval(every)
        maker.join()
    assert len(made) == 200

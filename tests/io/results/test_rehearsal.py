"""What pynwb cannot append to is refused before training, on a copy that takes little space."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from nwb_dcf.errors import StoreError
from nwb_dcf.io.results.rehearsal import LARGE, copy_skeleton, rehearse_append
from nwb_dcf.io.results.scripts.verify import describe_tree
from tests.nwb_files import make_series_session, make_spike_session


def rehearse(path: Path) -> None:
    with rehearse_append(path, name="a", kind="units", dim=2, source_id=None, where=str(path)):
        pass


def test_a_skeleton_has_all_but_large_numbers(tmp_path: Path) -> None:
    data = np.random.default_rng(0).normal(size=(50_000, 8))
    path, skeleton = make_series_session(tmp_path / "s.nwb", data), tmp_path / "skeleton.nwb"
    copy_skeleton(path, skeleton)
    assert skeleton.stat().st_size == path.stat().st_size
    assert skeleton.stat().st_blocks * 512 < path.stat().st_size - data.nbytes + 4 * LARGE
    with h5py.File(path) as one, h5py.File(skeleton) as other:
        assert describe_tree(one) == describe_tree(other)
        assert not other["acquisition/signal/data"][:].any()


def test_a_sound_file_passes_and_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_spike_session(tmp_path / "s.nwb", n_units=3, duration_s=6)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    before = path.read_bytes()
    rehearse(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path / "temporary") == []


def _take_the_place(file: h5py.File) -> None:
    module = file.create_group("processing/dcf")
    module.attrs.update({"neurodata_type": "TimeSeries", "namespace": "core", "object_id": "x"})


def _put_another_object(file: h5py.File) -> None:
    file["processing/dcf"] = h5py.SoftLink("/nowhere")


@pytest.mark.parametrize("change", [_take_the_place, _put_another_object])
def test_a_file_that_takes_no_fit_is_refused(tmp_path: Path, change: Callable[[h5py.File], None]) -> None:
    path = make_spike_session(tmp_path / "s.nwb", n_units=3, duration_s=6)
    with h5py.File(path, "r+") as file:
        file.require_group("processing")
        change(file)
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"s\.nwb: a fit cannot be added to this file: .*`results_only=True`"):
        rehearse(path)
    assert path.read_bytes() == before


@pytest.mark.skipif(sys.platform != "linux", reason="forks are used on Linux alone")
def test_a_block_that_fails_ends_the_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[int] = []
    fork = os.fork
    monkeypatch.setattr(os, "fork", lambda: started.append(fork()) or started[-1])
    path = make_spike_session(tmp_path / "s.nwb", n_units=3, duration_s=6)
    with (
        pytest.raises(ValueError, match="of the block"),
        rehearse_append(path, name="a", kind="units", dim=2, source_id=None, where=str(path)),
    ):
        raise ValueError("of the block")
    with pytest.raises(ChildProcessError):  # it was ended and waited for
        os.waitpid(started[-1], os.WNOHANG)

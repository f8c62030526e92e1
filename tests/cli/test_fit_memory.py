"""The memory of a fit is told before it is begun, and what the machine does not have is refused."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nwb_dcf
from nwb_dcf.data import chunks
from nwb_dcf.data.recording import make_recording
from nwb_dcf.errors import DataError
from nwb_dcf.metrics.rate_calibration import MOST_CALIBRATED
from nwb_dcf.pipeline import fit_memory
from nwb_dcf.pipeline.fit_memory import estimate_recording
from tests.nwb_files import make_series_session, make_spike_session

QUICK = {"steps": 3, "width": 8, "depth": 1, "smooth": 0.1, "scale": "global"}


def test_more_than_is_free_is_refused_with_what_would_help(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_spike_session(tmp_path / "s.nwb", n_units=4, duration_s=20)
    before = path.read_bytes()
    monkeypatch.setattr(fit_memory, "find_free_memory", lambda: 0)
    monkeypatch.setattr(fit_memory, "_find_held", lambda: 2**20)
    for use in (nwb_dcf.fit_nwb, nwb_dcf.plan_fit):
        with pytest.raises(DataError, match=r"s\.nwb: /units: a fit of \d+ frames of 4 values takes about 0\.5 GiB"):
            use(path, 2, **QUICK)
    assert path.read_bytes() == before
    monkeypatch.setattr(fit_memory, "_find_held", lambda: 2**30)  # what is held already is not asked for again
    assert nwb_dcf.plan_fit(path, 2, **QUICK).to_dict()["memory_bytes"] > 2**29


def test_what_is_read_in_blocks_has_no_bound() -> None:
    dask = pytest.importorskip("dask.array", reason="could not import dask")
    assert estimate_recording(make_recording(dask.ones((100, 50)), np.arange(100))) is None


def test_a_disk_without_room_for_prepared_frames_is_said_before_a_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_spike_session(tmp_path / "s.nwb", n_units=4, duration_s=20)
    monkeypatch.setattr(chunks, "MOST_IN_MEMORY", 1000)
    monkeypatch.setattr(fit_memory.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(0, 0, 1000))
    with pytest.raises(DataError, match=r"s\.nwb: /units: prepared frames take about 0\.0 GiB on disk.*TMPDIR"):
        nwb_dcf.plan_fit(path, 2, **QUICK)


def test_it_knows_how_many_counts_are_calibrated() -> None:
    assert fit_memory.FIRST == MOST_CALIBRATED


def test_info_and_dry_run_say_it(tmp_path: Path, run_cli: Callable[..., Any]) -> None:
    path = make_spike_session(tmp_path / "s.nwb", n_units=4, duration_s=20)
    assert "its fit takes about 0.5 GiB of memory; " in run_cli("info", path).stdout
    assert json.loads(run_cli("info", path, "--json").stdout)["memory_bytes"] > 2**29
    assert "memory    about 0.5 GiB at most" in run_cli("fit", path, "--dry-run", "--smooth", "0.1").stdout


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="peaks are those of Linux")
@pytest.mark.parametrize(("n_frames", "counts"), [(60_000, True), (240_000, True), (240_000, False)])
def test_the_estimate_is_within_half_of_the_peak(
    tmp_path: Path, run_cli: Callable[..., Any], n_frames: int, counts: bool
) -> None:
    import subprocess

    rng, n = np.random.default_rng(0), 50
    if counts:
        path = make_spike_session(tmp_path / "s.nwb", n_units=n, duration_s=n_frames * 0.02)
    else:
        path = make_series_session(tmp_path / "s.nwb", rng.normal(size=(n_frames, n)))
    code = (
        "import resource, sys; from nwb_dcf.cli import main; code = main(sys.argv[1:]); "
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024); sys.exit(code)"
    )
    options = ["--bin", "0.02", "--smooth", "0.1"] if counts else ["--source", "signal"]
    plan = json.loads(run_cli("fit", path, *options, "--dry-run", "--json", "--quiet").stdout)
    done = subprocess.run(
        [sys.executable, "-c", code, "fit", str(path), *options, "--steps", "20", "--quiet"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert int(done.stdout.split()[-1]) == pytest.approx(plan["memory_bytes"], rel=0.5)

"""A fit that is killed harms nothing: whatever the moment, the file is the original or holds a whole fit."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from nwb_dcf import list_results, read_result
from tests.nwb_files import convert_to_zarr

N_KILLS = 100  # of each format
FIT = [sys.executable, "-m", "nwb_dcf", "fit", "s.nwb", "--dim", "2", "--bin", "0.1", "--steps", "5", "--quiet"]


def read_all(place: Path) -> dict[str, bytes]:
    """Every file of a folder of Zarr, or the one of HDF5, with its bytes."""
    files = [place] if place.is_file() else [path for path in place.rglob("*") if path.is_file()]
    return {str(path.relative_to(place)): path.read_bytes() for path in files}


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("form", ["HDF5", "Zarr"])
def test_kills_around_the_end_of_a_fit_harm_nothing(
    form: str, tmp_path: Path, real_data: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> None:
    whole_session = real_data("three_units.nwb")
    if form == "Zarr":
        pytest.importorskip("hdmf_zarr")
        whole_session = convert_to_zarr(whole_session, tmp_path_factory.mktemp("zarr") / "s.nwb")
    original, file = read_all(whole_session), tmp_path / "s.nwb"

    def run(seconds: float | None) -> float:
        if whole_session.is_dir():
            shutil.rmtree(file, ignore_errors=True)
            shutil.copytree(whole_session, file)
        else:
            shutil.copyfile(whole_session, file)
        started = time.perf_counter()
        process = subprocess.Popen(FIT, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        return time.perf_counter() - started

    whole = run(None)
    assert [fit["name"] for fit in list_results(file)] == ["units_dim2"]
    draw = random.Random(0)
    untouched = 0
    for _ in range(N_KILLS):
        # The write takes the last third of so short a fit; kills fall into it and a little beyond.
        run(whole * draw.uniform(0.6, 1.1))
        list_results(file)  # brings a folder back that was set aside
        if read_all(file) == original:
            untouched += 1
        else:
            assert read_result(file).dataset["latents"].shape[1] == 2
    assert 0 < untouched < N_KILLS  # the moments fell on both sides of the replacement

    run(None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s.nwb"]
    shutil.rmtree(tmp_path)

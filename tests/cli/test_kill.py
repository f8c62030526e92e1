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

N_KILLS = 50
FIT = [sys.executable, "-m", "nwb_dcf", "fit", "s.nwb", "--dim", "2", "--bin", "0.1", "--steps", "5", "--quiet"]


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_fifty_kills_around_the_end_of_a_fit_harm_nothing(tmp_path: Path, real_data: Callable[[str], Path]) -> None:
    original = real_data("three_units.nwb").read_bytes()
    file = tmp_path / "s.nwb"

    def run(seconds: float | None) -> float:
        file.write_bytes(original)
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
        if file.read_bytes() == original:
            untouched += 1
        else:
            assert read_result(file).dataset["latents"].shape[1] == 2
    assert 0 < untouched < N_KILLS  # the moments fell on both sides of the replacement

    run(None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s.nwb"]
    shutil.rmtree(tmp_path)

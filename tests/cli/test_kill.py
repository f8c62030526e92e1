"""A fit that is killed harms nothing: the file is the original or holds a whole fit; --resume goes on to the bit."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from nwb_dcf import list_results, read_result
from nwb_dcf.io.results import find_unfinished
from tests.nwb_files import convert_to_zarr

ROOT = Path(__file__).resolve().parents[2]
N_KILLS = 100  # of each format
N_RESUMED_KILLS = int(os.environ.get("NWB_DCF_TEST_KILLS") or 200)  # of each format
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


EVERY_S = 0.25  # between checkpoints, of a training of some seconds
RESUMED = ["--dim", "2", "--bin", "0.1", "--steps", "400", "--quiet"]
Marks = list[tuple[float, str]]


class MarkedFit:
    """A fit in a process of its own, which says how far it is; and what it did before it was killed."""

    def __init__(self, folder: Path, *, resume: bool) -> None:
        self.path = folder.parent / "marks"
        self.path.unlink(missing_ok=True)
        command = [sys.executable, "-m", "tests.cli.marked_command", str(self.path), str(EVERY_S)]
        command += ["fit", str(folder / "s.nwb"), *RESUMED, *(["--resume"] if resume else [])]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.started = time.monotonic()

    def read(self) -> Marks:
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        return [(float(when), what) for when, _, what in (line.partition(" ") for line in lines)]

    def wait_for(self, what: str, seconds: float = 900.0) -> bool:
        """Wait until it marks `what`; whether it did before it ended or `seconds` were over."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.process.poll() is None:
            if any(mark.startswith(what) for _, mark in self.read()):
                return True
            time.sleep(0.004)
        return any(mark.startswith(what) for _, mark in self.read())

    def end(self, seconds: float) -> bool:
        """Kill it after `seconds`; whether that was before it had ended."""
        try:
            _, said = self.process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            return True
        assert self.process.returncode == 0, said
        return False


def measure_repeated(before: Marks, after: Marks) -> tuple[int, float]:
    """Steps and seconds of training that a killed process had done and the next one does again."""
    steps = [(number, when, what) for number, (when, what) in enumerate(before) if what.startswith("step")]
    first = next((what for _, what in after if what.startswith("step")), None)
    again = [(number, when) for number, when, what in steps if what == first]
    if not again:  # all of it was in the checkpoint
        return 0, 0.0
    written = max((number for number, (_, what) in enumerate(before) if what == "checkpoint"), default=-1)
    last = max((number for number, _, _ in steps if number < written), default=-1)  # the step that was written
    assert again[0][0] >= last, "more is repeated than was trained since the last checkpoint"
    lost = [when for _, when, _ in steps if when >= again[0][1]]
    return len(lost), lost[-1] - lost[0]


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("form", ["HDF5", "Zarr"])
def test_a_fit_killed_at_any_moment_and_resumed_equals_one_that_was_not(
    form: str,
    tmp_path: Path,
    real_data: Callable[[str], Path],
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # sums in another order are other bits
    whole_session = real_data("three_units.nwb")
    if form == "Zarr":
        pytest.importorskip("hdmf_zarr")
        whole_session = convert_to_zarr(whole_session, tmp_path_factory.mktemp("zarr") / "s.nwb")
    original, folder = read_all(whole_session), tmp_path / "session"
    folder.mkdir()
    file = folder / "s.nwb"

    def put_back() -> None:
        if whole_session.is_dir():
            shutil.rmtree(file, ignore_errors=True)
            shutil.copytree(whole_session, file)
        else:
            shutil.copyfile(whole_session, file)

    put_back()
    fit = MarkedFit(folder, resume=False)
    assert fit.wait_for("step")
    start_s = time.monotonic() - fit.started
    assert fit.wait_for("trained")
    trained = time.monotonic()
    assert not fit.end(900.0)
    write_s, expected = time.monotonic() - trained, read_result(file)
    n_steps = sum(what.startswith("step") for _, what in fit.read())

    def assert_expected() -> None:
        found = read_result(file)
        weights, meant = (safetensors.numpy.load(bytes(one.weights)) for one in (found, expected))
        assert weights.keys() == meant.keys()
        for name, values in meant.items():
            np.testing.assert_array_equal(weights[name], values, err_msg=name)
        for name, values in expected.dataset.variables.items():
            assert values.dtype == found.dataset[name].dtype
            np.testing.assert_array_equal(found.dataset[name].values, values.values, err_msg=str(name))

    put_back()
    draw = random.Random(1)
    kills = {"starting": 0, "training": 0, "writing": 0}
    chains = resumed = whole = 0
    most_steps, most_s = 0, 0.0
    before: Marks = []
    while sum(kills.values()) < N_RESUMED_KILLS or before:
        kept = bool(find_unfinished(file).get("checkpoints"))
        resumed += kept
        fit = MarkedFit(folder, resume=kept)
        enough = sum(kills.values()) >= N_RESUMED_KILLS
        where, seconds = "training", draw.uniform(0, 4 * EVERY_S)
        if enough:
            where, seconds = "writing", 900.0
        elif draw.random() < 0.1:
            where, seconds = "starting", draw.uniform(0, start_s)
        elif fit.wait_for("step") and fit.wait_for("trained", seconds):
            where, seconds = "writing", draw.uniform(0, 1.1 * write_s)
        elif where == "training":
            seconds = 0.0
        killed = fit.end(seconds)
        after = fit.read()
        if kept and any(what.startswith("step") for _, what in after):
            steps, repeated_s = measure_repeated(before, after)
            most_steps, most_s = max(most_steps, steps), max(most_s, repeated_s)
        if any(what.startswith("step") for _, what in after) or not kept:
            before = after
        kills[where] += killed
        fits = list_results(file)  # brings a folder back that was set aside
        if not fits:
            assert read_all(file) == original
            assert killed
            continue
        # whole, with the name removed from the checkpoint or not: this fit is done, and the next one begins
        assert_expected()
        chains, whole, before = chains + 1, whole + killed, []
        shutil.rmtree(folder)
        folder.mkdir()
        put_back()
    # `measure_repeated` has compared with the last checkpoint: seconds are those of a busy machine
    assert most_steps < n_steps
    print(
        f"{form}: {sum(kills.values())} kills ({kills}) over {chains} fits of {n_steps} steps, {resumed} resumed; "
        f"files harmed 0; {whole} killed after the exchange; repeated at most {most_steps} steps, {most_s:.2f} s of "
        f"training with a checkpoint every {EVERY_S} s; results equal to the bit"
    )

"""Whole fits on a GPU, in seconds of the clock, beside those that they may take (skipped where there is none)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr
from figures import DEVICE, note, take_time

from nwb_dcf import DCF
from nwb_dcf.data.recording import make_recording
from nwb_dcf.data.synthetic import simulate_ball, simulate_reach

pytestmark = pytest.mark.skipif(DEVICE.type != "cuda", reason="this machine has no GPU")


def time_fit(recording: xr.Dataset, **settings: Any) -> tuple[float, DCF]:
    """Seconds of a fit, and what it gave."""
    start = take_time()
    fit = DCF(dim=3, device="cuda", settings=settings).fit(recording)
    return take_time() - start, fit


def note_fit(what: str, allowed: str, ratio: float, seconds: float, fit: DCF) -> None:
    """Add the line of a fit of `what`, which is `allowed` some seconds, with its steps and where its frames lay."""
    numbers = {"seconds": seconds, "steps": fit.steps_, "frames": fit.fitted_.machine["frames"]}
    note(f"a fit of {what}, clock", allowed, ratio, "at most 1", **numbers)


@pytest.fixture(scope="module")
def session() -> xr.Dataset:
    """600 trials x 100 bins x 137 units."""
    return simulate_reach().recording


def test_a_fit_of_a_session(benchmark: Any, session: xr.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    time_fit(session, steps=10)  # loads kernels
    seconds, fit = time_fit(session)
    with monkeypatch.context() as patch:
        patch.setattr("nwb_dcf.model.training.loop.can_replay", lambda table: False)
        one_by_one, _ = time_fit(session)
    benchmark.pedantic(lambda: None, rounds=1)
    note_fit("60,000 frames of 137 counts", "10 s", seconds / 10, seconds, fit)
    note(
        "a fit of 60,000 frames of 137 counts, steps replayed",
        "its steps taken one by one",
        seconds / one_by_one,
        seconds=seconds,
        **{"one by one": one_by_one},
    )


def test_a_fit_of_the_same_values(benchmark: Any, session: xr.Dataset) -> None:
    values = make_recording(np.sqrt(session["data"].values), session["time"].values)
    seconds, fit = time_fit(values)
    benchmark.pedantic(lambda: None, rounds=1)
    note_fit("60,000 frames of 137 values", "10 s", seconds / 10, seconds, fit)


def test_a_fit_of_72_000_images(benchmark: Any) -> None:
    """7,200 frames of a rolling ball, 64 x 64, ten times with other noise."""
    ball = simulate_ball(36, 200)
    frames = np.kron(ball.truth["frames"].values, np.ones((1, 3, 3), np.float32))[:, :64, :64].astype(np.float32)
    rng, spread = np.random.default_rng(0), 0.05 * frames.std()
    images = np.concatenate([frames + spread * rng.standard_normal(frames.shape, np.float32) for _ in range(10)])
    segment = np.arange(len(images)) // 200
    recording = make_recording(images, np.arange(len(images)) / 50, segment_index=segment)
    seconds, fit = time_fit(recording)
    benchmark.pedantic(lambda: None, rounds=1)
    note_fit("72,000 frames of 64 x 64", "5 minutes", seconds / 300, seconds, fit)

"""An irregularly sampled linear system x' = A x: velocities are those of the system, in latent units per second."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy.linalg import expm

from nwb_dcf import DCF
from nwb_dcf.data.recording import make_recording
from nwb_dcf.errors import DataError

A = np.array([[-0.05, -1.5, 0.0], [1.5, -0.05, 0.0], [0.0, 0.0, -0.2]])
AXES = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 3)))[0]
N_SEGMENTS, LENGTH, HISTORY = 40, 60, 3


def draw_steps(kind: str, segment: int, rng: np.random.Generator) -> np.ndarray:
    """Seconds between the frames of a segment: 0.1 in the mean of all."""
    match kind:
        case "regular":
            return np.full(LENGTH, 0.1)
        case "uniform":
            return rng.uniform(0.04, 0.16, LENGTH)
        case "two steps":
            return rng.choice([0.06, 0.14], LENGTH)
        case _:  # each segment at a rate of its own; no step is the median
            return np.full(LENGTH, 0.06 if segment % 2 else 0.14)


def run_system(kind: str) -> xr.Dataset:
    rng = np.random.default_rng(1)
    frames, times, start_s = [], [], 0.0
    for segment in range(N_SEGMENTS):
        time = np.cumsum(draw_steps(kind, segment, rng))
        state = rng.normal(size=3)
        frames.append(np.stack([expm(A * (t - time[0])) @ state for t in time]) @ AXES.T)
        times.append(start_s + time)
        start_s = times[-1][-1] + 5
    index = np.repeat(np.arange(N_SEGMENTS), LENGTH)
    return make_recording(np.concatenate(frames), np.concatenate(times), segment_index=index)


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("kind", ["regular", "uniform", "two steps", "two rates"])
def test_velocity_is_in_units_per_second(kind: str, early_stopping: bool) -> None:
    recording = run_system(kind)
    dcf = DCF(3, steps=2, width=16, depth=2, early_stopping=early_stopping, settings={"try_encoder": False}).fit(
        recording
    )
    latents, velocity = (use(recording)["data"].values for use in (dcf.transform, dcf.velocity))
    x = recording["data"].values
    # The code of these values is that of PCA: linear, so that the field of x becomes one of latents.
    with_one = np.column_stack([x, np.ones(len(x))])
    code = np.linalg.lstsq(with_one, latents, rcond=None)[0]
    np.testing.assert_allclose(with_one @ code, latents, atol=1e-5)
    expected = x @ AXES @ A.T @ AXES.T @ code[:-1]
    whole = np.arange(len(x)) % LENGTH >= HISTORY
    whole &= np.arange(len(x)) % LENGTH < LENGTH - 1
    gain = (velocity * expected)[whole].sum(axis=0) / np.square(expected[whole]).sum(axis=0)
    error = np.square(velocity - expected)[whole].sum(axis=0) / np.square(expected[whole]).sum(axis=0)
    # A step of 0.1 s at 1.5 rad/s turns the mean of v over the step by 0.075 rad from v at its start: 0.0056.
    np.testing.assert_allclose(gain, 1, atol=0.04)
    assert error.max() < 0.02


def test_displacements_are_counted_in_the_step_of_the_whole_recording() -> None:
    recording = run_system("two rates")
    dcf = DCF(3, steps=2, width=16, depth=2).fit(recording)
    assert dcf.fitted_.step_s == pytest.approx(0.1)  # between 0.06 and 0.14: the median of as many of each


def test_bins_of_another_width_are_refused() -> None:
    counts = np.random.default_rng(0).poisson(2.0, size=(80, 4))

    def bin_spikes(width: float) -> xr.Dataset:
        time = (np.arange(80) + 0.5) * width
        return make_recording(counts, time, channel_dim="unit", units="count", kind="units", bin_width_s=width)

    dcf = DCF(2, steps=2, width=8, early_stopping=False).fit(bin_spikes(0.1))
    with pytest.raises(DataError, match=r"0\.05 s wide and those fitted 0\.1 s"):
        dcf.transform(bin_spikes(0.05))

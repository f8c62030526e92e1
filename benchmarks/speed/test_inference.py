"""Latents of many frames, and rollouts, beside the fewest passes of the networks that could give them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from figures import DEVICE

from nwb_dcf import DCF
from nwb_dcf.data.recording import make_recording
from nwb_dcf.model.parallel import split_frames
from nwb_dcf.model.rollout import STEPS_PER_FRAME

N_FRAMES = 200_000
PASSES_OF_U = 8


@pytest.fixture(scope="module")
def fitted(reach: xr.Dataset) -> DCF:
    return DCF(dim=3, device=str(DEVICE), steps=5, early_stopping=False).fit(reach)


@pytest.fixture(scope="module")
def long_recording(reach: xr.Dataset) -> xr.Dataset:
    values = np.resize(reach["data"].values, (N_FRAMES, reach.sizes["unit"]))
    time = np.arange(N_FRAMES) * 0.01
    return make_recording(
        values, time, channel_dim="unit", channel=reach["unit"].values, units="count", kind="units", bin_width_s=0.01
    )


@pytest.fixture(scope="module")
def fewest_passes(fitted: DCF, long_recording: xr.Dataset) -> Callable[[], None]:
    """One pass of the encoder and 16 of u over the same frames."""
    model = fitted.fitted_.model.eval()
    x = torch.as_tensor(fitted.prepare(long_recording), dtype=torch.float32, device=DEVICE)
    reach_of_mu, axes = model.coupling.encoder.window, model.coupling.make_axes()

    @torch.no_grad()
    def run() -> None:
        for frames in split_frames(len(x), x.shape[1], x.device):
            part = x[frames]
            model.coupling.encode(part[:, None].expand(-1, 2 * reach_of_mu + 1, -1))
            tau, mask = part.new_full((len(part), 1), 0.5), model.mask(3, part)
            for _ in range(PASSES_OF_U):
                model.u(part, tau, mask, axes)

    return run


@pytest.mark.parametrize("what", ["transform", "flow"])
def test_latents_of_many_frames(
    compare: Callable[..., float],
    fitted: DCF,
    long_recording: xr.Dataset,
    fewest_passes: Callable[[], None],
    what: str,
) -> None:
    method: Any = getattr(fitted, what)
    compare(
        f"{what} of {N_FRAMES:,} frames x 137",
        f"one pass of the encoder and {PASSES_OF_U} of u",
        lambda: method(long_recording),
        fewest_passes,
        rounds=3,
        goal="at most 3",
    )


def test_simulate(compare: Callable[..., float], fitted: DCF, reach: xr.Dataset) -> None:
    n_frames, n_paths = 50, 256
    start, model = reach.isel(time=slice(0, 100), segment=slice(0, 1)), fitted.fitted_.model.eval()
    axes, mean, config = model.coupling.make_axes(), model.coupling.mean, model.config
    state, s = mean.expand(n_paths, -1), mean.new_zeros(n_paths, 1)
    history, mask = mean.new_zeros(n_paths, config.history + 1, model.k_max), model.mask(3, state)

    @torch.no_grad()
    def evaluate_v() -> None:
        for _ in range(2 * STEPS_PER_FRAME * n_frames):
            model.v.at_zero(state, s, history, mask, axes)

    compare(
        f"simulate, {n_paths} paths of {n_frames} frames",
        f"{2 * STEPS_PER_FRAME} evaluations of v a frame",
        lambda: fitted.simulate(start, n_frames=n_frames, n_paths=n_paths),
        evaluate_v,
        rounds=3,
    )

"""Latents of many frames beside the fewest passes of the networks that could give them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

from nwb_dcf import DCF
from nwb_dcf.codec import FRAMES_AT_ONCE
from nwb_dcf.recording import make_recording

N_FRAMES = 200_000
PASSES_OF_U = 16


@pytest.fixture(scope="module")
def fitted(reach: xr.Dataset) -> DCF:
    return DCF(dim=3, device="cpu", steps=5, early_stopping=False).fit(reach)


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
    x = torch.as_tensor(fitted.prepare(long_recording), dtype=torch.float32)
    reach_of_mu = model.coupling.encoder.window

    @torch.no_grad()
    def run() -> None:
        for part in torch.split(x, FRAMES_AT_ONCE):
            model.coupling.encode(part[:, None].expand(-1, 2 * reach_of_mu + 1, -1))
            tau, mask = part.new_full((len(part), 1), 0.5), model.mask(3, part)
            for _ in range(PASSES_OF_U):
                model.u(part, tau, mask, model.coupling.make_axes())

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

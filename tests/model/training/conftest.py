from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from nwb_dcf.config import ModelConfig
from nwb_dcf.model.dcf_model import DCFModel
from nwb_dcf.model.principal_axes import compute_principal_axes
from nwb_dcf.model.training import FrameTable
from nwb_dcf.model.training.batches import Samples

LENGTHS = (40, 3, 25, 60)


def draw_frames(lengths: tuple[int, ...] = LENGTHS, n_channels: int = 5, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Frames that follow two oscillations through a bent map, and their segments."""
    generator = torch.Generator().manual_seed(seed)
    n = sum(lengths)
    phase = torch.arange(n) / 5
    latent = torch.stack([phase.cos(), phase.sin()], dim=1) * torch.tensor([2.0, 1.0])
    mixed = latent @ torch.randn(2, n_channels, generator=generator)
    x = mixed + 0.3 * mixed.square() + 0.1 * torch.randn(n, n_channels, generator=generator)
    return x, torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))


@dataclass(frozen=True)
class Problem:
    model: DCFModel
    table: FrameTable


@pytest.fixture
def make_problem() -> Callable[..., Problem]:
    """Return a function that builds a small model and the table of its frames."""

    def make(seed: int = 0, lengths: tuple[int, ...] = LENGTHS, **settings: Any) -> Problem:
        config = ModelConfig(
            **{"dim": 2, "width": 16, "depth": 2, "encoder_width": 16, "encoder_depth": 1, "history": 2, **settings}
        )
        x, segment = draw_frames(lengths)
        table = FrameTable.build(
            x, segment, torch.arange(len(x)).double() / 50, history=config.history, drop_start=False
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = DCFModel(x.shape[1], 4, config)
        model.start_at(compute_principal_axes(x))
        return Problem(model, table)

    return make


def find_real(samples: Samples) -> Tensor:
    """Which places of a batch hold a pair."""
    return torch.ones(len(samples.now), dtype=torch.bool) if samples.weight is None else samples.weight > 0

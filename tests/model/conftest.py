from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nwb_dcf.config import ModelConfig
from nwb_dcf.model.dcf_model import DCFModel
from nwb_dcf.model.principal_axes import compute_principal_axes

VARIANCES = (4.0, 2.5, 1.2, 0.6, 0.3, 0.1)


def rotate(n: int, seed: int) -> Tensor:
    """A random rotation of n dimensions."""
    generator = torch.Generator().manual_seed(seed)
    return torch.linalg.qr(torch.randn(n, n, generator=generator, dtype=torch.float64)).Q


def draw_gaussian(n_frames: int = 4000, variances: tuple[float, ...] = VARIANCES, seed: int = 0) -> Tensor:
    """Frames whose sample mean is (1, 2, ...) and sample covariance has exactly these eigenvalues, float32."""
    generator = torch.Generator().manual_seed(seed)
    d = len(variances)
    x = torch.randn(n_frames, d, generator=generator, dtype=torch.float64)
    x = x - x.mean(0)
    white = x @ torch.linalg.inv(torch.linalg.cholesky(x.T @ x / n_frames)).T
    scaled = white * torch.tensor(variances, dtype=torch.float64).sqrt()
    return (scaled @ rotate(d, seed + 1).T + torch.arange(1, d + 1)).float()


def fill_randomly(module: nn.Module, scale: float, seed: int = 3) -> None:
    """Give every network weight of `module` a random value, the last layers too."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(scale * torch.randn(parameter.shape, generator=generator))


@pytest.fixture
def make_model() -> Callable[..., DCFModel]:
    """Return a function that builds a small model started at frames."""

    def make(frames: Tensor, k_max: int | None = None, seed: int = 0, **settings: Any) -> DCFModel:
        small = {"dim": 2, "width": 16, "depth": 2, "encoder_width": 16, "history": 1, **settings}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = DCFModel(frames.shape[1], k_max or frames.shape[1], ModelConfig(**small))
        model.start_at(compute_principal_axes(frames))
        return model.eval()

    return make


def to_numpy(tensor: Tensor) -> np.ndarray:
    return tensor.detach().double().numpy()

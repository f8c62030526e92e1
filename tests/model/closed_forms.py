"""Exact answers that the tests compare with, and small models that are trained towards them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from scipy.linalg import expm
from torch import Tensor

from nwb_dcf.config import ModelConfig, TrainConfig
from nwb_dcf.model.dcf_model import DCFModel
from nwb_dcf.model.principal_axes import compute_principal_axes
from nwb_dcf.model.training import FrameTable
from nwb_dcf.model.training.batches import WindowSampler
from nwb_dcf.model.training.objective import compute_losses

from .conftest import rotate, to_numpy

UNIFORM = TrainConfig(tau_in_angle=0.0, tau_at_zero=0.0, v_tau_at_zero=0.0, prefix_at_dim=1.0, weight_decay=0.0)


def find_gaussian_gain(
    project: np.ndarray, covariance: np.ndarray, noise: np.ndarray, tau: np.ndarray | float
) -> np.ndarray:
    """The exact u of Gaussian data and their projection, as the matrix that multiplies x - b (section 9).

    u = (tau S11 - (1-tau) S00 + (1-tau) S10 - tau S01) C^-1 (x - b), with sigma^2 I in C become the covariance
    of any noise. `project` (..., D, D) may be one matrix or one per sample, `tau` a number or (n, 1, 1).
    """
    s11, s00 = covariance, project @ covariance @ project
    s10, s01 = covariance @ project, project @ covariance
    c = (1 - tau) ** 2 * s00 + tau * (1 - tau) * (s01 + s10) + tau**2 * s11 + noise
    gain: np.ndarray = (tau * s11 - (1 - tau) * s00 + (1 - tau) * s10 - tau * s01) @ np.linalg.inv(c)
    return gain


def find_noise_covariance(model: DCFModel, covariance: np.ndarray) -> np.ndarray:
    """Covariance of the bridge's noise, as the settings have it."""
    shape = covariance if model.config.noise_scale == "relative" else np.eye(len(covariance))
    return model.config.bridge_noise**2 * shape


def find_linear_gain(a: np.ndarray, dt: np.ndarray | float, s: np.ndarray | float) -> np.ndarray:
    """The exact v of x' = A x between two frames, as the matrix that multiplies x, per unit of time.

    v = (e^(A dt) - I) [(1 - s) I + s e^(A dt)]^-1 x / dt; `dt` and `s` are numbers or (n, 1, 1).
    """
    eye, step = np.eye(len(a)), expm(a * dt)
    gain: np.ndarray = (step - eye) @ np.linalg.inv((1 - s) * eye + s * step) / dt
    return gain


def build_model(x: Tensor, k_max: int, seed: int = 0, **settings: Any) -> DCFModel:
    """A small model that starts at the frames' principal axes."""
    config = ModelConfig(**{"dim": 2, "width": 64, "depth": 2, "encoder_width": 16, "history": 0, **settings})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = DCFModel(x.shape[1], k_max, config)
    model.start_at(compute_principal_axes(x))
    return model.eval()


@torch.no_grad()
def rotate_axes(model: DCFModel, seed: int = 5) -> None:
    """Turn the axes away from the principal ones; the endpoint stays the projection on the first K of them."""
    coupling = model.coupling
    covariance = (coupling.axes * coupling.variance) @ coupling.axes.T
    coupling.axes.copy_(coupling.axes @ rotate(coupling.axes.shape[1], seed).float())
    coupling.log_variance.copy_((coupling.axes * (covariance @ coupling.axes)).sum(0).log())
    coupling.encoder.whitening.data.copy_(coupling.axes / coupling.variance.sqrt())


def tabulate(x: Tensor, lengths: Sequence[int], time: Tensor | None = None, history: int = 0) -> FrameTable:
    """Frames in segments of these lengths, at unit steps where no `time` is given."""
    segment = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))
    time = torch.arange(len(x)).double() if time is None else time
    return FrameTable.build(x, segment, time, history=history, drop_start=False)


class Watched:
    """One evaluation of the objective in which a given field stands in for u or v.

    Attributes
    ----------
    shown : tuple
        What the objective gave to the flow; the state first.
    residual : array, shape (n, D)
        What was asked of the flow minus what `field` answered, taken from the gradient of the loss.
    loss : float
    """

    def __init__(self, model: DCFModel, table: FrameTable, flow: str, field: Any, n: int, config: TrainConfig) -> None:
        def answer(*shown: Any) -> Tensor:
            self.shown = shown
            self.answer = torch.tensor(field(*shown), dtype=shown[0].dtype, requires_grad=True)
            return self.answer

        getattr(model, flow).forward = answer
        generator = torch.Generator().manual_seed(1)
        samples = WindowSampler(table, model).draw(n, generator)
        losses = compute_losses(model, samples, config, generator, prefix_p=config.prefix_p)
        loss = {"u": losses.cf, "v": losses.df}[flow]
        loss.backward()
        assert self.answer.grad is not None
        self.samples, self.loss = samples, float(loss.detach())
        self.residual = -to_numpy(self.answer.grad) * self.answer.numel() / 2

"""A linear system x' = A x with a full-rank code and no noise: the field between two frames, and the way along it."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from scipy.linalg import expm
from torch import Tensor

from nwb_dcf.model import dynamical_flow
from nwb_dcf.model.dcf_model import DCFModel
from nwb_dcf.model.rollout import compute_velocity, roll_out_latents
from nwb_dcf.model.training import FrameTable, train_model

from .closed_forms import UNIFORM, Watched, build_model, find_linear_gain, tabulate
from .conftest import to_numpy

A = np.array([[-0.2, -2.0, 0.0], [1.5, -0.2, 0.0], [0.0, 0.3, -0.4]])
DT = 0.25
LENGTH, N_STARTS = 12, 100
LENGTHS = [LENGTH] * (2 * N_STARTS)
FULL = dataclasses.replace(UNIFORM, prefix_at_dim=1.0)
PLAIN: dict[str, Any] = {"dim": 3, "closed_form": False, "bridge_noise": 0.0, "noise_scale": "absolute"}
RIDGE: dict[str, Any] = {"dim": 3, "bridge_noise": 0.05}


def run_system(times: np.ndarray, seed: int = 0) -> Tensor:
    """States at `times` from random starts and their mirror images, so that the mean is zero: (2 * start * time, 3)."""
    starts = np.random.default_rng(seed).normal(size=(N_STARTS, 3))
    starts = np.concatenate([starts, -starts])
    paths = np.einsum("tij,nj->nti", np.stack([expm(A * t) for t in times]), starts)
    return torch.tensor(paths.reshape(-1, 3)).float()


@pytest.fixture(scope="module")
def frames() -> Tensor:
    return run_system(DT * np.arange(LENGTH))


@pytest.mark.parametrize("irregular", [False, True])
def test_v_is_asked_for_the_field_that_goes_straight_from_frame_to_frame(irregular: bool) -> None:
    """Exactly so, at every tau, s and state: with a full-rank code both endpoints of a frame are the frame."""
    steps = np.random.default_rng(1).uniform(0.1, 0.4, LENGTH) if irregular else np.full(LENGTH, DT)
    times = np.cumsum(steps)
    x = run_system(times)
    table = tabulate(x, LENGTHS, torch.tensor(np.tile(times, 2 * N_STARTS)))
    model, median = build_model(x, k_max=3, **PLAIN), float(np.median(steps[1:]))
    watched = Watched(model, table, "v", lambda state, *_: np.zeros(state.shape), 2000, FULL)
    state, tau, s = (to_numpy(shown) for shown in watched.shown[:3])
    position = to_numpy(watched.samples.now).astype(int) % LENGTH
    gains = np.stack([find_linear_gain(A, steps[i + 1], t) for i, t in zip(position, s[:, 0], strict=True)])
    expected = median * np.einsum("nde,ne->nd", gains, state)  # v is per median step
    np.testing.assert_allclose(watched.residual, expected, atol=2e-5)
    assert np.abs(np.corrcoef(tau[:, 0], s[:, 0])[0, 1]) < 0.1
    assert np.ptp(tau) > 0.9
    assert np.ptp(s) > 0.9


class ExactField(torch.nn.Module):
    """v of the linear system, written out."""

    def forward(self, x: Tensor, tau: Tensor, s: Tensor, *_: object) -> Tensor:
        gains = np.stack([DT * find_linear_gain(A, DT, t) for t in to_numpy(s)[:, 0]])
        return torch.tensor(np.einsum("nde,ne->nd", gains, to_numpy(x))).float()

    def at_zero(self, x: Tensor, s: Tensor, *_: object) -> Tensor:
        return self.forward(x, torch.zeros_like(s), s)


def roll_out(model: DCFModel, frames: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Roll-outs from each first frame in data space, and the truth, both (start, frame, 3)."""
    with torch.no_grad():
        codes = model.encode(frames[::LENGTH], 3)
        path = model.coupling.place(roll_out_latents(model, codes[:, None], LENGTH - 1))
    return to_numpy(path), to_numpy(frames).reshape(-1, LENGTH, 3)[:, 1:]


@pytest.mark.parametrize("settings", [PLAIN, RIDGE], ids=["plain", "closed form"])
def test_the_exact_field_arrives_at_the_matrix_exponential_at_whole_frames(
    frames: Tensor, settings: dict[str, Any]
) -> None:
    model = build_model(frames, k_max=3, **settings)
    model.v = ExactField()  # type: ignore[assignment]
    path, truth = roll_out(model, frames)
    assert np.square(path - truth).sum() < 1e-4 * np.square(truth).sum()


def start_ridge(frames: Tensor, history: int, monkeypatch: pytest.MonkeyPatch) -> tuple[DCFModel, FrameTable, Tensor]:
    """Start v at the autoregression with hardly any penalty."""
    monkeypatch.setattr(dynamical_flow, "RIDGE", 1e-9)
    model = build_model(frames, k_max=3, history=history, **RIDGE)
    table = tabulate(frames, LENGTHS, history=history)
    with torch.no_grad():
        codes = model.encode(frames, 3)
    pairs = table.pairs
    model.v.start_at(codes[table.window(pairs)], codes[pairs + 1] - codes[pairs])  # type: ignore[operator]
    return model, table, codes


def test_the_autoregression_is_the_exact_step(frames: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    """v = (e^(A dt) - I) x_k per step: at s = 0 the general field, and whole frames follow expm(A t)."""
    model, _, codes = start_ridge(frames, 0, monkeypatch)
    with torch.no_grad():
        v = compute_velocity(model, codes[:, None], 3)
        velocity = to_numpy(model.coupling.place(v) - model.coupling.mean)
    expected = to_numpy(frames) @ (DT * find_linear_gain(A, DT, 0.0)).T
    np.testing.assert_allclose(velocity, expected, atol=1e-4)
    path, truth = roll_out(model, frames)
    np.testing.assert_allclose(path, truth, atol=1e-3)


def test_a_trained_network_approaches_the_field_and_rolls_out_along_it(frames: Tensor) -> None:
    model = build_model(frames, k_max=3, **PLAIN)
    table = tabulate(frames, LENGTHS)
    config = dataclasses.replace(FULL, steps=300, batch_size=256, learning_rate=1.5e-2)

    def measure_error(s: float, tau: float) -> float:
        now, later = to_numpy(frames[table.pairs]), to_numpy(frames[table.pairs + 1])
        state = (1 - s) * now + s * later
        exact = state @ (DT * find_linear_gain(A, DT, s)).T
        x, past = torch.tensor(state).float(), torch.tensor(now).float()[:, None]
        column = torch.ones(len(x), 1)
        with torch.no_grad():
            v = to_numpy(model.v(x, tau * column, s * column, past, model.mask(3, x), model.coupling.make_axes()))
        return float(np.square(v - exact).sum() / np.square(exact).sum())

    places = [(0.0, 0.0), (0.5, 0.2), (1.0, 1.0)]
    assert min(measure_error(*place) for place in places) > 0.3
    train_model(model, table, config, learn=("v",))
    model.eval()
    assert max(measure_error(*place) for place in places) < 0.01
    path, truth = roll_out(model, frames)
    assert np.square(path - truth).sum() < 0.02 * np.square(truth).sum()
    stay = np.square(truth - to_numpy(frames).reshape(-1, LENGTH, 3)[:, :1]).sum()
    assert stay > np.square(truth).sum()

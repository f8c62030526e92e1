"""Gaussian data with a rotated covariance: what u is asked for, what it learns, and where its flow ends."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nwb_dcf.config import TrainConfig
from nwb_dcf.model.dcf_model import DCFModel
from nwb_dcf.model.losses import alignment_loss
from nwb_dcf.model.training import train_model

from .closed_forms import (
    UNIFORM,
    Watched,
    build_model,
    find_gaussian_gain,
    find_noise_covariance,
    rotate_axes,
    tabulate,
)
from .conftest import draw_gaussian, to_numpy

VARIANCES = (4.0, 2.0, 1.0, 0.5)
SIGMA = 0.5
MANY_PREFIXES = dataclasses.replace(UNIFORM, prefix_at_dim=0.0, prefix_p=0.3)
PLAIN: dict[str, Any] = {"closed_form": False, "bridge_noise": SIGMA}
CASES = [
    pytest.param({"k_max": 4, **PLAIN}, False, id="principal axes"),
    pytest.param({"k_max": 4, **PLAIN, "noise_scale": "absolute"}, True, id="rotated axes, absolute noise"),
    pytest.param({"k_max": 4, **PLAIN}, True, id="rotated axes"),
    pytest.param({"k_max": 2, **PLAIN, "masked_endpoints": False}, True, id="endpoints without mask"),
]


@pytest.fixture(scope="module")
def frames() -> Tensor:
    return draw_gaussian(4000, VARIANCES)


def find_covariance(x: Tensor) -> np.ndarray:
    return np.cov(to_numpy(x).T, bias=True)


def find_projections(model: DCFModel, mask: Tensor) -> np.ndarray:
    """Projections (n, D, D) on the axes that the endpoints keep."""
    axes = to_numpy(model.coupling.axes)
    kept = to_numpy(mask) if model.config.masked_endpoints else np.ones_like(to_numpy(mask))
    return np.einsum("dk,nk,ek->nde", axes, kept, axes)


@pytest.mark.parametrize(("settings", "rotated"), CASES)
def test_the_oracle_is_what_u_is_asked_for(frames: Tensor, settings: dict[str, Any], rotated: bool) -> None:
    """Its residual is uncorrelated with the state at every tau, and its loss is the least that a linear field has."""
    model, covariance = build_model(frames, **settings), find_covariance(frames)
    noise = find_noise_covariance(model, covariance)
    if rotated:
        rotate_axes(model)

    def find_gain(tau: Tensor, mask: Tensor) -> np.ndarray:
        return find_gaussian_gain(find_projections(model, mask), covariance, noise, to_numpy(tau)[..., None])

    def field(x: Tensor, tau: Tensor, mask: Tensor, coupling: object) -> np.ndarray:
        return np.einsum("nde,ne->nd", find_gain(tau, mask), to_numpy(x - model.coupling.mean))

    watched = Watched(model, tabulate(frames, [len(frames)]), "u", field, 40_000, MANY_PREFIXES)
    x, tau, mask, _ = watched.shown
    state = to_numpy(x - model.coupling.mean)
    for weight in (1, to_numpy(tau), to_numpy(mask)[:, 1:2]):
        products = np.einsum("nd,ne->nde", watched.residual, weight * state)
        z = products.mean(0) / (products.std(0) / np.sqrt(len(products)) + 1e-9)
        assert np.abs(z).max() < 5
    off = np.eye(4) - find_projections(model, mask)
    gain, t = find_gain(tau, mask), to_numpy(tau)[..., None]
    c = (t * np.eye(4) + (1 - t) * (np.eye(4) - off)) @ covariance @ (t * np.eye(4) + (1 - t) * (np.eye(4) - off))
    least = off @ covariance @ off - gain @ (c + noise) @ gain.transpose(0, 2, 1)
    assert watched.loss == pytest.approx(np.trace(least, axis1=1, axis2=2).mean() / 4, rel=0.03)
    asked = watched.residual + to_numpy(watched.answer)
    assert watched.loss < 0.6 * np.square(asked).mean()


def test_the_closed_form_has_the_least_loss_from_the_start(frames: Tensor) -> None:
    """No linear part is left in its residual, for every prefix and tau."""
    model = build_model(frames, k_max=4, bridge_noise=SIGMA)
    exact = model.u.forward

    def field(*shown: Any) -> np.ndarray:
        with torch.no_grad():
            return to_numpy(exact(*shown))

    watched = Watched(model, tabulate(frames, [len(frames)]), "u", field, 40_000, MANY_PREFIXES)
    state = to_numpy(watched.shown[0] - model.coupling.mean)
    for weight in (1, to_numpy(watched.shown[1])):
        products = np.einsum("nd,ne->nde", watched.residual, weight * state)
        assert np.abs(products.mean(0) / (products.std(0) / 200 + 1e-9)).max() < 5


def measure_error(model: DCFModel, frames: Tensor, tau: float) -> float:
    """Squared distance of u from the oracle over the oracle's own square, on states of the noisy bridge."""
    covariance = find_covariance(frames)
    noise = find_noise_covariance(model, covariance)
    mask = model.mask(2, frames)
    project = find_projections(model, mask[:1])[0]
    centred = to_numpy(frames - model.coupling.mean)
    state = tau * centred + (1 - tau) * centred @ project
    state += np.random.default_rng(2).multivariate_normal(np.zeros(4), noise, len(state))
    exact = state @ find_gaussian_gain(project, covariance, noise, tau).T
    x = torch.tensor(state).float() + model.coupling.mean
    with torch.no_grad():
        u = to_numpy(model.u(x, torch.full((len(x), 1), tau), mask, model.coupling.make_axes()))
    return float(np.square(u - exact).sum() / np.square(exact).sum())


@dataclasses.dataclass(frozen=True)
class TrainingResult:
    model: DCFModel
    before: list[float]
    after: list[float]


TAUS = (0.1, 0.35, 0.65, 0.95)
TRAINED = {
    "principal axes, absolute noise": ({**PLAIN, "noise_scale": "absolute"}, False),
    "rotated axes": (PLAIN, True),
    "rotated axes, closed form as a start": ({"bridge_noise": SIGMA}, True),
}


@pytest.fixture(
    scope="module",
    params=[name if name == "rotated axes" else pytest.param(name, marks=pytest.mark.long) for name in TRAINED],
)
def trained(request: pytest.FixtureRequest, frames: Tensor) -> TrainingResult:
    settings, rotated = TRAINED[request.param]
    model = build_model(frames, k_max=4, **settings)
    if rotated:
        rotate_axes(model)
    before = [measure_error(model, frames, tau) for tau in TAUS]
    config = dataclasses.replace(UNIFORM, steps=350, batch_size=512, learning_rate=1e-2)
    train_model(model, tabulate(frames, [len(frames)]), config, learn=("u",))
    return TrainingResult(model.eval(), before, [measure_error(model, frames, tau) for tau in TAUS])


def test_a_trained_network_approaches_the_oracle(trained: TrainingResult) -> None:
    assert max(trained.after) < 0.06
    assert np.mean(trained.after) < 0.02
    assert max(trained.before) > 0.5
    assert max(trained.after) < max(trained.before) / 10


def test_the_flow_of_a_trained_network_ends_where_the_oracles_does(trained: TrainingResult, frames: Tensor) -> None:
    """With principal axes: the projection, each dropped axis shrunk by sigma_i / sqrt(lam_i + sigma_i^2)."""
    model, covariance = trained.model, find_covariance(frames)
    noise = find_noise_covariance(model, covariance)
    project = find_projections(model, model.mask(2, frames[:1]))[0]
    end, steps = np.eye(4), 800
    for tau in 1 - (np.arange(steps) + 0.5) / steps:
        gain = find_gaussian_gain(project, covariance, noise, tau) / steps
        end = np.linalg.solve(np.eye(4) + gain / 2, end - gain @ end / 2)
    if model.config.noise_scale == "absolute":
        axes = to_numpy(model.coupling.axes)
        shrunk = [1, 1, *(SIGMA / np.sqrt(np.array(VARIANCES[2:]) + SIGMA**2))]
        np.testing.assert_allclose(axes.T @ end @ axes, np.diag(shrunk), atol=1e-3)
    centred = to_numpy(frames - model.coupling.mean)
    with torch.no_grad():
        flowed = to_numpy(model.compress(frames, 2, steps=24) - model.coupling.mean)
    found = np.linalg.lstsq(centred, flowed, rcond=None)[0].T
    np.testing.assert_allclose(found, end, atol=0.05)


def test_from_a_random_start_the_axes_become_eigenvectors_and_the_scales_eigenvalues() -> None:
    """The optimum of L_align (Rippel et al. 2014, section 8.1), found by training."""
    variances = (8.0, 2.0, 0.5, 0.1)
    x = draw_gaussian(4000, variances)
    model = build_model(x, k_max=4, start="random", width=4, depth=1, encoder_depth=1)
    values, vectors = np.linalg.eigh(find_covariance(x))
    vectors = vectors[:, ::-1]
    cosines = np.abs((to_numpy(model.coupling.axes) * vectors).sum(0))
    assert cosines.min() < 0.7
    config = TrainConfig(
        steps=600,
        batch_size=256,
        encoder_learning_rate=4e-2,
        weight_decay=0.0,
        prefix_p=0.4,
        prefix_at_dim=0.0,
        alpha=0.0,
        beta=0.0,
    )
    train_model(model, tabulate(x, [len(x)]), config, learn=("coupling",))
    cosines = np.abs((to_numpy(model.coupling.axes) * vectors).sum(0))
    assert cosines.min() > 0.98, cosines
    np.testing.assert_allclose(to_numpy(model.coupling.variance)[:3], values[::-1][:3], rtol=0.1)


@pytest.mark.parametrize("plane", [(0, 1), (1, 2), (0, 3)])
def test_any_turn_away_from_the_eigenvectors_costs_the_nested_loss_alone(
    frames: Tensor, plane: tuple[int, int]
) -> None:
    """Over all prefixes the eigenvectors are the one optimum; with every axis kept no rotation can be told apart."""
    model = build_model(frames, k_max=4)
    nested, whole = [], []
    for degrees in (0, 5, -5, 40):
        turned = build_model(frames, k_max=4)
        angle, (i, j) = np.radians(degrees), plane
        turn = torch.eye(4)
        turn[i, i] = turn[j, j] = float(np.cos(angle))
        turn[i, j], turn[j, i] = -float(np.sin(angle)), float(np.sin(angle))
        coupling = turned.coupling
        with torch.no_grad():
            scores = (frames - coupling.mean) @ (axes := model.coupling.axes @ turn)
            coupling.axes.copy_(axes)
            coupling.log_variance.copy_(scores.square().mean(0).log())
            coupling.encoder.whitening.data.copy_(coupling.axes / coupling.variance.sqrt())
            losses = [
                float(alignment_loss(frames, turned.place(turned.encode(frames, k)), torch.ones(len(frames))))
                for k in (1, 2, 3, 4)
            ]
        nested.append(np.mean(losses))
        whole.append(losses[-1])
    assert nested[0] == pytest.approx(sum(i * v for i, v in enumerate(VARIANCES)) / 16, rel=1e-4)
    assert min(nested[1:3]) > nested[0] + 1e-4
    assert nested[3] > max(nested[:3])
    np.testing.assert_allclose(whole, 0, atol=1e-9)

"""Bridges, losses and noise, by hand."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from nwb_dcf.model.bridge import BridgeNoise, interpolate_compression, interpolate_time, target_compression, target_time
from nwb_dcf.model.losses import alignment_loss, compression_loss, dynamics_loss
from nwb_dcf.model.principal_axes import compute_principal_axes

from .conftest import draw_gaussian, rotate, to_numpy


def test_compression_goes_from_the_endpoint_to_the_data() -> None:
    x0, x1 = torch.tensor([[0.0, 2.0]]), torch.tensor([[4.0, 10.0]])
    np.testing.assert_allclose(interpolate_compression(x0, x1, torch.tensor([[0.25]])), [[1.0, 4.0]])
    np.testing.assert_allclose(interpolate_compression(x0, x1, torch.tensor([[0.0]])), x0)
    np.testing.assert_allclose(interpolate_compression(x0, x1, torch.tensor([[1.0]])), x1)
    np.testing.assert_allclose(target_compression(x0, x1), [[4.0, 8.0]])


def test_time_goes_from_a_frame_to_the_next_at_the_pairs_own_step() -> None:
    now, later = torch.tensor([[0.0, 2.0]]), torch.tensor([[4.0, 10.0]])
    np.testing.assert_allclose(interpolate_time(now, later, torch.tensor([[0.25]])), [[1.0, 4.0]])
    np.testing.assert_allclose(target_time(now, later, torch.tensor([[1.0]])), [[4.0, 8.0]])
    np.testing.assert_allclose(target_time(now, later, torch.tensor([[2.0]])), [[2.0, 4.0]])


@pytest.mark.parametrize("loss", [compression_loss, dynamics_loss, alignment_loss])
def test_losses_are_weighted_means_over_samples_and_channels(loss: object) -> None:
    one = torch.tensor([[1.0, 1.0], [5.0, 0.0], [9.0, 9.0]])
    two = torch.tensor([[0.0, 3.0], [5.0, 2.0], [0.0, 0.0]])
    per_sample = [(1 + 4) / 2, (0 + 4) / 2, 81.0]
    value = loss(one, two, torch.tensor([1.0, 3.0, 0.0]))  # type: ignore[operator]
    assert float(value) == pytest.approx((per_sample[0] + 3 * per_sample[1]) / 4)
    even = loss(one, two, torch.ones(3))  # type: ignore[operator]
    assert float(even) == pytest.approx(sum(per_sample) / 3)


def draw_covariance(noise: BridgeNoise) -> np.ndarray:
    drawn = noise.draw(200_000, torch.Generator().manual_seed(0)).double().numpy()
    np.testing.assert_allclose(drawn.mean(0), 0, atol=0.01)
    return np.asarray(drawn.T @ drawn / len(drawn))


def test_relative_noise_has_the_covariance_of_the_data_times_rho_squared() -> None:
    x = draw_gaussian()
    noise = BridgeNoise(6, 0.3)
    noise.start_at(compute_principal_axes(x))
    np.testing.assert_allclose(draw_covariance(noise), 0.09 * np.cov(x.double().numpy().T, bias=True), atol=0.004)


def test_axes_beyond_those_found_share_their_mean_variance() -> None:
    x = draw_gaussian()
    noise = BridgeNoise(6, 0.5)
    noise.start_at(compute_principal_axes(x, most=2))
    axes = rotate(6, 1)
    variances = torch.tensor([4.0, 2.5, *([(1.2 + 0.6 + 0.3 + 0.1) / 4] * 4)], dtype=torch.float64)
    expected = 0.25 * axes @ torch.diag(variances) @ axes.T
    np.testing.assert_allclose(draw_covariance(noise), to_numpy(expected), atol=0.01)


def test_axes_without_variance_get_no_noise() -> None:
    x = draw_gaussian(variances=(4.0, 2.0, 1.0)) @ rotate(8, 5)[:3].float()
    noise = BridgeNoise(8, 0.5)
    noise.start_at(compute_principal_axes(x))
    values = np.linalg.eigvalsh(draw_covariance(noise))[::-1]
    np.testing.assert_allclose(values[:3], [1.0, 0.5, 0.25], atol=0.01)
    np.testing.assert_allclose(values[3:], 0, atol=1e-4)


def test_nothing_is_drawn_for_what_rounding_leaves_off_the_axes() -> None:
    x = draw_gaussian(variances=(4.0, 2.0, 1.0)) @ rotate(8, 5)[:3].float()
    noise, drawn, alone = BridgeNoise(8, 0.5), *(torch.Generator().manual_seed(0) for _ in range(2))
    noise.start_at(compute_principal_axes(x))
    noise.draw(10, drawn)
    torch.randn(10, 3, generator=alone)
    assert torch.equal(drawn.get_state(), alone.get_state())
    # a channel with a variance of its own, however small, keeps its noise
    noise = BridgeNoise(6, 0.5)
    noise.start_at(compute_principal_axes(draw_gaussian(), most=4))
    assert np.linalg.eigvalsh(draw_covariance(noise)).min() > 0.01


def test_absolute_noise_is_the_same_on_every_channel() -> None:
    np.testing.assert_allclose(draw_covariance(BridgeNoise(4, 0.1)), 0.01 * np.eye(4), atol=2e-4)


def test_noise_repeats_with_its_generator() -> None:
    noise = BridgeNoise(4, 0.1)
    one, two, other = (noise.draw(5, torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)


def test_in_the_coordinates_of_the_axes_noise_is_drawn_without_a_matrix() -> None:
    principal = compute_principal_axes(draw_gaussian())
    own = dataclasses.replace(principal, axes=torch.eye(6), mean=torch.zeros(6))
    noise, rotated = BridgeNoise(6, 0.3), BridgeNoise(6, 0.3)
    noise.start_at(own)
    assert noise.shape.dim() == 1
    rotated.start_at(principal)
    drawn, seen = (each.draw(50, torch.Generator().manual_seed(3)) for each in (noise, rotated))
    torch.testing.assert_close(drawn @ principal.axes.T, seen, rtol=0, atol=1e-6)

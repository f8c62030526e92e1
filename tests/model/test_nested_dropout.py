from __future__ import annotations

import numpy as np
import pytest
import torch

from nwb_dcf.model.nested_dropout import draw_prefix_lengths, mask_prefix, ramp_prefix_p

N = 40_000


def draw(k_max: int, p: float | torch.Tensor, **settings: object) -> np.ndarray:
    generator = torch.Generator().manual_seed(0)
    return draw_prefix_lengths(N, k_max, p, generator=generator, **settings).numpy()  # type: ignore[arg-type]


@pytest.mark.parametrize(("k_max", "p"), [(6, 0.125), (16, 0.5), (4, 0.02), (1, 0.3)])
def test_lengths_follow_the_truncated_geometric_distribution(k_max: int, p: float) -> None:
    found = np.bincount(draw(k_max, p), minlength=k_max + 1)[1:] / N
    expected = p * (1 - p) ** np.arange(k_max)
    expected /= expected.sum()
    assert len(found) == k_max
    np.testing.assert_allclose(found, expected, atol=4 * np.sqrt(0.25 / N))


def test_p_of_one_keeps_one_axis() -> None:
    assert (draw(8, 1.0) == 1).all()
    assert (draw(8, torch.tensor(1.0)) == 1).all()


def test_p_may_lie_on_the_device() -> None:
    """So that steps that are recorded on a GPU may find another one."""
    assert (draw(16, torch.tensor(0.125), at_dim=0.5, dim=3) == draw(16, 0.125, at_dim=0.5, dim=3)).mean() > 0.9999


def test_a_share_of_the_draws_is_dim() -> None:
    lengths = draw(16, 0.125, at_dim=0.5, dim=3)
    geometric = 0.125 * 0.875**2 / (1 - 0.875**16)
    assert (lengths == 3).mean() == pytest.approx(0.5 + 0.5 * geometric, abs=0.01)
    assert (draw(16, 0.125, at_dim=1.0, dim=5) == 5).all()


def test_one_length_per_step_or_one_per_sample() -> None:
    per_step = [
        draw_prefix_lengths(64, 16, 0.125, generator=torch.Generator().manual_seed(i), per_sample=False).numpy()
        for i in range(30)
    ]
    assert all(lengths.shape == (64,) and len(set(lengths)) == 1 for lengths in per_step)
    assert len({lengths[0] for lengths in per_step}) > 3
    assert len(set(draw(16, 0.125)[:64])) > 3


def test_masks_are_prefixes() -> None:
    np.testing.assert_array_equal(mask_prefix(torch.tensor([1, 3, 4]), 4), [[1, 0, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]])


def test_mean_length_rises_linearly_from_one() -> None:
    assert ramp_prefix_p(0.02, 0, 1000) == 1
    assert 1 / ramp_prefix_p(0.02, 250, 1000) == pytest.approx(1 + 49 / 4)
    assert 1 / ramp_prefix_p(0.02, 500, 1000) == pytest.approx(25.5)
    assert ramp_prefix_p(0.02, 1000, 1000) == 0.02
    assert ramp_prefix_p(0.02, 5, 0) == 0.02

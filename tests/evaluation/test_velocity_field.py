"""v on a grid: where the grid lies, what its cells hold, and that it is the model's own v."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nwb_dcf import DCF
from nwb_dcf.errors import DataError
from nwb_dcf.evaluation.velocity_field import sample_field

from ..estimator.test_dcf import QUICK, make_spikes


class Pull:
    """An estimator whose v pulls to 0."""

    def velocity_at(self, points: np.ndarray) -> np.ndarray:
        return -points


def sample(latents: np.ndarray, velocity: np.ndarray) -> Any:
    return sample_field(Pull(), latents, velocity)  # type: ignore[arg-type]


def test_a_line_of_frames_fills_its_cells() -> None:
    latents = np.linspace(-1, 1, 1001)[:, None]
    field = sample(latents, 2 * latents)
    points = field["grid_1"].values
    assert len(points) == 65
    np.testing.assert_allclose(points[[0, -1]], [-0.99, 0.99], atol=1e-9)
    np.testing.assert_allclose(field["field_velocity"][:, 0], -points, rtol=1e-6)
    # Cells at the ends reach half a step beyond the first and the last point.
    assert field["field_frames"].sum() == (np.abs(latents) <= 0.99 + (points[1] - points[0]) / 2).sum()
    np.testing.assert_allclose(field["field_mean_velocity"][:, 0], 2 * points, atol=0.01)
    assert "stood still" in field["field_velocity"].attrs["history"]


@pytest.mark.parametrize(("dim", "shape"), [(2, (33, 33)), (3, (17, 17, 17)), (5, (17, 17, 17))])
def test_the_grid_is_of_three_axes_at_most_and_further_latents_are_zero(dim: int, shape: tuple[int, ...]) -> None:
    latents = np.random.default_rng(0).normal(size=(400, dim))
    field = sample(latents, latents)
    assert field["field_frames"].shape == shape
    assert field["field_velocity"].shape == (*shape, dim)
    assert not field["field_velocity"][..., 3:].any()
    seen = field["field_frames"].values > 0
    assert np.array_equal(np.isfinite(field["field_mean_velocity"]).all("latent"), seen)
    assert 0 < seen.mean() < 1


def test_latents_that_stand_still_have_a_grid_too() -> None:
    field = sample(np.zeros((20, 1)), np.zeros((20, 1)))
    assert field["field_frames"].sum() == 20
    assert (np.diff(field["grid_1"]) > 0).all()


def test_it_is_the_models_v_of_a_state_that_stood_still() -> None:
    recording = make_spikes()
    still = recording.assign(data=recording["data"] * 0 + recording["data"][40])
    dcf = DCF(2, **QUICK).fit(recording)
    z = dcf.transform(still)["data"].values
    np.testing.assert_allclose(dcf.velocity_at(z[100:101]), dcf.velocity(still)["data"][100:101], rtol=1e-4, atol=1e-5)
    with pytest.raises(DataError, match=r"points have shape \(4, 3\)"):
        dcf.velocity_at(np.zeros((4, 3)))

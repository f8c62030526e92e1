"""Frames far outside what was fitted: refused by a stated multiple, or doubted where they are few."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from nwb_dcf import DCF
from nwb_dcf.errors import DOUBT, DataError, ParameterError
from nwb_dcf.estimator.distance import check_distance, measure_distance

X = np.random.default_rng(0).normal(size=(400, 6)).cumsum(axis=0)


@pytest.fixture(scope="module")
def fitted() -> DCF:
    settings = {"align_steps": 2}
    return DCF(2, device="cpu", steps=2, width=8, depth=1, batch_size=32, early_stopping=False, settings=settings).fit(
        X
    )


def test_the_fitted_frames_lie_at_a_root_mean_square_of_one(fitted: DCF) -> None:
    distance = measure_distance(fitted.fitted_, fitted._prepare(X)[1])
    assert distance.shape == (400,)
    assert np.sqrt(np.mean(distance**2)) == pytest.approx(1, rel=0.01)


@pytest.mark.parametrize("change", [lambda x: x * 1000, lambda x: x + 1e4, lambda x: -200 * x])
def test_values_of_another_unit_or_offset_are_refused(fitted: DCF, change: object) -> None:
    with pytest.raises(DataError, match=r"of 400 frames lie beyond 10 times.*the furthest at .*`max_distance=N`"):
        fitted.transform(change(X))  # type: ignore[operator]


def test_the_limit_can_be_raised_and_none_is_needed_for_what_was_fitted(fitted: DCF) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted.transform(X)
        fitted.transform(3 * X)
        fitted.transform(X * 1000, max_distance=np.inf)
    with pytest.raises(DataError, match="beyond 2 times"):
        fitted.transform(4 * X, max_distance=2)
    with pytest.raises(ParameterError, match="max_distance is 0"):
        fitted.transform(X, max_distance=0)


def test_a_passing_artefact_is_doubted(fitted: DCF) -> None:
    x = X.copy()
    x[100:103] += 1e4
    frames = fitted._prepare(x)[1]
    (note,) = check_distance(fitted.fitted_, frames)
    assert note.startswith(f"{DOUBT}3 of 400 frames lie beyond 10 times")
    with pytest.warns(UserWarning, match="3 of 400 frames"):
        fitted.transform(x)

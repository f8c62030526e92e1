"""A ridge regression as a linear map of its targets, against the one that makes predictions."""

from __future__ import annotations

import numpy as np
import pytest

from nwb_dcf.metrics.ridge import RidgeReadout, predict_by_ridge


@pytest.mark.parametrize("penalty", [0.0, 1e-3, 10.0])
@pytest.mark.parametrize("repeated", [False, True])
def test_errors_from_sums_of_products_are_those_of_predictions(penalty: float, repeated: bool) -> None:
    rng = np.random.default_rng(0)
    latents = rng.normal(3.0, 1.0, (90, 3)).astype(np.float32)
    if repeated:  # features that no unpenalised regression tells apart
        latents[:, 2] = latents[:, 0]
    x, test = latents[:60], latents[60:]
    targets = 5 + latents @ rng.normal(size=(3, 4)) + rng.normal(size=(90, 4))
    predicted = predict_by_ridge(x, targets[:60], test, (penalty,))[0]
    direct = np.square(targets[60:] - predicted).sum()
    assert RidgeReadout.of(x, test, penalty).sum_errors(targets[:60], targets[60:]) == pytest.approx(direct, rel=1e-6)
    assert direct < 0.5 * np.square(targets[60:] - targets[:60].mean(axis=0)).sum() or penalty == 10.0

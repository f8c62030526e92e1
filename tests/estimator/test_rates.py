"""Expected counts: calibrated unit by unit, stored with the model, and absent where nothing is counted."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import safetensors.torch

from nwb_dcf import DCF
from nwb_dcf.data.synthetic import simulate_reach
from nwb_dcf.errors import DataError
from nwb_dcf.estimator.serialization import pack_weights, unpack_weights

from .test_dcf import QUICK

FANO = 2.6
SETTINGS = {"steps": 20, "width": 16, "depth": 1, "seed": 0, "smooth": 2.0, "scale": "global"}


def draw_bursting_counts() -> np.ndarray:
    """Counts whose variance is 2.6 times their mean, of rates that two slow states modulate."""
    rng = np.random.default_rng(0)
    phase = np.arange(1500)[:, None] / 30
    rates = rng.uniform(0.3, 3, 20) * np.exp(0.6 * np.sin(phase + np.linspace(0, 6, 20)))
    return rng.negative_binomial(rates / (FANO - 1), 1 / FANO)


@pytest.fixture(scope="module")
def counts() -> np.ndarray:
    return draw_bursting_counts()


@pytest.fixture(scope="module")
def fitted(counts: np.ndarray) -> DCF:
    return DCF(2, **SETTINGS).fit(counts)


def test_mean_rate_equals_mean_count_unit_by_unit(fitted: DCF, counts: np.ndarray) -> None:
    latents = fitted.transform(counts)
    before = dataclasses.replace(fitted.fitted_, calibration=None).rates(latents)
    ratio = before.mean(axis=0) / counts.mean(axis=0)
    assert ratio.min() < 0.8  # what squares of mean roots lose
    assert ratio.max() < 0.97
    np.testing.assert_allclose(fitted.rates(latents).mean(axis=0), counts.mean(axis=0), rtol=1e-5)


def test_rates_of_unseen_counts_are_nearer_too(fitted: DCF) -> None:
    rng = np.random.default_rng(1)
    phase = np.arange(1500, 2500)[:, None] / 30
    amplitude = np.random.default_rng(0).uniform(0.3, 3, 20)
    rates = amplitude * np.exp(0.6 * np.sin(phase + np.linspace(0, 6, 20)))
    unseen = rng.negative_binomial(rates / (FANO - 1), 1 / FANO)
    ratio = fitted.rates(fitted.transform(unseen)).mean(axis=0) / rates.mean(axis=0)
    np.testing.assert_allclose(ratio, 1, atol=0.25)
    assert ratio.mean() == pytest.approx(1, abs=0.05)


def test_a_stored_model_keeps_its_calibration_and_older_ones_have_none(fitted: DCF, counts: np.ndarray) -> None:
    packed = pack_weights(fitted.fitted_)
    again = unpack_weights(packed, "cpu")
    latents = fitted.transform(counts)
    np.testing.assert_array_equal(again.rates(latents), fitted.rates(latents))
    length = int.from_bytes(packed[:8], "little")
    about = json.loads(json.loads(packed[8 : 8 + length])["__metadata__"]["nwb_dcf"])
    del about["calibration"]
    older = safetensors.torch.save(safetensors.torch.load(packed), metadata={"nwb_dcf": json.dumps(about)})
    old = unpack_weights(older, "cpu")
    assert old.calibration is None
    assert (old.rates(latents).mean(axis=0) < 0.97 * counts.mean(axis=0)).all()


def test_values_and_images_are_not_calibrated() -> None:
    rng = np.random.default_rng(0)
    values = DCF(2, **{**SETTINGS, "steps": 2, "smooth": None}).fit(rng.normal(size=(200, 6)))
    assert values.fitted_.calibration is None


def test_rates_are_expected_counts_where_the_square_of_the_root_is_too_small() -> None:
    simulation = simulate_reach(n_trials=30, n_bins=40, n_units=20, seed=1)
    counts = simulation.recording["data"].values
    dcf = DCF(2, **QUICK).fit(simulation.recording)
    z = dcf.transform(simulation.recording)
    rates, squares = dcf.rates(z)["data"].values, dcf.inverse_transform(z)["data"].values
    assert rates.mean() == pytest.approx(counts.mean(), rel=0.05)
    assert squares.mean() < 0.7 * counts.mean()
    values = DCF(2, **QUICK).fit(counts.astype(float))
    with pytest.raises(DataError, match="rates are of counts"):
        values.rates(values.transform(counts.astype(float)))

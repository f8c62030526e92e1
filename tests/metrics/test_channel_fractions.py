"""Fractions of a latent: who has how much of it."""

from __future__ import annotations

import numpy as np
import pytest

from nwb_dcf.errors import DataError
from nwb_dcf.metrics.channel_fractions import (
    compute_effect_fractions,
    compute_loading_fractions,
    count_effective_channels,
    list_top_channels,
)


def test_fractions_sum_to_one_whatever_the_sign():
    loadings = np.random.default_rng(0).normal(size=(20, 4))
    shares = compute_loading_fractions(loadings)
    np.testing.assert_allclose(shares.sum(axis=0), 1)
    np.testing.assert_array_equal(shares, compute_loading_fractions(-loadings))


def test_effective_channels_lie_between_one_and_all():
    assert count_effective_channels(compute_loading_fractions(np.ones((7, 1)))) == pytest.approx(7)
    assert count_effective_channels(compute_loading_fractions(np.eye(7)[:, :2])).tolist() == [1, 1]


def test_a_latent_without_effect_has_no_fractions():
    shares = compute_effect_fractions([[1.0, 0.0], [3.0, 0.0]])
    assert shares[:, 0].tolist() == [0.25, 0.75]
    assert np.isnan(shares[:, 1]).all()


def test_a_channel_that_rules_through_the_decoder_alone_is_listed():
    top = list_top_channels([[0.4], [0.35], [0.25]], [[0.1], [0.0], [0.9]], n=2)
    assert [(one.channel, one.loading_fraction, one.effect_fraction) for one in top[0]] == [
        (2, 0.25, 0.9),
        (0, 0.4, 0.1),
    ]


def test_fewer_channels_than_asked_are_all_listed():
    assert [len(one) for one in list_top_channels(np.full((2, 3), 0.5), n=5)] == [2, 2, 2]


@pytest.mark.parametrize("bad", [np.ones(3), np.full((2, 2), np.nan), np.full((2, 2), np.inf)])
def test_what_is_no_matrix_of_numbers_is_refused(bad):
    with pytest.raises(DataError):
        compute_loading_fractions(bad)


def test_negative_effects_are_refused():
    with pytest.raises(DataError, match="smallest"):
        compute_effect_fractions([[-1.0]])


def test_effects_of_another_fit_are_refused():
    with pytest.raises(DataError, match="same fit"):
        list_top_channels(np.ones((3, 1)), np.ones((2, 1)))

from __future__ import annotations

import numpy as np
import pytest

from nwb_dcf.cohort.coupling import fit_coupling
from nwb_dcf.cohort.decoding import DecodedSession, decode_across, decode_new_session
from nwb_dcf.errors import DataError

from .simulated import align, draw, find_axes


def prepare(seed: int):
    animals = draw(4, seed)
    frames = align(animals)
    axes = find_axes(frames[1:])
    sessions = []
    for animal, one in zip(animals, frames, strict=True):
        latents = fit_coupling(one, axes.anchors).transform(one.values, one.trial)
        sessions.append(DecodedSession(latents, animal.truth["latents"].values[:, :2], one.trial % 4 > 0))
    return frames, axes, sessions


def test_a_decoder_of_the_others_does_nearly_as_well():
    _, _, sessions = prepare(0)
    for method in ("ridge", "neighbours"):
        decoding = decode_across(sessions, method)
        assert decoding.pairs.shape == (4, 4)
        assert decoding.ratio > 0.9
        assert decoding.within.min() > 0.6
    turned = [DecodedSession(s.latents[:, ::-1], s.behavior, s.training) if i else s for i, s in enumerate(sessions)]
    assert decode_across(turned).others[0] < 0.5  # axes out of order are noticed


def test_more_trials_of_a_new_animal_are_better():
    frames, axes, sessions = prepare(1)
    scores = decode_new_session(
        frames[0],
        sessions[0].behavior,
        sessions[0].training,
        axes.anchors,
        sessions[1:],
        rng=np.random.default_rng(0),
        n_trials=(4, 24, 10_000),
    )
    assert scores[1] > scores[0]
    assert scores[1] > 0.6
    assert np.isnan(scores[2])


def test_nothing_to_test_on_is_refused():
    _, _, sessions = prepare(0)
    whole = DecodedSession(sessions[0].latents, sessions[0].behavior, np.ones(len(sessions[0].latents), bool))
    with pytest.raises(DataError, match="no trial to train or to test on"):
        decode_across([whole, *sessions[1:]])

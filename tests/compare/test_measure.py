"""What is asked of a method's latents."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nwb_dcf.compare.measure import (
    Behavior,
    Material,
    measure_decoding_chance,
    measure_found_again,
    measure_method,
    score_left_out,
)
from nwb_dcf.compare.methods import METHODS, Frames
from nwb_dcf.errors import DataError

from .test_methods import make_frames


def make_material() -> Material:
    parts = [make_frames(seed) for seed in (0, 1)]
    return Material(parts[0], parts[1], None, 0, 0)


def test_a_latent_that_is_one_channel_is_seen() -> None:
    material = make_material()
    loud = material.training.x.copy()
    loud[:, 4] = np.random.default_rng(5).normal(size=400) * 50
    training = Frames(loud, material.training.segment, None, 0.02)
    ordinary = measure_method(METHODS["pca"].fit(material.training, 2, 0), material)
    taken = measure_method(METHODS["pca"].fit(training, 2, 0), Material(training, material.unseen, None, 0, 0))
    assert ordinary.largest_channel < 0.5
    assert taken.largest_channel > 0.9
    assert taken.fewest_channels < 1.3


def test_left_out_channels_are_predicted_where_they_share_and_not_where_they_do_not() -> None:
    material = make_material()
    given = np.arange(12) % 2 == 0
    rng = np.random.default_rng(0)
    noise = [
        Frames(rng.normal(size=part.x.shape).astype(np.float32), part.segment, None, 0.02)
        for part in (material.training, material.unseen)
    ]
    alone = Material(noise[0], noise[1], None, 0, 0)

    def fit(frames: Frames):  # type: ignore[no-untyped-def]
        return METHODS["pca"].fit(frames, 2, 0)

    assert score_left_out(fit, material, given).value > 0.8
    assert score_left_out(fit, alone, given).value < 0.1


def test_the_same_space_is_found_again_whatever_its_axes() -> None:
    material = make_material()
    one = METHODS["pca"].fit(material.training, 2, 0)
    two = METHODS["fa"].fit(material.unseen, 2, 0)
    assert measure_found_again(one, two, material) > 0.95


def test_chance_is_what_behaviour_shifted_in_time_gives() -> None:
    material = make_material()
    encoder = METHODS["pca"].fit(material.training, 2, 0)
    rng = np.random.default_rng(0)
    own = Behavior(*(encoder.encode(part) @ [[1.0], [2.0]] for part in (material.training, material.unseen)))
    own.training[:7] = np.nan  # behaviour is not known everywhere
    other = Behavior(*(rng.normal(size=(len(part.x), 1)) for part in (material.training, material.unseen)))
    found = {}
    for name, behavior in (("own", own), ("other", other)):
        asked = replace(material, behavior=behavior)
        found[name] = measure_decoding_chance(encoder, asked, measure_method(encoder, asked).scores)
    for question in ("linear", "neighbours"):
        assert found["own"][question]["p"] == pytest.approx(0.05)
        assert found["own"][question]["highest"] < 0.5
        assert found["other"][question]["p"] > 0.05  # type: ignore[operator]
    assert measure_decoding_chance(encoder, material, {}) == {}


def test_latents_that_are_none_are_refused() -> None:
    class Nan:
        def encode(self, frames: Frames) -> np.ndarray:
            return np.full((len(frames.x), 2), np.nan)

        def reconstruct(self, latents: np.ndarray) -> None:
            return None

    with pytest.raises(DataError, match="not finite"):
        measure_method(Nan(), make_material())

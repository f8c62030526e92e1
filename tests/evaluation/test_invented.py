"""Latents of a fit's own making are found out by other fits and a few segments; those that channels share are not."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from nwb_dcf.estimator.fitted import PreparedFrames
from nwb_dcf.evaluation.certificate import certify_scores
from nwb_dcf.evaluation.invented import RunLatents, judge_latents

N_CHANNELS = 24


class World:
    """Two shared latents in twenty-four noisy channels: forty training and thirty unseen trials of thirty frames."""

    def __init__(self, seed: int, n_private: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.loadings = rng.normal(size=(2, N_CHANNELS))
        self.loadings[:, :n_private] = 0
        self.frames: list[PreparedFrames] = []
        for n in (40, 30):
            steps = np.arange(30) + rng.uniform(0, 60, n)[:, None]
            state = np.stack([np.sin(steps / 5), np.cos(steps / 9)], axis=-1).reshape(-1, 2)
            x = state @ self.loadings + rng.normal(0, 2, (n * 30, N_CHANNELS))
            # private channels have one slow signal each, louder than what is shared
            x[:, :n_private] += 8 * np.sin(steps / 7 + rng.uniform(0, 6, n)[:, None]).reshape(-1, 1)
            self.frames.append(PreparedFrames(x.astype(np.float32), np.repeat(np.arange(n), 30), np.arange(n * 30.0)))
        self.mean = self.frames[0].values.mean(axis=0)

    def encode(self, frames: PreparedFrames) -> np.ndarray:
        """The two latents by the true loadings."""
        return np.asarray((frames.values - self.mean) @ np.linalg.pinv(self.loadings))

    def invent(self, frames: PreparedFrames, seed: int) -> np.ndarray:
        """One latent more: a rotation whose angle goes on by itself, kicked by the frames as this fit alone does."""
        kick = np.random.default_rng(seed).normal(size=N_CHANNELS) / 20
        angle = np.cumsum(0.2 + 0.02 * seed + (frames.values - self.mean) @ kick)
        return np.column_stack([self.encode(frames), np.sin(angle)])

    def judge(self, fits: Any) -> Any:
        runs = [RunLatents(*(encode(frames) for frames in self.frames)) for encode in fits]
        return judge_latents(tuple(self.frames), fits[0], self.mean, runs, seed=0)  # type: ignore[arg-type]


@cache
def make_world(seed: int) -> World:
    return World(seed)


def verdict_of(invented: Any) -> str:
    lines = certify_scores({"agreement": {"fits": 3, "invented": invented}})
    return next(line["verdict"] for line in lines if line["line"] == "not invented")


@pytest.mark.parametrize("seed", range(5))
def test_what_channels_share_passes_though_axes_turn(seed: int) -> None:
    world = make_world(seed)
    turned = np.array([[0.6, 0.8], [-0.8, 0.6]])
    found = world.judge([world.encode, lambda x: world.encode(x) @ turned, lambda x: -world.encode(x)[:, ::-1]])
    assert [one["decoded"] > 0.999 for one in found["latents"]] == [True, True]
    assert all(one["gain_low"] > 0 for one in found["latents"])
    assert verdict_of(found) == "pass"
    assert found["few"] < found["of"] == 40


@pytest.mark.parametrize("seed", range(5))
def test_dynamics_of_a_fits_own_making_fail(seed: int) -> None:
    world = make_world(seed)
    fits = [lambda x, i=i: world.invent(x, i) for i in range(3)]
    found = world.judge(fits)
    assert [one["decoded"] > 0.9 for one in found["latents"]] == [True, True, False]
    assert [one["gain_high"] < 0 for one in found["latents"]] == [False, False, True]
    assert found["theirs"][2] < 0.9
    assert verdict_of(found) == "fail"


def test_invention_is_one_sided() -> None:
    """The refits hold all that is shared and cannot decode the third latent; this fit decodes all of theirs."""
    world = make_world(0)
    found = world.judge([lambda x: world.invent(x, 1), world.encode, world.encode])
    assert min(found["theirs"]) > 0.99
    assert found["latents"][2]["decoded"] < 0.5
    assert verdict_of(found) == "fail"
    # the other way round this fit is minimal, and what the refits invented is a doubt
    found = world.judge([world.encode, lambda x: world.invent(x, 1), lambda x: world.invent(x, 2)])
    assert min(one["decoded"] for one in found["latents"]) > 0.99
    assert found["theirs"][2] < 0.5
    assert verdict_of(found) == "doubtful"


def test_a_latent_of_one_loud_channel_is_found_again_and_of_no_use() -> None:
    world = World(3, n_private=1)

    def encode(frames: PreparedFrames) -> np.ndarray:
        return np.column_stack([world.encode(frames), frames.values[:, 0]])

    found = world.judge([encode, encode, encode])
    assert found["latents"][2]["decoded"] > 0.99
    assert found["latents"][2]["gain_high"] < 0
    assert verdict_of(found) == "doubtful"


def test_too_few_channels_or_segments_are_not_measured() -> None:
    world = make_world(0)
    three = tuple(PreparedFrames(one.values[:, :3], one.segment, one.time) for one in world.frames)
    runs = [RunLatents(*(one.values for one in three))] * 2
    found = judge_latents(three, lambda x: x.values, three[0].values.mean(axis=0), runs, seed=0)  # type: ignore[arg-type]
    assert found == {"not_measured": "3 channels are too few to leave any out"}
    short = tuple(PreparedFrames(one.values[:20], one.segment[:20] * 0, one.time[:20]) for one in world.frames)
    runs = [RunLatents(*map(world.encode, short))] * 2
    found = judge_latents(short, world.encode, world.mean, runs, seed=0)  # type: ignore[arg-type]
    assert "too few to draw a few of them" in found["not_measured"]

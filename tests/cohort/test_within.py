from __future__ import annotations

import numpy as np
import pytest

from nwb_dcf.cohort.anchors import AlignedFrames
from nwb_dcf.cohort.within import KindComparison, KindSession, compare_kinds
from nwb_dcf.errors import DataError

N_CONDITIONS, N_BINS, N_TRIALS = 4, 14, 12


def turn(start: np.ndarray, speed: float) -> np.ndarray:
    """Rotate a state about the origin, a path (bin, 2)."""
    angle = 0.12 * speed * np.arange(N_BINS)
    return np.stack(
        [start[0] * np.cos(angle) - start[1] * np.sin(angle), start[0] * np.sin(angle) + start[1] * np.cos(angle)], 1
    )


STARTS = np.random.default_rng(5).normal(size=(N_CONDITIONS, 2))
ANCHORS = np.stack([turn(start, 1.0) for start in STARTS])


def make_session(seed: int, slow: float) -> KindSession:
    rng = np.random.default_rng(seed)
    latents, condition, kind = [], [], {}
    for trial in range(N_CONDITIONS * N_TRIALS):
        is_slow = bool(rng.integers(2))
        kind[trial] = "miss" if is_slow else "hit"
        condition.append(trial % N_CONDITIONS)
        path = turn(STARTS[condition[-1]], slow if is_slow else 1.0)
        latents.append(path + 0.2 * rng.normal(size=path.shape))
    n = len(latents)
    frames = AlignedFrames(
        np.concatenate(latents), np.repeat(np.arange(n), N_BINS), np.repeat(condition, N_BINS),
        np.tile(np.arange(N_BINS), n), N_CONDITIONS, N_BINS,
    )  # fmt: skip
    return KindSession(frames, kind)


def compare(seed: int, slow: float) -> KindComparison:
    sessions = {str(i): make_session(10 * seed + i, slow) for i in range(3)}
    return compare_kinds(sessions, ANCHORS, rng=np.random.default_rng(seed), n_permutations=99)


def test_slower_misses_are_found_and_where():
    found = compare(1, 0.7)
    assert found.kinds == ("hit", "miss")
    assert found.p_speed == found.floor == 0.01
    assert 0.65 < found.mean_ratio < 0.8
    assert found.p_field <= 0.05
    assert (found.difference > found.threshold).any()


def test_equal_kinds_are_not_told_apart():
    found = [compare(seed, 1.0) for seed in range(2, 8)]
    assert sum(one.p_speed <= 0.05 for one in found) <= 1
    assert np.mean([one.mean_ratio for one in found]) == pytest.approx(1, abs=0.05)


def test_a_condition_without_both_kinds_is_not_compared():
    session = make_session(3, 1.0)
    kind = {trial: "hit" if trial % N_CONDITIONS == 0 else one for trial, one in session.kind.items()}
    found = compare_kinds(
        {"a": KindSession(session.frames, kind)}, ANCHORS,
        rng=np.random.default_rng(0), n_permutations=19,
    )  # fmt: skip
    assert np.isnan(found.difference[0]).all()
    assert np.isfinite(found.difference[1:]).all()
    assert np.isfinite(found.threshold)


def test_a_path_with_a_gap_is_left_out():
    session = make_session(3, 1.0)
    frames = session.frames
    bins = np.where((frames.condition == 1) & (frames.bin == 5), -1, frames.bin)
    torn = AlignedFrames(frames.values, frames.trial, frames.condition, bins, N_CONDITIONS, N_BINS)
    found = compare_kinds(
        {"a": KindSession(torn, session.kind)}, ANCHORS, rng=np.random.default_rng(0), n_permutations=19
    )
    assert np.isnan(found.difference).all(axis=1).tolist() == [False, True, False, False]
    assert np.isfinite(found.ratio).all()


@pytest.mark.parametrize(
    ("rename", "message"),
    [
        ({"miss": "hit"}, "1 kinds of trials: hit"),
        ({}, "no session can be compared"),
    ],
)
def test_what_cannot_be_compared_is_refused(rename: dict[str, str], message: str):
    session = make_session(3, 1.0)
    kind = {trial: rename.get(one, one) for trial, one in session.kind.items()}
    if not rename:
        kind = {trial: "miss" if trial == 0 else "hit" for trial in kind}
    with pytest.raises(DataError, match=message):
        compare_kinds(
            {"a": KindSession(session.frames, kind)}, ANCHORS,
            rng=np.random.default_rng(0), n_permutations=19,
        )  # fmt: skip

"""A verdict on a decoding score: beside chance, beside the score of all channels, and in one sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypedDict

import numpy as np

from ..metrics.null_distribution import rank_in_null

if TYPE_CHECKING:
    from jaxtyping import Float

N_SHIFTS = 19
FIRST_SHIFT = 0.1  # of the frames: at smaller shifts slow behaviour is still correlated with itself
LEVEL = 0.05
FEW_BLOCKS = 10  # scores that rest on fewer held-out segments or blocks are doubtful


class Chance(TypedDict):
    """Scores of labels rotated in time.

    Attributes
    ----------
    shifts : int
        Number of rotations.
    median, highest : float
    p : float or None
        See `rank_in_null`; None where a score is NaN.
    """

    shifts: int
    median: float
    highest: float
    p: float | None


class ScoreRecord(TypedDict):
    """An interval as JSON, see `nwb_dcf.metrics.Interval`."""

    value: float
    low: float
    high: float
    level: float
    n: int
    over: str


class MethodScores(TypedDict):
    """Scores of one decoder: of the latents, of PCA, their difference, of all channels, and of rotated labels."""

    latents: ScoreRecord
    pca: ScoreRecord | None
    difference: ScoreRecord | None
    ceiling: ScoreRecord | None
    chance: Chance


def measure_chance(
    decode: Callable[[Float[np.ndarray, "frame variable"]], float],
    target: Float[np.ndarray, "frame variable"],
    value: float,
    *,
    seed: int = 0,
) -> Chance:
    """Score a decoder on labels rotated in time: their autocorrelation stays, their relation to the latents is broken.

    Parameters
    ----------
    decode : callable
        From a target (frame, variable) to its score on held-out frames.
    target : array, shape (frame, variable)
        Known labels, frame after frame.
    value : float
        The score of the target itself.
    seed : int
        Of the shifts, which lie between a tenth and nine tenths of the frames.

    Returns
    -------
    Chance
    """
    n = len(target)
    # rotations keep the autocorrelation of behaviour, which shuffling would destroy: its null would be too narrow
    first, last = int(FIRST_SHIFT * n), max(int((1 - FIRST_SHIFT) * n), int(FIRST_SHIFT * n) + 1)
    offsets = np.random.default_rng([seed, n]).integers(first, last, N_SHIFTS)
    scores = [decode(np.roll(target, int(offset), axis=0)) for offset in offsets]
    known = np.isfinite(scores).all() and np.isfinite(value)
    return {
        "shifts": N_SHIFTS,
        "median": float(np.median(scores)),
        "highest": float(np.max(scores)),
        "p": rank_in_null(value, scores) if known else None,
    }


def judge_decoding(scores: Mapping[str, MethodScores]) -> str:
    """Summarise the scores of `nwb_dcf.evaluate_nwb` in one sentence.

    Parameters
    ----------
    scores : mapping
        By method, ``ridge`` and ``neighbours``.
    """
    # decoders below chance are not compared with PCA: their differences are noise
    above = [name for name, one in scores.items() if _is_above_chance(one)]
    if not above:
        return "not decoded: no better than from labels shifted in time"
    best = max(above, key=lambda name: scores[name]["latents"]["value"])
    one = scores[best]
    parts = [f"decoded above chance ({NAMES.get(best, best)})"]
    beside = {name: _compare_with_pca(scores[name]) for name in above}
    if beside[best]:
        parts.append(f"{beside[best]} than from PCA's axes")
    # two decoders may disagree, and the better one must not speak for the other
    others = [name for name in above if name != best and beside[name] not in ("", EQUAL, beside[best])]
    parts += [f"{NAMES.get(name, name)} {beside[name]} than from those" for name in others]
    ceiling = scores["ridge"]["ceiling"] if "ridge" in scores else None
    if ceiling and ceiling["value"] > 0:
        fraction = scores["ridge"]["latents"]["value"] / ceiling["value"]
        parts.append(f"linearly {max(0.0, fraction):.0%} of what all channels give")
    # with so few resampled units an interval is too narrow (Efron and Tibshirani 1993)
    if one["latents"]["n"] < FEW_BLOCKS:
        parts.append(f"doubtful, since it rests on {one['latents']['n']} {one['latents']['over']}")
    return "; ".join(parts)


EQUAL = "no better and no worse"
NAMES = {"ridge": "linearly", "neighbours": "by nearest neighbours"}


def _compare_with_pca(one: MethodScores) -> str:
    difference = one["difference"]
    if not difference:
        return ""
    return "better" if difference["low"] > 0 else "worse" if difference["high"] < 0 else EQUAL


def _is_above_chance(one: MethodScores) -> bool:
    """Whether the score is above all but a twentieth of the shifted ones, and above 0."""
    p = one["chance"]["p"]
    return p is not None and p <= LEVEL and one["latents"]["value"] > 0

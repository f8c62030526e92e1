"""What a decoding score means: beside chance, beside what all channels give, and in one sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..metrics.null_distribution import rank_in_null

N_SHIFTS = 19
FIRST_SHIFT = 0.1  # of the frames: nearer than that, slow behaviour still knows itself
LEVEL = 0.05
FEW_BLOCKS = 10  # scores that rest on fewer held-out segments or blocks are doubtful


def measure_chance(
    decode: Callable[[NDArray[np.float64]], float], target: NDArray[np.float64], value: float, *, seed: int = 0
) -> dict[str, Any]:
    """Score a decoder on labels that were moved round in time, which keeps how slow they are and breaks what they say.

    Parameters
    ----------
    decode : callable
        From a target (frame, variable) to its score on held-out frames.
    target : array, shape (frame, variable)
        Known labels, frame after frame.
    value : float
        The score of the target as it is.
    seed : int
        Of the shifts, which lie between a tenth and nine tenths of the frames.

    Returns
    -------
    dict
        ``shifts``, how many; ``median`` and ``highest`` score among them; ``p``, see `rank_in_null`.
    """
    n = len(target)
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


def judge_decoding(scores: Mapping[str, Mapping[str, Any]]) -> str:
    """Say in one sentence what the scores of `nwb_dcf.evaluate_nwb` amount to.

    Parameters
    ----------
    scores : mapping
        By method: ``latents``, ``pca``, ``difference`` and ``ceiling`` (``value``, ``low``, ``high``, ``n``; all but
        the first may be None) and ``chance``.
    """
    above = [name for name, one in scores.items() if _is_above_chance(one)]
    if not above:
        return "not decoded: no better than from labels shifted in time"
    best = max(above, key=lambda name: scores[name]["latents"]["value"])
    one = scores[best]
    parts = [f"decoded above chance ({NAMES.get(best, best)})"]
    difference = one["difference"]
    if difference:
        if difference["low"] > 0:
            parts.append("better than from PCA's axes")
        elif difference["high"] < 0:
            parts.append("worse than from PCA's axes")
        else:
            parts.append("no better and no worse than from PCA's axes")
    ceiling = scores.get("ridge", {}).get("ceiling")
    if ceiling and ceiling["value"] > 0:
        share = scores["ridge"]["latents"]["value"] / ceiling["value"]
        parts.append(f"linearly {max(0.0, share):.0%} of what all channels give")
    if one["latents"]["n"] < FEW_BLOCKS:
        parts.append(f"doubtful, since it rests on {one['latents']['n']} {one['latents']['over']}")
    return "; ".join(parts)


NAMES = {"ridge": "linearly", "neighbours": "by nearest neighbours"}


def _is_above_chance(one: Mapping[str, Any]) -> bool:
    """Whether the score is above all but a twentieth of the shifted ones, and above 0."""
    p = one["chance"]["p"]
    return p is not None and p <= LEVEL and one["latents"]["value"] > 0

"""What a comparison amounts to, in one sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..errors import name_arguments
from ..evaluation.certificate import find_least_gain
from ..evaluation.decoding_verdict import LEVEL, Chance

QUESTIONS = {
    "reconstruction": "reconstructs held-out data",
    "linear": "decodes behaviour linearly",
    "neighbours": "decodes behaviour by neighbours",
    "left_out": "predicts left-out channels",
}
FEW = 10  # intervals over fewer segments are too narrow to rest a verdict on


def judge_comparison(
    rows: Sequence[Mapping[str, object]], n: int, over: str, *, chance: Mapping[str, Chance] | None = None
) -> str:
    """Say in one sentence which method these data need.

    Parameters
    ----------
    rows : sequence of mapping
        One a method, DCF first: ``method`` and ``differences``, by question the interval of DCF's score less that
        method's (``value``, ``low``, ``high``); those that failed have none.
    n : int
        Segments or blocks that the intervals rest on.
    over : str
        ``segments`` or ``blocks``.
    chance : mapping of str to Chance, optional
        By question, scores of behaviour shifted in time.
    """
    # PCA first: who needs no more than that needs nothing from here
    pca = next((row for row in rows if row["method"] == "PCA"), None)
    others = [row for row in rows[1:] if row is not pca]
    parts = []
    # every method that leads is named, whatever DCF does at other questions
    beaten = {row["method"]: found for row in rows[1:] if row is not pca and (found := _sort(row)[1])}
    if pca is not None:
        # by intervals of differences alone: a difference whose interval holds 0 is none
        better, worse = _sort(pca)
        if not better and not worse and beaten:
            # what another method finds is there: PCA, which is no better than DCF, misses it as well
            parts.append("DCF is not measurably better than PCA at anything that was asked")
        elif not better and not worse:
            parts.append("PCA is enough: DCF is not measurably better at anything that was asked")
        elif not better:
            parts.append(f"PCA is enough, and better: it {_join(worse)}")
        else:
            parts.append(f"DCF {_join(better)} better than PCA" + (f", and worse it {_join(worse)}" if worse else ""))
    if beaten:
        parts.append("; ".join(f"{name} {_join(found)} better than DCF" for name, found in beaten.items()))
    elif any(row.get("differences") for row in others):
        parts.append("no other method is measurably better than DCF at anything that was asked")
    # a method that answers no question of the table is neither better nor worse, and no reader is to think so
    silent = [str(row["method"]) for row in others if not row.get("differences") and not row.get("failed")]
    if silent:
        ways = "name behaviour with --against, or give --certify"
        parts.append(name_arguments(f"{_join(silent)} gave nothing to compare: {ways}"))
    lost = [QUESTIONS[key] for key, one in (chance or {}).items() if one["p"] is None or one["p"] > LEVEL]
    if lost:
        parts.append(f"DCF {_join(lost)} no better than behaviour shifted in time")
    if n < FEW:
        parts.append(f"doubtful, since it rests on {n} held-out {over}")
    return "; ".join(parts)


def _sort(row: Mapping[str, object]) -> tuple[list[str], list[str]]:
    """Questions at which DCF's interval lies above the method's, and below, by more than a hair."""
    differences, scores = row.get("differences") or {}, row.get("scores") or {}
    assert isinstance(differences, dict) and isinstance(scores, dict)  # noqa: S101, PT018 - for the type checker
    # two fits of a method that cannot be seeded differ by chance, and what that may make of a lead is none
    unlike = row.get("unlike") or 0.0
    assert isinstance(unlike, float)  # noqa: S101 - for the type checker
    better, worse = [], []
    for key, one in differences.items():
        # as in a fit's certificate: where latents equal PCA's every segment gains a hair, significant and nothing
        hair = find_least_gain(scores.get(key, {}).get("value", 1.0))
        if one["low"] > unlike and one["high"] >= hair:
            better.append(QUESTIONS[key])
        elif one["high"] < -unlike and one["low"] <= -hair:
            worse.append(QUESTIONS[key])
    return better, worse


def _join(phrases: Sequence[str]) -> str:
    return phrases[0] if len(phrases) == 1 else f"{', '.join(phrases[:-1])} and {phrases[-1]}"

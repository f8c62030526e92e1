"""The certificate of a fit: what may be believed of it, line by line, each with its number and what to do.

A certificate is a list of `CertificateLine`, JSON-able, in the order of `LINES`. How the lines are measured and judged
is in `nwb_dcf.evaluation.certificate`; here is what is done with those that a fit has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, TypedDict

Verdict = Literal["pass", "doubtful", "fail", "not measured"]
LineName = Literal[
    "better than PCA",
    "not one channel",
    "predicts left-out channels",
    "not made of noise",
    "found again",
    "not invented",
    "predicts the future",
]

GROUPS: dict[str, tuple[LineName, ...]] = {
    "latents": ("predicts left-out channels", "not made of noise", "not one channel", "found again", "not invented"),
    "beside PCA": ("better than PCA",),
    "dynamics": ("predicts the future",),
}
"""The three questions of a reader, and the lines that answer each: are the latents there, are they more than PCA's,
and may velocities and rollouts be used."""
LINES: tuple[LineName, ...] = tuple(line for lines in GROUPS.values() for line in lines)
_WORST_FIRST: tuple[Verdict, ...] = ("fail", "doubtful", "pass", "not measured")


class CertificateLine(TypedDict):
    """One line of a certificate.

    Attributes
    ----------
    line : str
        One of `LINES`.
    verdict : {"pass", "doubtful", "fail", "not measured"}
    number : str
        What `value` is, as "R2 of left-out channels".
    value, low, high : float or None
        The number, and the ends of its interval.
    n : int
        What the interval rests on, so many of ``over``; 0 where there is none.
    over : str
        ``segments``, ``blocks``, ``fits``, ``shifts`` (of channels in time) or empty.
    sentence : str
        What follows from it, and what to do.
    """

    line: LineName
    verdict: Verdict
    number: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    over: str
    sentence: str


class GroupVerdict(TypedDict):
    """The verdict on one question of a reader: the worst of its lines, and a sentence."""

    group: str
    verdict: Verdict
    sentence: str


def summarise_certificate(lines: Sequence[CertificateLine]) -> list[GroupVerdict]:
    """Answer the three questions of `GROUPS`; none where there is no certificate.

    Examples
    --------
    >>> line = {"line": "better than PCA", "verdict": "pass", "number": "R2", "value": 0.1, "low": 0.05, "high": 0.2}
    >>> summarise_certificate([{**line, "n": 30, "over": "segments", "sentence": "better by R2 0.100"}])[0]["group"]
    'beside PCA'
    """
    known = {one["line"]: one for one in lines}
    found: list[GroupVerdict] = []
    for group, names in GROUPS.items():
        own = [known[name] for name in names if name in known]
        if own:
            found.append({"group": group, "verdict": _find_worst(own), "sentence": _join_sentences(own)})
    return found


def summarise_verdicts(verdicts: Mapping[str, str]) -> dict[str, str]:
    """Return the worst verdict on each question, from the verdicts by line.

    Examples
    --------
    >>> summarise_verdicts({"better than PCA": "fail", "not one channel": "pass", "found again": "not measured"})
    {'latents': 'pass', 'beside PCA': 'fail'}
    """
    found = {group: [verdicts[name] for name in names if name in verdicts] for group, names in GROUPS.items()}
    worst_first: tuple[str, ...] = _WORST_FIRST
    return {group: min(own, key=worst_first.index) for group, own in found.items() if own}


def _find_worst(lines: Sequence[CertificateLine]) -> Verdict:
    # a line that was not measured takes nothing from those that were
    return min((one["verdict"] for one in lines), key=_WORST_FIRST.index)


def _join_sentences(lines: Sequence[CertificateLine]) -> str:
    """What is wrong, the worst first; where nothing is, what was found and what was not asked."""
    wrong = [one for verdict in ("fail", "doubtful") for one in lines if one["verdict"] == verdict]
    if wrong:
        return "; ".join(one["sentence"] for one in wrong)
    passed = [_name_passed(one, alone=len(lines) == 1) for one in lines if one["verdict"] == "pass"]
    missing = [one for one in lines if one["verdict"] == "not measured"]
    if not passed:
        return _join_reasons(missing)
    names = ", ".join(one["line"] for one in missing)
    return ", ".join(passed) + (f"; not measured: {names}" if names else "")


def _join_reasons(missing: Sequence[CertificateLine]) -> str:
    """Why lines were not measured, each reason once."""
    if len(missing) == 1:
        return missing[0]["sentence"]
    reasons: dict[str, list[str]] = {}
    for one in missing:
        why = one["sentence"].removeprefix(f"{one['line']} was not measured: ")
        reasons.setdefault(why, []).append(one["line"])
    # quoted: "predicts left-out channels: ..." would be read as a finding
    quoted = ((why, " and ".join(f"'{name}'" for name in names)) for why, names in reasons.items())
    return "no answer " + "; ".join(f"to {names} ({why})" for why, names in quoted)


def _name_passed(one: CertificateLine, *, alone: bool) -> str:
    if alone:
        return one["sentence"]
    return f"{one['line']} ({show_number(one)})" if one["value"] is not None else one["line"]


def show_number(one: CertificateLine) -> str:
    """Show the number of a line, with its interval where it has one."""
    value, low, high = one["value"], one["low"], one["high"]
    if value is None:
        return ""
    interval = f" [{low:.3f}, {high:.3f}]" if low is not None and high is not None else ""
    return f"{one['number']} {value:.3f}{interval}"


def choose_best(certificates: Mapping[str, Sequence[CertificateLine]]) -> str | None:
    """Name the fit with the best certificate: fewest lines fail, then fewest are doubtful, then most pass.

    Of equal ones the one that predicts left-out channels better. None unless two or more have a certificate, and none
    where the best is no better than another.

    Parameters
    ----------
    certificates : mapping of str to sequence of CertificateLine
        By the name of the fit; those without lines do not count.
    """
    ranks = {name: _rank(lines) for name, lines in certificates.items() if lines}
    ordered = sorted(ranks.items(), key=lambda item: item[1])
    if len(ordered) < 2 or ordered[0][1] == ordered[1][1]:
        return None
    return ordered[0][0]


def _rank(lines: Sequence[CertificateLine]) -> tuple[int, int, int, float]:
    verdicts = [one["verdict"] for one in lines]
    left_out = next((one["value"] for one in lines if one["line"] == "predicts left-out channels"), None)
    return verdicts.count("fail"), verdicts.count("doubtful"), -verdicts.count("pass"), -(left_out or 0.0)

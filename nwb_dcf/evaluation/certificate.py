"""What may be believed of a fit: better than PCA, not one channel, not noise; its scores judged line by line.

Thresholds were set on simulations with known defects, and measured on others (``benchmarks/certificate.py``; its table
is in ``benchmarks/RESULTS.md``). A line that fails says what to do; one that passes says no more than its sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from ..data.certificate import CertificateLine, LineName, Verdict
from ..data.records import LatentEvidence, Scores
from ..data.single_channels import describe_single_channels, get_largest_fraction
from ..errors import name_arguments
from ..metrics.null_distribution import LEAST_NULLS
from .decoding_verdict import FEW_BLOCKS, LEVEL

EQUAL_R2, EQUAL_FRACTION = 0.01, 0.05  # of the data's variance, and of what the other explains: less is no gain
ROUNDED_R2 = 5e-4  # what three digits show: less is arithmetic, also where PCA explains nothing
LITTLE_LEFT_OUT = 0.05  # R2 of left-out channels that an interval must not reach for an absence to be shown
LITTLE_R2 = 0.1  # of latents ahead: what predicts less is of no use
MUCH_OF_ONE = 1 / 3  # of a latent from one channel
FOUND_AGAIN, PARTLY_FOUND = 0.9, 0.7  # correlation of an axis, or smallest cosine of a plane, between two fits
DECODED = 0.9  # R2 of a latent from those of another fit
HELD_OUT = "held-out data"  # what scores are of where anything was held out
MORE = "record longer, or hold more out with --held-out"
NOTHING_HELD_OUT = "nothing was held out: give --held-out 0.2"


def certify_scores(
    scores: Scores, *, channel: str = "channel", scale: str = "", n_channels: int = 0
) -> list[CertificateLine]:
    """Judge the scores of a fit.

    Parameters
    ----------
    scores : Scores
        Of a `nwb_dcf.DCFResult`, with what `nwb_dcf.evaluation.result.build_result` measured and, where they were
        asked for, ``null`` and ``agreement``.
    channel : str
        What a channel is called, as ``unit``.
    scale : str
        Of the channels, as in `nwb_dcf.config.PrepareConfig`: z-scores are no advice where they were taken.
    n_channels : int
        That were fitted; 0 where it is not known. As many latents compress nothing.

    Returns
    -------
    list of CertificateLine
        In the order of `nwb_dcf.data.certificate.LINES`.
    """
    judges: tuple[Callable[[Scores], CertificateLine], ...] = (
        _judge_left_out,
        _judge_noise,
        partial(_judge_channels, noun=channel, scale=scale, n_channels=n_channels),
        _judge_agreement,
        _judge_invented,
        partial(_judge_pca, noun=channel, n_channels=n_channels),
        _judge_future,
    )
    return [judge(scores) for judge in judges]


def find_least_gain(r2: float) -> float:
    """Find the gain in R2 over another method, whose own is `r2`, below which a gain is none.

    Examples
    --------
    >>> [find_least_gain(r2) for r2 in (0.5, -0.1)]
    [0.01, 0.0005]
    """
    return max(ROUNDED_R2, min(EQUAL_R2, EQUAL_FRACTION * r2))


def _judge_left_out(scores: Scores) -> CertificateLine:
    name: LineName = "predicts left-out channels"
    found = scores.get("left_out")
    if not found or "value" not in found:
        return _skip(name, (found or {}).get("not_measured") or NOTHING_HELD_OUT)
    judge, p = partial(_line, name, "R2", found), found["chance"]["p"]
    # nothing in common gives less than 0, by as much as the readout learned of noise
    if found["value"] <= 0 and found["high"] < LITTLE_LEFT_OUT:
        return judge(
            "fail",
            "latents tell nothing of channels that they were computed without: channels may have nothing in common, "
            "and the latents are not to be interpreted",
        )
    if found["low"] <= 0:
        return judge(
            "doubtful",
            f"it is not shown that left-out channels are predicted: {MORE}",
        )
    if p is None or p > LEVEL:
        return judge(
            "doubtful",
            "left-out channels are predicted no better than channels shifted in time: slow changes may be all that "
            "they have in common",
        )
    return judge("pass", "latents hold what channels have in common: they predict channels left out")


def _judge_noise(scores: Scores) -> CertificateLine:
    null = scores.get("null")
    if null and null["fits"] >= LEAST_NULLS and null["p"] is not None:
        return _judge_null(scores["bottleneck_r2"], null["bottleneck_r2"], null["p"], "fits")
    shifted = scores.get("shifted_apart")
    if not shifted or "value" not in shifted:
        return _skip("not made of noise", (shifted or {}).get("not_measured") or NOTHING_HELD_OUT)
    return _judge_null(shifted["value"], shifted["nulls"], shifted["p"], "shifts")


def _judge_null(value: float, nulls: list[float], p: float, over: str) -> CertificateLine:
    ends = {"value": value - float(np.median(nulls)), "low": value - max(nulls), "high": value - min(nulls)}
    gain = {**ends, "n": len(nulls), "over": over}
    judge = partial(_line, "not made of noise", "R2 above shifted channels", gain)
    # above all of a few nulls: a true state lies far above them, and one in twenty would let much noise pass
    least = 1 / (len(nulls) + 1)
    if p <= max(least, LEVEL / 2):
        return judge("pass", "channels are coordinated from moment to moment")
    if p <= max(2 * least, LEVEL):
        return judge(
            "doubtful",
            f"channels shifted apart in time have hardly less in common (p {p:.2g}): record longer",
        )
    return judge(
        "fail",
        f"channels shifted apart in time have as much in common (p {p:.2g}): what is found is noise, slow drift, or "
        "what differs from trial to trial as a whole",
    )


def _judge_channels(scores: Scores, noun: str, scale: str, n_channels: int) -> CertificateLine:
    name: LineName = "not one channel"
    latents = scores.get("channels")
    if not latents:
        return _skip(name, "pixels are too many to be named")
    tops = [(latent["latent"], max(latent["top"], key=get_largest_fraction)) for latent in latents if latent["top"]]
    latent, top = max(tops, key=lambda one: get_largest_fraction(one[1]))
    value = get_largest_fraction(top)
    found = {"value": value, "low": None, "high": None, "n": 0, "over": ""}
    judge = partial(_line, name, "largest fraction", found)
    alone = describe_single_channels(latents, noun, scale=scale, n_channels=n_channels)
    if alone:
        return judge("fail", alone)
    if value > MUCH_OF_ONE:
        return judge(
            "doubtful",
            f"{value:.0%} of latent {latent} is {noun} {top['channel']}: fit without it, and see whether the latent "
            "stays",
        )
    return judge("pass", "no latent is one channel")


def _judge_agreement(scores: Scores) -> CertificateLine:
    name: LineName = "found again"
    agreement = scores.get("agreement") or {}
    if not agreement.get("planes"):
        why = agreement.get("stopped")
        return _skip(name, f"the fits were stopped: {why}" if why else "give --certify, which fits again")
    planes, groups = agreement["planes"], agreement["groups"]
    lost = [group for plane, group in zip(planes, groups, strict=True) if plane < FOUND_AGAIN]
    named = ", ".join("-".join(map(str, group if len(group) < 3 else (group[0], group[-1]))) for group in lost)
    found = {"value": min(planes), "low": None, "high": None, "n": agreement["fits"], "over": "fits"}
    judge = partial(_line, name, "agreement", found)
    # axes of close variances turn into each other, though their common space is found: that is no reason for fewer
    if min(planes) < PARTLY_FOUND and agreement.get("space", 0.0) < PARTLY_FOUND:
        kept = min(group[0] for plane, group in zip(planes, groups, strict=True) if plane < PARTLY_FOUND) - 1
        advice = f"fit with --dim {kept}" if kept else "record longer, and interpret no single latent"
        return judge("fail", f"fits to other segments do not find latent {named} again: {advice}")
    if lost and agreement.get("space", 0.0) < FOUND_AGAIN:
        # outside what all latents span together too, so that their space is no way out
        found_part = f"fits to other segments find latent {named} again in part"
        return judge("doubtful", f"{found_part}: record longer, and rest nothing on it alone")
    if lost:
        return judge(
            "doubtful",
            f"latent {named} turns between fits to other segments: use the space of all latents, not single ones",
        )
    return judge("pass", "fits to other segments find the same latents")


def _judge_invented(scores: Scores) -> CertificateLine:
    name: LineName = "not invented"
    found = (scores.get("agreement") or {}).get("invented") or {}
    if not found.get("latents"):
        return _skip(name, found.get("not_measured") or "give --certify, which fits again")
    few = f"a readout learned on {found['few']} of {found['of']} training {found['over']}"
    worst = min(found["latents"], key=lambda one: one["decoded"])
    ends = {"value": worst["decoded"], "low": worst["decoded_low"], "high": worst["decoded_high"]}
    judge = partial(_line, name, "R2 from other fits", {**ends, "n": found["n"], "over": found["unseen_over"]})
    unknown = [one for one in found["latents"] if one["decoded_high"] < DECODED]
    useless = [one for one in found["latents"] if one["gain_high"] < 0]
    invented = [one for one in unknown if one in useless]
    if invented:
        kept = min(one["latent"] for one in invented) - 1
        advice = f"fit with --dim {kept}" if kept else "nothing that was found is to be interpreted"
        return judge(
            "fail",
            f"fits to other segments cannot decode {_name_latents(invented)}, and {few} predicts left-out channels "
            f"better without: {advice}",
        )
    if unknown:
        return judge("doubtful", f"fits to other segments decode {_name_latents(unknown)} in part: record longer")
    if useless:
        return judge(
            "doubtful",
            f"{few} predicts left-out channels better without {_name_latents(useless)}: few channels may be all that "
            "it is of",
        )
    if min(found["theirs"]) < DECODED:
        return judge(
            "doubtful",
            f"fits to other segments hold latents that this one cannot decode (R2 {min(found['theirs']):.2f}): record "
            "longer, or take fewer latents",
        )
    return judge("pass", f"fits to other segments decode every latent, and {few} needs each of them")


def _name_latents(latents: Sequence[LatentEvidence]) -> str:
    """Name latents by their numbers."""
    return f"latent{'' if len(latents) == 1 else 's'} {', '.join(str(one['latent']) for one in latents)}"


def _judge_pca(scores: Scores, noun: str, n_channels: int) -> CertificateLine:
    name: LineName = "better than PCA"
    intervals = scores.get("intervals") or {}
    ends = intervals.get("difference_r2")
    if scores.get("on") != HELD_OUT:
        return _skip(name, NOTHING_HELD_OUT)
    if not ends or not np.isfinite(ends).all():
        return _skip(name, "the R2 of the held-out data cannot be computed")
    value, (low, high) = scores["difference_r2"], ends
    found = {"value": value, "low": low, "high": high, "n": intervals["n"], "over": intervals["over"]}
    judge, shown = partial(_line, name, "R2 more", found), f"R2 {value:+.3f} [{low:.3f}, {high:.3f}]"
    # where latents equal PCA's, the decoder gains a hair on every segment: significant, and nothing
    if high < find_least_gain(scores["pca_r2"]):
        how = "worse" if high < 0 and low <= -ROUNDED_R2 else "no better"
        # with as many axes PCA is exact, whatever the data
        if len(scores.get("channels") or ()) >= n_channels > 0:
            each = f"as many axes as {noun}s give all of them back, and compress nothing"
            return judge("fail", f"{how} than PCA ({shown}): {each}")
        return judge("fail", f"{how} than PCA ({shown}): PCA is enough, and simpler")
    if low > 0:
        return judge("pass", f"better than PCA by {shown}")
    return judge("doubtful", f"not shown to be better than PCA ({shown}): take PCA, or {MORE}")


def _judge_future(scores: Scores) -> CertificateLine:
    name: LineName = "predicts the future"
    rollout = scores.get("rollout") or {}
    beyond = rollout.get("beyond") or {}
    if scores.get("on") != HELD_OUT:
        return _skip(name, NOTHING_HELD_OUT)
    if "rollout" not in beyond:
        return _skip(name, beyond.get("not_measured") or rollout.get("not_measured") or "no rollouts were scored")
    ours, stay, ar3 = (beyond[key] for key in ("rollout", "over_stay", "over_ar3"))
    judge = partial(_line, name, "R2", ours)
    ahead = " to ".join(f"{lead * rollout['step_s']:.3g}" for lead in dict.fromkeys(beyond["leads"])) + " s ahead"
    useless = "interpret no velocity and no simulated path"
    # a wide interval around 0 shows neither that rollouts predict nor that they do not
    if ours["value"] <= 0 and ours["high"] < LITTLE_R2:
        return judge("fail", f"{ahead} rollouts predict no better than the mean: {useless}")
    if stay["high"] < 0:
        return judge("fail", f"{ahead} rollouts predict less than persistence does: {useless}")
    if ours["low"] <= 0:
        return judge("doubtful", f"{ahead} rollouts are not shown to predict more than the mean: {MORE}")
    if stay["low"] <= 0:
        return judge("doubtful", f"{ahead} rollouts predict no better than persistence: velocities may be noise")
    if ar3["high"] < 0:
        return judge("doubtful", f"{ahead} a linear autoregression predicts more than rollouts: forecast by that one")
    beside = "more" if ar3["low"] > 0 else "no more"
    return judge(
        "pass", f"{ahead} rollouts predict more than persistence does, and {beside} than a linear autoregression"
    )


def _line(name: LineName, number: str, found: Mapping[str, Any], verdict: Verdict, sentence: str) -> CertificateLine:
    """Make a line; one that passes on few segments is doubtful, since its interval is too narrow."""
    # a percentile interval over so few is too narrow (Efron and Tibshirani 1993)
    if verdict == "pass" and found["over"] in ("segments", "blocks") and found["n"] < FEW_BLOCKS:
        verdict = "doubtful"
        few = f"that rests on {found['n']} held-out {found['over']}"
        # of a short recording more held out is less to learn from
        sentence = f"{sentence}, but {few}: {MORE}"
    value, low, high = (None if found[key] is None else float(found[key]) for key in ("value", "low", "high"))
    return {
        "line": name,
        "verdict": verdict,
        "number": number,
        "value": value,
        "low": low,
        "high": high,
        "n": int(found["n"]),
        "over": str(found["over"]),
        "sentence": name_arguments(sentence),
    }


def _skip(name: LineName, why: str) -> CertificateLine:
    return {
        "line": name, "verdict": "not measured", "number": "", "value": None, "low": None, "high": None, "n": 0,
        "over": "", "sentence": f"{name} was not measured: {name_arguments(why)}",
    }  # fmt: skip

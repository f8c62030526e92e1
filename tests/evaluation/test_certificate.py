"""Verdicts follow from scores: each line on both sides of its threshold, and what a reader is advised."""

from __future__ import annotations

from typing import Any

import pytest

from nwb_dcf.data.certificate import LINES, CertificateLine
from nwb_dcf.evaluation.certificate import certify_scores


def interval(value: float, low: float, high: float, n: int = 30) -> dict[str, Any]:
    return {"value": value, "low": low, "high": high, "level": 0.95, "n": n, "over": "segments"}


def make_invented(*latents: tuple[float, float], theirs: float = 0.98) -> dict[str, Any]:
    """What refits decode of each latent, and what it adds, each with a narrow interval; by default of sound ones."""
    return {
        "fits": 3,
        "latents": [
            {
                "latent": i, "decoded": decoded, "decoded_low": decoded - 0.01, "decoded_high": decoded + 0.01,
                "gain": gain, "gain_low": gain - 0.01, "gain_high": gain + 0.01,
            }
            for i, (decoded, gain) in enumerate(latents or ((0.99, 0.1), (0.98, 0.05), (0.95, 0.02)), 1)
        ],
        "theirs": [0.99, 0.99, theirs],
        "few_shot_r2": 0.15, "few": 5, "of": 40, "over": "segments", "n": 30, "unseen_over": "segments",
    }  # fmt: skip


def make_scores(**changes: Any) -> Any:
    """Scores of a fit with which nothing is wrong."""
    top = {"channel": 7, "loading_share": 0.2, "decoder_share": 0.1}
    return {
        "on": "held-out data",
        "bottleneck_r2": 0.4,
        "pca_r2": 0.35,
        "difference_r2": 0.05,
        "intervals": {"difference_r2": [0.04, 0.06], "level": 0.95, "n": 30, "over": "segments"},
        "channels": [{"latent": 1, "effective_channels": 20.0, "one_channel": False, "top": [top]}],
        "left_out": {**interval(0.2, 0.18, 0.22), "channels": 40, "chance": {"p": 0.05}},
        "shifted_apart": {"value": 0.3, "nulls": [0.1] * 39, "p": 1 / 40, "over": "segments"},
        "agreement": {"fits": 3, "groups": [[1, 2], [3]], "planes": [0.97, 0.95], "invented": make_invented()},
        "rollout": {
            "step_s": 0.02,
            "beyond": {
                "leads": [5, 8],
                "rollout": interval(0.3, 0.2, 0.4),
                "over_stay": interval(0.1, 0.05, 0.15),
                "over_ar3": interval(0.0, -0.05, 0.05),
            },
        },
        **changes,
    }


def find(name: str, **changes: Any) -> CertificateLine:
    lines = {line["line"]: line for line in certify_scores(make_scores(**changes))}
    assert list(lines) == list(LINES)
    return lines[name]  # type: ignore[index]


def test_a_sound_fit_passes_every_line() -> None:
    assert {line["verdict"] for line in certify_scores(make_scores())} == {"pass"}


@pytest.mark.parametrize(
    ("ends", "verdict", "words"),
    [
        ([0.001, 0.02], "pass", "better than PCA by"),
        ([0.0001, 0.003], "fail", "no better than PCA"),  # latents that equal PCA's to three digits
        ([-0.01, 0.03], "doubtful", "not shown to be better"),
        ([-0.002, 0.003], "fail", "no better than PCA"),
        ([-0.03, -0.01], "fail", "worse than PCA"),
    ],
)
def test_pca(ends: list[float], verdict: str, words: str) -> None:
    line = find("better than PCA", intervals={"difference_r2": ends, "n": 30, "over": "segments"})
    assert (line["verdict"], [line["low"], line["high"]], line["n"]) == (verdict, ends, 30)
    assert words in line["sentence"]


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("pca_r2", [-0.146, 0.35])
def test_a_difference_of_arithmetic_is_neither_worse_nor_better(sign: int, pca_r2: float) -> None:
    # the initial model is PCA's but for rounding, also where three axes explain nothing of held-out frames
    ends = sorted([sign * 2e-7, sign * 3e-7])
    intervals = {"difference_r2": ends, "n": 30, "over": "segments"}
    line = find("better than PCA", intervals=intervals, difference_r2=sign * 2e-7, pca_r2=pca_r2)
    assert line["verdict"] == "fail"
    assert "no better than PCA" in line["sentence"]


@pytest.mark.parametrize(("fraction", "verdict"), [(0.3, "pass"), (0.4, "doubtful"), (0.6, "fail")])
def test_one_channel_by_loading_or_through_the_decoder(fraction: float, verdict: str) -> None:
    for shares in ((0.1, fraction), (fraction, None)):
        top = {"channel": "u5", "loading_share": shares[0], "decoder_share": shares[1]}
        line = find("not one channel", channels=[{"latent": 2, "top": [top]}])
        assert (line["verdict"], line["value"]) == (verdict, fraction)
        if verdict == "fail":
            assert "latent 2 is channel u5, 60% of it" in line["sentence"]
            assert "`scale='zscore'`" in line["sentence"]  # Python's argument; the command line turns it back


def test_few_held_out_blocks_are_no_reason_to_hold_out_more_alone() -> None:
    # of a recording of half a minute more held out leaves too little to learn from
    few = {**interval(0.25, 0.07, 0.58, n=8), "over": "blocks", "channels": 7, "chance": {"p": 0.05}}
    line = find("predicts left-out channels", left_out=few)
    assert line["verdict"] == "doubtful"
    assert line["sentence"].endswith("rests on 8 held-out blocks: record longer, or hold more out with `held_out=`")
    made = make_scores(difference_r2=0.05)
    made["intervals"]["difference_r2"] = [-0.01, 0.11]
    line = next(line for line in certify_scores(made, channel="unit") if line["line"] == "better than PCA")
    assert line["sentence"].endswith(": take PCA, or record longer, or hold more out with `held_out=`")


def test_z_scores_are_no_advice_where_they_were_taken() -> None:
    top = {"channel": 5, "loading_share": 0.6, "decoder_share": None}
    lines = certify_scores(make_scores(channels=[{"latent": 2, "top": [top]}]), channel="unit", scale="zscore")
    sentence = next(line["sentence"] for line in lines if line["line"] == "not one channel")
    assert sentence == "latent 2 is unit 5, 60% of it: leave that unit out with `units=`, and fit again"


def test_the_verdict_names_every_latent_that_is_one_channel_and_advises_what_can_be_done() -> None:
    tops = [{"channel": i, "loading_share": share, "decoder_share": None} for i, share in enumerate((0.9, 0.97, 0.8))]
    latents = [{"latent": i, "top": [top]} for i, top in enumerate(tops, 1)]
    made = make_scores(channels=latents, difference_r2=-0.003)
    made["intervals"]["difference_r2"] = [-0.004, -0.002]
    lines = {line["line"]: line for line in certify_scores(made, channel="unit", n_channels=3)}
    own = lines["not one channel"]
    assert (own["verdict"], own["value"]) == ("fail", 0.97)
    assert own["sentence"] == (
        "3 latents of 3 units compress nothing, and latents 1 (unit 0, 90%), 2 (unit 1, 97%), 3 (unit 2, 80%) are one "
        "unit each: look at the units themselves, or record more"
    )
    # PCA gives back three units from three axes, and is no answer either
    assert "as many axes as units give all of them back" in lines["better than PCA"]["sentence"]
    lines = {line["line"]: line for line in certify_scores(made, channel="unit", n_channels=4)}
    assert lines["better than PCA"]["sentence"].endswith("PCA is enough, and simpler")


@pytest.mark.parametrize(
    ("value", "low", "high", "p", "verdict"),
    [
        (0.1, 0.01, 0.2, 0.05, "pass"),
        (0.1, 0.01, 0.2, 0.2, "doubtful"),
        (0.1, 0.01, 0.2, None, "doubtful"),
        (0.1, -0.01, 0.2, 0.05, "doubtful"),
        (-0.01, -0.02, -0.005, 0.05, "fail"),
        # a wide interval around 0 shows nothing, as of latents from which position is decoded
        (-0.008, -0.1, 0.14, 0.05, "doubtful"),
    ],
)
def test_left_out_channels(value: float, low: float, high: float, p: float | None, verdict: str) -> None:
    left_out = {**interval(value, low, high), "chance": {"p": p}}
    assert find("predicts left-out channels", left_out=left_out)["verdict"] == verdict


def test_noise_by_shifts_and_by_fits_where_there_are_enough() -> None:
    def shifted(p: float) -> CertificateLine:
        nulls = [0.1, 0.28, *[0.2] * 37]
        return find("not made of noise", shifted_apart={"value": 0.3, "nulls": nulls, "p": p})

    assert [shifted(p)["verdict"] for p in (0.025, 0.05, 0.1)] == ["pass", "doubtful", "fail"]
    line = shifted(0.025)
    assert [line[key] for key in ("value", "low", "high")] == pytest.approx([0.1, 0.02, 0.2])  # type: ignore[literal-required]
    null = {"fits": 19, "bottleneck_r2": [0.5] * 19, "p": 1.0}
    assert (find("not made of noise", null=null)["verdict"], find("not made of noise", null=null)["over"]) == (
        "fail",
        "fits",
    )
    few = {"fits": 5, "bottleneck_r2": [0.5] * 5, "p": None}
    assert find("not made of noise", null=few)["verdict"] == "pass"


@pytest.mark.parametrize(
    ("planes", "verdict", "words"),
    [
        ([0.97, 0.95], "pass", "same latents"),
        ([0.97, 0.8], "doubtful", "find latent 3 again in part: record longer, and rest nothing on it alone"),
        ([0.97, 0.5], "fail", "do not find latent 3 again: fit with `dim=2`"),
        ([0.5, 0.5], "fail", "latent 1-2, 3 again: record longer"),
    ],
)
def test_found_again(planes: list[float], verdict: str, words: str) -> None:
    line = find("found again", agreement={"fits": 3, "groups": [[1, 2], [3]], "planes": planes})
    assert (line["verdict"], line["value"], line["over"]) == (verdict, min(planes), "fits")
    assert words in line["sentence"]


def test_axes_that_turn_within_a_space_that_is_found_are_doubtful() -> None:
    agreement = {"fits": 3, "groups": [[1], [2], [3]], "planes": [0.97, 0.5, 0.5], "space": 0.95}
    line = find("found again", agreement=agreement)
    assert (line["verdict"], line["value"]) == ("doubtful", 0.5)
    assert "latent 2, 3 turns" in line["sentence"]
    # the third latent of a worm: 0.88 of it is found, and what all three span is found no better
    part = {"fits": 3, "groups": [[1], [2], [3]], "planes": [0.92, 0.95, 0.88], "space": 0.88}
    assert "turns" not in find("found again", agreement=part)["sentence"]
    assert find("found again", agreement={**agreement, "space": 0.4})["verdict"] == "fail"


@pytest.mark.parametrize(
    ("latents", "theirs", "verdict", "words"),
    [
        ([(0.99, 0.1), (0.95, 0.02)], 0.98, "pass", "decode every latent, and a readout learned on 5 of 40"),
        ([(0.99, 0.1), (0.3, -0.02)], 0.98, "fail", "cannot decode latent 2, and a readout learned on 5 of 40"),
        ([(0.99, 0.1), (0.3, -0.02), (0.2, -0.03)], 0.98, "fail", "latents 2, 3"),
        ([(0.3, -0.02), (0.99, 0.1)], 0.98, "fail", "better without: nothing that was found is to be interpreted"),
        # weak and not yet found again, but of use; found again, but of no use; and one sided
        ([(0.99, 0.1), (0.6, 0.02)], 0.98, "doubtful", "decode latent 2 in part: record longer"),
        ([(0.99, 0.1), (0.99, -0.02)], 0.98, "doubtful", "better without latent 2: few channels"),
        ([(0.99, 0.1), (0.95, 0.02)], 0.4, "doubtful", "hold latents that this one cannot decode (R2 0.40)"),
    ],
)
def test_invented(latents: list[tuple[float, float]], theirs: float, verdict: str, words: str) -> None:
    line = find("not invented", agreement={"fits": 3, "invented": make_invented(*latents, theirs=theirs)})
    assert (line["verdict"], line["value"]) == (verdict, min(decoded for decoded, _ in latents))
    assert words in line["sentence"]


def test_invented_latents_are_advised_against_by_the_argument() -> None:
    line = find("not invented", agreement={"fits": 3, "invented": make_invented((0.99, 0.1), (0.3, -0.02))})
    assert line["sentence"].endswith("fit with `dim=1`")
    pixels = find("not invented", agreement={"fits": 3, "invented": {"not_measured": "pixels are no channels"}})
    assert pixels["sentence"] == "not invented was not measured: pixels are no channels"


@pytest.mark.parametrize(
    ("rollout", "stay", "ar3", "verdict"),
    [
        ((0.3, 0.2, 0.4), (0.05, 0.1), (-0.1, 0.1), "pass"),
        ((-0.1, -0.2, 0.05), (0.05, 0.1), (-0.1, 0.1), "fail"),
        ((-0.1, -0.6, 0.3), (0.05, 0.1), (-0.1, 0.1), "doubtful"),
        ((0.1, -0.1, 0.3), (0.05, 0.1), (-0.1, 0.1), "doubtful"),
        ((0.3, 0.2, 0.4), (-0.2, -0.1), (-0.1, 0.1), "fail"),
        ((0.3, 0.2, 0.4), (-0.1, 0.1), (-0.1, 0.1), "doubtful"),
        ((0.3, 0.2, 0.4), (0.05, 0.1), (-0.2, -0.1), "doubtful"),
    ],
)
def test_the_future(rollout: Any, stay: Any, ar3: Any, verdict: str) -> None:
    beyond = {
        "leads": [5, 8], "rollout": interval(*rollout), "over_stay": interval(0.0, *stay),
        "over_ar3": interval(0.0, *ar3),
    }  # fmt: skip
    line = find("predicts the future", rollout={"step_s": 0.02, "beyond": beyond})
    assert line["verdict"] == verdict
    assert line["sentence"].startswith("0.1 to 0.16 s ahead")


def test_few_segments_are_no_ground_for_a_pass_but_one_for_a_fail() -> None:
    few = {"difference_r2": [0.01, 0.02], "n": 4, "over": "blocks"}
    line = find("better than PCA", intervals=few)
    assert line["verdict"] == "doubtful"
    assert "rests on 4 held-out blocks" in line["sentence"]
    assert find("better than PCA", intervals={**few, "difference_r2": [-0.02, -0.01]})["verdict"] == "fail"


def test_what_was_not_measured_is_not_judged_and_says_why() -> None:
    lines = {line["line"]: line for line in certify_scores({"on": "training data (nothing was held out)"})}
    assert {line["verdict"] for line in lines.values()} == {"not measured"}
    assert all(line["value"] is None for line in lines.values())
    assert "nothing was held out: give `held_out=0.2`" in lines["better than PCA"]["sentence"]
    assert "`certify=True`" in lines["found again"]["sentence"]
    stopped = find("found again", agreement={"fits": 1, "stopped": "interrupted"})
    assert "stopped: interrupted" in stopped["sentence"]

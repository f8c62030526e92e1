"""Each line of what a fit found, from the dict alone."""

from __future__ import annotations

from typing import Any

import pytest

from nwb_dcf.cli.fit_report import describe_findings
from nwb_dcf.cli.score_table import describe_scores

SCORES: dict[str, Any] = {
    "on": "held-out data",
    "bottleneck_r2": 0.4241,
    "pca_r2": 0.38,
    "difference_r2": 0.0441,
    "intervals": {"bottleneck_r2": [0.41, 0.437], "pca_r2": [0.37, 0.39], "difference_r2": [0.03, 0.055]},
}


def describe(scores: dict[str, Any], support: dict[str, Any] | None = None, dim: int = 3) -> str:
    return "\n".join(describe_findings({"scores": scores, "dim": dim, "k_eff": 14, "support": support}))


def tabulate(scores: dict[str, Any], *, verbose: bool = False, **report: Any) -> list[str]:
    lines = describe_scores({"scores": scores, "dim": 3, **report}, verbose=verbose)
    return [" ".join(line.split()) for line in lines]


def test_scores_are_shown_with_their_intervals() -> None:
    assert tabulate(SCORES) == [
        "scores DCF PCA difference",
        "R2 of held-out data, 3 latents 0.424 [0.410, 0.437] 0.380 [0.370, 0.390] 0.044 [0.030, 0.055]",
    ]


def test_counts_have_their_deviance_and_paths_their_length() -> None:
    more = {"deviance_explained": 0.21, "pca_deviance_explained": 0.2, "smoothness": 3.04, "pca_smoothness": 3.46}
    lines = tabulate({**SCORES, **more}, verbose=True)
    assert lines[2:] == [
        "Poisson deviance explained, unsmoothed counts 0.210 0.200",
        "length of paths over their displacement 3.0 3.5",
    ]
    assert lines[:3] == tabulate({**SCORES, **more})


def test_null_tells_its_range_its_p_and_what_survives() -> None:
    null = {"fits": 39, "bottleneck_r2": [0.05, 0.06], "pca_r2": [0.04, 0.04], "p": 1 / 40, "pca_p": 0.3}
    text = describe({"null": {**null, "survives": "the trial mean survives"}})
    assert "null      39 fits to channels shifted apart in time: 3 latents R2 0.050 to 0.060 (p 0.025, the" in text
    assert "PCA 0.040 (p 0.3)" in text
    assert "the trial mean survives" in text
    stopped = {**null, "fits": 0, "bottleneck_r2": [], "pca_r2": [], "p": None, "pca_p": None, "stopped": "interrupted"}
    assert "not measured (stopped: interrupted)" in describe({"null": {**stopped, "survives": ""}})


def test_agreement_is_axis_by_axis_and_by_plane_where_variances_are_close() -> None:
    agreement = {
        "fits": 3, "over": "blocks", "groups": [[1, 2], [3]], "axes": [0.8, 0.81, 0.99], "planes": [0.97, 0.99],
        "pca_axes": [0.7, 0.71, 1.0], "pca_planes": [0.98, 1.0],
    }  # fmt: skip
    text = describe({"agreement": agreement})
    assert "3 fits to resampled blocks: 0.80, 0.81, 0.99; PCA's 0.70, 0.71, 1.00" in text
    assert "span of 1 and 2 0.97, PCA's 0.98" in text
    assert "span of 3" not in text
    assert "not measured (stopped: no)" in describe({"agreement": {"fits": 1, "stopped": "no"}})


def test_refits_are_told_latent_by_latent() -> None:
    one = {"latent": 1, "decoded": 0.99, "gain": 0.04}
    invented = {
        "latents": [one, {"latent": 2, "decoded": 0.3, "gain": -0.01}], "theirs": [0.98, 0.4], "few": 5, "of": 40,
        "over": "segments", "few_shot_r2": 0.15,
    }  # fmt: skip
    agreement = {
        "fits": 3, "over": "segments", "axes": [0.9], "groups": [[1]], "planes": [0.9], "pca_axes": [0.9],
        "pca_planes": [0.9], "invented": invented,
    }  # fmt: skip
    text = describe({"agreement": agreement})
    assert "latents 1, 2, ... decoded from the other fits: R2 0.990, 0.300; theirs from this one: 0.980, 0.400" in text
    assert "read out after 5 of 40 training segments: R2 0.150; without latent 1, 2, ... less by 0.040, -0.010" in text
    assert "decoded from the other" not in describe({"agreement": {**agreement, "invented": {"not_measured": "no"}}})


def test_latents_that_look_ahead_come_with_a_warning() -> None:
    def support(frames: int, sigma_s: float) -> dict[str, Any]:
        smoothing = {"sigma_s": sigma_s, "reach_s": 4 * sigma_s}
        causal = frames == 0 and sigma_s == 0
        return {"frames_after": frames, "seconds": frames * 0.1, "causal": causal, "smoothing": smoothing}

    both = "support   latents see 2 frames (200 ms) and a 100 ms Gaussian to either side: no latencies from them"
    assert both in describe({}, support(2, 0.1))
    assert "latents see 1 frame (100 ms) to either side" in describe({}, support(1, 0))
    assert "latents see a 1.5 s Gaussian to either side" in describe({}, support(0, 1.5))
    assert "support" not in describe({}, support(0, 0))
    assert "support" not in describe({})


@pytest.mark.parametrize("p", [1 / 6, None])  # fits of before hold a p of few nulls
def test_few_nulls_give_no_p_and_say_what_they_could_show(p: float | None) -> None:
    null = {"fits": 5, "bottleneck_r2": [0.05] * 5, "pca_r2": [0.04] * 5, "p": p, "pca_p": p, "survives": "the mean"}
    text = describe({"null": null})
    assert "(p " not in text
    assert "too few for a p: 5 could show no less than 0.17; give --null 19 or more" in text


def test_a_curve_below_pca_is_reported() -> None:
    report = {"scores": SCORES, "dim": 3, "support": None}
    curves = {"bottleneck_r2": [0.1, 0.2, 0.3, 0.4, 0.5, float("nan")], "pca_r2": [0.15, 0.25, 0.25, 0.3, 0.6, 1.0]}
    assert "below PCA with 1 to 2, 5 latents of 6" in "\n".join(describe_scores({**report, **curves}))
    text = "\n".join(describe_scores({**report, **curves}))
    assert "to use 1 to 2, 5, fit again with that --dim" in text
    assert "below PCA" not in "\n".join(describe_scores({**report, "bottleneck_r2": [0.2], "pca_r2": [0.2]}))
    # three channels have no more than three latents, and the fit has them
    few = {"bottleneck_r2": [0.1, 0.2, 0.9], "pca_r2": [0.15, 0.25, 1.0]}
    text = "\n".join(describe_scores({**report, **few}))
    assert "below PCA with 1 to 3 latents of 3" in text
    assert "fit again" not in text

"""The sentence that a comparison ends in."""

from __future__ import annotations

from typing import Any

import pytest

from nwb_dcf.compare.verdict import judge_comparison

SAME, ABOVE, BELOW = (-0.01, 0.01), (0.01, 0.03), (-0.03, -0.01)


def make_rows(**methods: dict[str, tuple[float, float]]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [{"method": "DCF"}]
    for name, asked in methods.items():
        differences = {key: {"value": (low + high) / 2, "low": low, "high": high} for key, (low, high) in asked.items()}
        rows.append({"method": name, "differences": differences})
    return rows


@pytest.mark.parametrize(
    ("rows", "n", "words", "not_words"),
    [
        (
            make_rows(PCA={"reconstruction": SAME, "linear": SAME}),
            20,
            ["PCA is enough"],
            ["doubtful", "better than PCA"],
        ),
        (make_rows(PCA={"reconstruction": BELOW}), 20, ["PCA is enough, and better: it reconstructs"], []),
        (
            make_rows(PCA={"reconstruction": ABOVE, "linear": BELOW}),
            20,
            ["DCF reconstructs held-out data better than PCA", "worse it decodes behaviour linearly"],
            ["enough"],
        ),
        (
            make_rows(PCA={"reconstruction": ABOVE}, VAE={"reconstruction": BELOW}),
            20,
            ["VAE reconstructs held-out data better than DCF"],
            ["no other method"],
        ),
        (make_rows(PCA={"reconstruction": ABOVE}, VAE={"reconstruction": SAME}), 20, ["no other method"], []),
        (make_rows(PCA={"reconstruction": ABOVE}), 5, ["doubtful, since it rests on 5 held-out segments"], []),
        (make_rows(VAE={"reconstruction": SAME}), 20, ["no other method is measurably better"], ["PCA"]),
    ],
)
def test_the_verdict_says_what_the_intervals_say(
    rows: list[dict[str, Any]], n: int, words: list[str], not_words: list[str]
) -> None:
    sentence = judge_comparison(rows, n, "segments")
    assert all(word in sentence for word in words), sentence
    assert not any(word in sentence for word in not_words), sentence
    assert sentence


def test_a_lead_within_the_difference_of_two_fits_is_none() -> None:
    # on a track one fit of CEBRA led by .16 [.02, .28], and the other decoded .12 less
    for unlike, leads in ((None, True), (0.005, True), (0.12, False)):
        rows = make_rows(PCA={"linear": SAME}, CEBRA={"linear": BELOW})
        rows[2]["unlike"] = unlike
        sentence = judge_comparison(rows, 20, "segments")
        assert ("CEBRA decodes behaviour linearly better than DCF" in sentence) == leads
        assert ("no other method is measurably better" in sentence) != leads


def test_a_method_that_was_asked_nothing_is_not_called_no_better() -> None:
    rows = make_rows(PCA={"reconstruction": SAME}, CEBRA={})
    sentence = judge_comparison(rows, 20, "segments")
    assert "no other method" not in sentence
    assert "CEBRA gave nothing to compare: name behaviour with `against=`, or give `certify=True`" in sentence
    assert "no other method" in judge_comparison([*rows, *make_rows(VAE={"linear": SAME})[1:]], 20, "segments")
    # what failed has a line of its own
    rows[2]["failed"] = "RuntimeError: it cannot"
    assert "CEBRA" not in judge_comparison(rows, 20, "segments")


def test_what_is_decoded_by_chance_alone_is_named() -> None:
    rows = make_rows(PCA={"linear": ABOVE})
    chance: Any = {"linear": {"p": 0.3}, "neighbours": {"p": 0.05}}
    text = judge_comparison(rows, 20, "segments", chance=chance)
    assert "DCF decodes behaviour linearly no better than behaviour shifted in time" in text
    assert "shifted" not in judge_comparison(rows, 20, "segments", chance={"linear": {**chance["linear"], "p": 0.05}})


@pytest.mark.parametrize("pca", [0.284, -0.146])
@pytest.mark.parametrize(("low", "high", "said"), [(1e-6, 3e-5, "PCA is enough: "), (1e-3, 0.03, "DCF reconstructs")])
def test_a_hair_on_every_segment_is_no_gain(low: float, high: float, said: str, pca: float) -> None:
    difference = {"value": (low + high) / 2, "low": low, "high": high}
    row = {
        "method": "PCA",
        "scores": {"reconstruction": {"value": pca, "low": pca - 0.1, "high": pca + 0.1}},
        "differences": {"reconstruction": difference},
    }
    assert judge_comparison([{"method": "DCF"}, row], 20, "blocks").startswith(said)


def test_pca_is_not_enough_where_another_method_finds_more() -> None:
    rows = make_rows(PCA={"reconstruction": SAME}, autoencoder={"reconstruction": BELOW})
    said = judge_comparison(rows, 20, "blocks")
    assert "enough" not in said
    assert said.startswith("DCF is not measurably better than PCA at anything that was asked; autoencoder reconstructs")

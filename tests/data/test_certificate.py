"""A certificate in three answers, and the best of several fits."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from nwb_dcf.data.certificate import LINES, CertificateLine, choose_best, summarise_certificate
from nwb_dcf.data.result import DCFResult


def make_lines(**verdicts: str) -> list[CertificateLine]:
    """Lines that pass, but for those named by their first word."""
    lines: list[Any] = []
    for name in LINES:
        verdict = next((v for word, v in verdicts.items() if word in name), "pass")
        value = None if verdict == "not measured" else 0.25
        lines.append(
            {
                "line": name, "verdict": verdict, "number": "R2", "value": value, "low": 0.2, "high": 0.3, "n": 20,
                "over": "segments", "sentence": f"{name}: {verdict}",
            }
        )  # fmt: skip
    return lines


def test_three_questions_are_answered_by_their_worst_line() -> None:
    found = {one["group"]: one for one in summarise_certificate(make_lines(noise="doubtful", channel="fail"))}
    assert [one["verdict"] for one in found.values()] == ["fail", "pass", "pass"]
    # what fails comes before what is doubtful, and what passes is left out
    assert found["latents"]["sentence"] == (
        "predicts left-out channels: fail; not one channel: fail; not made of noise: doubtful"
    )


def test_a_question_passes_with_its_numbers_and_names_what_was_not_asked() -> None:
    answers = summarise_certificate(make_lines(again="not measured"))
    assert answers[0]["verdict"] == "pass"
    assert "predicts left-out channels (R2 0.250 [0.200, 0.300])" in answers[0]["sentence"]
    assert answers[0]["sentence"].endswith("; not measured: found again")
    nothing = summarise_certificate(make_lines(future="not measured"))[2]
    assert (nothing["verdict"], nothing["sentence"]) == ("not measured", "predicts the future: not measured")
    assert summarise_certificate([]) == []


def test_the_best_has_the_fewest_failures() -> None:
    sound, doubted, failed = make_lines(), make_lines(PCA="doubtful"), make_lines(PCA="fail")
    assert choose_best({"a": failed, "b": doubted, "c": sound}) == "c"
    assert choose_best({"a": failed, "b": doubted}) == "b"
    assert choose_best({"a": make_lines(again="not measured"), "b": sound}) == "b"
    # one alone, one beside a fit without certificate, and two alike have no best
    assert choose_best({"a": sound}) is choose_best({"a": sound, "b": []}) is choose_best({"a": sound, "b": sound})
    better = make_lines()
    better[0] = {**better[0], "value": 0.3}
    assert choose_best({"a": sound, "b": better}) == "b"


def test_the_summary_of_a_result_has_the_answers() -> None:
    dataset = xr.Dataset({"latents": (("time", "latent"), np.zeros((5, 2))), "mean": ("unit", np.zeros(4))})
    result = DCFResult(dataset.assign_attrs(scores={"certificate": make_lines(PCA="fail")}), {}, {}, b"weights")
    assert "beside PCA  fail: better than PCA: fail" in result.summary()
    assert result.certificate[0]["line"] == "predicts left-out channels"
    assert DCFResult(dataset, {}, {}, b"weights").certificate == []


def test_a_reason_that_lines_have_in_common_is_given_once() -> None:
    names = ("predicts left-out channels", "not made of noise", "not one channel", "found again", "not invented")
    whys = ("pixels are no channels", "pixels are no channels", "too many", "give --certify", "give --certify")
    line: CertificateLine = {
        "line": "", "verdict": "not measured", "number": "", "value": None, "low": None, "high": None, "n": 0,
        "over": "", "sentence": "",
    }  # fmt: skip
    lines = [{**line, "line": n, "sentence": f"{n} was not measured: {w}"} for n, w in zip(names, whys, strict=True)]
    assert summarise_certificate(lines)[0]["sentence"] == (
        "no answer to 'predicts left-out channels' and 'not made of noise' (pixels are no channels); to 'not one "
        "channel' (too many); to 'found again' and 'not invented' (give --certify)"
    )

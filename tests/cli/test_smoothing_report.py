"""What a report says of the choice of smoothing and scale, and of a scan."""

from __future__ import annotations

from typing import Any

from nwb_dcf.cli.smoothing_report import describe_scan, describe_smoothing

CHOICE: dict[str, Any] = {
    "smooth_s": 0.8,
    "scale": "zscore",
    "chosen": True,
    "rule": "chosen by what half of the units tells of the other half",
    "runner_up": {"smooth_s": 1.6, "scale": "soft", "score": 0.7512},
    "notes": ["each frame reaches 3.2 s to either side"],
    "table": {"smooth_s": [0.8, 1.6], "scale": ["zscore", "soft"], "score": [0.7634, 0.7512]},
}


def test_a_choice_takes_three_lines() -> None:
    lines = describe_smoothing({"smoothing": CHOICE, "bin_width_s": 0.1})
    assert lines == [
        "smoothing 0.8 s Gaussian, z-scores, in bins of 100 ms; next 1.6 s Gaussian, soft scale (0.75 beside 0.76)",
        "          chosen by what half of the units tells of the other half",
        "          each frame reaches 3.2 s to either side",
    ]


def test_a_standard_that_was_kept_says_why_and_names_no_rival() -> None:
    kept = {**CHOICE, "smooth_s": 0.04, "scale": "global", "chosen": False, "rule": "nothing is shared", "notes": []}
    lines = describe_smoothing({"smoothing": kept, "bin_width_s": None})
    assert lines == ["smoothing 0.04 s Gaussian, one scale for all", "          nothing is shared"]


def test_what_was_given_takes_no_line() -> None:
    assert describe_smoothing({"smoothing": None}) == describe_smoothing({}) == []


def test_a_scan_marks_what_is_taken_and_shows_decoding_only_if_asked() -> None:
    row = {"smooth_s": 0.8, "scale": "zscore", "score": 0.76, "median_r2": 0.004, "taken": True}
    other = {**row, "smooth_s": 0.0, "score": None, "median_r2": None, "taken": False}
    scan: dict[str, Any] = {
        "file": "s.nwb",
        "source": {"path": "/units"},
        "dim": "unit",
        "channels": 31,
        "frames": 100,
        "against": None,
        "axes": 3,
        "rows": [row, other],
        "choice": CHOICE,
        "notes": [],
    }
    text = describe_scan(scan)
    assert "/units of s.nwb: 31 units, 100 frames" in text
    assert "neighbours" not in text
    marked = [line for line in text.splitlines() if line.startswith(">")]
    assert len(marked) == 1
    assert "0.8 s Gaussian" in marked[0]
    decoded = {"ridge": 0.1, "neighbours": 0.4}
    asked = describe_scan({**scan, "against": "/behavior/position", "rows": [{**row, **decoded}, {**other, **decoded}]})
    assert "neighbours" in asked
    assert "/behavior/position from 3 principal axes; no part of the choice" in asked

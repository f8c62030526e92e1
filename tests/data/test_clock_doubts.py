"""Each row of the table of doubts, and ordinary sessions on which none may arise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nwb_dcf.data.clock_doubts import (
    compare_spans,
    find_sample_doubts,
    find_span,
    find_spike_doubts,
    guess_column_scale,
)
from nwb_dcf.data.doubt import Doubt
from nwb_dcf.errors import name_arguments
from tests.io.recordings.field_files import simulate_trains

F4, F8, I8 = np.dtype("f4"), np.dtype("f8"), np.dtype("i8")
SINCE = 1.7e9


def _spikes(change: Any, **settings: Any) -> list[Doubt]:
    return find_spike_doubts([change(t) for t in simulate_trains()], **{"bin_width_s": 0.02, **settings})


ROWS: dict[str, tuple[Any, bool, tuple[str, ...]]] = {
    # row: the doubts, whether they refuse, words
    "sample numbers": (lambda: _spikes(lambda t: np.round(t * 3e4)), True, ("whole", "30000 Hz", "1/30000")),
    "sample numbers of a known rate": (
        lambda: _spikes(lambda t: np.round(t * 2.5e4), sampling_hz=[25000.0]),
        True,
        ("25000 Hz", "1/25000"),
    ),
    "whole nanoseconds": (lambda: _spikes(lambda t: np.round(t * 1e9)), True, ("nanoseconds", "1e-9")),
    "whole milliseconds": (lambda: _spikes(lambda t: np.round(t * 1e3)), False, ("milliseconds", "0.001")),
    "spikes in ms since 1970": (lambda: _spikes(lambda t: (t + SINCE) * 1e3), True, ("1970", "0.001")),
    "spikes in s since 1970": (lambda: _spikes(lambda t: t + SINCE), False, ("1970", "2023-11")),
    "float32 since 1970": (
        lambda: _spikes(lambda t: (t + SINCE).astype("f4").astype("f8"), dtype=F4),
        True,
        ("float32", "128 s"),
    ),
    "float32 that was widened": (
        lambda: _spikes(lambda t: (t + 2e5).astype("f4").astype("f8"), dtype=F8),
        False,
        ("float32 before they were written", "15.6 ms"),
    ),
    "slow for hours": (lambda: _spikes(lambda t: t * 1e3), False, ("milliseconds", "0.008 spikes")),
    "minutes": (lambda: _spikes(lambda t: t / 60), False, ("minutes", "`time_scale=60`")),
    "thousands of seconds": (lambda: _spikes(lambda t: t / 1e3), True, ("spikes/s", "1000")),
    "frame numbers": (lambda: find_sample_doubts(np.arange(500.0)), False, ("frame numbers", "1/RATE")),
    "whole nanoseconds of samples": (
        lambda: find_sample_doubts(np.round(np.arange(5000) * 1e9 / 30)),
        False,
        ("nanoseconds", "1e-9"),
    ),
    "samples since 1970": (lambda: find_sample_doubts(SINCE + np.arange(500) / 30), False, ("1970",)),
    "ROIs in ms": (lambda: find_sample_doubts(np.arange(500) * 100.0, kind="roi"), False, ("milliseconds", "0.001")),
    "the step in place of the rate": (
        lambda: find_sample_doubts(np.arange(500) * 30.0, kind="dff", rate_hz=1 / 30),
        False,
        ("30 Hz", "1/900"),
    ),
    "the rate of another device": (
        lambda: find_sample_doubts(np.arange(500) / 3e4, kind="fluorescence", rate_hz=3e4),
        False,
        ("30000 Hz",),
    ),
    "no rate known": (lambda: find_sample_doubts(np.arange(500.0), kind="video", rate_hz=1.0), False, ("1 Hz",)),
    "float32 late": (
        lambda: find_sample_doubts((1e5 + np.arange(500) / 30).astype("f4").astype("f8"), dtype=F4),
        False,
        ("float32", "7.81 ms"),
    ),
}


@pytest.mark.parametrize("row", ROWS)
def test_each_row_is_doubted_with_its_cause_and_way_out(row: str) -> None:
    find, refuses, words = ROWS[row]
    doubts = find()
    assert doubts, row
    text = name_arguments(" ".join(doubt.describe("/x") for doubt in doubts))
    assert [word for word in words if word not in text] == [], text
    assert any(doubt.refuses for doubt in doubts) == refuses, text


SPANS: dict[str, tuple[tuple[float, float], tuple[float, float], tuple[str, ...]]] = {
    "theirs in ms": ((0.5, 120.0), (0.0, 119e3), ("/x is in milliseconds", "x=0.001")),
    "ours in ms": ((500.0, 120e3), (0.0, 119.0), ("what is fitted is in milliseconds", "`time_scale=0.001`")),
    "theirs in us": ((0.5, 120.0), (0.0, 119e6), ("microseconds", "x=1e-6")),
    "theirs in samples": ((0.5, 120.0), (0.0, 119 * 3e4), ("sample numbers", "x=1/30000")),
    "theirs elsewhere": ((0.0, 120.0), (114.0, 234.0), ("5 %", "begin apart")),
    "theirs since 1970": ((0.0, 120.0), (SINCE, SINCE + 119), ("0 %", "1970")),
}


@pytest.mark.parametrize("kind", SPANS)
def test_spans_that_should_overlap_are_compared(kind: str) -> None:
    ours, theirs, words = SPANS[kind]
    doubt = compare_spans(ours, theirs, path="/x", name="x")
    assert doubt is not None
    text = name_arguments(doubt.describe("/x"))
    assert [word for word in words if word not in text] == [], text


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ((0.5, 120.0), (0.0, 119.0)),
        ((0.5, 3600.0), (1800.0, 1900.0)),  # a short block within a long session
        ((0.5, 120.0), (-10.0, 7000.0)),  # a table that goes on after the recording
        ((100.0, 220.0), (100.0, 200.0)),
        ((SINCE, SINCE + 120), (SINCE + 1, SINCE + 119)),
        ((0.0, 7200.0), (3000.0, 3007.0)),  # a thousandth, but not one that begins where the session does
    ],
)
def test_spans_of_an_ordinary_session_are_not_doubted(ours: tuple[float, float], theirs: tuple[float, float]) -> None:
    assert compare_spans(ours, theirs, path="/x", name="x") is None


@pytest.mark.parametrize("seed", range(20))
def test_ordinary_spikes_are_not_doubted(seed: int) -> None:
    rng = np.random.default_rng(seed)
    duration, start = rng.uniform(60, 86400), rng.choice([0.0, 5.0, 3600.0])
    n_units, rates = int(rng.integers(3, 40)), np.exp(rng.normal(0.7, 1.2, 40))
    trains = [
        start + np.sort(rng.uniform(0, duration, rng.poisson(rates[i] * min(duration, 3000)))) for i in range(n_units)
    ]
    if duration > 3000:
        trains = [start + (t - start) * 1.0 for t in trains]
    stored = [np.round(t * 3e4) / 3e4 for t in trains]
    assert find_spike_doubts(stored, bin_width_s=0.02, dtype=F8) == []


@pytest.mark.parametrize("kind", ["lfp", "video", "imaging", "dff", "fluorescence", "roi", "pose", "series"])
@pytest.mark.parametrize("seed", range(20))
def test_ordinary_samples_are_not_doubted(kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    ranges = {"lfp": (250, 30000), "video": (10, 500), "pose": (10, 500), "series": (0.1, 1000)}
    low, high = ranges.get(kind, (0.5, 400))
    rate = float(np.exp(rng.uniform(np.log(low), np.log(high))))
    time = rng.choice([0.0, 12.5, 2000.0]) + np.arange(2000) / rate
    jittered = time + rng.uniform(0, 0.2 / rate, len(time))
    assert find_sample_doubts(time, kind=kind, rate_hz=rate) == []
    assert find_sample_doubts(jittered, kind=kind, dtype=F8) == []


def test_a_time_scale_of_one_vouches_for_the_unit_and_not_for_the_type() -> None:
    assert _spikes(lambda t: np.round(t * 3e4), scale=1.0) == []
    assert _spikes(lambda t: (t + 2e5).astype("f4").astype("f8"), dtype=F4, scale=1.0) != []


def test_a_lone_row_far_away_is_no_span() -> None:
    start = np.append(np.arange(60.0), -1.5e9)
    assert find_span(start, start + 1) == (0.0, pytest.approx(60, abs=3))


def test_the_unit_of_a_column_is_guessed_from_where_it_would_lie() -> None:
    go = 6.0 * np.arange(20) + 1
    unit = guess_column_scale(go * 1e3, 0.0, 119.0)
    assert unit is not None
    assert unit.scale == "0.001"
    assert guess_column_scale(np.full(20, 0.3), 0.0, 119.0) is None


def test_a_time_decades_from_all_others_is_doubted_and_days_are_not() -> None:
    time = np.linspace(7.0, 2821.0, 40)
    found = find_sample_doubts(np.concatenate([[-1.5429e9], time]))
    assert [doubt.what for doubt in found] == ["1 of 41 times lies 49 years from the others, at -1.5429e+09 s"]
    for other in (time, np.concatenate([time, time + 3 * 365 * 86400.0]), np.array([-1.5e9, 3.0])):
        assert not any("years from" in doubt.what for doubt in find_sample_doubts(other))

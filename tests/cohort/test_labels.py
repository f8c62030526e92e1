from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from nwb_dcf.cohort.labels import (
    TrialClock,
    align_frames,
    choose_clock,
    fit_session_preprocessor,
    order_conditions,
    read_labels,
)
from nwb_dcf.data.recording import make_recording
from nwb_dcf.errors import DataError, ParameterError


def record(lengths: list[int], width: float = 0.1, **columns: np.ndarray) -> xr.Dataset:
    index = np.repeat(np.arange(len(lengths)), lengths)
    start = np.arange(len(lengths)) * 10.0
    within = np.concatenate([np.arange(n) for n in lengths])
    return make_recording(
        np.random.default_rng(0).poisson(2, (len(index), 3)).astype(np.float32),
        start[index] + (within + 0.5) * width,
        channel_dim="unit",
        segment_index=index,
        segment_start=start,
        segment_stop=start + np.array(lengths) * width,
        trial_columns=columns,
        units="count",
        kind="units",
        source={"file": "s.nwb", "path": "/units"},
        bin_width_s=width,
    )


def test_labels_of_a_column_are_text_and_numbers_have_no_point():
    recording = record([5, 5, 5], direction=np.array([0.0, 90.0, np.nan]))
    assert read_labels(recording, "trials.direction").tolist() == ["0", "90", ""]
    assert read_labels(recording, [np.inf, -np.inf, 1.5]).tolist() == ["inf", "-inf", "1.5"]
    assert read_labels(recording, ["a", "", "b"]).tolist() == ["a", "", "b"]


def test_another_spelling_is_named():
    recording = record([5, 5], direction=np.array([0, 1]))
    with pytest.raises(ParameterError, match="no column of trials 'directon'; did you mean direction"):
        read_labels(recording, "directon")
    with pytest.raises(DataError, match="for 2 trials"):
        read_labels(recording, ["a"])


def labels(*values: str) -> np.ndarray:
    return np.array(values, np.str_)


def test_conditions_of_two_sessions_are_kept_in_the_order_of_numbers():
    assert order_conditions({"a": labels("10", "9", "x"), "b": labels("9", "10", "y")}) == ["9", "10"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"a": labels("left"), "b": labels("Left")}, "no condition is in two sessions: a has left, b has Left"),
        ({"a": labels("1", "1"), "b": labels("1")}, "every trial has the label '1'"),
        ({"a": labels("", ""), "b": labels("1")}, "a: no trial has a label"),
        ({name: labels(*map(str, np.arange(150) / 7)) for name in "ab"}, "a measurement, not conditions"),
        ({name: labels(*map(str, range(30))) for name in "ab"}, r"every trial has a label of its own \(0, 1, 2, 3"),
    ],
)
def test_labels_that_name_no_conditions_are_refused(given: dict[str, np.ndarray], message: str):
    with pytest.raises(DataError, match=message):
        order_conditions(given)


def test_bins_are_those_that_most_trials_reach():
    clock = choose_clock({"a": record([9] * 9 + [5]), "b": record([12] * 10)}, 1.0)
    assert (clock.n_bins, clock.bin_width_s, clock.smooth_s) == (9, 0.1, 0.1)


def test_bins_of_another_width_and_short_trials_are_refused():
    with pytest.raises(DataError, match=r"b: bins of 0\.05 s, while a has 0\.1 s"):
        choose_clock({"a": record([9]), "b": record([9], width=0.05)}, 1.0)
    with pytest.raises(DataError, match=r"b: its trials have 3 bins"):
        choose_clock({"a": record([9]), "b": record([3, 3])}, 1.0)


def test_frames_beyond_the_bins_and_trials_of_other_conditions_belong_to_no_anchor():
    recording = record([4, 6, 5])
    clock = TrialClock(0.1, 5, 0.1)
    preprocessor = fit_session_preprocessor(recording, clock)
    frames = align_frames(recording, labels("x", "y", "z"), ["x", "z"], clock, preprocessor)
    assert frames.condition.tolist() == [0] * 4 + [-1] * 6 + [1] * 5
    assert frames.bin.tolist() == [0, 1, 2, 3, 0, 1, 2, 3, 4, -1, 0, 1, 2, 3, 4]
    assert frames.n_trials == 2

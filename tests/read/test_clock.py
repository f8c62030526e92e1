from types import SimpleNamespace

import numpy as np
import pytest

from nwb_dcf.errors import DataError
from nwb_dcf.read.clock import find_gaps, peek_clock, read_clock


def series(n=5, **clock):
    return SimpleNamespace(data=np.zeros(n), **{"timestamps": None, "rate": None, "starting_time": None, **clock})


def test_rate_counts_from_starting_time():
    time = read_clock(series(rate=4.0, starting_time=1e6), 5, "")
    assert time.dtype == np.float64
    assert time.tolist() == [1e6, 1e6 + 0.25, 1e6 + 0.5, 1e6 + 0.75, 1e6 + 1]


def test_rate_without_starting_time_begins_at_zero():
    assert read_clock(series(rate=2.0), 3, "").tolist() == [0, 0.5, 1]


def test_timestamps_are_taken_as_they_are():
    stamps = np.array([10.0, 10.1, 10.5, 13.0, 13.1])
    assert read_clock(series(timestamps=stamps, rate=7.0), 5, "").tolist() == stamps.tolist()


@pytest.mark.parametrize(
    ("clock", "words"),
    [
        ({"rate": 0.0}, "rate is 0 Hz"),
        ({"rate": -5.0}, "rate is -5 Hz"),
        ({"rate": np.nan}, "rate is nan Hz"),
        ({"rate": np.inf}, "rate is inf Hz"),
        ({"rate": 5.0, "starting_time": np.nan}, "starting_time is nan s"),
        ({}, "neither timestamps nor a rate"),
        ({"timestamps": np.arange(4.0)}, "4 timestamps for 5 samples"),
        ({"timestamps": np.array([0, 1, 1, 2, 3.0])}, "1 s follows 1 s at sample 2"),
        ({"timestamps": np.array([0, 1, 5, 2, 3.0])}, "2 s follows 5 s at sample 3"),
        ({"timestamps": np.array([0, 1, np.nan, 2, 3.0])}, "sample 2"),
    ],
)
def test_clock_that_is_none_is_refused(clock, words):
    with pytest.raises(DataError, match=words):
        read_clock(series(**clock), 5, "s.nwb: /x")


def test_transposed_data_are_recognised():
    turned = SimpleNamespace(data=np.zeros((3, 10)), timestamps=np.arange(10.0), rate=None, starting_time=None)
    with pytest.raises(DataError, match=r"\(channel, time\)"):
        read_clock(turned, 3, "")


def test_gap_is_a_step_above_two_and_a_half_medians():
    time = np.array([0, 1, 2, 4, 5, 6, 8.6, 9.6])  # one missing sample at 3 is bridged
    assert find_gaps(time).tolist() == [6]
    assert find_gaps(time[:1]).tolist() == []


def test_peek_says_what_read_gives():
    stamps = np.array([3.0, 3.5, 4.0, 4.5])
    clock = peek_clock(series(4, timestamps=stamps), 4, "")
    assert (clock.rate_hz, clock.median_step_s, clock.start_s, clock.stop_s) == (None, 0.5, 3.0, 4.5)
    clock = peek_clock(series(4, rate=2.0, starting_time=3.0), 4, "")
    assert (clock.rate_hz, clock.median_step_s, clock.start_s, clock.stop_s) == (2.0, 0.5, 3.0, 4.5)

"""Runs of good frames: within one segment, across no gap, long enough, each with the right interval."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nwb_dcf.data.frame_runs import FrameRuns, find_runs

BITS = st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), min_size=1, max_size=30)


def cut(good, segment, after_gap=None, min_length_s=0.0):
    """Frames 1 s long, in segments that reach 0.25 s beyond their frames."""
    left = np.arange(len(good), dtype=float)
    n = segment[-1] + 1
    start = np.array([left[segment == i][0] - 0.25 for i in range(n)])
    stop = np.array([left[segment == i][-1] + 1.25 for i in range(n)])
    return find_runs(good, left, left + 1, segment, start, stop, min_length_s=min_length_s, after_gap=after_gap)


@settings(max_examples=100, deadline=None)
@given(BITS, st.sampled_from([0.0, 2.2, 3.0]))
def test_runs_are_what_a_walk_over_the_frames_finds(frames, min_length_s):
    good, opens, after_gap = (np.array(column) for column in zip(*frames, strict=True))
    opens[0] = False
    segment = np.cumsum(opens)
    expected, run = [], []
    for i in range(len(good)):
        if run and (not good[i] or opens[i] or after_gap[i]):
            expected.append(run)
            run = []
        if good[i]:
            run = [*run, i]
    expected += [run] if run else []

    def interval(run):
        first_of_all = np.flatnonzero(segment == segment[run[0]])
        return run[0] - 0.25 * (run[0] == first_of_all[0]), run[-1] + 1 + 0.25 * (run[-1] == first_of_all[-1])

    long = [run for run in expected if len(run) > 1 and np.subtract(*interval(run)[::-1]) >= min_length_s]
    runs = cut(good, segment, after_gap, min_length_s)
    assert runs.frames.tolist() == [i for run in long for i in run]
    assert runs.segment.tolist() == [segment[run[0]] for run in long]
    assert list(zip(runs.start_s, runs.stop_s, strict=True)) == [interval(run) for run in long]
    assert runs.n_short == len(expected) - len(long)


@pytest.mark.parametrize(("length_s", "is_kept"), [(3.0, True), (3.0 + 1e-8, True), (3.1, False)])
def test_the_rounding_of_a_length_costs_no_run(length_s, is_kept):
    good = np.array([False, True, True, True, False])
    assert (len(cut(good, np.zeros(5, int), min_length_s=length_s).first) == 1) is is_kept


def test_no_frames_have_no_runs():
    runs: FrameRuns = find_runs(np.zeros(0, bool), *np.zeros((2, 0)), np.zeros(0, int), *np.zeros((2, 0)))
    assert len(runs.frames) == runs.n_short == 0

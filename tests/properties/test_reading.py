"""What holds for every way of cutting spikes into bins."""

import re
from types import SimpleNamespace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nwb_dcf.data.recording import make_recording
from nwb_dcf.data.spike_binning import compute_observed_fraction, count_spikes, make_bins
from nwb_dcf.errors import DataError
from nwb_dcf.io.recordings.clock import find_gaps, read_clock
from nwb_dcf.io.recordings.resample import Frames, resample
from nwb_dcf.io.recordings.runs import cut_runs
from nwb_dcf.io.recordings.segments import Segments, exclude_intervals

# Times are whole milliseconds, so that spikes often lie at an edge.
MS = st.integers(0, 4000)
TRAINS = st.lists(st.lists(MS, max_size=40), min_size=1, max_size=3)
WIDTHS_MS = st.sampled_from([10, 20, 25, 100])


@st.composite
def segments(draw):
    edges = sorted(draw(st.sets(st.integers(0, 40), min_size=2, max_size=8)))
    pairs = [(a * 100, b * 100) for a, b in zip(edges[::2], edges[1::2], strict=False)]
    widened = [(start, max(stop, start + 200)) for start, stop in pairs]
    return [pair for i, pair in enumerate(widened) if i == 0 or pair[0] >= widened[i - 1][1]]


def count(trains, pairs, width_ms, shift_s=0.0):
    start, stop = (np.array(side) / 1000 + shift_s for side in zip(*pairs, strict=True))
    bins = make_bins(start, stop, width_ms / 1000, n_units=1, where="")
    return bins, count_spikes([np.sort(np.array(train, dtype=float)) / 1000 + shift_s for train in trains], bins)


@settings(max_examples=60, deadline=None)
@given(TRAINS, segments(), WIDTHS_MS)
def test_spikes_in_are_binned_or_discarded(trains, pairs, width_ms):
    bins, counts = count(trains, pairs, width_ms)
    for unit, train in enumerate(trains):
        for frame, left in enumerate(np.round(bins.left * 1000).astype(int)):
            assert counts[frame, unit] == sum(left <= t < left + width_ms for t in train)
    covered = {t for left in np.round(bins.left * 1000).astype(int) for t in range(left, left + width_ms)}
    discarded = sum(t not in covered for train in trains for t in train)
    assert counts.sum() + discarded == sum(map(len, trains))


@settings(max_examples=60, deadline=None)
@given(TRAINS, segments(), WIDTHS_MS, st.sampled_from([-50.0, 0.1, 4397.0023, 1e6, 1.7e9]))
def test_shifting_the_clock_shifts_only_time(trains, pairs, width_ms, shift_s):
    bins, counts = count(trains, pairs, width_ms)
    shifted_bins, shifted = count(trains, pairs, width_ms, shift_s)
    np.testing.assert_array_equal(shifted, counts)
    np.testing.assert_array_equal(shifted_bins.n_bins, bins.n_bins)
    np.testing.assert_allclose(shifted_bins.centre, bins.centre + shift_s, rtol=0, atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(segments(), WIDTHS_MS)
def test_time_increases_and_bins_lie_within_their_segment(pairs, width_ms):
    bins, _ = count([[]], pairs, width_ms)
    assert (np.diff(bins.centre) > 0).all()
    start, stop = (np.array(side)[bins.segment] / 1000 for side in zip(*pairs, strict=True))
    assert (bins.start >= start - 1e-9).all()
    assert (bins.stop <= stop + 1e-9).all()
    assert (stop - bins.stop < width_ms / 1000).all()


@settings(max_examples=40, deadline=None)
@given(segments(), segments(), WIDTHS_MS)
def test_observed_seconds_are_shared_out_among_bins(pairs, observed, width_ms):
    bins, _ = count([[]], pairs, width_ms)
    share = compute_observed_fraction([np.array(observed) / 1000], bins)[:, 0]
    for left, part in zip(np.round(bins.left * 1000), share, strict=True):
        inside = sum(max(0.0, min(left + width_ms, b) - max(left, a)) for a, b in observed)
        assert abs(part - inside / width_ms) < 1e-3


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=3, max_size=60), segments())
def test_runs_of_samples_cross_no_gap_and_lose_none_but_single_ones(steps, pairs):
    time = np.cumsum(np.array(steps)) * 0.01
    gaps, step_s = find_gaps(time), float(np.median(np.diff(time)))
    start, stop = (np.array(side) / 1000 for side in zip(*pairs, strict=True))
    runs = cut_runs(time, gaps, Segments(start, stop, np.arange(len(start)), {}), step_s)
    inside = sum(((time >= a - 1e-9) & (time < b - 1e-9)).sum() for a, b in pairs_in_s(pairs))
    taken = int((runs.stop - runs.first).sum())
    assert taken + runs.n_short == inside
    for a, b in zip(runs.first, runs.stop, strict=True):
        assert b - a >= 2
        assert not set(range(a + 1, b)) & set(gaps.tolist())


def pairs_in_s(pairs):
    return [(a / 1000, b / 1000) for a, b in pairs]


def series(stamps):
    return SimpleNamespace(
        data=np.zeros(len(stamps)), timestamps=np.array(stamps, float), rate=None, starting_time=None
    )


STEPS_MS = st.lists(st.sampled_from([20, 20, 20, 21, 30, 500, 0, -20]), min_size=1, max_size=300)


@settings(max_examples=100, deadline=None)
@given(STEPS_MS, st.sets(st.integers(0, 300), max_size=3), st.sampled_from([0.0, 1e6, 1.7e9]))
def test_a_clock_is_refused_or_increases_and_invents_no_time(steps, unknown, shift_s):
    stamps = shift_s + np.cumsum(np.array(steps)) / 1000
    stamps[[i for i in unknown if i < len(stamps)]] = np.nan
    try:
        clock = read_clock(series(stamps), len(stamps), "")
    except DataError:
        return
    kept = np.isfinite(clock.time)
    assert (np.diff(clock.time[kept]) > 0).all()
    np.testing.assert_array_equal(clock.time[kept], stamps[kept])
    said = sum(int(re.search(r"(\d+) samples dropped", note)[1]) for note in clock.notes if "dropped" in note)
    assert said == (~kept).sum() <= max(3, 0.03 * len(stamps))


@settings(max_examples=60, deadline=None)
@given(segments(), st.lists(st.tuples(st.integers(0, 40), st.integers(0, 10)), max_size=5))
def test_what_is_excluded_is_gone_and_the_rest_stays(pairs, excluded):
    start, stop = (np.array(side) / 1000 for side in zip(*pairs, strict=True))
    low = np.array([a / 10 for a, _ in excluded])
    high = np.array([(a + b) / 10 for a, b in excluded])
    kept, _ = exclude_intervals(Segments(start, stop, np.arange(len(start)), {}), low, high, 0.01)
    assert (kept.start[1:] >= kept.stop[:-1] - 1e-12).all()
    tenths = (np.arange(460) + 0.5) / 100
    inside = ((tenths[:, None] > start) & (tenths[:, None] < stop)).any(axis=1)
    bad = ((tenths[:, None] > low) & (tenths[:, None] < high)).any(axis=1) if len(low) else np.zeros(460, bool)
    left = ((tenths[:, None] > kept.start) & (tenths[:, None] < kept.stop)).any(axis=1)
    np.testing.assert_array_equal(left, inside & ~bad)
    for a, b, row in zip(kept.start, kept.stop, kept.row, strict=True):
        assert start[row] <= a < b <= stop[row]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 40), min_size=4, max_size=60),
    st.integers(2, 40),
    st.sampled_from([7, 20, 50, 130]),
    st.sampled_from([0.0, 1e6]),
)
def test_resampled_values_lie_among_those_they_are_made_of_and_a_line_stays_one(steps, n, width_ms, shift_s):
    time = shift_s + np.cumsum(np.array(steps)) / 100
    recording = make_recording(np.column_stack([time - shift_s, np.ones(len(time))]), time)
    edges = shift_s + (np.arange(n + 1) * width_ms) / 1000
    frames = Frames(edges[:-1], (edges[1:] + edges[:-1]) / 2, edges[1:], np.zeros(n, int))
    on = resample(recording, frames)
    np.testing.assert_allclose(on.values[on.covered, 1], 1, rtol=1e-6)
    held = np.median(np.diff(time)) / 2
    off = np.abs(on.values[on.covered, 0] - (frames.centre[on.covered] - shift_s))
    assert (off <= max(width_ms / 2000, held) + 1e-6).all()
    inside = (frames.centre >= time[0]) & (frames.centre <= time[-1])
    assert on.covered[inside].all()

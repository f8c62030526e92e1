"""Counts that are made when they are asked for are those that would have been made at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nwb_dcf.data import spike_trains
from nwb_dcf.data.chunks import count_varying
from nwb_dcf.data.lazy_counts import count_later
from nwb_dcf.data.recording import make_recording, select_segments
from nwb_dcf.data.spike_trains import BinnedTrains, SpikeTrains, count_trains, find_constant
from nwb_dcf.data.split import split_recording

START, STOP = np.array([0.0, 5.0, 9.7, 20.0]), np.array([4.1, 9.6, 18.0, 31.0])


def make_trains(*, observed: bool) -> SpikeTrains:
    rng = np.random.default_rng(0)
    times = [np.sort(rng.uniform(-1, 33, n)) for n in (0, 3, 80, 500, 4000)]
    times.append(np.array([4.5, 19.0]))  # between segments alone
    times.append(np.arange(0, 32, 0.1) + 0.05)  # one in every bin
    known: list[NDArray[np.float64]] | None = None
    if observed:
        known = [np.array([[0.0, 8.02], [8.2, 40.0]])] * 4 + [np.array([[0.03, 7.5], [8.0, 30.5]])] * 3
    return SpikeTrains(np.arange(10, 17), np.arange(7), times, known)


@pytest.fixture(params=[False, True], ids=["all observed", "in periods"])
def both(request: pytest.FixtureRequest) -> tuple[BinnedTrains, Any]:
    trains = make_trains(observed=request.param)
    settings: Any = {"where": "s.nwb: /units", "observed": "obs_intervals", "min_length_s": 0.5}
    later = BinnedTrains.divide(trains, START, STOP, 0.1, at_once=False, **settings)
    return later, count_trains(trains, START, STOP, 0.1, **settings)


def test_every_part_is_the_same_part_of_all(both: tuple[BinnedTrains, Any]) -> None:
    binned, counts = both
    lazy = make_recording(
        count_later(binned, np.arange(7)), binned.bins.centre, channel_dim="unit", segment_index=binned.bins.frame_block
    )["data"]
    n = len(counts.values)
    assert binned.notes == counts.notes
    assert lazy.shape == counts.values.shape
    np.testing.assert_array_equal(lazy.values, counts.values)
    rng = np.random.default_rng(1)
    keys: list[Any] = [
        (slice(20, 30), slice(None)), (slice(None, None, 7), slice(1, 5)), (3, slice(None)), (slice(None), 4), (5, 4),
        (rng.permutation(n)[:50], slice(None)), (slice(None), [6, 2]), (np.arange(90, n), slice(None, None, 2)),
        (slice(n - 1, n), slice(None)), (slice(4, 4), slice(None)),
    ]  # fmt: skip
    np.testing.assert_array_equal(lazy[[9, 3], [6, 2, 2]].values, counts.values[np.ix_([9, 3], [6, 2, 2])])
    for key in keys:
        np.testing.assert_array_equal(lazy[key].values, counts.values[key], err_msg=str(key))


def test_bins_that_lie_far_apart_are_counted_without_those_between(
    both: tuple[BinnedTrains, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    binned, counts = both
    ranges: list[tuple[int, int]] = []
    count = spike_trains.count_spikes

    def watch(times: Any, bins: Any, frames: tuple[int, int]) -> Any:
        ranges.append(frames)
        return count(times, bins, frames)

    monkeypatch.setattr(spike_trains, "count_spikes", watch)
    monkeypatch.setattr(spike_trains, "MOST_COUNTED", 7 * 20)
    rng, n = np.random.default_rng(2), len(counts.values)
    for frames in (np.array([0, n - 1]), rng.permutation(n)[:40], np.sort(rng.permutation(n)[:40]), np.arange(3, n)):
        np.testing.assert_array_equal(binned.count(np.arange(7), frames), counts.values[frames])
    assert max(stop - start for start, stop in ranges) <= 20


def test_units_that_never_change_are_found_without_all_counts(both: tuple[BinnedTrains, Any]) -> None:
    binned, counts = both
    varies, left_out = binned.find_constant(where="s.nwb")
    expected, expected_out = find_constant(counts.values, binned.trains.unit_id, where="s.nwb")
    assert varies.tolist() == expected.tolist()
    assert left_out == expected_out
    assert not varies.all()


def test_a_recording_is_split_and_selected_without_a_count(monkeypatch: pytest.MonkeyPatch) -> None:
    binned = BinnedTrains.divide(make_trains(observed=False), START, STOP, 0.1, where="", observed="", at_once=False)
    recording = make_recording(
        count_later(binned, np.arange(7)), binned.bins.centre, channel_dim="unit", segment_index=binned.bins.frame_block
    )
    counted: list[int] = []
    count = BinnedTrains.count

    def note(self: BinnedTrains, units: Any = None, frames: Any = None) -> Any:
        made = count(self, units, frames)
        counted.append(made.size)
        return made

    monkeypatch.setattr(BinnedTrains, "count", note)
    split = split_recording(recording, 0.3, seed=0, gap_s=0.3)
    part = select_segments(recording, [2, 0])
    assert split is not None
    assert counted == []
    whole = recording["data"].values
    frames = np.concatenate([np.flatnonzero(recording["segment_index"].values == i) for i in (2, 0)])
    np.testing.assert_array_equal(part["data"].values, whole[frames])
    np.testing.assert_array_equal(
        split.training["data"].values, whole[np.isin(recording["time"].values, split.training["time"].values)]
    )


def test_channels_that_vary_are_counted_as_far_as_is_asked() -> None:
    data = np.zeros((10, 4))
    data[3, 1], data[9, 2] = 1, 1
    recording = make_recording(data, np.arange(10.0))
    assert count_varying(recording["data"], 2) == 2
    assert count_varying(recording["data"], 9) == 2

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from nwb_dcf.data.recording import make_recording, validate_recording
from nwb_dcf.data.split import Split, split_recording
from nwb_dcf.errors import ParameterError


def record(lengths: tuple[int, ...], step_s: float = 0.1) -> xr.Dataset:
    """Every frame holds its own number, so that it can be found again."""
    n = sum(lengths)
    segment = np.repeat(np.arange(len(lengths)), lengths)
    return make_recording(
        np.column_stack([np.arange(n), -np.arange(n)]).astype(float),
        1e6 + np.arange(n) * step_s + segment,
        segment_index=segment,
        segment_row=10 + np.arange(len(lengths)),
        trial_columns={"side": np.array(["left", "right"] * len(lengths))[: len(lengths)]},
    )


def split(recording: xr.Dataset, share: float = 0.2, **settings: object) -> Split:
    found = split_recording(recording, share, **{"seed": 0, **settings})  # type: ignore[arg-type]
    assert found is not None
    return found


def frames_of(recording: xr.Dataset) -> np.ndarray:
    return recording["data"].values[:, 0].astype(int)


def test_whole_segments_are_held_out() -> None:
    x = record((10,) * 20)
    found = split(x)
    assert found.held_out_segments.sum() == 4
    for part, chosen in ((found.training, ~found.held_out_segments), (found.held_out, found.held_out_segments)):
        validate_recording(part)
        np.testing.assert_array_equal(part["segment_row"], 10 + np.flatnonzero(chosen))
        np.testing.assert_array_equal(part["trial_side"], x["trial_side"].values[chosen])
        np.testing.assert_array_equal(frames_of(part), np.flatnonzero(chosen[x["segment_index"].values]))
    assert found.held_out_intervals_s == [
        (float(x["segment_start"][i]), float(x["segment_stop"][i])) for i in np.flatnonzero(found.held_out_segments)
    ]
    assert "4 of 20 segments" in found.rule


def test_share_is_of_frames_where_segments_differ_in_length() -> None:
    rng = np.random.default_rng(0)
    x = record(tuple(rng.integers(2, 40, 60)))
    shares = [split(x, 0.3, seed=seed).held_out.sizes["time"] / x.sizes["time"] for seed in range(20)]
    assert np.mean(shares) == pytest.approx(0.3, abs=0.02)
    assert np.ptp(shares) < 0.1


def test_seed_decides_which() -> None:
    x = record((10,) * 20)
    one, again, other = (split(x, seed=seed).held_out_segments for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()


def test_something_is_left_on_either_side() -> None:
    x = record((10,) * 5)
    assert split(x, 0.01).held_out.sizes["segment"] == 1
    assert split(x, 0.9).training.sizes["segment"] >= 1


@pytest.mark.parametrize("lengths", [(200,), (120, 80), (50, 50, 50, 50)])
def test_a_few_long_segments_are_cut_in_blocks_with_gaps(lengths: tuple[int, ...]) -> None:
    x = record(lengths)
    found = split(x, gap_s=0.5)
    validate_recording(found.training)
    validate_recording(found.held_out)
    assert not found.held_out_segments.any()
    training, held_out = frames_of(found.training), frames_of(found.held_out)
    assert not set(training) & set(held_out)
    assert len(held_out) == pytest.approx(0.2 * 200, abs=4)
    time, segment = x["time"].values, x["segment_index"].values
    for frame in held_out:
        same = training[segment[training] == segment[frame]]
        if len(same):
            assert np.abs(time[same] - time[frame]).min() > 0.5
    assert len(training) > 100
    assert "gaps of 0.5 s" in found.rule


def test_blocks_are_segments_of_successive_frames() -> None:
    x = record((200,))
    found = split(x, 0.3, gap_s=0.2)
    for part in (found.training, found.held_out):
        frames, index = frames_of(part), part["segment_index"].values
        inside = np.diff(index) == 0
        np.testing.assert_array_equal(np.diff(frames)[inside], 1)
        assert (np.diff(frames)[~inside] > 1).all()
        time = part["time"].values
        starts = np.flatnonzero(np.append(True, ~inside))
        np.testing.assert_array_equal(part["segment_start"], time[starts])
        np.testing.assert_array_equal(part["segment_row"], 10)
    intervals = found.held_out_intervals_s
    assert intervals == sorted(intervals)
    assert len(intervals) == found.held_out.sizes["segment"]


def test_blocks_keep_the_trial_they_come_from() -> None:
    x = record((100, 100))
    found = split(x, 0.3, gap_s=0.2)
    boundary = x["time"].values[100]
    for part in (found.training, found.held_out):
        expected = np.where(part["segment_start"].values < boundary, 10, 11)
        np.testing.assert_array_equal(part["segment_row"], expected)


@pytest.mark.parametrize(("lengths", "share"), [((200,), 0.0), ((23,), 0.2), ((2,) * 10, 0.2)])
def test_nothing_is_held_out_of_what_is_too_short(lengths: tuple[int, ...], share: float) -> None:
    assert split_recording(record(lengths), share, seed=0) is None


def test_a_gap_that_leaves_nothing_is_no_split() -> None:
    assert split_recording(record((60,)), 0.2, seed=0, gap_s=100) is None


@pytest.mark.parametrize("share", [-0.1, 0.95, float("nan")])
def test_a_share_that_cannot_be_meant_is_refused(share: float) -> None:
    with pytest.raises(ParameterError, match="fraction to hold out"):
        split_recording(record((200,)), share, seed=0)

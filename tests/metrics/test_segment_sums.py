"""Division of frames in segments or blocks, and what sums refuse."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nwb_dcf.errors import DataError, ParameterError
from nwb_dcf.metrics import SegmentSums
from nwb_dcf.metrics.segment_sums import divide_frames, require_count, require_frames, require_same_shape


def test_five_segments_are_kept_whatever_their_labels() -> None:
    division = divide_frames(np.array([7, 7, -1, 3, 3, 3, 9, 40]))
    assert (division.n, division.over) == (5, "segments")
    assert [f.tolist() for f in division.list_frames()] == [[2], [3, 4, 5], [0, 1], [6], [7]]
    np.testing.assert_array_equal(division.add_up(np.arange(8.0)), [2, 12, 1, 6, 7])


def test_one_segment_becomes_twenty_blocks_of_equal_length() -> None:
    division = divide_frames(np.zeros(1000))
    assert (division.n, division.over) == (20, "blocks")
    assert (np.bincount(division.index) == 50).all()
    assert (np.diff(division.index) >= 0).all()


def test_blocks_of_a_short_recording_have_eight_frames() -> None:
    assert divide_frames(np.zeros(40)).n == 5
    assert divide_frames(np.zeros(3)).n == 1


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 300), min_size=1, max_size=4))
def test_no_block_crosses_segments_and_every_frame_is_in_one(lengths: list[int]) -> None:
    segment = np.repeat(np.arange(len(lengths)), lengths)
    division = divide_frames(segment)
    assert division.over == "blocks"
    assert division.n == len(np.unique(division.index))
    assert sorted(np.concatenate(division.list_frames())) == list(range(len(segment)))
    for frames in division.list_frames():
        assert len(np.unique(segment[frames])) == 1
        np.testing.assert_array_equal(np.diff(frames), 1)


def test_a_value_is_the_ratio_of_sums_and_none_where_the_whole_is_nothing() -> None:
    assert SegmentSums(np.array([1.0, -2]), np.array([1.0, 3])).value == -0.25
    assert np.isnan(SegmentSums(np.zeros(2), np.zeros(2)).value)
    with pytest.raises(DataError, match="one pair a segment"):
        SegmentSums(np.zeros(2), np.zeros(3))


def test_what_is_no_table_of_frames_is_refused_by_name() -> None:
    with pytest.raises(DataError, match=r"latents has shape \(3,\)"):
        require_frames(latents=np.zeros(3))
    with pytest.raises(DataError, match="target has 4 frames, not 3"):
        require_frames(latents=np.zeros((3, 1)), target=np.zeros((4, 1)))
    with pytest.raises(DataError, match="latents holds NaN"):
        require_frames(latents=np.array([[0.0], [np.nan]]))
    with pytest.raises(DataError, match="shape"):
        require_same_shape(a=np.zeros((3, 1)), b=np.zeros((3, 2)))
    with pytest.raises(DataError, match="segment has shape"):
        divide_frames(np.zeros((2, 2)))
    for value in (0, 1.5, True):
        with pytest.raises(ParameterError, match="n is"):
            require_count("n", value, 1)  # type: ignore[arg-type]

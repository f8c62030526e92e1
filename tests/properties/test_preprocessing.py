"""What holds for every way of smoothing, scaling and holding out."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nwb_dcf.config import PrepareConfig
from nwb_dcf.data.preprocessing import fit_preprocessor
from nwb_dcf.data.recording import make_recording, validate_recording
from nwb_dcf.data.split import split_recording

LENGTHS = st.lists(st.integers(1, 40), min_size=1, max_size=12)


def record(lengths, values=None, jitter=0.0, seed=0):
    rng = np.random.default_rng(seed)
    n = sum(lengths)
    time = np.cumsum(0.1 + jitter * rng.uniform(0, 0.2, n))
    values = rng.normal(size=(n, 3)) if values is None else values
    return make_recording(values, time, segment_index=np.repeat(np.arange(len(lengths)), lengths))


@settings(max_examples=60, deadline=None)
@given(LENGTHS, st.floats(0, 0.9), st.integers(0, 5), st.floats(0, 3))
def test_a_split_is_of_frames_of_the_whole_none_on_both_sides(lengths, share, seed, gap_s):
    x = record(lengths)
    x["data"][:, 0] = np.arange(x.sizes["time"])
    found = split_recording(x, share, seed=seed, gap_s=gap_s)
    if found is None:
        return
    numbers = []
    for part in (found.training, found.held_out):
        validate_recording(part)
        frames = part["data"].values[:, 0].astype(int)
        assert len(set(frames)) == len(frames) > 0
        np.testing.assert_array_equal(part["data"].values, x["data"].values[frames])
        np.testing.assert_array_equal(part["time"].values, x["time"].values[frames])
        same = np.diff(part["segment_index"].values) == 0
        assert (np.diff(x["segment_index"].values[frames])[same] == 0).all()
        numbers.append(set(frames))
    assert not numbers[0] & numbers[1]
    assert len(found.held_out_intervals_s) == found.held_out.sizes["segment"]
    if found.held_out_segments.any():
        assert numbers[0] | numbers[1] == set(range(x.sizes["time"]))


@settings(max_examples=60, deadline=None)
@given(
    LENGTHS,
    st.sampled_from([0.0, 0.05, 0.2, 1.0]),
    st.sampled_from([0.0, 1.0]),
    st.floats(-5, 5),
    st.integers(0, 3),
)
def test_smoothing_is_an_average_within_the_segment(lengths, smooth, jitter, level, seed):
    x = record(lengths, jitter=jitter, seed=seed)
    if not x["data"].values.std(0).any():
        return
    config = PrepareConfig(transformation="none", smooth=smooth, scale="none")
    preparation = fit_preprocessor(x, config)
    smoothed = preparation.apply(x)["data"].values
    assert smoothed.shape == x["data"].shape
    assert np.isfinite(smoothed).all()
    for i in range(len(lengths)):
        frames = x["segment_index"].values == i
        low, high = x["data"].values[frames].min(0) - 1e-5, x["data"].values[frames].max(0) + 1e-5
        assert (smoothed[frames] >= low).all()
        assert (smoothed[frames] <= high).all()
    shifted = preparation.apply(x.assign(data=x["data"] + level))["data"].values
    np.testing.assert_allclose(shifted, smoothed + level, atol=1e-4)


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(np.float64, (12, 3), elements=st.floats(0, 1e4).map(lambda v: round(v, 3))),
    st.sampled_from(["global", "soft", "zscore", "none"]),
    st.sampled_from(["sqrt", "none"]),
)
def test_undo_returns_what_was_scaled(values, scale, transform):
    values[0] += [1, 2, 3]
    x = record([12], values)
    if not values.std(0).any():
        return
    preparation = fit_preprocessor(x, PrepareConfig(transformation=transform, smooth=0, scale=scale))
    back = preparation.undo(preparation.apply(x)["data"].values)
    np.testing.assert_allclose(back, values, atol=1e-5 * max(1.0, values.max()), rtol=1e-3)

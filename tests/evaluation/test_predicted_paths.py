"""Paths to look at: they begin in held-out frames, and know nothing of what comes."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

from nwb_dcf import DCF
from nwb_dcf.data.recording import make_recording
from nwb_dcf.errors import DataError
from nwb_dcf.evaluation.predicted_paths import predict_examples
from nwb_dcf.plots import draw_paths

N, LENGTH = 6, 60


@cache
def fit() -> tuple[DCF, xr.Dataset]:
    """Six segments of a slow rotation in five channels."""
    rng = np.random.default_rng(0)
    time = np.concatenate([k * 10 + 0.1 * np.arange(LENGTH) for k in range(N)])
    phase = 2 * np.pi * time / 3
    values = np.column_stack([np.cos(phase), np.sin(phase)]) @ rng.normal(size=(2, 5)) + 0.1 * rng.normal(
        size=(N * LENGTH, 5)
    )
    recording = make_recording(values, time, segment_index=np.repeat(np.arange(N), LENGTH))
    return DCF(dim=2, seed=0, settings={"steps": 20}).fit(recording), recording


def predict(recording: xr.Dataset, held_out: np.ndarray, **limits: int):
    dcf, whole = fit()
    return predict_examples(dcf.fitted_, recording, dcf.transform(whole)["data"].values, held_out, **limits)


def test_starts_are_held_out_and_what_came_is_what_the_fit_reports() -> None:
    dcf, recording = fit()
    held_out = np.isin(recording["segment_index"].values, [1, 4])
    paths = predict(recording, held_out, n_leads=20)
    assert paths.held_out.tolist() == [True, True]
    np.testing.assert_allclose(paths.start_s, [12.0, 42.0])
    np.testing.assert_allclose(paths.ahead_s, 0.1 * np.arange(-10, 21))
    latents = dcf.transform(recording)["data"].values
    np.testing.assert_array_equal(paths.came[1], latents[4 * LENGTH + 10 : 4 * LENGTH + 41])
    assert np.isnan(paths.predicted[:, :10]).all()
    assert np.isfinite(paths.predicted[:, 10:]).all()


def test_a_prediction_knows_nothing_of_what_comes() -> None:
    _, recording = fit()
    held_out = np.isin(recording["segment_index"].values, [1])
    other = recording.copy(deep=True)
    other["data"].values[LENGTH + 21 : 2 * LENGTH] += 5.0  # the start is frame 20 of the segment
    before, after = (predict(one, held_out, n_leads=15).predicted for one in (recording, other))
    np.testing.assert_array_equal(before, after)
    other["data"].values[LENGTH + 20] += 5.0
    assert not np.allclose(predict(other, held_out, n_leads=15).predicted[:, 7:], before[:, 7:], equal_nan=True)


def test_a_held_out_part_of_one_long_segment_is_not_left() -> None:
    _, recording = fit()
    held_out = np.zeros(N * LENGTH, bool)
    held_out[80:100] = True
    paths = predict(recording, held_out)
    assert paths.start_s == pytest.approx([recording["time"].values[86]])
    inside = np.isfinite(paths.came[0, :, 0])
    assert inside.sum() == min(13, round(0.5 * 13)) + 14  # frames 80 to 99, as far as they are in the picture


def test_segments_that_are_too_short_are_refused() -> None:
    dcf, recording = fit()
    short = recording.isel(time=np.flatnonzero(np.tile(np.arange(LENGTH), N) < 5))
    with pytest.raises(DataError, match="no segment is long enough"):
        predict_examples(dcf.fitted_, short, np.zeros((5 * N, 2)), np.zeros(5 * N, bool))


def test_the_picture_has_what_came_what_was_predicted_and_persistence() -> None:
    _, recording = fit()
    paths = predict(recording, np.isin(recording["segment_index"].values, [1, 4]), n_leads=20)
    figure = Figure()
    draw_paths(figure, paths)
    assert len(figure.axes) == 4
    lines = {line.get_label(): line for line in figure.axes[3].lines}
    np.testing.assert_array_equal(lines["what came"].get_ydata(), paths.came[1, :, 1])
    np.testing.assert_array_equal(lines["predicted"].get_ydata(), paths.predicted[1, :, 1])
    assert set(lines["nothing changes"].get_ydata()) == {paths.predicted[1, 10, 1]}
    assert figure.axes[1].get_title() == "from 42.00 s, held out"

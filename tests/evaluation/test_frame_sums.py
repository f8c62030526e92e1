"""Principal axes beside the scores: those that a fit began with, where they are of its own frames."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from nwb_dcf.config.presets import make_config
from nwb_dcf.data import chunks
from nwb_dcf.data.recording import make_recording
from nwb_dcf.estimator.fit import fit
from nwb_dcf.estimator.fitted import FittedModel, PreparedFrames
from nwb_dcf.evaluation import frame_sums
from nwb_dcf.evaluation.frame_sums import Projection
from nwb_dcf.metrics import compute_pca_axes


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> tuple[FittedModel, PreparedFrames]:
    """A short fit whose frames count as too many to be held in memory, and those frames."""
    monkeypatch.setattr(chunks, "MOST_IN_MEMORY", 1000)
    rng = np.random.default_rng(0)
    counts = rng.poisson(np.exp(rng.normal(size=(400, 2)) @ rng.normal(size=(2, 8))))
    recording = make_recording(
        counts, 0.02 * np.arange(400), channel_dim="unit", units="count", kind="units", bin_width_s=0.02
    )
    settings = {"dim": 2, "steps": 3, "width": 8, "depth": 1, "smooth": 0.0, "scale": "global"}
    fitted = fit(recording, make_config("default", settings, kind="counts"))
    return fitted, fitted.prepare(recording)


def test_the_axes_that_a_fit_began_with_are_not_computed_again(
    made: tuple[FittedModel, PreparedFrames], monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted, frames = made
    mean, axes = frame_sums.find_axes(frames.values, fitted.k_max)
    monkeypatch.delattr(frame_sums, "find_axes")
    found = Projection.of(fitted, frames, own=True)
    np.testing.assert_array_equal(found.mean, mean)
    np.testing.assert_array_equal(found.axes, axes)
    assert (found.mean.dtype, found.axes.dtype) == (np.float64, np.float64)


def test_thousands_of_channels_are_not_decomposed_again_either(
    made: tuple[FittedModel, PreparedFrames], monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted, frames = made
    monkeypatch.setattr(chunks, "MOST_IN_MEMORY", 2**28)
    exact = Projection.of(fitted, frames)
    monkeypatch.delattr(frame_sums, "compute_pca_axes")
    found = Projection.of(fitted, frames, own=True)
    np.testing.assert_array_equal(found.axes, fitted.loadings)
    for k in range(1, fitted.k_max + 1):
        np.testing.assert_allclose(
            found.reconstruct(frames.values, k), exact.reconstruct(frames.values, k), rtol=0, atol=1e-5
        )


def test_axes_of_another_fit_are_no_baseline(
    made: tuple[FittedModel, PreparedFrames], monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted, frames = made
    asked: list[int] = []

    def find(_frames: np.ndarray, dim: int) -> tuple[np.ndarray, np.ndarray]:
        asked.append(dim)
        return np.zeros(8), np.eye(8)[:, :dim]

    monkeypatch.setattr(frame_sums, "find_axes", find)
    Projection.of(dataclasses.replace(fitted, init={"fit": "another"}), frames, own=True)
    assert asked == [fitted.k_max]


def test_other_frames_have_axes_of_their_own(
    made: tuple[FittedModel, PreparedFrames], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that is applied to another recording is compared with that recording's principal axes."""
    fitted, frames = made
    other = dataclasses.replace(frames, values=np.ascontiguousarray(frames.values[:, ::-1]))
    np.testing.assert_array_equal(  # however many there are
        Projection.of(fitted, other).axes, frame_sums.find_axes(other.values, fitted.k_max)[1]
    )
    monkeypatch.undo()  # nothing is large
    own = Projection.of(fitted, frames, own=True)
    np.testing.assert_array_equal(own.axes, fitted.loadings)
    mean, axes = compute_pca_axes(frames.values, fitted.k_max)
    np.testing.assert_allclose(own.mean, mean, atol=1e-6)
    np.testing.assert_allclose(np.abs((own.axes * axes).sum(axis=0)), 1, atol=1e-6)
    np.testing.assert_array_equal(Projection.of(fitted, other).axes, compute_pca_axes(other.values, fitted.k_max)[1])

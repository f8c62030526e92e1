"""Squares and deviances of each unseen frame, block by block: scores add them up, and need no other copy of all frames.

Reconstructions, states and rates of all frames at once take as much memory as ten recordings.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..data.chunks import compute_moments, is_large, release_scratch, take_scattered
from ..data.recording import name_kind, take_frames
from ..estimator.fitted import FittedModel, PreparedFrames
from ..estimator.initialization import find_axes
from ..metrics import compute_pca_axes
from ..metrics.poisson import RATE_FLOOR, explain_deviance
from ..metrics.rate_calibration import calibrate_rates, choose_calibration_frames
from ..metrics.reconstruction import sum_energy
from ..metrics.segment_sums import FrameGroups, SegmentSums
from .encoded import EncodedRecording, cut_frames, iterate_frames

if TYPE_CHECKING:
    from jaxtyping import Float, Real


@dataclass(frozen=True)
class Projection:
    """Principal axes: the baseline beside every score.

    Attributes
    ----------
    mean : array of float64, shape (channel,)
    axes : array of float64, shape (channel, component)
    """

    mean: Float[np.ndarray, " channel"]
    axes: Float[np.ndarray, "channel component"]

    @classmethod
    def of(cls, fitted: FittedModel, training: PreparedFrames, *, own: bool = False) -> Projection:
        """Return the first `k_max` principal axes of `training`, which are the fit's `own` frames or others."""
        shape = training.values.shape
        # a decomposition of thousands of channels takes minutes and several copies of the frames in float64, and the
        # fit began with this one
        if own and has_principal_axes(fitted):
            return cls(fitted.mean.astype(np.float64), fitted.loadings.astype(np.float64))
        # where they are many without a copy of all frames
        return cls(*(find_axes if is_large(shape) else compute_pca_axes)(training.values, fitted.k_max))

    def read(self, frames: Real[np.ndarray, "time channel"], k: int) -> Float[np.ndarray, "time k"]:
        """Compute the coordinates of frames on the first `k` axes."""
        return np.asarray((frames - self.mean) @ self.axes[:, :k])

    def reconstruct(self, frames: Real[np.ndarray, "time channel"], k: int) -> Float[np.ndarray, "time channel"]:
        """Project frames on the first `k` axes."""
        return np.asarray(self.mean + self.read(frames, k) @ self.axes[:, :k].T)


def has_principal_axes(fitted: FittedModel) -> bool:
    """Whether the axes of a fit are the principal ones of its training frames: neither learned, nor another fit's."""
    return not fitted.model.learns_axes and fitted.model.basis is None and not fitted.init


@dataclass(frozen=True)
class FrameSums:
    """Sums over the channels of each unseen frame, shape (time,) each.

    Attributes
    ----------
    total : array
        Squares about each channel's mean.
    errors : dict of str to array
        Squared errors of ``mean`` and ``flow``, the decoders, of ``pca``, and of the ``round_trip`` of states.
    energy, kept : array
        Squares of states at tau = 0 about b, and those on the first `dim` axes.
    deviance : dict of str to array
        Explained by the rates of ``mean`` and of ``pca``, and of the mean count, ``total``; empty where the data are no
        counts.
    """

    total: Float[np.ndarray, " time"]
    errors: dict[str, Float[np.ndarray, " time"]]
    energy: Float[np.ndarray, " time"]
    kept: Float[np.ndarray, " time"]
    deviance: dict[str, Float[np.ndarray, " time"]]

    def compute_r2(self, name: str) -> float:
        """R2 pooled over channels, as `nwb_dcf.metrics.r2_score` defines it."""
        total = self.total.sum()
        return float(1 - self.errors[name].sum() / total) if total > 0 else float("nan")

    def add_errors(self, name: str, groups: FrameGroups) -> SegmentSums:
        """As `nwb_dcf.metrics.score_reconstruction`."""
        total = groups.add_up(self.total)
        return SegmentSums(total - groups.add_up(self.errors[name]), total, groups.over)

    def add_deviance(self, name: str, groups: FrameGroups) -> SegmentSums:
        """As `nwb_dcf.metrics.score_rates`."""
        return SegmentSums(groups.add_up(self.deviance[name]), groups.add_up(self.deviance["total"]), groups.over)


def sum_frames(fitted: FittedModel, training: EncodedRecording, unseen: EncodedRecording, pca: Projection) -> FrameSums:
    """Compute what scores add up, of each frame of `unseen`; `pca` has the principal axes of `training`."""
    frames, dim = unseen.frames, fitted.dim
    n, counted = len(frames), name_kind(unseen.recording) == "counts"
    mean = compute_moments(iterate_frames(frames)).mean
    rate = _Rates.of(fitted, training, unseen, pca) if counted else None
    sums: dict[str, Float[np.ndarray, " time"]] = {}
    for part in cut_frames(frames):
        x, latents = frames.values[part], unseen.latents[part, :dim]
        states = fitted.compress(frames.take(part)) if unseen.states is None else unseen.states[part]
        by_dcf, by_pca = fitted.reconstruct(latents), pca.reconstruct(x, dim)
        energy, kept = sum_energy(states, fitted.mean, fitted.loadings, dim)
        found = {
            "total": _sum_squares(x, mean),
            "mean": _sum_squares(x, by_dcf),
            "pca": _sum_squares(x, by_pca),
            "flow": _sum_squares(x, fitted.reconstruct(latents, decoder="flow")),
            # near 1 by construction (paper, Table 2), whatever the latents hold
            "round_trip": _sum_squares(x, fitted.expand(states)),
            "energy": energy,
            "kept": kept,
            **({} if rate is None else rate.explain(part, latents, by_pca)),
        }
        for name, values in found.items():
            sums.setdefault(name, np.empty(n))[part] = values
        release_scratch()
    deviance = {name: sums[f"{name} deviance"] for name in ("mean", "pca", "total")} if counted else {}
    errors = {name: sums[name] for name in ("mean", "flow", "pca", "round_trip")}
    return FrameSums(sums["total"], errors, sums["energy"], sums["kept"], deviance)


@dataclass(frozen=True)
class _Rates:
    """Counts of unseen frames, their mean, and how principal axes predict them: calibrated as the fit's rates are."""

    fitted: FittedModel
    unseen: EncodedRecording
    mean: Float[np.ndarray, " unit"]
    calibrate: Callable[[Float[np.ndarray, "time unit"]], Float[np.ndarray, "time unit"]]

    @classmethod
    def of(cls, fitted: FittedModel, training: EncodedRecording, unseen: EncodedRecording, pca: Projection) -> _Rates:
        mean = compute_moments(take_frames(unseen.recording, part) for part in cut_frames(unseen.frames)).mean
        if fitted.calibration is None:
            return cls(fitted, unseen, mean, lambda rates: rates)
        # the same calibration as the fit's rates, on the same frames
        some = choose_calibration_frames(len(training.frames), len(mean))
        seen = take_scattered(training.frames.values, some)
        expected = fitted.preparation.expect_counts(pca.reconstruct(seen, fitted.dim))
        known = calibrate_rates(expected, take_frames(training.recording, some))
        return cls(fitted, unseen, mean, known.apply)

    def explain(
        self, part: slice, latents: Float[np.ndarray, "part latent"], by_pca: Float[np.ndarray, "part unit"]
    ) -> dict[str, Float[np.ndarray, " part"]]:
        counts = take_frames(self.unseen.recording, part).astype(np.float64)
        rates = {
            "mean": self.fitted.rates(latents),
            "pca": self.calibrate(self.fitted.preparation.expect_counts(by_pca)),
        }
        found = {}
        for name, values in rates.items():
            floored = np.maximum(values, RATE_FLOOR * self.mean)
            found[f"{name} deviance"], found["total deviance"] = explain_deviance(counts, floored, self.mean)
        return found


def _sum_squares(
    x: Real[np.ndarray, "time channel"], estimate: Real[np.ndarray, "*time channel"]
) -> Float[np.ndarray, " time"]:
    return np.asarray(np.square(np.asarray(x, np.float64) - estimate).sum(axis=1))

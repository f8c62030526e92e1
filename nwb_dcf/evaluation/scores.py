"""How well a fit does on frames it has not seen: PCA beside every figure, and intervals over segments."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict, cast

import numpy as np

from ..data.certificate import CertificateLine
from ..data.chunks import take_scattered
from ..data.records import LatentRecord
from ..errors import DataError
from ..estimator.fitted import FittedModel
from ..metrics import Interval, SegmentSums, bootstrap_over_segments, compare_paired, measure_smoothness, r2_score
from ..metrics.reconstruction import compute_fraction_outside
from ..metrics.segment_sums import divide_frames
from .encoded import EncodedRecording, iterate_frames
from .forecast import Horizon
from .frame_sums import Projection, sum_frames

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from .shared_signal import LeftOut, ShiftedApart

CURVE_FRAMES = {"mean": 2_000, "flow": 200}  # that the curve over K is measured on: "flow" integrates each of them


class Scores(TypedDict, total=False):
    """Scores of a fit on held-out frames, see `nwb_dcf.DCFResult`.

    Attributes
    ----------
    on : str
    frames : int
    bottleneck_r2, flow_r2, pca_r2, difference_r2 : float
        R2 of frames from `dim` latents: by the mean, by the integrated flow, by PCA; and DCF's less PCA's.
    round_trip_r2 : float
        Of data to tau = 0 and back (paper, Table 2): a check of the solver.
    energy_outside : float
        Fraction of the energy of states at tau = 0 off the first `dim` axes.
    smoothness, pca_smoothness : float
        Path length over displacement.
    deviance_explained, pca_deviance_explained, difference_deviance : float
        Of counts.
    intervals : dict
        [low, high] of each score that has an interval, and its ``level``, ``n`` and ``over``.
    rollout : Horizon
    channels : list of LatentRecord
    left_out : LeftOut
    shifted_apart : ShiftedApart
    certificate : list of CertificateLine
    """

    on: str
    frames: int
    bottleneck_r2: float
    flow_r2: float
    pca_r2: float
    difference_r2: float
    round_trip_r2: float
    energy_outside: float
    smoothness: float
    pca_smoothness: float
    deviance_explained: float
    pca_deviance_explained: float
    difference_deviance: float
    intervals: dict[str, object]
    rollout: Horizon
    channels: list[LatentRecord]
    left_out: LeftOut
    shifted_apart: ShiftedApart
    certificate: list[CertificateLine]


class Curve(TypedDict):
    """R2 of frames from the first K latents, and from K principal axes, against K."""

    bottleneck_r2: Float[np.ndarray, " component"]
    pca_r2: Float[np.ndarray, " component"]


def score_fit(
    fitted: FittedModel, training: EncodedRecording, unseen: EncodedRecording, *, own: bool = False
) -> tuple[Scores, Curve]:
    """Score a fit on `unseen`.

    Parameters
    ----------
    fitted : FittedModel
        Of `training`.
    training, unseen : EncodedRecording
        The same one where nothing was held out.
    own : bool
        Whether `fitted` is known to have been fitted to `training`: its axes then serve the baseline.

    Returns
    -------
    scores : Scores
        JSON-able but for NaN; without ``rollout``, ``channels`` and the certificate.
    curve : Curve
        On some of the frames, evenly spaced.

    Notes
    -----
    Co-smoothing by fits without the units that are to be predicted is `nwb_dcf.metrics.score_cosmoothing`; that of this
    fit is measured by `nwb_dcf.evaluation.shared_signal.measure_left_out`. Expected counts of both methods are
    calibrated on the training frames, unit by unit, so that neither gains by the bias of the square root.
    """
    x, segment = unseen.frames.values, unseen.frames.segment
    every, dim = unseen.latents, fitted.dim
    some = np.linspace(0, len(x) - 1, min(CURVE_FRAMES[fitted.config.model.decoder], len(x))).round().astype(int)
    lengths, shown = range(1, fitted.k_max + 1), take_scattered(x, some)
    # of the training frames, as the fit is: the baseline sees nothing more
    pca = Projection.of(fitted, training.frames, own=own)
    curve: Curve = {
        "bottleneck_r2": np.array([r2_score(shown, fitted.reconstruct(every[some, :k])) for k in lengths]),
        "pca_r2": np.array([r2_score(shown, pca.reconstruct(shown, k)) for k in lengths]),
    }
    sums, groups = sum_frames(fitted, training, unseen, pca), divide_frames(segment)
    scores: Scores = {
        "on": "held-out data" if unseen is not training else "training data (nothing was held out)",
        "frames": len(x),
        "bottleneck_r2": sums.compute_r2("mean"),
        "flow_r2": sums.compute_r2("flow"),
        "pca_r2": sums.compute_r2("pca"),
        "round_trip_r2": sums.compute_r2("round_trip"),
        "energy_outside": compute_fraction_outside(sums.energy.sum(), sums.kept.sum()),
        "intervals": {},
    }
    if np.isfinite(sums.errors["mean"]).all():  # else R2 is NaN, and there is nothing to resample
        # paired on segments: their difference is far less variable than either score
        pair = [sums.add_errors(name, groups) for name in ("mean", "pca")]
        _add_pair(scores, "bottleneck_r2", "pca_r2", "difference_r2", *pair)
    seen, read = (
        np.concatenate([pca.read(part, dim) for part in iterate_frames(frames)])
        for frames in (training.frames, unseen.frames)
    )
    scores |= _compare_paths(every[:, :dim], read, seen.std(axis=0), segment)
    if sums.deviance:
        deviance = [sums.add_deviance(name, groups) for name in ("mean", "pca")]
        _add_pair(scores, "deviance_explained", "pca_deviance_explained", "difference_deviance", *deviance)
    return scores, curve


def _add_pair(scores: Scores, name: str, pca_name: str, difference: str, ours: SegmentSums, pca: SegmentSums) -> None:
    """Add a score, PCA's and their difference on the same segments, each with its interval."""
    found: dict[str, Interval] = {
        name: bootstrap_over_segments(ours),
        pca_name: bootstrap_over_segments(pca),
        difference: compare_paired(ours, pca),
    }
    scores |= cast(Scores, {key: interval.value for key, interval in found.items()})
    one = found[name]
    scores["intervals"] |= {key: [interval.low, interval.high] for key, interval in found.items()}
    scores["intervals"] |= {"level": one.level, "n": one.n, "over": one.over}


def _compare_paths(
    latents: Float[np.ndarray, "time latent"],
    pca_scores: Float[np.ndarray, "time latent"],
    pca_deviation: Float[np.ndarray, " latent"],
    segment: Int[np.ndarray, " time"],
) -> Scores:
    """Path length over displacement of latents and of PCA's scores, both of unit variance in training."""
    # unit variance, as the latents have: smoothness depends on the scaling
    scaled = pca_scores / np.where(pca_deviation > 0, pca_deviation, 1)
    try:
        return {
            "smoothness": measure_smoothness(latents, segment).value,
            "pca_smoothness": measure_smoothness(scaled, segment).value,
        }
    except DataError:  # no segment has two different frames
        return {}

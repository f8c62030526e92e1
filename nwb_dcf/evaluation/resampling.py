"""Repeated fits: to channels shifted against each other in time, and to resampled segments.

The first gives the scores of a recording whose channels are no longer coordinated, the second the agreement of axes
between fits to other segments of the same session.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import xarray as xr

from ..data.recording import flatten_frames, select_segments
from ..data.records import Agreement, NullScores
from ..data.split import cut_pieces
from ..errors import DCFError
from ..estimator.fit import fit
from ..estimator.fitted import FittedModel
from ..metrics import compare_runs, compute_pca_axes, r2_score, rank_in_null, reconstruct_by_pca, shift_channels
from ..metrics.null_distribution import LEAST_NULLS
from ..metrics.segment_sums import divide_frames
from .invented import RunLatents, measure_invented, read_latents

if TYPE_CHECKING:
    from jaxtyping import Float

    from ..config.progress import Progress

    LatentPair = tuple[Float[np.ndarray, "time latent"], Float[np.ndarray, "time latent"]]

SURVIVES = "each segment keeps every channel's mean, so that variance shared from trial to trial survives the shift"

Listener = Callable[["Progress"], None]
T = TypeVar("T")


def measure_null(
    fitted: FittedModel,
    training: xr.Dataset,
    unseen: xr.Dataset,
    scores: Mapping[str, float],
    n: int,
    *,
    progress: Listener | None = None,
    keep_partial: bool = False,
) -> NullScores:
    """Fit `n` times to data whose channels were shifted in time, and score each fit on shifted held-out data.

    Parameters
    ----------
    fitted : FittedModel
        Of `training`; the null fits have its settings, its number of latents and its seed.
    training, unseen : xarray.Dataset
        Recordings as they were read: values are shifted before they are smoothed.
    scores : mapping
        The fit's own ``bottleneck_r2`` and ``pca_r2`` on `unseen`.
    n : int
    progress : callable, optional
        Called as by the fit, with ``"null 1 of n: "`` before the stage.
    keep_partial : bool
        Whether Ctrl-C keeps the finished fits instead of raising KeyboardInterrupt.

    Returns
    -------
    NullScores

    Notes
    -----
    R2 of different data are compared: shifted channels have less shared variance to compress. A fit above its null is
    evidence that channels are coordinated from moment to moment, not that the latents are correct.
    """
    config = fitted.config
    # independent of the fit's own draws, and two for each null: training and held-out
    seeds = np.random.SeedSequence([config.train.seed, 1]).generate_state(2 * n).reshape(n, 2)

    def fit_null(i: int) -> tuple[float, float]:
        # shifted before smoothing: the seam of a rotation is then smoothed like any jump
        shifted = _shift(training, int(seeds[i, 0]))
        tried = shifted if unseen is training else _shift(unseen, int(seeds[i, 1]))
        # nothing is asked of v
        null = fit(shifted, config, progress=_label(progress, f"null {i + 1} of {n}"), latents_only=True)
        seen, x = null.prepare(shifted).values, null.prepare(tried)
        return null.score(x), r2_score(x.values, reconstruct_by_pca(seen, x.values, null.dim))

    found, stopped = _repeat(fit_null, n, keep_partial)
    ours, pca = ([pair[i] for pair in found] for i in (0, 1))
    outcome: NullScores = {
        "fits": len(found),
        "bottleneck_r2": ours,
        "pca_r2": pca,
        "p": _rank(scores["bottleneck_r2"], ours),
        "pca_p": _rank(scores["pca_r2"], pca),
        "p_floor": 1 / (len(found) + 1),
        "survives": SURVIVES,
    }
    if stopped:
        outcome["stopped"] = stopped
    return outcome


def measure_agreement(
    fitted: FittedModel,
    training: xr.Dataset,
    unseen: xr.Dataset,
    n: int,
    *,
    progress: Listener | None = None,
    keep_partial: bool = False,
) -> Agreement:
    """Fit `n` - 1 times more, with other seeds and to resampled training segments, and compare axis by axis.

    Parameters
    ----------
    fitted, training, progress, keep_partial
        As in `measure_null`.
    unseen : xarray.Dataset
        Recording whose latents all fits, the first included, are compared on.
    n : int
        Fits in all.

    Returns
    -------
    Agreement

    Notes
    -----
    All fits start at the principal axes by default, so that seeds alone would agree by construction: hence the
    resampling (see `nwb_dcf.metrics.measure_consistency`).
    """
    config = fitted.config
    over = divide_frames(training["segment_index"].values).over

    def fit_resampled(i: int) -> tuple[LatentPair, RunLatents]:
        # initial weights are to differ too; from one PCA start seeds alone would agree by construction
        seed = config.train.seed + 1 + i
        drawn = resample_segments(training, seed=seed)
        settings = replace(config, train=replace(config.train, seed=seed))
        again = fit(drawn, settings, progress=_label(progress, f"fit {i + 2} of {n}"), latents_only=True)
        # cross-decoding is learned on the same frames for all fits, those of this one's training
        return _compute_latents(again, drawn, unseen), read_latents(again, training, unseen)

    found, stopped = _repeat(fit_resampled, n - 1, keep_partial)
    outcome: Agreement = {"fits": len(found) + 1}
    if stopped:
        outcome["stopped"] = stopped
    if not found:
        return outcome
    runs = [_compute_latents(fitted, training, unseen), *(pair for pair, _ in found)]
    # close variances leave only planes determined
    spectrum = fitted.spectrum[: fitted.dim]
    ours, pca = (compare_runs([run[i] for run in runs], spectrum) for i in (0, 1))
    # all latents as one group: whether axes turn within a space that is found, or the space itself is another
    space = compare_runs([run[0] for run in runs], np.ones(fitted.dim))
    return {
        **outcome,
        "over": over,
        "groups": [[axis + 1 for axis in group] for group in ours[0].groups],
        "axes": np.mean([pair.axes for pair in ours], axis=0).tolist(),
        "planes": np.mean([pair.planes for pair in ours], axis=0).tolist(),
        "space": float(np.mean([pair.worst for pair in space])),
        "pca_axes": np.mean([pair.axes for pair in pca], axis=0).tolist(),
        "pca_planes": np.mean([pair.planes for pair in pca], axis=0).tolist(),
        "invented": measure_invented(
            fitted, training, unseen, [read_latents(fitted, training, unseen), *(latents for _, latents in found)]
        ),
    }


def resample_segments(recording: xr.Dataset, *, seed: int) -> xr.Dataset:
    """Draw as many segments as there are, with replacement; fewer than five are cut in about twenty blocks first.

    Parameters
    ----------
    recording : xarray.Dataset
    seed : int

    Returns
    -------
    xarray.Dataset
        With ``segment_origin`` (segment,), the segment that was drawn: one that was drawn twice stays on one side
        where the recording is split (`nwb_dcf.data.split.split_recording`).
    """
    groups = divide_frames(recording["segment_index"].values)
    pieces = recording
    if groups.over == "blocks":
        blocks = cut_pieces(recording, groups.index, np.ones(len(groups.index), bool))
        pieces = recording if blocks is None else blocks  # None where no block has two frames
    n = pieces.sizes["segment"]
    # whole segments: frames within one are not independent
    drawn = np.random.default_rng(seed).integers(n, size=n)
    return select_segments(pieces, drawn).assign(segment_origin=("segment", drawn))


def _shift(recording: xr.Dataset, seed: int) -> xr.Dataset:
    values = recording["data"]
    shifted = shift_channels(flatten_frames(recording), recording["segment_index"].values, seed=seed)
    return recording.assign(data=(values.dims, shifted.reshape(values.shape), values.attrs))


def _compute_latents(fitted: FittedModel, training: xr.Dataset, unseen: xr.Dataset) -> LatentPair:
    """Latents of `unseen` by a fit, and by PCA of the same training frames, each with that fit's preparation."""
    # PCA with each fit's own preparation: the comparison is of methods, not of scalings
    mean, axes = compute_pca_axes(fitted.prepare(training).values, fitted.dim)
    frames = fitted.prepare(unseen)
    return fitted.encode(frames), (frames.values - mean) @ axes


def _repeat(one: Callable[[int], T], n: int, keep_partial: bool) -> tuple[list[T], str]:
    """Results of ``one(0)``, ``one(1)``, ..., and why they stopped before `n`: the first fit must not be lost."""
    done: list[T] = []
    for i in range(n):
        try:
            done.append(one(i))
        except KeyboardInterrupt:
            if not keep_partial:
                raise
            return done, "interrupted"
        except DCFError as error:
            return done, str(error)
    return done, ""


def _rank(value: float, nulls: list[float]) -> float | None:
    """p value among nulls; None where there are too few, or a score is NaN."""
    enough = len(nulls) >= LEAST_NULLS and np.isfinite([value, *nulls]).all()
    return rank_in_null(value, nulls) if enough else None


def _label(progress: Listener | None, label: str) -> Listener | None:
    """Put `label` before every stage that `progress` receives."""
    if progress is None:
        return None
    return lambda event: progress(replace(event, stage=f"{label}: {event.stage}"))

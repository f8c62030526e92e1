"""A fit made again: to channels shifted apart in time, and to resampled segments.

The first says what the method finds where channels no longer move together, the second whether it finds the same axes
in other segments of the same session.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import xarray as xr

from ..data.recording import flatten_frames, select_segments
from ..data.split import cut_pieces
from ..errors import DCFError
from ..estimator.fit import fit
from ..estimator.fitted import FittedModel
from ..metrics import compare_runs, find_pca_axes, r2_score, rank_in_null, rebuild_by_pca, shift_channels
from ..metrics.null_distribution import LEAST_NULLS
from ..metrics.segment_sums import divide_frames

if TYPE_CHECKING:
    from ..config.progress import Progress

SURVIVES = "each segment keeps every channel's mean, so that what channels share from trial to trial survives the shift"

Listener = Callable[["Progress"], None]
T = TypeVar("T")


def measure_null(
    fitted: FittedModel,
    training: xr.Dataset,
    unseen: xr.Dataset,
    scores: dict[str, Any],
    n: int,
    *,
    progress: Listener | None = None,
    keep_partial: bool = False,
) -> dict[str, Any]:
    """Fit `n` times to data whose channels were shifted in time, and score each fit on shifted held-out data.

    Parameters
    ----------
    fitted : FittedModel
        Of `training`; the null fits have its settings, its number of latents and its seed.
    training, unseen : xarray.Dataset
        Recordings as they were read: values are shifted before they are smoothed.
    scores : dict
        The fit's own ``bottleneck_r2`` and ``pca_r2`` on `unseen`.
    n : int
    progress : callable, optional
        Called as by the fit, with ``"null 1 of n: "`` before the stage.
    keep_partial : bool
        Whether Ctrl-C keeps the fits that are done instead of raising KeyboardInterrupt.

    Returns
    -------
    dict
        ``fits``, how many; ``bottleneck_r2`` and ``pca_r2``, a list each; ``p`` and ``pca_p``, the share of nulls at
        or above the fit's own score (see `nwb_dcf.metrics.rank_in_null`), None where that is not a number
        or there are fewer than 19 nulls; ``p_floor``, the least p that so many can show; ``survives``, what is in the
        null too; ``stopped``, why there are fewer than `n`, where there are.

    Notes
    -----
    What is compared are R2 of unlike data: shifted channels have less to compress. A fit above its null says that
    channels are coordinated from moment to moment, not that latents are the right ones.
    """
    config = fitted.config
    seeds = np.random.SeedSequence([config.train.seed, 1]).generate_state(2 * n).reshape(n, 2)

    def fit_null(i: int) -> tuple[float, float]:
        shifted = _shift(training, int(seeds[i, 0]))
        tried = shifted if unseen is training else _shift(unseen, int(seeds[i, 1]))
        null = fit(shifted, config, progress=_label(progress, f"null {i + 1} of {n}"))
        seen, x = null.prepare(shifted).values, null.prepare(tried)
        return null.score(x), r2_score(x.values, rebuild_by_pca(seen, x.values, null.dim))

    found, stopped = _repeat(fit_null, n, keep_partial)
    ours, pca = ([pair[i] for pair in found] for i in (0, 1))
    return {
        "fits": len(found),
        "bottleneck_r2": ours,
        "pca_r2": pca,
        "p": _rank(scores["bottleneck_r2"], ours),
        "pca_p": _rank(scores["pca_r2"], pca),
        "p_floor": 1 / (len(found) + 1),
        "survives": SURVIVES,
        **({"stopped": stopped} if stopped else {}),
    }


def measure_agreement(
    fitted: FittedModel,
    training: xr.Dataset,
    unseen: xr.Dataset,
    n: int,
    *,
    progress: Listener | None = None,
    keep_partial: bool = False,
) -> dict[str, Any]:
    """Fit `n` - 1 times more, with other seeds and to resampled training segments, and compare axis by axis.

    Parameters
    ----------
    fitted, training, progress, keep_partial
        As in `measure_null`.
    unseen : xarray.Dataset
        Recording that all fits, the first included, are read on.
    n : int
        Fits in all.

    Returns
    -------
    dict
        ``fits``; ``over``, whether segments or blocks were resampled; ``axes`` (latent,), absolute correlation of
        each latent between two fits, the mean over all pairs; ``groups``, latents from 1 whose variances are close;
        ``planes``, the same for the span of each group; ``pca_axes`` and ``pca_planes`` of PCA on the same segments;
        ``stopped``, why there are fewer than `n`, where there are. With a single fit ``stopped`` alone says why.

    Notes
    -----
    All fits start at the principal axes by default, so that seeds alone would agree by construction: hence the
    resampling (see `nwb_dcf.metrics.measure_consistency`).
    """
    config = fitted.config
    over = divide_frames(training["segment_index"].values).over

    def fit_resampled(i: int) -> tuple[np.ndarray, np.ndarray]:
        seed = config.train.seed + 1 + i
        drawn = resample_segments(training, seed=seed)
        settings = replace(config, train=replace(config.train, seed=seed))
        again = fit(drawn, settings, progress=_label(progress, f"fit {i + 2} of {n}"))
        return _read_latents(again, drawn, unseen)

    found, stopped = _repeat(fit_resampled, n - 1, keep_partial)
    outcome: dict[str, Any] = {"fits": len(found) + 1, **({"stopped": stopped} if stopped else {})}
    if not found:
        return outcome
    runs = [_read_latents(fitted, training, unseen), *found]
    spectrum = fitted.spectrum[: fitted.dim]
    ours, pca = (compare_runs([run[i] for run in runs], spectrum) for i in (0, 1))
    return {
        **outcome,
        "over": over,
        "groups": [[axis + 1 for axis in group] for group in ours[0].groups],
        "axes": np.mean([pair.axes for pair in ours], axis=0).tolist(),
        "planes": np.mean([pair.planes for pair in ours], axis=0).tolist(),
        "pca_axes": np.mean([pair.axes for pair in pca], axis=0).tolist(),
        "pca_planes": np.mean([pair.planes for pair in pca], axis=0).tolist(),
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
        With ``segment_origin`` (segment,), which says what was drawn: a segment that is there twice stays on one side
        where the recording is split (`nwb_dcf.data.split.split_recording`).
    """
    division = divide_frames(recording["segment_index"].values)
    pieces = recording
    if division.over == "blocks":
        blocks = cut_pieces(recording, division.index, np.ones(len(division.index), bool))
        pieces = recording if blocks is None else blocks  # None where no block has two frames
    n = pieces.sizes["segment"]
    drawn = np.random.default_rng(seed).integers(n, size=n)
    return select_segments(pieces, drawn).assign(segment_origin=("segment", drawn))


def _shift(recording: xr.Dataset, seed: int) -> xr.Dataset:
    values = recording["data"]
    shifted = shift_channels(flatten_frames(recording), recording["segment_index"].values, seed=seed)
    return recording.assign(data=(values.dims, shifted.reshape(values.shape), values.attrs))


def _read_latents(fitted: FittedModel, training: xr.Dataset, unseen: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Latents of `unseen` by a fit, and by PCA of the same training frames, each with that fit's preparation."""
    mean, axes = find_pca_axes(fitted.prepare(training).values, fitted.dim)
    frames = fitted.prepare(unseen)
    return fitted.encode(frames), (frames.values - mean) @ axes


def _repeat(one: Callable[[int], T], n: int, keep_partial: bool) -> tuple[list[T], str]:
    """Outcomes of ``one(0)``, ``one(1)``, ..., and why they stopped before `n`: the first fit is not to be lost."""
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
    """p value among nulls; None where there are too few to say one, or a score is not a number."""
    enough = len(nulls) >= LEAST_NULLS and np.isfinite([value, *nulls]).all()
    return rank_in_null(value, nulls) if enough else None


def _label(progress: Listener | None, label: str) -> Listener | None:
    """Put `label` before every stage that `progress` is told."""
    if progress is None:
        return None
    return lambda event: progress(replace(event, stage=f"{label}: {event.stage}"))

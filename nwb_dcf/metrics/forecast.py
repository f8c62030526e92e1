"""Forecasts of latents lead by lead, beside persistence and a ridge autoregression."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from ..errors import DataError
from . import r2_score
from .segment_sums import SegmentSums, divide_frames

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int, Real

FEWEST_STARTS = 8  # at a lead, below which it is not scored
ORDER = 3  # as many frames as v sees by default, h = 3
MOST_PAIRS = 2**17  # evenly spaced, as those that v starts from: far more than there are coefficients
PENALTIES = np.logspace(-7, 1, 9)  # times the mean variance of what is regressed on


def score_forecasts(
    truth: Float[np.ndarray, "start lead latent"], forecasts: Mapping[str, Float[np.ndarray, "start lead latent"]]
) -> xr.Dataset:
    """Score forecasts lead by lead, and count the leads at which each beats persistence.

    Parameters
    ----------
    truth : array, shape (start, lead, latent)
        NaN where a segment ends before.
    forecasts : mapping of str to array of that shape
        ``stay``, persistence of the last known value, and those of any method. NaN or infinite counts as wrong.

    Returns
    -------
    xarray.Dataset
        For each forecast its R2 (lead,) over starts and latents pooled; ``starts`` (lead,), how many. NaN where fewer
        than eight. ``attrs["horizon"]`` maps each other forecast to its horizon: leads in a row, from the first, at
        which it beats both "stay" and the mean of the truth (R2 above 0).

    Examples
    --------
    >>> import numpy as np
    >>> turn = np.exp(0.3j * np.arange(30))[:, None] * np.exp(0.3j * np.arange(1, 9))
    >>> truth = np.stack([turn.real, turn.imag], axis=-1)
    >>> score_forecasts(truth, {"stay": 0 * truth, "model": truth}).attrs["horizon"]
    {'model': 8}
    """
    n_leads = truth.shape[1]
    there = np.isfinite(truth).all(axis=-1)
    scores = {name: np.full(n_leads, np.nan) for name in forecasts}
    for lead in np.flatnonzero(there.sum(axis=0) >= FEWEST_STARTS):
        rows = there[:, lead]
        for name, forecast in forecasts.items():
            scores[name][lead] = r2_score(
                truth[rows, lead], np.nan_to_num(forecast[rows, lead], posinf=1e6, neginf=-1e6)
            )
    # persistence may be worse than the mean: both have to be beaten
    beaten = np.maximum(scores["stay"], 0)
    horizon = {name: _count_first(scores[name] > beaten) for name in forecasts if name != "stay"}
    return xr.Dataset(
        {**{name: ("lead", values) for name, values in scores.items()}, "starts": ("lead", there.sum(axis=0))},
        coords={"lead": ("lead", np.arange(1, n_leads + 1), {"units": "frames"})},
        attrs={"horizon": horizon},
    )


def sum_forecasts(
    truth: Float[np.ndarray, "start lead latent"],
    forecasts: Mapping[str, Float[np.ndarray, "start lead latent"]],
    segment: Int[np.ndarray, " start"],
) -> dict[str, SegmentSums]:
    """Score forecasts over all of the given leads together, in sums over the segments of their starts.

    Parameters
    ----------
    truth, forecasts
        As in `score_forecasts`.
    segment : array of int, shape (start,)
        Segment that each start lies in.

    Returns
    -------
    dict of str to SegmentSums
        R2 of each forecast, pooled over leads and latents, about the mean of the truth at each lead.

    Raises
    ------
    DataError
        If fewer than eight starts reach any of the leads.
    """
    there = np.isfinite(truth).all(axis=-1)
    if there.any(axis=1).sum() < FEWEST_STARTS:
        raise DataError(f"{there.any(axis=1).sum()} starts reach so far ahead", fix="give longer segments")
    reached = there.any(axis=1)
    groups, there = divide_frames(segment[reached]), there[reached]
    centre = np.nanmean(np.where(there[..., None], truth[reached], np.nan), axis=0)
    total = np.where(there, np.square(truth[reached] - centre).sum(axis=-1), 0.0).sum(axis=1)
    sums = {}
    for name, forecast in forecasts.items():
        wrong = truth[reached] - np.nan_to_num(forecast[reached], posinf=1e6, neginf=-1e6)
        error = np.where(there, np.square(wrong).sum(axis=-1), 0.0).sum(axis=1)
        sums[name] = SegmentSums(groups.add_up(total - error), groups.add_up(total), groups.over)
    return sums


class Autoregression:
    """The next frame as a ridge regression on the last `order` frames.

    The penalty has the least leave-one-out error one frame ahead (scikit-learn's `RidgeCV`): a fixed one that suits a
    noisy recording would handicap this rival on a smooth one.

    Parameters
    ----------
    segments : sequence of array, shape (time, latent)
        No pair crosses from one to the next.
    order : int
        Frames that the next depends on, the current one included.

    Raises
    ------
    DataError
        If no segment is longer than `order`.
    """

    def __init__(self, segments: Sequence[Real[np.ndarray, "_time latent"]], order: int = ORDER) -> None:
        from sklearn.linear_model import RidgeCV  # a third of a second that the command line need not wait for

        segments = [z for z in segments if len(z) > order]
        if not segments:
            raise DataError(f"no segment is longer than {order} frames", fix="give longer segments")
        self.order = order
        self.mean = np.concatenate(segments).mean(axis=0, dtype=np.float64)
        every = -(-sum(len(z) - order for z in segments) // MOST_PAIRS)
        newest = [np.arange(order - 1, len(z) - 1, every) for z in segments]
        lags = np.arange(order)
        past = np.concatenate([z[at[:, None] - lags] for z, at in zip(segments, newest, strict=True)])
        following = np.concatenate([z[at + 1] for z, at in zip(segments, newest, strict=True)])
        # displacements, not frames: the penalty then shrinks towards persistence
        moved = following.astype(np.float64) - past[:, 0]
        x = (past - self.mean).reshape(len(past), -1)
        # times frames and mean square: scikit-learn's penalty is on sums, and in the unit of the latents squared
        size = max(np.square(x).mean(), np.finfo(np.float64).tiny)
        found = RidgeCV(PENALTIES * len(x) * size, fit_intercept=False).fit(x, moved)
        self.weights = np.asarray(found.coef_).reshape(moved.shape[1], -1).T

    def extrapolate(
        self, past: Real[np.ndarray, "start order latent"], n_frames: int
    ) -> Float[np.ndarray, "start frame latent"]:
        """Continue `past`, shape (start, order, latent), newest first, to (start, n_frames, latent)."""
        window, path = past - self.mean, []
        for _ in range(n_frames):
            newest = window[:, 0] + window.reshape(len(window), -1) @ self.weights
            window = np.concatenate([newest[:, None], window[:, :-1]], axis=1)
            path.append(newest + self.mean)
        return np.stack(path, axis=1)


def _count_first(values: Bool[np.ndarray, " lead"]) -> int:
    """Count the leads before the first False."""
    return int(np.argmin(np.append(values, False)))

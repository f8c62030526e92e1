"""Forecasts of latents lead by lead, beside persistence and a ridge autoregression."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from ..errors import DataError
from . import r2_score

FEWEST_STARTS = 8  # at a lead, below which it is not scored


ORDER = 3


PENALTIES = np.logspace(-7, 1, 9)  # times the mean variance of what is regressed on


def score_forecasts(truth: np.ndarray, forecasts: Mapping[str, np.ndarray]) -> xr.Dataset:
    """Score forecasts lead by lead, and say how far each beats "stay".

    Parameters
    ----------
    truth : array, shape (start, lead, latent)
        NaN where a segment ends before.
    forecasts : mapping of str to array of that shape
        ``stay``, the last value known, and any others, of any method. NaN or infinite counts as wrong.

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
    beaten = np.maximum(scores["stay"], 0)
    horizon = {name: _count_first(scores[name] > beaten) for name in forecasts if name != "stay"}
    return xr.Dataset(
        {**{name: ("lead", values) for name, values in scores.items()}, "starts": ("lead", there.sum(axis=0))},
        coords={"lead": ("lead", np.arange(1, n_leads + 1), {"units": "frames"})},
        attrs={"horizon": horizon},
    )


class Autoregression:
    """The next frame as a ridge regression on the last `order` frames.

    The penalty is that of the least generalised cross-validation error on one frame ahead (Golub, Heath and Wahba
    1979), so that the rival of a smooth recording is not held back by one that suits a noisy one.

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

    def __init__(self, segments: Sequence[np.ndarray], order: int = ORDER) -> None:
        segments = [np.asarray(z, np.float64) for z in segments if len(z) > order]
        if not segments:
            raise DataError(f"no segment is longer than {order} frames", fix="give longer segments")
        self.order = order
        self.mean = np.concatenate(segments).mean(axis=0)
        past = np.concatenate(
            [np.stack([z[order - 1 - i : len(z) - 1 - i] for i in range(order)], 1) for z in segments]
        )
        moved = np.concatenate([np.diff(z, axis=0)[order - 1 :] for z in segments])
        x = (past - self.mean).reshape(len(past), -1)
        left, scale, right = np.linalg.svd(x, full_matrices=False)
        aim = left.T @ moved
        unexplained, best = np.square(moved).sum() - np.square(aim).sum(), np.inf
        for penalty in PENALTIES * np.square(scale).mean():
            kept = np.square(scale) / (np.square(scale) + penalty)
            error = unexplained + np.square((1 - kept)[:, None] * aim).sum()
            score = error / (len(x) - kept.sum()) ** 2 if len(x) > kept.sum() else np.inf
            if score < best:
                best, self.weights = score, right.T @ ((kept / scale)[:, None] * aim)

    def extrapolate(self, past: np.ndarray, n_frames: int) -> np.ndarray:
        """Continue `past`, shape (start, order, latent), newest first, to (start, n_frames, latent)."""
        window, path = past - self.mean, []
        for _ in range(n_frames):
            newest = window[:, 0] + window.reshape(len(window), -1) @ self.weights
            window = np.concatenate([newest[:, None], window[:, :-1]], axis=1)
            path.append(newest + self.mean)
        return np.stack(path, axis=1)


def _count_first(values: np.ndarray) -> int:
    return int(np.argmin(np.append(values, False)))

"""Latents averaged over the trials of each condition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from scipy.special import stdtrit

from ..data.result import DCFResult
from ..errors import DataError
from .color import Coloring, choose_coloring, list_colorings

if TYPE_CHECKING:
    from jaxtyping import Float
    from matplotlib.figure import FigureBase

LEVEL = 0.95
FEWEST = 3  # trials of a condition, below which it has no interval
REACHED = 0.8  # of the trials: where more have ended, a mean jumps with each
MOST = 12  # conditions: as many as have a colour of their own


@dataclass(frozen=True)
class ConditionMeans:
    """Latents averaged over the trials of each condition.

    Attributes
    ----------
    time : array, shape (bin,)
        Seconds from the start of the trial, on the frames of the median trial.
    mean : array, shape (condition, bin, latent)
        NaN where fewer than four fifths of the trials of a condition last so long.
    half_width : array, shape (condition, bin, latent)
        Half the width of the 95 % interval of `mean` (Student's t over trials).
    coloring : Coloring
        Names and colours of the conditions.
    """

    time: Float[np.ndarray, " bin"]
    mean: Float[np.ndarray, "condition bin latent"]
    half_width: Float[np.ndarray, "condition bin latent"]
    coloring: Coloring


def find_condition(dataset: xr.Dataset, color: str = "time") -> str | None:
    """Name the column that sorts trials into conditions: `color` if it does, else the first that does; None if none.

    Every condition has `FEWEST` trials at least.
    """
    names = [color, *(name for name in list_colorings(dataset) if name not in ("time", "trial", "held_out"))]
    return next((name for name in names if _sorts(dataset, name)), None)


def average_conditions(result: DCFResult, name: str) -> ConditionMeans:
    """Average latents over the trials of each condition, from the start of each trial.

    Trials are put on one clock by linear interpolation, and each bin is averaged over the trials that last so
    long; bins that fewer than four fifths of the trials of a condition reach are NaN.

    Returns
    -------
    ConditionMeans

    Raises
    ------
    DataError
        If no condition has enough trials.
    """
    data = result.dataset
    coloring = choose_coloring(data, name)
    if not _sorts(data, name):
        raise DataError(
            f"{name!r} does not sort trials into conditions of {FEWEST} or more", fix="choose another column"
        )
    index = data["segment_index"].values
    edges = np.searchsorted(index, np.arange(data.sizes["segment"] + 1))
    starts = data["segment_start"].values
    clock = data["time"].values
    # within segments alone: the pauses between them are no steps
    step = float(np.median(np.diff(clock)[np.diff(index) == 0]))
    lengths = np.array([clock[b - 1] - starts[k] for k, (a, b) in enumerate(zip(edges[:-1], edges[1:], strict=True))])
    # the median: one trial without an end would draw a long empty axis
    begins = float(np.median(clock[edges[:-1]] - starts))
    time = np.arange(begins, float(np.median(lengths)) + step, step)
    n_latents = data.sizes["latent"]
    trials = np.full((data.sizes["segment"], len(time), n_latents), np.nan)
    for k, (a, b) in enumerate(zip(edges[:-1], edges[1:], strict=True)):
        own = clock[a:b] - starts[k]
        # np.interp would hold the last value beyond the end of a trial
        inside = (time >= own[0] - step / 2) & (time <= own[-1] + step / 2)
        for latent in range(n_latents):
            trials[k, inside, latent] = np.interp(time[inside], own, data["latents"].values[a:b, latent])
    group = np.asarray(coloring.values)[edges[:-1]].astype(int)
    mean = np.full((len(coloring.groups), len(time), n_latents), np.nan)
    half = mean.copy()
    for condition in range(len(coloring.groups)):
        own_trials = trials[group == condition]
        n = np.isfinite(own_trials).sum(axis=0)
        # beyond, the mean is of the slow trials alone, and seems to turn where the fast ones end
        enough = n >= max(FEWEST, REACHED * len(own_trials))
        total = np.where(enough, np.nansum(own_trials, axis=0) / np.maximum(n, 1), np.nan)
        deviation = np.sqrt(np.nansum(np.square(own_trials - total), axis=0) / np.maximum(n - 1, 1))
        mean[condition] = total
        # Student's t: of three trials the normal's interval would be less than half as wide
        half[condition] = stdtrit(np.maximum(n - 1, 1), 0.5 + LEVEL / 2) * deviation / np.sqrt(np.maximum(n, 1))
    return ConditionMeans(time, mean, np.where(np.isfinite(mean), half, np.nan), coloring)


def draw_conditions(figure: FigureBase, result: DCFResult, name: str) -> None:
    """Draw latents averaged over the trials of each condition, with 95 % intervals over trials."""
    means = average_conditions(result, name)
    time, coloring = means.time, means.coloring
    n = means.mean.shape[2]
    panels: Any = figure.subplots(1, n, sharex=True, squeeze=False)[0]
    for latent, axes in enumerate(panels):
        for condition, label in enumerate(coloring.groups):
            middle, wide = means.mean[condition, :, latent], means.half_width[condition, :, latent]
            shade = coloring.pick(condition)
            axes.plot(time, middle, color=shade, linewidth=1.4, label=label)
            axes.fill_between(time, middle - wide, middle + wide, color=shade, alpha=0.2, linewidth=0)
        axes.set(xlabel="time from the start of the trial (s)", title=f"latent {latent + 1}")
    panels[-1].legend(title=coloring.label, frameon=False, loc="center left", bbox_to_anchor=(1.02, 0.5))


def _sorts(dataset: xr.Dataset, name: str) -> bool:
    index = dataset["segment_index"].values
    if name in ("time", "trial") or not (np.diff(index) == 0).any():
        return False
    coloring = choose_coloring(dataset, name)
    if not 2 <= len(coloring.groups) <= MOST:
        return False
    first = np.searchsorted(index, np.arange(dataset.sizes["segment"]))
    counts = np.bincount(np.asarray(coloring.values)[first].astype(int), minlength=len(coloring.groups))
    return bool((counts >= FEWEST).all())

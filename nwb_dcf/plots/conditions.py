"""Latents averaged over the trials of each condition."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from scipy.special import stdtrit

from ..data.result import DCFResult
from ..errors import DataError
from .color import Coloring, choose_coloring, list_colorings

if TYPE_CHECKING:
    from matplotlib.figure import FigureBase

LEVEL = 0.95
FEWEST = 3  # trials of a condition, below which it has no interval
MOST = 12  # conditions


def find_condition(dataset: xr.Dataset, color: str = "time") -> str | None:
    """Name the column that sorts trials into conditions: `color` if it does, else the first that does; None if none.

    Every condition has `FEWEST` trials at least.
    """
    names = [color, *(name for name in list_colorings(dataset) if name not in ("time", "trial", "held_out"))]
    return next((name for name in names if _sorts(dataset, name)), None)


def average_conditions(result: DCFResult, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, Coloring]:
    """Average latents over the trials of each condition, from the start of each trial.

    Trials are put on one clock by linear interpolation, and each moment is averaged over the trials that last so long;
    moments that fewer than half of a condition's trials reach are NaN.

    Returns
    -------
    time : array, shape (moment,)
        Seconds from the start of the trial.
    mean, half : array, shape (condition, moment, latent)
        Mean, and half the width of its 95 % interval (Student's t over trials).
    coloring : Coloring

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
    step = float(np.median(np.diff(clock)[np.diff(index) == 0]))
    lengths = np.array([clock[b - 1] - starts[k] for k, (a, b) in enumerate(zip(edges[:-1], edges[1:], strict=True))])
    time = np.arange(0.0, float(np.median(lengths)) + step, step)
    n_latents = data.sizes["latent"]
    trials = np.full((data.sizes["segment"], len(time), n_latents), np.nan)
    for k, (a, b) in enumerate(zip(edges[:-1], edges[1:], strict=True)):
        own = clock[a:b] - starts[k]
        inside = (time >= own[0] - step / 2) & (time <= own[-1] + step / 2)
        for latent in range(n_latents):
            trials[k, inside, latent] = np.interp(time[inside], own, data["latents"].values[a:b, latent])
    group = np.asarray(coloring.values)[edges[:-1]].astype(int)
    mean = np.full((len(coloring.groups), len(time), n_latents), np.nan)
    half = mean.copy()
    for condition in range(len(coloring.groups)):
        own_trials = trials[group == condition]
        n = np.isfinite(own_trials).sum(axis=0)
        enough = n >= max(FEWEST, len(own_trials) / 2)
        total = np.where(enough, np.nansum(own_trials, axis=0) / np.maximum(n, 1), np.nan)
        deviation = np.sqrt(np.nansum(np.square(own_trials - total), axis=0) / np.maximum(n - 1, 1))
        mean[condition] = total
        half[condition] = stdtrit(np.maximum(n - 1, 1), 0.5 + LEVEL / 2) * deviation / np.sqrt(np.maximum(n, 1))
    return time, mean, np.where(np.isfinite(mean), half, np.nan), coloring


def draw_conditions(figure: FigureBase, result: DCFResult, name: str) -> None:
    """Draw latents averaged over the trials of each condition, with 95 % intervals over trials."""
    time, mean, half, coloring = average_conditions(result, name)
    n = mean.shape[2]
    panels: Any = figure.subplots(1, n, sharex=True, squeeze=False)[0]
    for latent, axes in enumerate(panels):
        for condition, label in enumerate(coloring.groups):
            middle, wide, shade = mean[condition, :, latent], half[condition, :, latent], coloring.pick(condition)
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

"""Data beside their reconstruction from the latents alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from ..data.result import DCFResult, mark_held_out

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from matplotlib.figure import FigureBase

MOST_FRAMES = 120  # in a picture: about ten pixels each at the width of a page
N_IMAGES = 6
MOST_NAMES = 30  # rows whose names can be read
LIMIT_SD = 2.5  # standard deviations of a channel at the ends of the colour scale


def draw_examples(
    figure: FigureBase, result: DCFResult, prepared: xr.Dataset, reconstruction: Float[np.ndarray, " time *channel"]
) -> None:
    """Draw some of the data that the fit held out (any, where it held none out): data above, reconstruction below.

    Parameters
    ----------
    figure : matplotlib figure
    result : DCFResult
    prepared : xarray.Dataset
        Recording of the fit as the model sees it.
    reconstruction : array, shape (time, channel) or (time, y, x)
        From the latents alone, in prepared units.
    """
    data, intervals = prepared["data"].values, choose_intervals(result)
    frames = np.concatenate(intervals)
    if data.ndim == 3:
        _draw_images(figure, result, data, reconstruction.reshape(data.shape), frames)
        return
    mean, deviation = data.mean(axis=0), data.std(axis=0)
    # of the frames shown, so that the number is that of the picture and not the fit's score
    unexplained = np.square(data[frames] - reconstruction[frames]).sum() / np.square(data[frames] - mean).sum()
    # rows in the order of the first loadings: what latent 1 does shows as a gradient from top to bottom
    order = np.argsort(result.dataset["loadings"].values[:, 0])
    dim = str(prepared["data"].dims[1])
    panels = figure.subplots(2, 1, sharex=True, sharey=True)
    for axes, values, name in zip(panels, (data, reconstruction), ("data", "reconstruction"), strict=True):
        shown = ((values[frames] - mean) / np.where(deviation > 0, deviation, 1))[:, order]
        image = axes.imshow(
            shown.T, aspect="auto", vmin=-LIMIT_SD, vmax=LIMIT_SD, cmap="RdBu_r", interpolation="none",
            extent=(0, len(frames), len(order), 0),
        )  # fmt: skip
        for edge in np.cumsum([len(interval) for interval in intervals])[:-1]:
            axes.axvline(edge, color="black", linewidth=0.8)
        axes.set_ylabel(f"{name}: {dim}")
        names = result.dataset[dim].values if dim in result.dataset.coords else np.arange(len(order))
        # of many rows some are named, so that both ends of the order can be found in the file
        rows = np.arange(0, len(order), -(-len(order) // MOST_NAMES))
        axes.set_yticks(rows + 0.5, [str(one) for one in names[order[rows]]], fontsize=6)
    time = result.dataset["time"].values
    several = f"{len(intervals)} intervals" if len(intervals) > 1 else "1 interval"
    panels[0].set_title(
        f"{describe_part(result)}: {len(frames)} frames of {several} from {time[frames[0]]:.1f} s to "
        f"{time[frames[-1]]:.1f} s; reconstruction from {result.dim} numbers each, R² {1 - unexplained:.2f}"
    )
    at, seconds = _place_ticks(intervals, time)
    panels[1].set_xticks(at, [f"{one:.2f}" for one in seconds])
    panels[1].set_xlabel(f"time on the session clock (s); lines: between intervals; {dim}s by loading on latent 1")
    label = f"from the {dim}'s mean (its SD)"
    figure.colorbar(image, ax=panels, label=label, shrink=0.8, pad=0.01)


def _place_ticks(
    intervals: list[Int[np.ndarray, " frame"]], time: Float[np.ndarray, " time"]
) -> tuple[Float[np.ndarray, " tick"], Float[np.ndarray, " tick"]]:
    """Places along the picture, three an interval at most, and the time of the frame at each."""
    starts = np.cumsum([0, *(len(interval) for interval in intervals[:-1])])
    within = [np.unique([0, len(one) // 3, 2 * len(one) // 3]) for one in intervals]
    at = np.concatenate([start + places for start, places in zip(starts, within, strict=True)])
    frames = np.concatenate([one[places] for one, places in zip(intervals, within, strict=True)])
    return at + 0.5, time[frames]


def choose_intervals(result: DCFResult, n_frames: int = MOST_FRAMES) -> list[Int[np.ndarray, " frame"]]:
    """Choose intervals at even distances among those held out, or among all where none was.

    Returns
    -------
    list of array
        Indices of the frames of each interval, `n_frames` in all at most.
    """
    data = result.dataset
    index, unseen = data["segment_index"].values, mark_held_out(data, result.provenance)
    # runs of held-out frames within one segment
    edges = np.flatnonzero((np.diff(index) != 0) | (np.diff(unseen.astype(np.int8)) != 0)) + 1
    pieces = [run for run in np.split(np.arange(len(index)), edges) if unseen[run[0]]]
    pieces = [piece for piece in pieces if len(piece) > 1] or [
        np.flatnonzero(index == k) for k in range(data.sizes["segment"]) if (index == k).sum() > 1
    ]
    # three intervals or fewer are shown longer: one says little of how well time is followed
    longest = n_frames // min(3, len(pieces))
    n = min(len(pieces), max(1, n_frames // min(longest, max(len(piece) for piece in pieces))))
    chosen = np.unique(np.linspace(0, len(pieces) - 1, n).round().astype(int))
    return [pieces[k][:longest] for k in chosen]


def _draw_images(
    figure: FigureBase,
    result: DCFResult,
    data: Float[np.ndarray, "time y x"],
    reconstruction: Float[np.ndarray, "time y x"],
    some: Int[np.ndarray, " frame"],
) -> None:
    frames = some[np.linspace(0, len(some) - 1, min(N_IMAGES, len(some))).round().astype(int)]
    panels = figure.subplots(2, len(frames), squeeze=False)
    low, high = np.percentile(data[frames], [0.5, 99.5])
    for column, frame in zip(panels.T, frames, strict=True):
        for axes, images in zip(column, (data, reconstruction), strict=True):
            axes.imshow(images[frame], cmap="gray", vmin=low, vmax=high)
            axes.set(xticks=[], yticks=[])
        column[0].set_title(f"{result.dataset['time'].values[frame]:.2f} s")
    panels[0, 0].set_ylabel("data")
    panels[1, 0].set_ylabel("reconstruction")
    figure.suptitle(f"{describe_part(result)}, and reconstruction from {result.dim} numbers a frame")


def describe_part(result: DCFResult) -> str:
    """Return ``Held-out data``, or ``Data`` where none was held out."""
    split = result.provenance.get("split", {})
    return "Held-out data" if split.get("held_out") or split.get("held_out_intervals_s") else "Data"

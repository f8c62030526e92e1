"""Latents against time: the first thing to look at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from ..data.result import DCFResult, mark_held_out
from .color import MOST_GROUPS, PALETTE, Coloring, choose_coloring

if TYPE_CHECKING:
    from jaxtyping import Bool, Float
    from matplotlib.axes import Axes
    from matplotlib.figure import FigureBase

LEAST_S, LEAST_FRAMES = 20.0, 600  # of the window that is drawn, the longer of both
HELD_OUT = "#f0dcc0"


def draw_latents(figure: FigureBase, result: DCFResult, color: str = "time") -> None:
    """Draw every latent in a row of its own against time, around the first interval that was held out.

    Below them stand the segments, in the colours of `color` where it names groups.

    Raises
    ------
    ParameterError
        If there is no such column.
    """
    data = result.dataset
    coloring = choose_coloring(data, color)
    # segments of overlapping trials, or of another table's order, need not follow each other in time
    order = np.argsort(data["time"].values, kind="stable")
    time, latents = data["time"].values[order], data["latents"].values[order]
    segment, held_out = data["segment_index"].values[order], find_held_out(result)[order]
    window = choose_window(time, held_out)
    seen = np.flatnonzero((time >= window[0]) & (time <= window[1]))
    n = latents.shape[1]
    panels: Any = figure.subplots(n + 1, 1, sharex=True, squeeze=False, height_ratios=[1.0] * n + [0.22])[:, 0]
    # NaN between segments, or matplotlib would join them by a line that nobody recorded
    breaks = np.flatnonzero(np.diff(segment[seen])) + 1
    x = np.insert(time[seen], breaks, np.nan)
    for k, axes in enumerate(panels[:n]):
        axes.plot(x, np.insert(latents[seen, k], breaks, np.nan), color=PALETTE[k % len(PALETTE)], linewidth=1)
        axes.set_ylabel(f"latent {k + 1}")
        _shade(axes, time[seen], held_out[seen])
    strip = panels[n]
    _draw_segments(strip, data, coloring, window)
    strip.set(yticks=[], ylim=(0, 1), xlim=window, xlabel="time on the session clock (s)")
    strip.spines["left"].set_visible(False)
    whole = len(seen) == len(time)
    part = "" if whole else f", {window[0]:.0f} to {window[1]:.0f} of {time[0]:.0f} to {time[-1]:.0f} s"
    shade = "; shaded: held out" if held_out[seen].any() else ""
    by = f"; segments by {coloring.label}" if coloring.groups else ""
    panels[0].set_title(f"Latents against time{part}{shade}{by}")
    if coloring.groups:
        _name_groups(figure, coloring)


def _name_groups(figure: FigureBase, coloring: Coloring) -> None:
    from matplotlib.patches import Patch

    handles = [Patch(color=coloring.pick(k), label=name) for k, name in enumerate(coloring.groups[:MOST_GROUPS])]
    figure.legend(handles=handles, title=coloring.label, loc="outside right lower", frameon=False)


def find_held_out(result: DCFResult) -> Bool[np.ndarray, " time"]:
    """Find the frames that the model did not see in training, shape (time,)."""
    return mark_held_out(result.dataset, result.provenance)


def choose_window(time: Float[np.ndarray, " time"], held_out: Bool[np.ndarray, " time"]) -> tuple[float, float]:
    """Choose the start and stop to draw, seconds: all of a short session, else a part around a held-out interval.

    Examples
    --------
    >>> choose_window(np.arange(100.0), np.zeros(100, bool))
    (0.0, 99.0)
    """
    first, last = float(time[0]), float(time[-1])
    length = max(LEAST_S, LEAST_FRAMES * float(np.median(np.diff(time))) if len(time) > 1 else 0.0)
    if last - first <= 1.5 * length:
        return first, last
    middle = float(time[np.argmax(held_out)]) if held_out.any() else first + length / 2
    start = min(max(middle - length / 2, first), last - length)
    return start, start + length


def find_spans(time: Float[np.ndarray, " time"], inside: Bool[np.ndarray, " time"]) -> list[tuple[float, float]]:
    """Find the first and last time of every run of frames that are `inside`.

    Examples
    --------
    >>> find_spans(np.arange(5.0), np.array([True, True, False, True, False]))
    [(0.0, 1.0), (3.0, 3.0)]
    """
    # starts and ends in turn, also at the edges of the window
    edges = np.flatnonzero(np.diff(inside.astype(int), prepend=0, append=0))
    return [(float(time[a]), float(time[b - 1])) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _shade(axes: Axes, time: Float[np.ndarray, " time"], inside: Bool[np.ndarray, " time"]) -> None:
    for start, stop in find_spans(time, inside):
        axes.axvspan(start, stop, color=HELD_OUT, linewidth=0, zorder=0)


def _draw_segments(axes: Axes, data: xr.Dataset, coloring: Coloring, window: tuple[float, float]) -> None:
    start, stop = data["segment_start"].values, data["segment_stop"].values
    first = np.searchsorted(data["segment_index"].values, np.arange(len(start)))
    for k in np.flatnonzero((stop >= window[0]) & (start <= window[1])):
        # two greys in turn, or segments that touch would be one bar
        shade = coloring.pick(int(coloring.values[first[k]])) if coloring.groups else ("#b9c3cc", "#8d99a6")[k % 2]
        axes.axvspan(start[k], stop[k], color=shade, linewidth=0)

"""Latents as paths: in three dimensions, in two, or one against time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from ..data.result import DCFResult
from .color import COLORMAP, Coloring, choose_coloring

if TYPE_CHECKING:
    from jaxtyping import Int, Num
    from matplotlib.axes import Axes
    from matplotlib.figure import FigureBase

MOST_FRAMES = 8_000  # that are drawn: more would hide each other
WIDTH = 0.9


def draw_trajectories(figure: FigureBase, result: DCFResult, color: str = "time") -> None:
    """Draw the first latents of every segment, coloured by `color` (see `choose_coloring`).

    Raises
    ------
    ParameterError
        If there is no such column.
    """
    data = result.dataset
    coloring = choose_coloring(data, color)
    n = min(3, data.sizes["latent"])
    axes = figure.add_subplot(projection="3d") if n == 3 else figure.add_subplot()
    drawn = cut_paths(data)
    pieces, frames, stride = drawn.pieces, drawn.frames, drawn.stride
    points = data["latents"].values[:, :n] if n > 1 else np.column_stack([data["time"], data["latents"][:, 0]])
    if stride > 1:  # thinned frames are no neighbours: a line would cut corners that the path has
        _add_dots(figure, axes, points[frames], coloring.values[frames], coloring)
    else:
        paths, values = [points[piece] for piece in pieces], [coloring.values[piece] for piece in pieces]
        _add_lines(figure, axes, paths, values, coloring)
        _mark_starts(axes, paths)
    labels = [f"latent {k}" for k in range(1, n + 1)] if n > 1 else ["time (s)", "latent 1"]
    label_axes(axes, points[frames], labels)
    of = f"{data.sizes['segment']} segments" if data.sizes["segment"] > 1 else "one segment"
    thinned = f", one frame in {stride}" if stride > 1 else "; dots: starts"
    axes.set_title(f"Latents of {of}{thinned}")


@dataclass(frozen=True)
class Paths:
    """Frames that are drawn.

    Attributes
    ----------
    pieces : list of array
        Frames of each segment of two frames or more.
    frames : array, shape (frame,)
        All of them.
    stride : int
        One frame of so many is drawn.
    """

    pieces: list[Int[np.ndarray, " frame"]]
    frames: Int[np.ndarray, " frame"]
    stride: int


def cut_paths(data: xr.Dataset) -> Paths:
    """Choose the frames to draw of each segment, `MOST_FRAMES` in all at most."""
    index = data["segment_index"].values
    stride = int(np.ceil(len(index) / MOST_FRAMES))
    edges = np.searchsorted(index, np.arange(data.sizes["segment"] + 1))
    pieces = [np.arange(a, b, stride) for a, b in zip(edges[:-1], edges[1:], strict=True)]
    pieces = [piece for piece in pieces if len(piece) > 1]
    if not pieces:
        # segments shorter than the stride: some of them whole, evenly chosen, and not one frame of each
        whole = [np.arange(a, b) for a, b in zip(edges[:-1], edges[1:], strict=True) if b - a > 1]
        pieces, stride = whole[:: max(1, stride)], 1
    return Paths(pieces, np.concatenate(pieces) if pieces else np.arange(len(index))[::stride], stride)


def label_axes(axes: Axes, points: Num[np.ndarray, "time axis"], labels: list[str]) -> None:
    """Name the axes, and set their limits to hold all but the outermost thousandth of the points on each side."""
    # one outlier would shrink everything else to a dot
    low, high = np.percentile(points, [0.1, 99.9], axis=0)
    pad = np.where(high > low, 0.04 * (high - low), 0.5)
    for k, (name, label) in enumerate(zip("xyz", labels, strict=False)):
        getattr(axes, f"set_{name}lim")(low[k] - pad[k], high[k] + pad[k])
        getattr(axes, f"set_{name}label")(label)
    if len(labels) == 3:
        axes.set_box_aspect(None, zoom=1.08)  # type: ignore[call-arg]
        for axis in (axes.xaxis, axes.yaxis, axes.zaxis):  # type: ignore[attr-defined]
            axis.set_major_locator(_few_ticks())


def _add_lines(
    figure: FigureBase,
    axes: Axes,
    paths: list[Num[np.ndarray, "frame axis"]],
    values: list[Num[np.ndarray, " frame"]],
    coloring: Coloring,
) -> None:
    from matplotlib.collections import LineCollection
    from mpl_toolkits.mplot3d.art3d import Line3DCollection

    collection: Any = Line3DCollection if paths and paths[0].shape[1] == 3 else LineCollection
    # one piece of line for each step, as only so a path changes its colour along its way
    steps = np.concatenate([np.stack([path[:-1], path[1:]], axis=1) for path in paths])
    value = np.concatenate([one[:-1] for one in values])
    if coloring.groups:
        colors = [coloring.pick(int(group)) for group in value]
        axes.add_collection(collection(steps, colors=colors, linewidths=WIDTH, alpha=0.75))
        _add_legend(axes, coloring, value)
        return
    lines = collection(steps, cmap=COLORMAP, linewidths=WIDTH, alpha=0.8)
    lines.set_array(value)
    axes.add_collection(lines)
    _add_scale(figure, axes, lines, coloring)


def _add_dots(
    figure: FigureBase,
    axes: Any,
    points: Num[np.ndarray, "frame axis"],
    value: Num[np.ndarray, " frame"],
    coloring: Coloring,
) -> None:
    look = {"s": 3, "alpha": 0.6, "linewidths": 0}
    if coloring.groups:
        axes.scatter(*points.T, c=[coloring.pick(int(group)) for group in value], **look)
        _add_legend(axes, coloring, value)
        return
    _add_scale(figure, axes, axes.scatter(*points.T, c=value, cmap=COLORMAP, **look), coloring)


def _mark_starts(axes: Any, paths: list[Num[np.ndarray, "frame axis"]]) -> None:
    """Put a dot where each path begins: nobody sees else which way it runs."""
    starts = np.stack([path[0] for path in paths])
    axes.scatter(*starts.T, s=7, color="#222222", linewidths=0, zorder=3)


def _add_legend(axes: Axes, coloring: Coloring, value: np.ndarray) -> None:
    from matplotlib.lines import Line2D

    shown = sorted({int(group) for group in value})
    handles = [Line2D([], [], color=coloring.pick(k), label=coloring.groups[k], linewidth=2) for k in shown]
    axes.legend(handles=handles, title=coloring.label, loc="center left", bbox_to_anchor=(1.14, 0.5), frameon=False)


def _add_scale(figure: FigureBase, axes: Axes, drawn: Any, coloring: Coloring) -> None:
    figure.colorbar(drawn, ax=axes, label=coloring.label, shrink=0.6, pad=0.1 if axes.name == "3d" else 0.02)


def _few_ticks() -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(4)

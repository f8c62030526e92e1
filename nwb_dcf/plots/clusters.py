"""Clusters of the latents with snapshots along them, and outlier frames (the paper's Figure 7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from ..data.outliers import compute_spacing
from ..data.result import DCFResult
from ..metrics.clusters import Clusters, find_clusters, pick_outliers
from .color import PALETTE
from .trajectories import label_axes

if TYPE_CHECKING:
    from jaxtyping import Float, Int, Shaped
    from matplotlib.axes import Axes
    from matplotlib.figure import FigureBase

    Outliers = dict[str, Int[np.ndarray, " frame"]]

N_SNAPSHOTS = 6  # as many as the paper shows of each cluster
MOST_POINTS = 6_000  # of the scatter: more hide each other, and a vector file of them opens slowly
MARKS = {"distance": "#000000", "speed": "#cc3311"}


def draw_clusters(
    figure: FigureBase, result: DCFResult, recording: xr.Dataset | None = None, n_clusters: int = 4
) -> None:
    """Draw clusters of the latents, latent distance and speed over time, and the outliers of both.

    Parameters
    ----------
    figure : matplotlib figure
    result : DCFResult
    recording : xarray.Dataset, optional
        What was fitted; its frames are shown along each cluster and at the outliers where they are images.
    n_clusters : int

    Raises
    ------
    DataError
        If there are fewer than ten frames for each cluster.
    """
    data = result.dataset
    latents, time = data["latents"].values, data["time"].values
    clusters = find_clusters(latents, n_clusters)
    # what stands still in a cluster can still be fast in it: outliers of both kinds (paper, Figure 7)
    speed = np.linalg.norm(data["velocity"].values, axis=1)
    images = None if recording is None or recording["data"].ndim != 3 else recording["data"].values
    n, apart_s = N_SNAPSHOTS, compute_spacing(data, result.provenance)
    top: Any = figure
    below: Any = None
    outliers: Outliers = {
        "distance": pick_outliers(clusters.distance, time, n, apart_s=apart_s),
        "speed": pick_outliers(speed, time, n, apart_s=apart_s),
    }
    if images is not None:
        parts: Any = figure.subfigures(2, 1, height_ratios=[1.0, 0.35 * (n_clusters + 2)])
        top, below = parts
    left, right = top.subfigures(1, 2, width_ratios=[1, 1.3])
    _draw_scatter(left, latents, clusters, outliers)
    upper, lower = right.subplots(2, 1, sharex=True)
    _draw_trace(
        upper, time, clusters.distance, outliers["distance"], "distance", "latent distance\n(SD of its cluster)"
    )
    _draw_trace(lower, time, speed, outliers["speed"], "speed", "latent speed (1/s)")
    lower.set_xlabel("time (s)")
    figure.suptitle(f"{n_clusters} clusters of the latents (k-means), and outlier frames")
    if below is not None and images is not None:
        rows: Outliers = {f"cluster {k + 1}": clusters.pick_along(latents, k, n) for k in range(n_clusters)}
        rows |= {"largest\ndistance": outliers["distance"], "largest\nspeed": outliers["speed"]}
        colors = [*(PALETTE[k % len(PALETTE)] for k in range(n_clusters)), *MARKS.values()]
        _draw_frames(below, images, time, rows, colors)


def _draw_scatter(
    figure: FigureBase, latents: Float[np.ndarray, "time latent"], clusters: Clusters, outliers: Outliers
) -> None:
    n = min(3, latents.shape[1])
    axes: Any = figure.add_subplot(projection="3d") if n == 3 else figure.add_subplot()
    some = np.unique(np.linspace(0, len(latents) - 1, min(len(latents), MOST_POINTS)).round().astype(int))
    # one latent is drawn along a line, so that the same scatter serves every dimension
    points = latents[:, :n] if n > 1 else np.column_stack([latents[:, 0], np.zeros(len(latents))])
    for k in range(len(clusters.centre)):
        frames = some[clusters.band[some] == k]
        axes.scatter(
            *points[frames].T, s=9, color=PALETTE[k % len(PALETTE)], alpha=0.6, linewidths=0, label=f"cluster {k + 1}"
        )
    for (name, frames), marker in zip(outliers.items(), ("o", "^"), strict=True):
        axes.scatter(
            *points[frames].T, s=28, marker=marker, facecolors="none", edgecolors=MARKS[name], label=f"largest {name}"
        )
    label_axes(
        axes,
        np.concatenate([points[some], *(points[f] for f in outliers.values())]),
        [f"latent {k + 1}" for k in range(n)],
    )
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, markerscale=1.2)


def _draw_trace(
    axes: Axes,
    time: Float[np.ndarray, " time"],
    values: Float[np.ndarray, " time"],
    frames: Int[np.ndarray, " outlier"],
    name: str,
    label: str,
) -> None:
    # as an image inside a vector file: a hundred thousand dots would make it megabytes
    axes.plot(time, values, ".", markersize=1.5, color="#888888", rasterized=True)
    axes.plot(time[frames], values[frames], "o" if name == "distance" else "^", color=MARKS[name], fillstyle="none")
    for rank, frame in enumerate(frames, 1):
        axes.annotate(str(rank), (time[frame], values[frame]), xytext=(3, 3), textcoords="offset points", fontsize=8)
    axes.set_ylabel(label)
    axes.set_ylim(0, 1.12 * values.max())


def _draw_frames(
    figure: FigureBase,
    images: Shaped[np.ndarray, "time y x"],
    time: Float[np.ndarray, " time"],
    rows: Outliers,
    colors: list[str],
) -> None:
    panels = figure.subplots(len(rows), N_SNAPSHOTS, squeeze=False)
    # one grey scale for all frames, or their brightness could not be compared; half a per cent may clip
    low, high = np.percentile(images[np.concatenate(list(rows.values()))], [0.5, 99.5])
    for line, (name, frames), color in zip(panels, rows.items(), colors, strict=True):
        for axes in line:
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
        for axes, frame in zip(line, frames, strict=False):
            axes.imshow(images[frame], cmap="gray", vmin=low, vmax=high)
            axes.set_title(f"{time[frame]:.1f} s", fontsize=7, pad=2)
        line[0].set_ylabel(name, color=color, fontsize=8)

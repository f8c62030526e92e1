"""The dynamical flow on the grid that is stored with every fit: no model is needed to draw it."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from ..data.result import DCFResult
from ..errors import DataError
from .color import PALETTE

if TYPE_CHECKING:
    from jaxtyping import Float
    from matplotlib.axes import Axes
    from matplotlib.figure import FigureBase

SHORT = 0.25  # of the scale: arrows below look like dots
MOST_ARROWS = 18  # along each axis: more overlap at the width of a page
TITLES = {
    "field_mean_velocity": "Mean velocity of the frames that passed here",
    "field_velocity": "v, the model's own field: where it takes a state that has stood still here",
}


def draw_field(figure: FigureBase, result: DCFResult) -> None:
    """Draw both fields of the grid in every plane of its axes; cells without a frame stay empty.

    Raises
    ------
    DataError
        If the result has no grid, as fits of schemas before 1.0 have none.
    """
    data = result.dataset
    if "field_velocity" not in data:
        raise DataError(f"{result.name or 'the fit'} has no flow field on a grid", fix="fit it again with this version")
    names = [name for name in TITLES if name in data]
    planes = find_planes(data)
    if not planes:
        _draw_line(figure.add_subplot(), data, names)
        return
    side_by_side = len(planes) == 1
    longest = compute_longest(data, names, planes)
    shape = (1, len(names)) if side_by_side else (len(names), 1)
    parts: Any = figure.subfigures(*shape, squeeze=False)
    for part, name in zip(parts.ravel(), names, strict=True):
        part.suptitle(f"{TITLES[name]} (grey: how many){describe_slow_field(data, name, planes, longest)}")
        for axes, plane in zip(part.subplots(1, len(planes), squeeze=False)[0], planes, strict=True):
            _draw_plane(axes, data, name, plane, longest)


def find_planes(data: xr.Dataset) -> list[tuple[int, int]]:
    """Return every pair of axes of the grid; none where it has one axis."""
    n_axes = sum(str(dim).startswith("grid_") for dim in data["field_frames"].dims)
    return list(combinations(range(n_axes), 2))


def describe_slow_field(data: xr.Dataset, name: str, planes: list[tuple[int, int]], longest: float) -> str:
    """Return in words how fast a field is whose arrows are too short to be seen on the common scale; else nothing."""
    fast = compute_longest(data, [name], planes)
    if fast > SHORT * longest:
        return ""
    return f"\nbelow {fast:.2g} /s in 95 % of the cells, too slow for arrows on this scale: what moves has moved before"


def compute_longest(data: xr.Dataset, names: list[str], planes: list[tuple[int, int]]) -> float:
    """Return the 95th percentile of all speeds: one arrow scale for every panel makes them comparable."""
    speeds = [
        np.linalg.norm(project_field(data, name, plane)[0], axis=-1).ravel() for name in names for plane in planes
    ]
    finite = np.concatenate(speeds)
    finite = finite[np.isfinite(finite)]
    return float(np.percentile(finite, 95)) if len(finite) else 1.0


def project_field(
    data: xr.Dataset, name: str, plane: tuple[int, int]
) -> tuple[Float[np.ndarray, "grid_a grid_b 2"], Float[np.ndarray, "grid_a grid_b"]]:
    """Average a field over the axes of the grid that are not in `plane`, each cell by the frames in it.

    Returns
    -------
    velocity : array, shape (grid_a, grid_b, 2)
        Along both axes of the plane; NaN where no frame was.
    frames : array, shape (grid_a, grid_b)
    """
    frames = data["field_frames"].values.astype(np.float64)
    # cells without a frame are NaN and weigh nothing
    velocity = np.nan_to_num(data[name].values[..., list(plane)])
    others = tuple(axis for axis in range(frames.ndim) if axis not in plane)
    total = frames.sum(axis=others)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (velocity * frames[..., None]).sum(axis=others) / total[..., None], total


def _draw_plane(axes: Any, data: xr.Dataset, name: str, plane: tuple[int, int], longest: float) -> None:
    a, b = (data[f"grid_{axis + 1}"].values for axis in plane)
    velocity, frames = project_field(data, name, plane)
    # counts of cells differ by orders of magnitude; transposed, as rows of a mesh lie along y
    shade = np.where(frames > 0, np.log1p(frames), np.nan).T
    axes.pcolormesh(a, b, shade, cmap="Greys", vmin=0, vmax=2 * np.nanmax(shade), shading="nearest", rasterized=True)
    stride = [max(1, int(np.ceil(len(points) / MOST_ARROWS))) for points in (a, b)]
    x, y = np.meshgrid(a[:: stride[0]], b[:: stride[1]], indexing="ij")
    arrows = velocity[:: stride[0], :: stride[1]]
    there = np.isfinite(arrows).all(axis=-1)
    spacing = min(np.ptp(a) / (len(a) / stride[0]), np.ptp(b) / (len(b) / stride[1]))
    # arrows of the speed `longest` reach to the next point; the key shows how fast that is
    quiver = axes.quiver(
        x[there], y[there], *arrows[there].T, color=PALETTE[1], angles="xy", scale_units="xy",
        scale=max(longest, 1e-12) / (1.1 * spacing), width=0.006,
    )  # fmt: skip
    axes.set_title(" ")  # space for the key
    axes.quiverkey(quiver, 0.8, 1.04, longest, f"{longest:.2g} /s", labelpos="E", coordinates="axes")
    axes.set(xlabel=f"latent {plane[0] + 1}", ylabel=f"latent {plane[1] + 1}", aspect="equal")


def _draw_line(axes: Axes, data: xr.Dataset, names: list[str]) -> None:
    there = data["field_frames"].values > 0
    for name, color in zip(names, (PALETTE[0], PALETTE[1]), strict=False):
        axes.plot(data["grid_1"].values[there], data[name].values[there, 0], ".-", color=color, label=TITLES[name])
    axes.axhline(0, color="#999999", linewidth=0.8)
    axes.set(xlabel="latent 1", ylabel="velocity (1/s)", title="Flow field")
    axes.legend(frameon=False)

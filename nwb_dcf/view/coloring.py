"""The colour of every frame, and what the colours mean."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import DCFError
from ..plots.color import PALETTE, Coloring, choose_coloring, list_colorings
from .data import ViewData

if TYPE_CHECKING:
    from jaxtyping import Float, Num, UInt8

NO_VALUE = (205, 205, 205)
LIMITS = (1.0, 99.0)  # percentiles that a scale spans: a few outliers would make all else one colour


@dataclass(frozen=True)
class Paint:
    """Colours of frames.

    Attributes
    ----------
    coloring : Coloring
        The values.
    colors : array of uint8, shape (time, 3)
    low, high : float
        Values at the ends of a scale.
    """

    coloring: Coloring
    colors: UInt8[np.ndarray, "time 3"]
    low: float
    high: float

    def name_value(self, frame: int) -> str:
        """Return the value of a frame as text."""
        value = self.coloring.values[frame]
        if self.coloring.groups:
            return self.coloring.groups[int(value)]
        return f"{value:.4g}" if np.isfinite(value) else "unknown"

    def to_html(self) -> str:
        """Return the legend as HTML: a swatch for each group, or a scale with its ends."""
        label = html.escape(self.coloring.label)
        if self.coloring.groups:
            swatches = " ".join(
                f'<span style="white-space:nowrap"><b style="color:{self.coloring.pick(k)}">&#9632;</b> '
                f"{html.escape(name)}</span>"
                for k, name in enumerate(self.coloring.groups)
            )
            return f"{label}: {swatches}"
        stops = ",".join(_to_hex(color) for color in scale_colors(np.linspace(0, 1, 9)))
        look = f"display:inline-block;width:120px;height:10px;background:linear-gradient(90deg,{stops})"
        bar = f'<span style="{look}"></span>'
        gray = (
            f' <b style="color:{_to_hex(np.array(NO_VALUE))}">&#9632;</b> unknown'
            if not np.isfinite(self.coloring.values).all()
            else ""
        )
        return f"{label}: {self.low:.4g} {bar} {self.high:.4g}{gray}"


def paint_frames(view: ViewData, name: str) -> Paint:
    """Colour every frame of a fit, in the order of time.

    Parameters
    ----------
    view : ViewData
    name : str
        One of ``view.list_colors()``.

    Raises
    ------
    DCFError
        If there is no such choice, or its values cannot be read.
    """
    coloring = _choose(view, name)
    values = np.asarray(coloring.values, np.float64)
    # names of groups come from the file, and only the legend, which escapes them, shows them
    if coloring.groups:
        table = np.array([_from_hex(coloring.pick(k)) for k in range(len(coloring.groups))], np.uint8)
        return Paint(coloring, table[values.astype(int)], 0.0, float(len(coloring.groups) - 1))
    known = np.isfinite(values)
    low, high = np.percentile(values[known], LIMITS) if known.any() else (0.0, 1.0)
    if name in ("time", "trial") and known.any():  # no outliers there
        low, high = values[known].min(), values[known].max()
    colors = np.full((len(values), 3), NO_VALUE, np.uint8)
    colors[known] = scale_colors((values[known] - low) / ((high - low) or 1.0))
    return Paint(coloring, colors, float(low), float(high))


def _choose(view: ViewData, name: str) -> Coloring:
    if name == "speed":
        return Coloring(name, "latent speed (1/s)", view.speed, [])
    if name == "distance" and view.clusters is not None:
        return Coloring(name, "distance from its cluster (its standard deviations)", view.clusters.distance, [])
    if name == "cluster" and view.clusters is not None:
        groups = [f"{k + 1}" for k in range(len(view.clusters.centre))]
        return Coloring(name, "cluster of the latents (k-means)", view.clusters.band, groups)
    if name.startswith("latent ") and name[7:].isdigit() and 1 <= int(name[7:]) <= view.latents.shape[1]:
        return Coloring(name, name, view.latents[:, int(name[7:]) - 1], [])
    if name in view.behaviors and name not in list_colorings(view.result.dataset):
        series = view.read_behavior(name)
        values, unit = series.values, series.attrs.get("units", "")
        if values.shape[1] == 1:
            return Coloring(name, f"{name} ({unit})", values[:, 0], [])
        # one colour for several columns: how large, not in which direction
        return Coloring(name, f"{name}, length ({unit})", np.linalg.norm(values, axis=1), [])
    found = choose_coloring(view.result.dataset, name)
    return Coloring(found.name, found.label, np.asarray(found.values)[view.order], found.groups)


def scale_colors(level: Float[np.ndarray, "*value"]) -> UInt8[np.ndarray, "*value 3"]:
    """Return colours of levels from 0 to 1, RGB, shape (..., 3): viridis, which is read with any colour vision.

    Examples
    --------
    >>> scale_colors(np.array([0.0, 1.0])).tolist()
    [[68, 1, 84], [253, 231, 36]]
    """
    from bokeh.palettes import Viridis256

    table = np.array([_from_hex(color) for color in Viridis256], np.uint8)
    return np.asarray(table[np.clip(np.nan_to_num(level) * 255, 0, 255).astype(int)])


def pick_line_color(k: int) -> str:
    """Return the colour of the `k`-th line of several."""
    return PALETTE[k % len(PALETTE)]


def describe_moment(view: ViewData, paint: Paint, t: float) -> str:
    """Describe the moment `t`, seconds, in one line."""
    frame = view.find_frame(t)
    if abs(view.time[frame] - t) > 2.5 * view.step_s:
        return f"{t:.3f} s: no frame of the fit"
    parts = [f"{t:.3f} s", f"trial {view.segment[frame]}" if view.segment[-1] > 0 else ""]
    if paint.coloring.name not in ("time", "trial", "speed"):
        parts.append(f"{paint.coloring.name} {paint.name_value(frame)}")
    parts.append(f"speed {view.speed[frame]:.3g}/s")
    if view.held_out.any():
        parts.append("held out" if view.held_out[frame] else "trained on")
    return ", ".join(part for part in parts if part)


def explain_failure(error: DCFError) -> str:
    """Return the line of the page on what cannot be shown."""
    return f"cannot be shown: {error.what}"


def _from_hex(color: str) -> tuple[int, int, int]:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def _to_hex(color: Num[np.ndarray, 3]) -> str:
    return "#" + "".join(f"{int(part):02x}" for part in color)

"""Trajectories that turn with the mouse, and latents against time to zoom in, by plotly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from ..data.result import DCFResult
from ..errors import ParameterError
from .color import COLORMAP, PALETTE, Coloring, choose_coloring, list_colorings
from .latents import HELD_OUT, choose_window, find_held_out, find_spans
from .trajectories import cut_paths

if TYPE_CHECKING:
    from jaxtyping import Float, Int

Look = dict[str, object]
HEIGHT = 640  # pixels
MOST_BUCKETS = 4000  # more than there are pixels across, so that zooming in once shows no corners
MOST_SPANS = 500  # held-out intervals that are shaded: each is an element of the page
GREYS = ("#b8c2cc", "#8d99a6")
DECIMALS = 4  # of coordinates: numbers are written out, and full ones double the page
CAMERA = {"eye": {"x": -1.5, "y": -1.6, "z": 0.9}, "center": {"x": 0, "y": 0, "z": -0.15}}


def build_trajectories(result: DCFResult, color: str = "time") -> Any:
    """Build trajectories as a plotly Figure, with a menu of what they can be coloured by.

    Raises
    ------
    ParameterError
        If there is no column `color`.
    """
    import plotly.graph_objects as go

    data = result.dataset
    n = min(3, data.sizes["latent"])
    drawn = cut_paths(data)
    pieces, stride = drawn.pieces, drawn.stride
    points = data["latents"].values[:, :n] if n > 1 else np.column_stack([data["time"], data["latents"][:, 0]])
    names = [f"latent {k}" for k in range(1, n + 1)] if n > 1 else ["time (s)", "latent 1"]
    colorings = [choose_coloring(data, color)]
    for name in list_colorings(data):
        if name != color:
            try:
                colorings.append(choose_coloring(data, name))
            except ParameterError:  # a column that has no meaning for a frame
                continue
    traces: list[Any] = []
    owner: list[int] = []
    for i, coloring in enumerate(colorings):
        made = _make_traces(go, points, pieces, coloring, visible=i == 0, dots=stride > 1)
        traces += made
        owner += [i] * len(made)
    figure = go.Figure(traces)
    buttons = [
        {"label": one.label, "method": "update", "args": [{"visible": [k == i for k in owner]}]}
        for i, one in enumerate(colorings)
    ]
    menu = {"buttons": buttons, "x": 0, "xanchor": "left", "y": 1.08, "yanchor": "top"}
    axes = {f"{name}axis": {"title": {"text": label}} for name, label in zip("xyz", names, strict=False)}
    scene = {"scene": {**axes, "aspectmode": "data", "camera": CAMERA}} if n == 3 else axes
    figure.update_layout(
        height=HEIGHT, margin={"l": 0, "r": 0, "t": 40, "b": 0}, updatemenus=[menu], template="plotly_white",
        legend={"itemsizing": "constant"}, **scene,
    )  # fmt: skip
    if stride > 1:
        text = f"one frame in {stride} is drawn"
        figure.add_annotation(text=text, x=1, y=1.06, xref="paper", yref="paper", showarrow=False, xanchor="right")
    return figure


def build_latents(result: DCFResult, color: str = "time") -> Any:
    """Build latents against time: the whole session, in the window that the still picture shows at first.

    Where frames are many, the lowest and the highest value of each of `MOST_BUCKETS` pieces of the session are drawn.
    Below the latents stand the segments, in the colours of `color` where it names groups.

    Raises
    ------
    ParameterError
        If there is no column `color`.
    """
    from plotly.subplots import make_subplots

    data = result.dataset
    order = np.argsort(data["time"].values, kind="stable")
    time, latents = data["time"].values[order], data["latents"].values[order]
    segment, held_out = data["segment_index"].values[order], find_held_out(result)[order]
    n = latents.shape[1]
    heights = [1.0] * n + [0.2]
    figure: Any = make_subplots(rows=n + 1, cols=1, shared_xaxes=True, vertical_spacing=0.03, row_heights=heights)
    for k in range(n):
        seen = _thin(latents[:, k])
        # no line between segments: nobody recorded it
        breaks = np.flatnonzero(np.diff(segment[seen])) + 1
        x, y = (np.insert(values, breaks, np.nan) for values in (time[seen], latents[seen, k]))
        line = {"color": PALETTE[k % len(PALETTE)], "width": 1.2}
        figure.add_scattergl(
            x=np.round(x, 6), y=np.round(y, DECIMALS), mode="lines", line=line, name=f"latent {k + 1}",
            showlegend=False, row=k + 1, col=1,
        )  # fmt: skip
        figure.update_yaxes(title_text=f"latent {k + 1}", row=k + 1, col=1)
    for strip in _make_strips(data, choose_coloring(data, color)):
        figure.add_scatter(**strip, row=n + 1, col=1)
    figure.update_yaxes(visible=False, row=n + 1, col=1)
    figure.update_xaxes(range=list(choose_window(time, held_out)))
    figure.update_xaxes(title_text="time on the session clock (s)", row=n + 1, col=1)
    spans = find_spans(time, held_out)[:MOST_SPANS]
    figure.update_layout(
        height=110 * n + 110, margin={"l": 0, "r": 0, "t": 35, "b": 0}, template="plotly_white",
        shapes=[
            {"type": "rect", "xref": "x", "yref": "paper", "x0": a, "x1": b, "y0": 0, "y1": 1, "layer": "below",
             "fillcolor": HELD_OUT, "line": {"width": 0}}
            for a, b in spans
        ],
    )  # fmt: skip
    return figure


def _make_strips(data: xr.Dataset, coloring: Coloring) -> list[Look]:
    """Make one line for each group of segments, or two greys in turn where there are no groups."""
    start, stop = data["segment_start"].values, data["segment_stop"].values
    first = np.searchsorted(data["segment_index"].values, np.arange(len(start)))
    group = np.asarray(coloring.values)[first].astype(int) if coloring.groups else np.arange(len(start)) % len(GREYS)
    strips: list[Look] = []
    for one in np.unique(group):
        mine = np.flatnonzero(group == one)
        x = np.column_stack([start[mine], stop[mine], np.full(len(mine), np.nan)]).ravel()
        text = [f"segment {k}" for k in np.repeat(mine, 3)]
        named = bool(coloring.groups)
        strips.append(
            {"x": np.round(x, 6), "y": np.zeros(len(x)), "mode": "lines", "text": text, "hoverinfo": "text+name",
             "name": f"{coloring.label} {coloring.groups[one]}" if named else "", "showlegend": named,
             "line": {"width": 12, "color": coloring.pick(int(one)) if named else GREYS[one]}}
        )  # fmt: skip
    return strips


def _thin(values: Float[np.ndarray, " time"]) -> Int[np.ndarray, " frame"]:
    """Frames that keep every excursion: the lowest and the highest of each bucket, in order of time."""
    if len(values) <= 2 * MOST_BUCKETS:
        return np.arange(len(values))
    edges = np.linspace(0, len(values), MOST_BUCKETS + 1).astype(int)
    parts = [(values[a:b], a) for a, b in zip(edges[:-1], edges[1:], strict=True)]
    return np.unique([[a + int(part.argmin()), a + int(part.argmax())] for part, a in parts])


def _make_traces(
    go: Any,
    points: Float[np.ndarray, "time axis"],
    pieces: list[Int[np.ndarray, " frame"]],
    coloring: Coloring,
    *,
    visible: bool,
    dots: bool,
) -> list[Any]:
    """Make one trace for a scale, else one for each group; NaN separates paths."""
    # a trace for each segment would make plotly slow with hundreds of trials
    kind = go.Scatter3d if points.shape[1] == 3 else go.Scattergl
    groups = [int(coloring.values[piece[0]]) for piece in pieces] if coloring.groups else [0] * len(pieces)
    traces = []
    for group in sorted(set(groups)):
        mine = [piece for piece, one in zip(pieces, groups, strict=True) if one == group]
        gap = np.full((1, points.shape[1]), np.nan)
        path = np.concatenate([part for piece in mine for part in (points[piece], gap)])
        value = np.concatenate(
            [part for piece in mine for part in (coloring.values[piece], coloring.values[piece[-1:]])]
        )
        place = {axis: np.round(path[:, k].astype(float), DECIMALS) for k, axis in enumerate("xyz"[: points.shape[1]])}
        look: Look = {"name": coloring.label, "showlegend": False}
        paint: Look = {"color": coloring.pick(group)}
        if coloring.groups:
            look = {"name": f"{coloring.label} {coloring.groups[group]}", "hoverinfo": "name"}
        else:
            bar = {"title": {"text": coloring.label}, "thickness": 14, "len": 0.7}
            paint = {"color": value, "colorscale": COLORMAP, "colorbar": bar}
        # a line in the plane has one colour, and thinned frames are no neighbours
        if dots or (kind is go.Scattergl and not coloring.groups):
            look |= {"mode": "markers", "marker": {**paint, "size": 2 if kind is go.Scatter3d else 4}}
        else:
            look |= {"mode": "lines", "line": {**paint, "width": 3 if kind is go.Scatter3d else 1.5}}
        traces.append(kind(**place, visible=visible, **look))
    return traces

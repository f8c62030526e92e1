"""Trajectories that turn with the mouse: plotly, its script within the page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.result import DCFResult
from ..errors import ParameterError
from .color import COLORMAP, Coloring, choose_coloring, list_colorings
from .trajectories import cut_paths

if TYPE_CHECKING:
    from jaxtyping import Float, Int

HEIGHT = 640  # pixels
DECIMALS = 4  # of coordinates: numbers are written out, and full ones double the page
Look = dict[str, object]
CAMERA = {"eye": {"x": -1.5, "y": -1.6, "z": 0.9}, "center": {"x": 0, "y": 0, "z": -0.15}}


def draw_interactive(result: DCFResult, color: str = "time") -> str:
    """Return trajectories as HTML that needs nothing from elsewhere, with a menu of what they can be coloured by.

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
    note = f"<p class='note'>One frame in {stride} is drawn.</p>" if stride > 1 else ""
    # plotly's script is 4 MB and goes into the page, which is read offline
    script: str = figure.to_html(full_html=False, include_plotlyjs=True, config={"displaylogo": False})
    return script + note


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

"""The pictures of a fit by plotly, to zoom in: the numbers are those that `nwb_dcf.plots` draws by matplotlib.

Every ``build_`` function takes what its twin takes and returns a ``plotly.graph_objects.Figure``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from ..data.outliers import compute_spacing
from ..data.predicted_paths import PredictedPaths
from ..data.result import DCFResult
from ..errors import DataError
from ..metrics.clusters import find_clusters, pick_outliers
from .clusters import MARKS, MOST_POINTS, N_SNAPSHOTS
from .color import PALETTE
from .conditions import average_conditions
from .examples import LIMIT_SD, N_IMAGES, choose_intervals, describe_part
from .loadings import MARKED, NAMED, Loadings, name_largest
from .paths import CAME, MOST_LATENTS, PREDICTED, STAYED
from .smoothing import describe_smoothing
from .spectrum import LEAST_SCALE, OTHER_AXES, OURS, THEIRS, describe_curve, describe_spectrum
from .velocity_field import MOST_ARROWS, TITLES, compute_longest, describe_slow_field, find_planes, project_field

if TYPE_CHECKING:
    from jaxtyping import Float, Int

DECIMALS = 4  # of coordinates: numbers are written out, and full ones double the page
HEAD = 0.35  # of an arrow's length: its head


def build_conditions(result: DCFResult, name: str) -> Any:
    """Build latents averaged over the trials of each condition, with 95 % intervals over trials."""
    means = average_conditions(result, name)
    n = means.mean.shape[2]
    figure = _make_panels(1, n, titles=[f"latent {k + 1}" for k in range(n)])
    for latent in range(n):
        place = {"row": 1, "col": latent + 1}
        for condition, label in enumerate(means.coloring.groups):
            middle, wide = means.mean[condition, :, latent], means.half_width[condition, :, latent]
            there = np.isfinite(middle)
            x, color = means.time[there], means.coloring.pick(condition)
            group = {"legendgroup": label, "showlegend": False}
            # one closed outline: two lines with a fill between would be two entries of the legend
            outline = np.concatenate([(middle - wide)[there], (middle + wide)[there][::-1]])
            figure.add_scatter(
                x=_round(np.concatenate([x, x[::-1]])), y=_round(outline), fill="toself", fillcolor=color, opacity=0.2,
                mode="none", hoverinfo="skip", **group, **place,
            )  # fmt: skip
            group["showlegend"] = latent == 0
            figure.add_scatter(
                x=_round(x), y=_round(middle[there]), mode="lines", line={"color": color, "width": 2}, name=label,
                **group, **place,
            )  # fmt: skip
        figure.update_xaxes(title_text="time from the start of the trial (s)", **place)
    return _finish(figure, 360, legend={"title": {"text": means.coloring.label}})


def build_loadings(result: DCFResult) -> Any:
    """Build the loadings of each latent as stems, those with the largest fraction marked.

    Raises
    ------
    DataError
        If the fit is one of images.
    """
    shown = Loadings.of(result)
    dim, ids, loadings, fraction, effective = shown.dim, shown.ids, shown.loadings, shown.fraction, shown.effective
    titles = [
        f"{name_largest(ids, fraction[:, k], dim)}; {effective[k]:.1f} effective {dim}s" for k in range(result.dim)
    ]
    figure = _make_panels(result.dim, 1, titles=titles)
    for k in range(result.dim):
        most = np.argsort(-fraction[:, k])[:NAMED]
        # as text: labels of units are names, and a number of four digits is no place on an axis
        text = [f"{dim} {one}" for one in ids]
        color = np.where(np.isin(np.arange(len(ids)), most), MARKED, PALETTE[0])
        figure.add_bar(
            x=np.arange(len(ids)), y=_round(loadings[:, k]), marker={"color": color, "line": {"width": 0}},
            hovertext=text, name=f"latent {k + 1}", showlegend=False, row=k + 1, col=1,
        )  # fmt: skip
        figure.update_yaxes(title_text=f"latent {k + 1}", row=k + 1, col=1)
    figure.update_xaxes(title_text=f"{dim}, in the order of the fit", row=result.dim, col=1)
    return _finish(figure, 130 * result.dim + 60)


def build_spectrum(result: DCFResult) -> Any:
    """Build how much of the variance each axis holds."""
    import plotly.graph_objects as go

    shown = describe_spectrum(result)
    color = np.where(shown.component <= result.dim, OURS, OTHER_AXES)
    figure = go.Figure(go.Bar(x=shown.component, y=_round(shown.height), marker={"color": color}))
    figure.update_layout(xaxis_title="axis", yaxis_title=shown.label, title=_make_title(shown.title))
    return _finish(figure, 360, top=50)


def build_curve(result: DCFResult) -> Any:
    """Build R2 of the reconstruction over K beside PCA, and the difference with its paired interval."""
    shown = describe_curve(result)
    two = shown.difference is not None
    figure = _make_panels(1 + two, 1, titles=[shown.title], heights=[1.0, 0.6][: 1 + two])
    place = {"row": 1, "col": 1}
    look = {"x": shown.component, "mode": "lines+markers"}
    figure.add_scatter(y=_round(shown.ours), name="DCF", line={"color": OURS}, **look, **place)
    if len(shown.null):
        figure.add_scatter(
            x=[result.dim] * len(shown.null), y=_round(np.array(shown.null)), mode="markers",
            name="channels shifted apart", marker={"symbol": "x", "color": "#777777"}, **place,
        )  # fmt: skip
    figure.update_yaxes(title_text="R² of the reconstruction", **place)
    if shown.difference is not None:
        figure.add_scatter(
            y=_round(shown.theirs), name="PCA", line={"color": THEIRS, "dash": "dash"}, marker={"symbol": "square"},
            **look, **place,
        )  # fmt: skip
        place = {"row": 2, "col": 1}
        figure.add_scatter(y=_round(shown.difference), line={"color": OURS}, showlegend=False, **look, **place)
        if shown.interval is not None:
            low, high = shown.interval
            reach = {
                "type": "data", "symmetric": False, "array": [max(0.0, high - shown.at_dim)],
                "arrayminus": [max(0.0, shown.at_dim - low)], "color": "black",
            }  # fmt: skip
            figure.add_scatter(
                x=[result.dim], y=[shown.at_dim], error_y=reach, mode="markers",
                marker={"color": "black", "symbol": "diamond", "size": 8},
                name=f"{shown.level:.0%} interval of the paired difference", **place,
            )  # fmt: skip
        figure.add_hline(y=0, line={"color": "#999999", "width": 1}, **place)
        values = [*shown.difference, *(shown.interval or ())]
        low, high = min(*values, -LEAST_SCALE), max(*values, LEAST_SCALE)
        pad = 0.1 * (high - low)
        figure.update_yaxes(title_text="DCF - PCA", range=[low - pad, high + pad], **place)
    figure.update_xaxes(title_text="number of latents K", row=1 + two, col=1)
    return _finish(figure, 420, legend={"orientation": "h", "y": -0.2})


def build_smoothing(choice: Mapping[str, Any]) -> Any:
    """Build the score of every smoothing, a line for each scale, with a mark at the one that was chosen."""
    import plotly.graph_objects as go

    shown = describe_smoothing(choice)
    figure = go.Figure()
    for i, (name, (at, score)) in enumerate(shown.lines.items()):
        figure.add_scatter(
            x=at, y=_round(score), mode="lines+markers", name=name, line={"color": PALETTE[3 * i % len(PALETTE)]}
        )
    if shown.chosen is not None:
        mark = {"symbol": "diamond-open", "size": 13, "color": "black", "line": {"width": 2}}
        figure.add_scatter(x=[shown.chosen[0]], y=[shown.chosen[1]], mode="markers", name="chosen", marker=mark)
    ticks = {"tickvals": list(range(len(shown.ticks))), "ticktext": shown.ticks, "title": {"text": shown.x_label}}
    figure.update_layout(xaxis=ticks, yaxis_title=shown.y_label, title=_make_title(shown.title))
    return _finish(figure, 360, top=50)


def build_examples(result: DCFResult, prepared: xr.Dataset, reconstruction: Float[np.ndarray, " time *channel"]) -> Any:
    """Build some of the data that the fit held out, above what the latents alone bring back."""
    data, intervals = prepared["data"].values, choose_intervals(result)
    frames = np.concatenate(intervals)
    time = result.dataset["time"].values
    if data.ndim == 3:
        return _build_images(result, data, reconstruction.reshape(data.shape), frames)
    mean, deviation = data.mean(axis=0), data.std(axis=0)
    order = np.argsort(result.dataset["loadings"].values[:, 0])
    dim = str(prepared["data"].dims[1])
    names = [f"{dim} {one}" for one in prepared[dim].values[order]]
    figure = _make_panels(2, 1, titles=[describe_part(result), f"reconstruction from {result.dim} numbers a frame"])
    label = [f"{one:.2f}" for one in time[frames]]
    for row, values in enumerate((data, reconstruction), 1):
        shown = ((values[frames] - mean) / np.where(deviation > 0, deviation, 1))[:, order]
        figure.add_heatmap(
            z=np.round(shown.T, 2), y=names, customdata=np.tile(label, (len(order), 1)), coloraxis="coloraxis",
            hovertemplate="%{y}, %{customdata} s: %{z} SD<extra></extra>", row=row, col=1,
        )  # fmt: skip
        for edge in np.cumsum([len(interval) for interval in intervals])[:-1]:
            figure.add_vline(x=edge - 0.5, line={"color": "black", "width": 1}, row=row, col=1)
    starts = np.cumsum([0, *(len(interval) for interval in intervals[:-1])])
    figure.update_xaxes(tickvals=starts, ticktext=[label[one] for one in starts])
    figure.update_xaxes(title_text="time on the session clock (s); lines: between intervals", row=2, col=1)
    figure.update_yaxes(autorange="reversed", showticklabels=len(order) <= NAMED * 10)
    bar = {"title": {"text": f"SD from the<br>{dim}'s mean"}, "thickness": 14}
    scale = {"colorscale": "RdBu_r", "cmin": -LIMIT_SD, "cmax": LIMIT_SD, "colorbar": bar}
    return _finish(figure, 520, coloraxis=scale)


def _build_images(
    result: DCFResult,
    data: Float[np.ndarray, "time y x"],
    reconstruction: Float[np.ndarray, "time y x"],
    some: Int[np.ndarray, " frame"],
) -> Any:
    frames = some[np.linspace(0, len(some) - 1, min(N_IMAGES, len(some))).round().astype(int)]
    time = result.dataset["time"].values[frames]
    rows = {"data": data[frames], "reconstruction": reconstruction[frames]}
    return _tile_images(rows, [f"{one:.2f} s" for one in time], data[frames])


def build_paths(paths: PredictedPaths) -> Any:
    """Build a column for each start and a row for each latent: what came, what was predicted, and persistence."""
    n_starts, n = len(paths.start_s), min(MOST_LATENTS, paths.came.shape[2])
    titles = [
        f"from {start:.2f} s{', held out' if held else ''}"
        for start, held in zip(paths.start_s, paths.held_out, strict=True)
    ]
    figure = _make_panels(n, n_starts, titles=titles, shared_yaxes=True)
    at_start = int(np.flatnonzero(paths.ahead_s >= 0)[0])
    ahead = _round(paths.ahead_s)
    for column in range(n_starts):
        for latent in range(n):
            place = {"row": latent + 1, "col": column + 1}
            named = column == latent == 0
            known = float(paths.predicted[column, at_start, latent])
            lines = (
                ("what came", ahead, paths.came[column, :, latent], {"color": CAME}),
                ("nothing changes", ahead[[at_start, -1]], np.array([known, known]), {"color": STAYED, "dash": "dot"}),
                ("predicted", ahead, paths.predicted[column, :, latent], {"color": PREDICTED, "dash": "dash"}),
            )
            for name, x, y, line in lines:
                figure.add_scatter(
                    x=x, y=_round(y), mode="lines", name=name, legendgroup=name, showlegend=named, line=line, **place
                )
            figure.add_vrect(x0=0, x1=paths.overlap_s, fillcolor="#eeeeee", line_width=0, layer="below", **place)
            if column == 0:
                figure.update_yaxes(title_text=f"latent {latent + 1}", **place)
    figure.update_xaxes(title_text="seconds from the start", row=n, col=None)
    return _finish(figure, 160 * n + 90)


def build_field(result: DCFResult) -> Any:
    """Build both fields of the grid in every plane of its axes, all arrows on one scale.

    Raises
    ------
    DataError
        If the result has no grid.
    """
    data = result.dataset
    if "field_velocity" not in data:
        raise DataError(f"{result.name or 'the fit'} has no flow field on a grid", fix="fit it again with this version")
    names = [name for name in TITLES if name in data]
    planes = find_planes(data)
    if not planes:
        return _build_line(data, names)
    longest = compute_longest(data, names, planes)
    titles: list[str] = []
    for name in names:
        slow = describe_slow_field(data, name, planes, longest).replace("\n", "<br>")
        titles += [f"{TITLES[name]} (grey: how many){slow}" if k == 0 else " " for k in range(len(planes))]
    figure = _make_panels(len(names), len(planes), titles=titles, shared_xaxes=False)
    for row, name in enumerate(names, 1):
        for column, plane in enumerate(planes, 1):
            place = {"row": row, "col": column}
            a, b = (data[f"grid_{axis + 1}"].values for axis in plane)
            velocity, frames = project_field(data, name, plane)
            shade = np.where(frames > 0, np.log1p(frames), np.nan).T
            figure.add_heatmap(
                x=_round(a), y=_round(b), z=np.round(shade, 2), colorscale="Greys", zmin=0, zmax=2 * np.nanmax(shade),
                showscale=False, hoverinfo="skip", **place,
            )  # fmt: skip
            x, y = _draw_arrows(a, b, velocity, longest)
            figure.add_scatter(
                x=x, y=y, mode="lines", line={"color": PALETTE[1], "width": 1.2}, hoverinfo="skip", showlegend=False,
                **place,
            )  # fmt: skip
            figure.update_xaxes(title_text=f"latent {plane[0] + 1}", **place)
            figure.update_yaxes(title_text=f"latent {plane[1] + 1}", **place)
    # one title a row, from its left edge: it speaks of every panel
    for row in range(len(names)):
        figure.layout.annotations[row * len(planes)].update(x=0, xanchor="left", align="left")
    text = f"arrows as long as a step of the grid: {longest:.2g} /s"
    figure.add_annotation(text=text, x=1, y=1, yshift=22, xref="paper", yref="paper", xanchor="right", showarrow=False)
    return _finish(figure, 380 * len(names), top=70)


def _build_line(data: xr.Dataset, names: list[str]) -> Any:
    import plotly.graph_objects as go

    there = data["field_frames"].values > 0
    figure = go.Figure()
    for name, color in zip(names, PALETTE, strict=False):
        figure.add_scatter(
            x=_round(data["grid_1"].values[there]), y=_round(data[name].values[there, 0]), mode="lines+markers",
            name=TITLES[name], line={"color": color},
        )  # fmt: skip
    figure.update_layout(xaxis_title="latent 1", yaxis_title="velocity (1/s)")
    return _finish(figure, 360)


def _draw_arrows(
    a: Float[np.ndarray, " grid_a"],
    b: Float[np.ndarray, " grid_b"],
    velocity: Float[np.ndarray, "a b 2"],
    longest: float,
) -> tuple[Float[np.ndarray, " point"], Float[np.ndarray, " point"]]:
    """Return shafts and heads as one broken line; arrows of the speed `longest` reach to the next point."""
    stride = [max(1, int(np.ceil(len(points) / MOST_ARROWS))) for points in (a, b)]
    x, y = np.meshgrid(a[:: stride[0]], b[:: stride[1]], indexing="ij")
    arrows = velocity[:: stride[0], :: stride[1]]
    there = np.isfinite(arrows).all(axis=-1)
    spacing = min(np.ptp(a) / (len(a) / stride[0]), np.ptp(b) / (len(b) / stride[1]))
    start = np.stack([x[there], y[there]], axis=1)
    reach = arrows[there] * 1.1 * spacing / max(longest, 1e-12)
    tip = start + reach
    # barbs at 25 degrees to either side of the way back
    barbs = []
    for turn in (np.deg2rad(155), np.deg2rad(-155)):
        turned = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
        barbs.append(tip + HEAD * reach @ turned)
    gap = np.full_like(tip, np.nan)
    path = np.stack([start, tip, barbs[0], tip, barbs[1], gap], axis=1).reshape(-1, 2)
    return _round(path[:, 0]), _round(path[:, 1])


def build_clusters(result: DCFResult, recording: xr.Dataset | None = None, n_clusters: int = 4) -> Any:
    """Build clusters of the latents, with latent distance and speed over time and the outliers of both.

    Frames of the outliers stand in `draw_clusters`; here their times are read off by hovering.
    """
    from plotly.subplots import make_subplots

    data = result.dataset
    latents, time = data["latents"].values, data["time"].values
    clusters = find_clusters(latents, n_clusters)
    speed = np.linalg.norm(data["velocity"].values, axis=1)
    n = min(3, latents.shape[1])
    solid = n == 3
    specs = [[{"type": "scene" if solid else "xy", "rowspan": 2}, {"type": "xy"}], [None, {"type": "xy"}]]
    figure = make_subplots(rows=2, cols=2, specs=specs, column_widths=[0.45, 0.55], vertical_spacing=0.1)
    some = np.unique(np.linspace(0, len(latents) - 1, min(len(latents), MOST_POINTS)).round().astype(int))
    points = latents[:, :n] if n > 1 else np.column_stack([latents[:, 0], np.zeros(len(latents))])
    add: Any = figure.add_scatter3d if solid else figure.add_scattergl

    def place_points(frames: Int[np.ndarray, " frame"], **look: Any) -> None:
        where = {axis: _round(points[frames, k]) for k, axis in enumerate("xyz"[: points.shape[1]])}
        text = [f"{one:.2f} s" for one in time[frames]]
        add(**where, mode="markers", text=text, hoverinfo="text+name", row=1, col=1, **look)

    for k in range(len(clusters.centre)):
        frames = some[clusters.band[some] == k]
        place_points(
            frames, name=f"cluster {k + 1}", marker={"size": 2.5 if solid else 4, "color": PALETTE[k % len(PALETTE)]}
        )
    rows = (("distance", clusters.distance, "latent distance<br>(SD of its cluster)"), ("speed", speed, "speed (1/s)"))
    for row, (name, values, label) in enumerate(rows, 1):
        outliers = pick_outliers(values, time, N_SNAPSHOTS, apart_s=compute_spacing(data, result.provenance))
        mark = {"symbol": "circle-open" if name == "distance" else "diamond-open", "color": MARKS[name], "size": 6}
        place_points(outliers, name=f"largest {name}", marker=mark, legendgroup=name)
        place = {"row": row, "col": 2, "showlegend": False}
        figure.add_scattergl(
            x=_round(time[some]), y=_round(values[some]), mode="markers", marker={"size": 2, "color": "#888888"},
            **place,
        )  # fmt: skip
        figure.add_scatter(
            x=_round(time[outliers]), y=_round(values[outliers]), mode="markers+text", marker={**mark, "size": 9},
            text=[str(rank) for rank in range(1, len(outliers) + 1)], textposition="top right", legendgroup=name,
            **place,
        )  # fmt: skip
        figure.update_yaxes(title_text=label, rangemode="tozero", row=row, col=2)
    figure.update_xaxes(title_text="time (s)", row=2, col=2)
    names = {f"{axis}axis": {"title": {"text": f"latent {k + 1}"}} for k, axis in enumerate("xyz"[:n])}
    if solid:
        figure.update_layout(scene={**names, "aspectmode": "data"})
    else:
        figure.update_xaxes(title_text="latent 1", row=1, col=1)
        figure.update_yaxes(title_text="latent 2" if n > 1 else "", row=1, col=1)
    return _finish(figure, 520, legend={"orientation": "h", "itemsizing": "constant"})


def _tile_images(
    rows: Mapping[str, Float[np.ndarray, "frame y x"]], titles: list[str], scale: Float[np.ndarray, "frame y x"]
) -> Any:
    """Put images side by side, a row each, on one grey scale; half a percent may clip at either end."""
    low, high = np.percentile(scale, [0.5, 99.5])
    n = len(titles)
    figure = _make_panels(len(rows), n, titles=titles)
    for row, (name, images) in enumerate(rows.items(), 1):
        for column, image in enumerate(images, 1):
            figure.add_heatmap(
                z=np.round(image, 3), colorscale="Greys_r", zmin=low, zmax=high, showscale=False, row=row, col=column
            )
        figure.update_yaxes(title_text=name, row=row, col=1)
    figure.update_xaxes(visible=False)
    figure.update_yaxes(showticklabels=False, autorange="reversed")
    tall = scale.shape[1] / scale.shape[2] * 1100 / n
    return _finish(figure, int(len(rows) * tall) + 60)


def _make_panels(rows: int, columns: int, *, titles: list[str], heights: list[float] | None = None, **how: Any) -> Any:
    from plotly.subplots import make_subplots

    how = {"shared_xaxes": True, **how}
    figure = make_subplots(
        rows=rows, cols=columns, subplot_titles=titles, row_heights=heights, vertical_spacing=min(0.12, 0.4 / rows),
        horizontal_spacing=min(0.07, 0.3 / columns), **how,
    )  # fmt: skip
    figure.update_annotations(font_size=12)
    return figure


def _make_title(text: str) -> dict[str, Any]:
    return {"text": text, "font": {"size": 13}}


def _finish(figure: Any, height: int, *, top: int = 40, **layout: Any) -> Any:
    margin = {"l": 60, "r": 10, "t": top, "b": 45}
    figure.update_layout(height=height, margin=margin, template="plotly_white", **layout)
    return figure


def _round(values: Float[np.ndarray, " *shape"]) -> Float[np.ndarray, " *shape"]:
    return np.round(np.asarray(values, np.float64), DECIMALS)

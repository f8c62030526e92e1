"""Pictures of a cohort: condition means of all sessions in one space, decoding across animals, fields of groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from .color import COLORMAP, PALETTE

if TYPE_CHECKING:
    from jaxtyping import Float
    from matplotlib.figure import FigureBase

HEIGHT = 640  # pixels
DECIMALS = 4  # of coordinates: numbers are written out
DASHES = ("solid", "dash", "dot", "dashdot")
MOST_PANELS = 24  # sessions with a panel of their own
COLUMNS = 6
MOST_NUMBERS = 12  # sessions up to which cells of a matrix have their number written in
CAMERA = {"eye": {"x": -1.5, "y": -1.6, "z": 0.9}, "center": {"x": 0, "y": 0, "z": -0.15}}


@dataclass(frozen=True)
class FieldDifference:
    """Two fields at the anchors, and where they differ.

    Attributes
    ----------
    names : tuple of two str
    velocities : tuple of two array, shape (condition, bin, latent)
        Latent units per second.
    distance : array, shape (condition, bin)
        Between both, latent units per second.
    threshold : float
        Family-wise: the largest distance of any anchor exceeds it in 5 % of the permutations. NaN where the design
        allows no verdict.
    """

    names: tuple[str, str]
    velocities: tuple[Float[np.ndarray, "condition bin latent"], Float[np.ndarray, "condition bin latent"]]
    distance: Float[np.ndarray, "condition bin"]
    threshold: float


@dataclass(frozen=True)
class CohortPicture:
    """What is drawn of a cohort.

    Attributes
    ----------
    sessions, conditions : list of str
    groups : list of str
        Of each session; empty texts where there are none.
    time : array, shape (bin,)
        Seconds from the event.
    anchors : array, shape (condition, bin, latent)
    means : array, shape (session, condition, bin, latent)
        NaN where a session has no trial.
    decoding : mapping, optional
        As `nwb_dcf.cohort.evaluation.CohortEvaluation.to_dict` gives it.
    similarity : array, shape (session, session), optional
        Correlation of two sessions' products of conditions.
    differences : dict of str to FieldDifference
        By what was compared.
    """

    sessions: list[str]
    conditions: list[str]
    groups: list[str]
    time: Float[np.ndarray, " bin"]
    anchors: Float[np.ndarray, "condition bin latent"]
    means: Float[np.ndarray, "session condition bin latent"]
    decoding: Mapping[str, Any] | None = None
    similarity: Float[np.ndarray, "session session"] | None = None
    differences: dict[str, FieldDifference] = field(default_factory=dict)

    @property
    def styles(self) -> dict[str, str]:
        """Style of line of each group."""
        return {name: DASHES[i % len(DASHES)] for i, name in enumerate(sorted(set(self.groups)))}


def draw_space(picture: CohortPicture) -> str:
    """Return condition means of all sessions in the first three latents as HTML that needs nothing from elsewhere.

    A colour stands for a condition, a style of line for a group; a click in the legend hides a condition.
    """
    import plotly.graph_objects as go

    n = min(3, picture.anchors.shape[2])
    styles, traces = picture.styles, []
    for c, condition in enumerate(picture.conditions):
        color = PALETTE[c % len(PALETTE)]
        common: dict[str, Any] = {"legendgroup": condition, "hoverinfo": "text", "mode": "lines"}
        for session, group, means in zip(picture.sessions, picture.groups, picture.means, strict=True):
            line = {"color": color, "width": 2, "dash": styles[group]}
            text = f"{session}{', ' + group if group else ''}: {condition}"
            traces.append(_make_trace(go, picture, means[c], n, line=line, text=text, showlegend=False, **common))
        line = {"color": color, "width": 7 if n == 3 else 4}
        trace = _make_trace(
            go,
            picture,
            picture.anchors[c],
            n,
            line=line,
            text=f"shared: {condition}",
            name=f"condition {condition}",
            **common,
        )
        traces.append(trace)
        # without it nobody sees which way a path runs
        start = _make_trace(
            go, picture, picture.anchors[c][:1], n, marker={"color": color, "size": 6 if n == 3 else 9},
            text=f"start of {condition}", showlegend=False, **{**common, "mode": "markers"},
        )  # fmt: skip
        traces.append(start)
    for group, dash in styles.items():
        if group:
            look = {"mode": "lines", "line": {"color": "#333333", "dash": dash, "width": 3}, "name": f"group {group}"}
            empty = {axis: [None] for axis in "xyz"[: max(n, 2)]}
            traces.append((go.Scatter3d if n == 3 else go.Scatter)(**empty, **look))
    figure = go.Figure(traces)
    names = [f"latent {k}" for k in range(1, n + 1)] if n > 1 else ["time (s)", "latent 1"]
    axes = {f"{axis}axis": {"title": {"text": label}} for axis, label in zip("xyz", names, strict=False)}
    scene = {"scene": {**axes, "aspectmode": "data", "camera": CAMERA}} if n == 3 else axes
    figure.update_layout(
        height=HEIGHT, margin={"l": 0, "r": 0, "t": 10, "b": 0}, template="plotly_white",
        legend={"itemsizing": "constant", "y": 0.92}, **scene,
    )  # fmt: skip
    html: str = figure.to_html(full_html=False, include_plotlyjs=True, config={"displaylogo": False})
    return html


def _make_trace(
    go: Any, picture: CohortPicture, path: Float[np.ndarray, "bin latent"], n: int, *, text: str, **look: Any
) -> Any:
    points = path[:, :n] if n > 1 else np.column_stack([picture.time[: len(path)], path[:, 0]])
    place = {axis: np.round(points[:, k], DECIMALS) for k, axis in enumerate("xyz"[: points.shape[1]])}
    return (go.Scatter3d if n == 3 else go.Scatter)(**place, hovertext=text, **look)


def draw_sessions(figure: FigureBase, picture: CohortPicture) -> None:
    """Draw a panel for each session: its condition means over those of the cohort, in grey."""
    shown = min(len(picture.sessions), MOST_PANELS)
    columns = min(COLUMNS, shown, 4 if shown <= 8 else COLUMNS)
    rows = -(-shown // columns)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    everything = np.concatenate([picture.means.reshape(-1, picture.means.shape[3]), *picture.anchors])
    low, high = np.nanmin(everything, axis=0), np.nanmax(everything, axis=0)
    edge = 0.05 * (high - low)
    flat = picture.anchors.shape[2] == 1
    for i, axes in enumerate(grid):
        if i >= shown:
            axes.axis("off")
            continue
        for c in range(len(picture.conditions)):
            for path, look in (
                (picture.anchors[c], {"color": "#cccccc", "linewidth": 1}),
                (picture.means[i, c], {"color": PALETTE[c % len(PALETTE)], "linewidth": 1.3}),
            ):
                x, y = (picture.time, path[:, 0]) if flat else path[:, :2].T
                axes.plot(x, y, **look)
                axes.plot(x[:1], y[:1], "o", markersize=3, color=look["color"])
        group = f" ({picture.groups[i]})" if picture.groups[i] else ""
        axes.set_title(f"{picture.sessions[i].removesuffix('.nwb')}{group}")
        if not flat:
            # set by hand: shared axes of equal scale are cut off by matplotlib's layout
            axes.set(xlim=(low[0] - edge[0], high[0] + edge[0]), ylim=(low[1] - edge[1], high[1] + edge[1]))
            axes.set_aspect("equal")
        if i >= shown - columns:
            axes.set_xlabel("time (s)" if flat else "latent 1")
        if i % columns == 0:
            axes.set_ylabel("latent 1" if flat else "latent 2")


def draw_matrix(figure: FigureBase, picture: CohortPicture) -> None:
    """Draw R2 of a decoder trained on one session and tested on another, linear and by neighbours."""
    if picture.decoding is None:
        return
    names = [name.removesuffix(".nwb") for name in picture.decoding["sessions"]]
    methods = picture.decoding["methods"]
    panels = figure.subplots(1, len(methods), squeeze=False)[0]
    for axes, (method, found) in zip(panels, methods.items(), strict=True):
        values = np.vstack([found["pairs"], found["others"], found["pca"]])
        rows = [*names, "all others", "own PCA"]
        title = {"ridge": "linear", "neighbours": "20 nearest neighbours"}.get(method, method)
        _draw_cells(axes, figure, values, rows, names, f"{title}, R²", (0.0, max(0.1, float(np.nanmax(values)))))
        axes.axhline(len(names) - 0.5, color="white", linewidth=4)
        axes.set(xlabel="tested on", ylabel="decoder trained on")


def draw_curve_of_new(figure: FigureBase, picture: CohortPicture) -> None:
    """Draw R2 in a new animal against the trials that couple it."""
    if picture.decoding is None:
        return
    counts = picture.decoding["n_trials"]
    methods = picture.decoding["methods"]
    panels = figure.subplots(1, len(methods), sharey=True, squeeze=False)[0]
    for axes, (method, found) in zip(panels, methods.items(), strict=True):
        new = np.array(found["new"], np.float64)
        for row in new:
            axes.plot(counts, row, color="#bbbbbb", linewidth=0.8)
        known = np.isfinite(new).any(axis=0)
        mean = [np.nanmean(column) for column in new[:, known].T]
        axes.plot(np.array(counts)[known], mean, "o-", color=PALETTE[0], label="coupled by so many trials (mean)")
        axes.axhline(np.mean(found["others"]), color=PALETTE[2], linestyle="--", label="in the cohort, all trials")
        axes.axhline(np.mean(found["pca"]), color="#555555", linestyle=":", label="own PCA, own decoder, all trials")
        axes.set_xscale("log")
        reached = np.array(counts)[known]
        axes.set_xticks(reached, [str(count) for count in reached])
        axes.minorticks_off()
        title = {"ridge": "linear", "neighbours": "20 nearest neighbours"}.get(method, method)
        axes.set(xlabel="trials of the new animal", title=title)
    panels[0].set_ylabel("R² on held-out trials")
    panels[0].legend(frameon=False, loc="lower right")


def draw_similarity(figure: FigureBase, picture: CohortPicture) -> None:
    """Draw how alike conditions differ in two sessions."""
    if picture.similarity is None:
        return
    names = [name.removesuffix(".nwb") for name in picture.sessions[: len(picture.similarity)]]
    values = picture.similarity - np.diag(np.full(len(names), np.nan))
    _draw_cells(
        figure.subplots(), figure, values, names, names, "correlation", (0.0, max(0.1, float(np.nanmax(values))))
    )


def draw_difference(figure: FigureBase, picture: CohortPicture, difference: FieldDifference) -> None:
    """Draw two fields and their difference at the anchors, and where and when they differ."""
    first, second = difference.velocities
    fields = [
        (difference.names[0], first, PALETTE[0]),
        (difference.names[1], second, PALETTE[1]),
        (f"{difference.names[1]} minus {difference.names[0]}", second - first, "#222222"),
    ]
    if picture.anchors.shape[2] < 2:  # no plane to draw arrows in
        fields = []
    panels = figure.subplots(1, len(fields) + 1, squeeze=False)[0]
    longest = max((float(np.nanmax(np.linalg.norm(v[..., :2], axis=-1))) for _, v, _ in fields), default=1.0)
    beyond = difference.distance > difference.threshold
    for axes, (name, velocity, color) in zip(panels, fields, strict=False):
        a, b = 0, 1
        for path in picture.anchors:
            axes.plot(path[:, a], path[:, b], color="#dddddd", linewidth=0.8, zorder=0)
        span = float(np.ptp(picture.anchors[..., [a, b]].reshape(-1, 2), axis=0).max())
        axes.quiver(
            picture.anchors[..., a], picture.anchors[..., b], velocity[..., a], velocity[..., b], color=color,
            angles="xy", scale_units="xy", scale=longest / (0.2 * span), width=0.006,
        )  # fmt: skip
        if "minus" in name and beyond.any():
            axes.plot(
                *picture.anchors[beyond][:, [a, b]].T, "o", color=PALETTE[1], markersize=3, label="beyond threshold"
            )
            axes.legend(frameon=False)
        axes.set(title=name, xlabel=f"latent {a + 1}", ylabel=f"latent {b + 1}", aspect="equal")
    axes = panels[-1]
    mesh = axes.pcolormesh(
        picture.time, np.arange(len(picture.conditions)), difference.distance, cmap=COLORMAP, shading="nearest", vmin=0
    )
    rows, columns = np.nonzero(beyond)
    axes.plot(picture.time[columns], rows, "o", color="white", markersize=4, markeredgecolor="black")
    figure.colorbar(mesh, ax=axes, label="distance of the fields (1/s)")
    axes.set_yticks(range(len(picture.conditions)), picture.conditions)
    axes.set(title="where and when", xlabel="time (s)", ylabel="condition")


def _draw_cells(
    axes: Any,
    figure: FigureBase,
    values: Float[np.ndarray, "row column"],
    rows: Sequence[str],
    columns: Sequence[str],
    label: str,
    limits: tuple[float, float],
) -> None:
    mesh = axes.imshow(values, cmap=COLORMAP, vmin=limits[0], vmax=limits[1], aspect="equal")
    axes.set_xticks(range(len(columns)), columns, rotation=45, ha="right")
    axes.set_yticks(range(len(rows)), rows)
    if len(columns) <= MOST_NUMBERS:
        for (i, j), value in np.ndenumerate(values):
            if np.isfinite(value):
                dark = value < limits[0] + 0.6 * (limits[1] - limits[0])
                axes.text(j, i, f"{value:.2f}", ha="center", va="center", color="white" if dark else "black")
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
    figure.colorbar(mesh, ax=axes, label=label, shrink=0.8)

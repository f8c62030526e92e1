"""Everything about one fit on one page: a picture, or HTML that holds all it needs."""

from __future__ import annotations

import base64
import html
import io
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from ..data.predicted_paths import PredictedPaths
from ..data.result import DCFResult
from .html import describe_fit, lay_out_certificate, lay_out_page, list_doubts

if TYPE_CHECKING:
    from jaxtyping import Float
    from matplotlib.figure import Figure, FigureBase

FORMATS = (".png", ".svg", ".pdf", ".html")
STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.titlesize": 10,
    "figure.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": "white",
    "svg.hashsalt": "nwb_dcf",  # the same picture is the same file
}
DPI = 150  # twice a screen's: a slide is shown larger than a page
ORDER = (
    "latents",
    "conditions",
    "trajectories",
    "spectrum",
    "curve",
    "loadings",
    "smoothing",
    "examples",
    "paths",
    "field",
    "clusters",
)
CAPTION_INCHES, LETTERS_PER_INCH = 0.45, 15  # of text at 8 points
STILL = ("examples", "clusters")  # of images: frames as numbers would make the page megabytes larger
HALF = 7.0  # inches: narrower pictures stand side by side on the page


@dataclass(frozen=True)
class ReportFigure:
    """A picture of a fit.

    Attributes
    ----------
    title : str
    size : (float, float)
        Width and height, inches.
    draw : callable
        Draws the picture into the figure of matplotlib that it is given.
    build : callable
        Makes it as a figure of plotly.
    caption : str
        What to conclude from it, and what not.
    by_default : bool
        Whether it is drawn without being named.
    """

    title: str
    size: tuple[float, float]
    draw: Callable[[FigureBase], None]
    build: Callable[[], Any]
    caption: str = ""
    by_default: bool = True


@dataclass(frozen=True)
class PlotInputs:
    """A fit with the recording it was made from.

    Attributes
    ----------
    result : DCFResult
    recording, prepared : xarray.Dataset or None
        As read, and as the model sees it; None where the file does not hold the source.
    reconstruction : array, shape (time, channel) or (time, y, x), or None
        Prepared frames, from the latents alone.
    missing : str
        Why the recording is not there; empty if it is.
    paths : PredictedPaths or None
        Rollouts from some frames, beside what came; None where they cannot be made.
    """

    result: DCFResult
    recording: xr.Dataset | None
    prepared: xr.Dataset | None
    reconstruction: Float[np.ndarray, " time *channel"] | None
    missing: str = ""
    paths: PredictedPaths | None = None


def list_views(inputs: PlotInputs, color: str, n_clusters: int = 4) -> dict[str, ReportFigure]:
    """Return the pictures that can be drawn of a fit, by name, in their order on the page."""
    # here: matplotlib and plotly are loaded with the first picture, not with this file
    from .. import plots
    from . import interactive, plotly_figures

    result, recording = inputs.result, inputs.recording
    images = recording is not None and recording["data"].ndim == 3
    n_axes = sum(str(dim).startswith("grid_") for dim in result.dataset.dims)
    field_size = {1: (5.5, 3.6), 2: (9.0, 4.4)}.get(n_axes, (12.0, 7.6))
    condition = plots.find_condition(result.dataset, color)
    views = {
        "latents": ReportFigure(
            "Latents against time",
            (12.0, 1.2 * result.dim + 1.4),
            lambda figure: plots.draw_latents(figure, result, color),
            lambda: interactive.build_latents(result, color),
        ),
        "trajectories": ReportFigure(
            "Trajectories",
            (8.0, 6.0),
            lambda figure: plots.draw_trajectories(figure, result, color),
            lambda: interactive.build_trajectories(result, color),
        ),
        "spectrum": ReportFigure(
            "How much each axis holds",
            (6.0, 4.2),
            lambda figure: plots.draw_spectrum(figure, result),
            lambda: plotly_figures.build_spectrum(result),
        ),
        "curve": ReportFigure(
            "Reconstruction from K numbers",
            (6.0, 4.2),
            lambda figure: plots.draw_curve(figure, result),
            lambda: plotly_figures.build_curve(result),
        ),
        "clusters": ReportFigure(
            "Clusters and outliers",
            (12.0, 4.8 + 1.7 * (n_clusters + 2) * images),
            lambda figure: plots.draw_clusters(figure, result, recording, n_clusters),
            lambda: plotly_figures.build_clusters(result, recording, n_clusters),
            by_default=images,  # without pictures to look at, clusters say little
        ),
    }
    if condition is not None:
        label = condition.replace("_", " ")
        views["conditions"] = ReportFigure(
            f"Latents by {label}",
            (12.0, 3.6),
            lambda figure: plots.draw_conditions(figure, result, condition),
            lambda: plotly_figures.build_conditions(result, condition),
        )
    if result.dataset["mean"].ndim == 1:
        views["loadings"] = ReportFigure(
            "Loadings",
            (12.0, 1.2 * result.dim + 1.0),
            lambda figure: plots.draw_loadings(figure, result),
            lambda: plotly_figures.build_loadings(result),
        )
    choice = result.provenance.get("smoothing")
    if choice and choice["table"]["score"] and None not in choice["table"]["score"]:
        views["smoothing"] = ReportFigure(
            "Smoothing and scale",
            (6.0, 3.8),
            lambda figure: plots.draw_smoothing(figure, choice),
            lambda: plotly_figures.build_smoothing(choice),
        )
    if n_axes:
        views["field"] = ReportFigure(
            "Flow field",
            field_size,
            lambda figure: plots.draw_field(figure, result),
            lambda: plotly_figures.build_field(result),
        )
    prepared, reconstruction = inputs.prepared, inputs.reconstruction
    if prepared is not None and reconstruction is not None:
        size = (12.0, 5.0)
        views["examples"] = ReportFigure(
            "Data and their reconstruction",
            size,
            lambda figure: plots.draw_examples(figure, result, prepared, reconstruction),
            lambda: plotly_figures.build_examples(result, prepared, reconstruction),
        )
    paths = inputs.paths
    if paths is not None:
        tall = 1.0 + 1.5 * min(result.dim, 3)
        views["paths"] = ReportFigure(
            "Predicted paths and those that came",
            (12.0, tall),
            lambda figure: plots.draw_paths(figure, paths),
            lambda: plotly_figures.build_paths(paths),
        )
    captions = result.captions
    return {name: replace(views[name], caption=captions[name]) for name in ORDER if name in views}


def draw_together(views: dict[str, ReportFigure], *, captions: bool = True) -> Figure:
    """Draw every view into one figure, with its caption below: small ones side by side, others below each other."""
    import matplotlib
    from matplotlib.figure import Figure

    rows: list[list[str]] = []
    for name in views:
        # the two that have one axis, the number of latents
        if rows and {rows[-1][-1], name} == {"spectrum", "curve"}:
            rows[-1].append(name)
        else:
            rows.append([name])
    heights = [max(views[name].size[1] for name in row) + CAPTION_INCHES * captions for row in rows]
    width = max(sum(views[name].size[0] for name in row) for row in rows)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, sum(heights)), layout="constrained")
        # subfigures: each picture lays itself out, and knows nothing of the page
        parts: Any = figure.subfigures(len(rows), 1, height_ratios=heights, squeeze=False)
        for part, row in zip(parts[:, 0], rows, strict=True):
            ratios = [views[name].size[0] for name in row]
            cells = part.subfigures(1, len(row), width_ratios=ratios, squeeze=False)[0]
            for cell, name in zip(cells, row, strict=True):
                views[name].draw(cell)
                if captions and views[name].caption:
                    broken = textwrap.fill(views[name].caption, int(LETTERS_PER_INCH * views[name].size[0]))
                    cell.supxlabel(broken, x=0.02, ha="left", fontsize=8, color="#444444")
    return figure


def write_page(inputs: PlotInputs, views: dict[str, ReportFigure], file: str) -> str:
    """Make one HTML page that needs no other file: pictures to zoom in and to turn; frames of a video stand still."""
    result = inputs.result
    # before any picture: what may be seen in them hangs on it
    sections = [part for part in [lay_out_certificate(result.certificate)] if part]
    # plotly's script is 4 MB and goes into the page, which is read offline: once, with the first picture
    with_script = True
    images = inputs.recording is not None and inputs.recording["data"].ndim == 3
    for name, view in views.items():
        label = html.escape(f"{view.title} of {result.name}", quote=True)
        if images and name in STILL:
            figure = draw_together({name: view}, captions=False)
            body = (
                f'<img alt="{label}" src="data:image/svg+xml;base64,{base64.b64encode(_render_svg(figure)).decode()}">'
            )
        else:
            config = {"displaylogo": False, "responsive": True, "scrollZoom": name == "latents"}
            script = view.build().to_html(full_html=False, include_plotlyjs=with_script, config=config)
            body, with_script = f'<div role="img" aria-label="{label}">{script}</div>', False
        hint = "<p class='note'>Drag to zoom, double-click for the whole session.</p>" if name == "latents" else ""
        caption = f'{hint}<p class="caption">{html.escape(view.caption)}</p>'
        half = ' class="half"' if view.size[0] < HALF else ""
        sections.append(f'<section id="{name}"{half}><h2>{html.escape(view.title)}</h2>{body}{caption}</section>')
    if "examples" not in views and inputs.missing:
        sections.append(f'<p class="note">No examples: {html.escape(inputs.missing)}</p>')
    return lay_out_page(f"{result.name} of {file}", describe_fit(result, file), sections, doubts=list_doubts(result))


def _render_svg(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    _save(figure, buffer, "svg")
    return buffer.getvalue()


def _save(figure: Figure, target: str | io.BytesIO, kind: str) -> None:
    import matplotlib

    # without dates, so that the same fit gives the same bytes
    stamp = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind)
    with matplotlib.rc_context(STYLE):
        figure.savefig(target, format=kind, dpi=DPI, metadata=stamp)


def _write_text(path: str, text: str) -> None:
    Path(path).write_text(text, encoding="utf-8")

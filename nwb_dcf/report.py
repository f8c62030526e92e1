"""Everything about one fit on one page: a picture, or HTML that holds all it needs."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from .errors import DCFError, ParameterError, StoreError
from .export import check_export, write_whole
from .origin import read_fitted
from .page import describe_fit, lay_out_page
from .prepare import Preparation
from .result import DCFResult
from .store import read_result

if TYPE_CHECKING:
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
DPI = 150
HALF = 7.0  # inches: narrower pictures stand side by side on the page


@dataclass(frozen=True)
class View:
    """A picture of a fit: its title, its size in inches, and how it is drawn."""

    title: str
    size: tuple[float, float]
    draw: Callable[[FigureBase], None]


@dataclass(frozen=True)
class Material:
    """A fit with the recording it was made from.

    Attributes
    ----------
    result : DCFResult
    recording, prepared : xarray.Dataset or None
        As read, and as the model sees it; None where the file does not hold the source.
    rebuilt : array or None
        Prepared frames from the latents alone.
    missing : str
        Why the recording is not there; empty if it is.
    """

    result: DCFResult
    recording: xr.Dataset | None
    prepared: xr.Dataset | None
    rebuilt: np.ndarray | None
    missing: str = ""


def plot_nwb(
    path: str | Path,
    name: str | None = None,
    *,
    output: str | Path,
    color: str = "time",
    figure: str | None = None,
    n_bands: int = 4,
    data: str | Path | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Draw a stored fit.

    Parameters
    ----------
    path : str or Path
        NWB file with the fit.
    name : str, optional
        Of the fit; needed where there are several.
    output : str or Path
        ``.html``: one page with everything in it, whose trajectories can be turned. ``.png``, ``.svg`` or ``.pdf``: one
        picture.
    color : str
        ``time``, ``trial``, or a column of the segments such as ``direction``.
    figure : str, optional
        One of ``trajectories``, ``spectrum``, ``curve``, ``examples``, ``field``, ``bands``; by default all of them.
    n_bands : int
        Bands to sort the latents in.
    data : str or Path, optional
        NWB file that holds the source, where that is neither `path` nor a file of the recorded name beside it.
    overwrite : bool
        Replace a file that exists.

    Returns
    -------
    dict
        ``written``, ``name``, ``figures`` (those drawn), and ``left_out`` (why others were not).

    Raises
    ------
    DCFError
        If the fit cannot be read, a choice cannot be meant, or matplotlib (for HTML plotly, too) is not installed.

    Notes
    -----
    Examples need the model and the source; everything else is drawn from what is stored, without torch.
    """
    output = Path(output)
    check_export(output, overwrite=overwrite, formats=FORMATS)
    require_plotting(html=output.suffix.lower() == ".html")
    result = read_result(path, name)
    from .plots import choose_coloring

    choose_coloring(result.dataset, color)
    material = gather_material(path, result, data, rebuild=figure in (None, "examples"))
    views = list_views(material, color, n_bands)
    left_out = {"examples": material.missing} if material.missing else {}
    if figure is not None:
        if figure not in views:
            why = left_out.get(figure) or f"choose one of {', '.join(views)}"
            raise ParameterError(f"there is no figure {figure!r}", fix=why)
        views = {figure: views[figure]}
    if output.suffix.lower() == ".html":
        page = write_page(material, views, color, str(Path(path).name))
        write_whole(output, lambda beside: _write_text(beside, page))
    else:
        picture = draw_together(views)
        kind = output.suffix.lower().removeprefix(".")
        write_whole(output, lambda beside: _save(picture, beside, kind))
    return {"written": str(output), "name": result.name, "figures": list(views), "left_out": left_out}


def require_plotting(*, html: bool) -> None:
    """Refuse to start where a package for plots is missing.

    Raises
    ------
    StoreError
        With what to install.
    """
    for package in ("matplotlib", "plotly") if html else ("matplotlib",):
        try:
            __import__(package)
        except ImportError as error:
            raise StoreError(f"plots need {package}", fix="pip install 'nwb-dcf[plot]'") from error


def gather_material(
    path: str | Path, result: DCFResult, data: str | Path | None = None, *, rebuild: bool = True
) -> Material:
    """Read again what `result` was made from, and rebuild it from the latents; without the source, say why not."""
    try:
        recording = read_fitted(path, result, data)
    except DCFError as error:
        return Material(result, None, None, None, str(error))
    if not rebuild:
        return Material(result, recording, None, None)
    prepared = Preparation.from_dict(result.provenance["preparation"]).apply(recording)
    from .estimator import DCF  # torch is loaded for the examples alone

    rebuilt = DCF.from_result(result, "cpu").rebuild(result.dataset["latents"].values)
    return Material(result, recording, prepared, rebuilt)


def list_views(material: Material, color: str, n_bands: int = 4) -> dict[str, View]:
    """Pictures that can be drawn of a fit, in their order on the page."""
    from . import plots

    result, recording = material.result, material.recording
    images = recording is not None and recording["data"].ndim == 3
    n_axes = sum(str(dim).startswith("grid_") for dim in result.dataset.dims)
    field_size = {1: (5.5, 3.6), 2: (9.0, 4.4)}.get(n_axes, (12.0, 7.6))
    views = {
        "trajectories": View("Trajectories", (8.0, 6.0), lambda figure: plots.draw_trajectories(figure, result, color)),
        "spectrum": View("Spectrum", (6.0, 3.8), lambda figure: plots.draw_spectrum(figure, result)),
        "curve": View("Rebuilding from K numbers", (6.0, 3.8), lambda figure: plots.draw_curve(figure, result)),
        "bands": View(
            "Bands and outliers",
            (12.0, 4.8 + 1.7 * (n_bands + 2) * images),
            lambda figure: plots.draw_bands(figure, result, recording, n_bands),
        ),
    }
    if n_axes:
        views["field"] = View("Flow field", field_size, lambda figure: plots.draw_field(figure, result))
    prepared, rebuilt = material.prepared, material.rebuilt
    if prepared is not None and rebuilt is not None:
        size = (12.0, 5.0)
        views["examples"] = View(
            "Bottleneck examples", size, lambda figure: plots.draw_examples(figure, result, prepared, rebuilt)
        )
    order = ("trajectories", "spectrum", "curve", "examples", "field", "bands")
    return {name: views[name] for name in order if name in views}


def draw_together(views: dict[str, View]) -> Figure:
    """Draw every view into one figure: small ones side by side, the others below each other."""
    import matplotlib
    from matplotlib.figure import Figure

    names = list(views)
    rows = [
        [name for name in names if name in ("trajectories",)],
        [name for name in names if name in ("spectrum", "curve")],
    ]
    rows = [*rows, *([name] for name in names if name not in ("trajectories", "spectrum", "curve"))]
    rows = [row for row in rows if row]
    heights = [max(views[name].size[1] for name in row) for row in rows]
    width = max(sum(views[name].size[0] for name in row) for row in rows)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, sum(heights)), layout="constrained")
        parts: Any = figure.subfigures(len(rows), 1, height_ratios=heights, squeeze=False)
        for part, row in zip(parts[:, 0], rows, strict=True):
            ratios = [views[name].size[0] for name in row]
            cells = part.subfigures(1, len(row), width_ratios=ratios, squeeze=False)[0]
            for cell, name in zip(cells, row, strict=True):
                views[name].draw(cell)
    return figure


def write_page(material: Material, views: dict[str, View], color: str, file: str) -> str:
    """Make one HTML page that needs no other file: pictures as SVG, trajectories to be turned with the mouse."""
    from .plots.interactive import draw_interactive

    result = material.result
    sections = []
    for name, view in views.items():
        if name == "trajectories":
            body = draw_interactive(result, color)
        else:
            figure = draw_together({name: view})
            text = base64.b64encode(_render_svg(figure)).decode()
            alt = html.escape(f"{view.title} of {result.name}", quote=True)
            body = f'<img alt="{alt}" src="data:image/svg+xml;base64,{text}">'
        half = ' class="half"' if view.size[0] < HALF else ""
        sections.append(f'<section id="{name}"{half}><h2>{html.escape(view.title)}</h2>{body}</section>')
    if "examples" not in views and material.missing:
        sections.append(f'<p class="note">No examples: {html.escape(material.missing)}</p>')
    return lay_out_page(f"{result.name} of {file}", describe_fit(result, file), sections)


def _render_svg(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    _save(figure, buffer, "svg")
    return buffer.getvalue()


def _save(figure: Figure, target: str | io.BytesIO, kind: str) -> None:
    import matplotlib

    stamp = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind)
    with matplotlib.rc_context(STYLE):
        figure.savefig(target, format=kind, dpi=DPI, metadata=stamp)


def _write_text(path: str, text: str) -> None:
    Path(path).write_text(text, encoding="utf-8")

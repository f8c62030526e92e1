"""Plot a stored fit: its figures as a page, an image or a vector file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from ..config.file_places import NOWHERE_ELSE, FilePlaces
from ..data.predicted_paths import PredictedPaths
from ..data.preprocessing import Preprocessor
from ..data.result import DCFResult, mark_held_out
from ..errors import DataError, DCFError, ParameterError, StoreError
from ..io.export import check_export, write_whole
from ..io.results import read_result
from ..plots.report import FORMATS, PlotInputs, _save, _write_text, draw_together, list_views, write_page
from .stored_source import load_fitted, read_fitted

if TYPE_CHECKING:
    import xarray as xr

    from ..estimator.fitted import FittedModel


class PlotReport(TypedDict):
    """What was drawn, and where it is."""

    written: str
    name: str
    figures: list[str]
    left_out: dict[str, str]


NEEDS = {
    "conditions": "it needs a column of the trials that names conditions; ",
    "loadings": "pixels are too many to be named; ",
    "smoothing": "the data did not choose the smoothing; ",
    "paths": "no segment is long enough for it; ",
}
"""Why a fit lacks a picture that others have."""


def plot_nwb(
    path: str | Path,
    name: str | None = None,
    *,
    output: str | Path,
    color: str = "auto",
    figure: str | None = None,
    n_clusters: int = 4,
    data: str | Path | None = None,
    video_dir: str | None = None,
    mask: str | None = None,
    allow_outside: bool = False,
    overwrite: bool = False,
) -> PlotReport:
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
        ``time``, ``trial``, or a column of the segments such as ``direction``. ``auto`` takes the first column that
        sorts trials into conditions, and the time where there is none.
    figure : str, optional
        One of ``latents``, ``conditions``, ``trajectories``, ``spectrum``, ``curve``, ``loadings``, ``smoothing``,
        ``examples``, ``paths``, ``field``, ``clusters``; by default all that there is data for, ``clusters`` of images
        alone. What each says stands below it, and in `nwb_dcf.DCFResult.captions`.
    n_clusters : int
        Groups to sort the latents in.
    data : str or Path, optional
        NWB file that holds the source, where that is neither `path` nor a file of the recorded name beside it.
    video_dir : str, optional
        Folder that holds its videos, where they are not where that file says; no fit remembers it.
    mask : str, optional
        The image that hid parts of their frames, if there was one; no fit opens it by itself.
    allow_outside : bool
        Open videos by paths that leave the folder of the NWB file; no fit allows that by itself.
    overwrite : bool
        Replace a file that exists.

    Returns
    -------
    PlotReport
        ``written``, ``name``, ``figures`` (those drawn), and ``left_out`` (why others were not).

    Raises
    ------
    DCFError
        If the fit cannot be read, a choice is invalid, or matplotlib (for HTML plotly, too) is not installed.

    Notes
    -----
    Examples need the model and the source; everything else is drawn from what is stored, without torch.
    """
    output = Path(output)
    check_export(output, overwrite=overwrite, formats=FORMATS)
    require_plotting(html=output.suffix.lower() == ".html")
    result = read_result(path, name)
    from ..plots import choose_coloring, find_condition

    if color == "auto":
        color = find_condition(result.dataset) or "time"
    # refused before the source is read and the model loaded
    choose_coloring(result.dataset, color)
    places = FilePlaces(video_dir, mask, allow_outside)
    material = gather_material(path, result, data, places, reconstruct=figure in (None, "examples", "paths"))
    views = list_views(material, color, n_clusters)
    left_out = dict.fromkeys(("examples", "paths"), material.missing) if material.missing else {}
    if figure is not None:
        if figure not in views:
            why = left_out.get(figure) or f"{NEEDS.get(figure, '')}choose one of {', '.join(views)}"
            raise ParameterError(f"there is no figure {figure!r}", fix=why)
        views = {figure: views[figure]}
    else:
        # clusters are found in anything: drawn when they are asked for
        views = {key: view for key, view in views.items() if view.by_default}
    if output.suffix.lower() == ".html":
        page = write_page(material, views, str(Path(path).name))
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
            # a try and not find_spec: an installed package may be broken
            __import__(package)
        except ImportError as error:
            raise StoreError(f"plots need {package}", fix="pip install 'nwb-dcf[plot]'") from error


def gather_material(
    path: str | Path,
    result: DCFResult,
    data: str | Path | None = None,
    places: FilePlaces = NOWHERE_ELSE,
    *,
    reconstruct: bool = True,
) -> PlotInputs:
    """Read again what `result` was made from, and reconstruct it from the latents, or keep the reason why not."""
    try:
        recording = read_fitted(path, result, data, places)
    except DCFError as error:
        return PlotInputs(result, None, None, None, str(error))
    if not reconstruct:
        return PlotInputs(result, recording, None, None)
    prepared = Preprocessor.from_dict(result.provenance["preparation"]).apply(recording)
    fitted, latents = load_fitted(result, "cpu"), result.dataset["latents"].values  # which loads torch
    return PlotInputs(
        result, recording, prepared, fitted.reconstruct(latents), paths=_predict(fitted, result, recording)
    )


def _predict(fitted: FittedModel, result: DCFResult, recording: xr.Dataset) -> PredictedPaths | None:
    """Rollouts to be drawn; None where segments are too short for any."""
    from ..evaluation.predicted_paths import predict_examples

    held_out = mark_held_out(result.dataset, result.provenance)
    try:
        return predict_examples(fitted, recording, result.dataset["latents"].values, held_out)
    except DataError:
        return None

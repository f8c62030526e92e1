"""A stored model at work: on a new session or held-out trials, and by itself as a simulation."""

from __future__ import annotations

import dataclasses
import hashlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import xarray as xr

from ..config import ReadConfig
from ..data.channel_matching import Matching
from ..data.recording import name_source
from ..data.records import Provenance, SplitRecord, WrittenRecord
from ..data.result import DCFResult
from ..errors import ParameterError
from ..io.results import check_writable, remove_leftovers, split_address, write_result
from .stored_source import check_kind, choose_reading, load_fitted, read_matched, read_model

if TYPE_CHECKING:
    from ..estimator.fitted import FittedModel

OF_THE_FIT = ("steps", "search", "training", "learned", "machine", "seed")


def transform_nwb(
    path: str | Path,
    model: str | Path,
    *,
    match: str = "id",
    impute: Literal["mean"] | None = None,
    max_distance: float = 10.0,
    name: str | None = None,
    overwrite: bool = False,
    output: str | Path | None = None,
    device: str = "auto",
    **reading: Any,
) -> DCFResult:
    """Apply a stored model to another file, and write its latents there.

    Parameters
    ----------
    path : str or Path
        NWB file to transform: a new session, or other trials of the one that was fitted. It is replaced by a
        verified copy that holds the result, unless `output` is given.
    model : str or Path
        ``FILE#NAME``: an NWB file and the fit in it; NAME may be left out where there is one.
    match : str
        How channels are found: ``"id"``, or columns whose values name one (`data.channel_matching.match_channels`).
    impute : {"mean"}, optional
        Set missing channels to their mean in the model's training data; without it they are refused.
    max_distance : float
        How far from the mean of the fitted frames a frame may lie, in units of their own RMS distance from it.
    name, overwrite, output
        Of the result in ``processing/dcf``, as for `nwb_dcf.fit_nwb`.
    device : str
        Where to compute.
    **reading
        What to read in `path` (``source``, ``where``, ..., see `nwb_dcf.config.ReadConfig`), where that differs from
        what was fitted. Bins are those of the fit. ``trials``, ``align``, ``window`` and ``where`` belong together:
        given one of them, the fit's others no longer count.

    Returns
    -------
    DCFResult
        Like a fit: its weights, spectrum and loadings are the model's, its latents, scores and segments those of
        `path`. ``provenance["model"]`` names the model with the SHA-256 of its weights, ``provenance["matching"]``
        the channels. Scores stand beside PCA fitted to these data themselves, which favours PCA.

    Raises
    ------
    DCFError
        If the model, the file or the channels do not fit each other, or more than one frame in a hundred lies further
        than `max_distance` from those fitted; nothing is written then.

    Notes
    -----
    A channel that is silent here is there: it keeps its constant value. Only channels that the file does not have
    are missing.
    """
    if impute not in (None, "mean"):
        raise ParameterError(f"impute is {impute!r}", fix="choose mean, or leave it out")
    from ..estimator.distance import check_distance  # loads torch

    started = time.perf_counter()
    stored = read_model(model)
    kind = str(stored.dataset.attrs.get("kind", "array"))
    remove_leftovers(Path(path if output is None else output).resolve())
    # before reading and encoding, which take minutes
    check_writable(path, name=name, kind=kind, dim=stored.dim, overwrite=overwrite, output=output)
    read = choose_reading(stored, reading)
    recording, read, matching = read_matched(path, stored, read, model, match, impute is not None)
    fitted = load_fitted(stored, device)
    check_kind(recording, fitted)
    if (
        matching
        and match == "id"
        and stored.provenance["source"]["identifier"] != recording.attrs["source"]["identifier"]
    ):
        recording.attrs["notes"].append("channels are matched by id: the same ids are taken to name the same channels")
    frames = fitted.prepare(recording)
    doubts = check_distance(fitted, frames, max_distance=max_distance, where=name_source(recording))
    recording.attrs["notes"].extend(doubts)
    result = _describe(fitted, recording, read, stored, matching, split_address(model)[0])
    result.provenance["seconds"] = time.perf_counter() - started
    written = write_result(result, path, name=name, overwrite=overwrite, output=output, as_read=True)
    report: WrittenRecord = {"file": Path(written.path).name, "name": written.name, "notes": written.notes}
    return dataclasses.replace(result, name=written.name, provenance={**result.provenance, "written": report})


def _describe(
    fitted: FittedModel,
    recording: xr.Dataset,
    read: ReadConfig,
    stored: DCFResult,
    matching: Matching | None,
    file: str,
) -> DCFResult:
    """Describe what the model says of `recording`, and whose model it is."""
    from ..evaluation.latent_measures import measure_latents
    from ..evaluation.result import build_result

    measured = measure_latents(fitted, recording, None, own=False)
    result = build_result(fitted, recording, None, measured=measured, read=read, held_out=0.0)
    origin = stored.provenance.get("source", {})
    # by hash, since a copy of the file has another name
    own = origin.get("sha256") == recording.attrs["source"]["sha256"]
    n_segments = recording.sizes["segment"]
    scores = {**result.dataset.attrs["scores"], "on": _describe_data(own)}
    # a certificate is of a fit; here nothing was fitted
    scores.pop("certificate", None)
    dataset = result.dataset.assign_attrs(scores=scores).assign(
        segment_held_out=("segment", np.full(n_segments, not own))
    )
    if matching is not None:
        dim = str(dataset["mean"].dims[0])
        dataset = dataset.assign_coords({dim: np.asarray(matching.name_channels())})
    # how the model was trained is the model's; where and when it was applied is of this file
    kept: Provenance = {key: stored.provenance[key] for key in OF_THE_FIT if key in stored.provenance}  # type: ignore[literal-required, assignment]
    seen, unseen = (n_segments, 0) if own else (0, n_segments)
    divided: SplitRecord = {"training": seen, "held_out": unseen, "rule": _describe_data(own), "share": float(not own)}
    provenance: Provenance = {
        **result.provenance,
        **kept,
        "split": {**result.provenance["split"], **divided},
        "model": {
            "file": Path(file).name,
            "name": stored.name,
            "sha256": hashlib.sha256(stored.weights).hexdigest(),
            "created": stored.provenance.get("created"),
            "source": origin,
        },
        **({"matching": matching.to_dict()} if matching else {}),
    }
    return dataclasses.replace(result, dataset=dataset, provenance=provenance, weights=stored.weights)


def _describe_data(own: bool) -> str:
    return "the data that the model was fitted to" if own else "data of another file than the model's"

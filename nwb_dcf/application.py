"""A stored model at work: on a new session or held-out trials, and by itself as a simulation."""

from __future__ import annotations

import dataclasses
import hashlib
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import xarray as xr

from .config import ReadConfig
from .errors import DataError, ParameterError, SourceError
from .matching import Matching, list_constant, match_channels, order_channels
from .origin import find_means, find_reading, read_fitted
from .read import ChannelTable, read_channels, read_recording
from .recording import channel_dim, frame_shape, median_step_s
from .result import DCFResult
from .store import check_writable, read_result, split_address, write_result

if TYPE_CHECKING:
    from .estimator import DCF

OF_THE_FIT = ("steps", "search", "training", "learned", "machine", "seed")
SEGMENTS = {"trials", "align", "window", "where"}
STEP_TOLERANCE = 0.05  # of the step: v was learned per step, so that another sampling rate would change its meaning


def transform_nwb(
    path: str | Path,
    model: str | Path,
    *,
    match: str = "id",
    impute: Literal["mean"] | None = None,
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
        How channels are found: ``"id"``, or columns whose values name one (`nwb_dcf.matching.match_channels`).
    impute : {"mean"}, optional
        Set missing channels to their mean in the model's training data; without it they are refused.
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
        If the model, the file or the channels do not fit each other; nothing is written then.

    Notes
    -----
    A channel that is silent here is there: it keeps its constant value. Only channels that the file does not have
    are missing.
    """
    if impute not in (None, "mean"):
        raise ParameterError(f"impute is {impute!r}", fix="choose mean, or leave it out")
    started = time.perf_counter()
    stored = read_model(model)
    kind = str(stored.dataset.attrs.get("kind", "array"))
    check_writable(path, name=name, kind=kind, dim=stored.dim, overwrite=overwrite, output=output)
    read = _choose_reading(stored, reading)
    recording, read, matching = _read_matched(path, stored, read, model, match, impute is not None)
    estimator = _load_estimator(stored, device)
    _check_kin(recording, estimator)
    if (
        matching
        and match == "id"
        and stored.provenance["source"]["identifier"] != recording.attrs["source"]["identifier"]
    ):
        recording.attrs["notes"].append("channels are matched by id: the same ids are taken to name the same channels")
    result = _describe(estimator, recording, read, stored, matching, split_address(model)[0])
    result.provenance["seconds"] = time.perf_counter() - started
    written = write_result(result, path, name=name, overwrite=overwrite, output=output)
    report = {"file": Path(written.path).name, "name": written.name, "notes": written.notes}
    return dataclasses.replace(result, name=written.name, provenance={**result.provenance, "written": report})


def simulate_nwb(
    path: str | Path,
    name: str | None = None,
    *,
    recording: str | Path | None = None,
    n_frames: int = 50,
    tau: float = 0.0,
    starts: Literal["last", "first"] | Sequence[float] = "last",
    n_paths: int | None = None,
    seed: int = 0,
    device: str = "auto",
) -> xr.Dataset:
    """Continue a recording by a stored model's own dynamics.

    Parameters
    ----------
    path : str or Path
        NWB file with the fit.
    name : str, optional
        Of the fit; needed where there are several.
    recording : str or Path, optional
        NWB file whose recording is continued, where that is not `path`; channels are matched by id.
    n_frames, tau, n_paths, seed
        See `nwb_dcf.DCF.simulate`.
    starts : {"last", "first"} or sequence of float
        Of each segment, or times in seconds on the session clock: the frames nearest to them.

    Returns
    -------
    xarray.Dataset
        A recording whose segments are the paths, with ``trial_start_s`` and ``trial_path``; ``attrs["source"]``
        is that of the starts.

    Raises
    ------
    DCFError
        If the fit or its recording cannot be read, or an argument cannot be meant.
    """
    stored = read_result(path, name)
    if recording is None:
        given = read_fitted(path, stored)
    else:
        read = find_reading(stored)
        given = _read_matched(recording, stored, read, f"{path}#{stored.name}", "id", False)[0]
    estimator = _load_estimator(stored, device)
    _check_kin(given, estimator)
    places = starts if isinstance(starts, str) else _find_frames(given["time"].values, starts)
    paths: xr.Dataset = estimator.simulate(given, n_frames, tau=tau, starts=places, n_paths=n_paths, seed=seed)
    return paths.assign_attrs(source=given.attrs["source"], kind="simulation")


def read_model(model: str | Path) -> DCFResult:
    """Read the fit that ``FILE#NAME`` names, or the only fit of ``FILE``.

    Raises
    ------
    StoreError
        See `nwb_dcf.read_result`.
    """
    return read_result(*split_address(model))


def _choose_reading(stored: DCFResult, asked: dict[str, Any]) -> ReadConfig:
    """How to read another file: as the model's was, but for what is asked."""
    read = asdict(find_reading(stored))
    if SEGMENTS & asked.keys():
        read = {name: value for name, value in read.items() if name not in SEGMENTS}
    return ReadConfig.make(**{**read, **asked})


def _read_matched(
    path: str | Path, stored: DCFResult, read: ReadConfig, model: str | Path, match: str, impute: bool
) -> tuple[xr.Dataset, ReadConfig, Matching | None]:
    """Read another file in the order of the model's channels; images have none to match."""
    if len(stored.dataset["mean"].dims) > 1:
        recording = read_recording(path, **asdict(read))
        shape, fitted = frame_shape(recording), tuple(stored.dataset["mean"].shape)
        if shape != fitted:
            raise DataError(
                f"frames are {shape} and the model's {fitted}", where=str(path), fix="read them in that size"
            )
        return recording, read, None
    if isinstance(read.source, tuple) and match != "id":
        raise ParameterError(
            f"several sources are joined, whose channels cannot be matched by {match}",
            where=str(path),
            fix="match them by id",
        )
    by_units = stored.dataset.attrs.get("kind") == "units"
    whole: xr.Dataset | None = None if by_units else read_recording(path, **asdict(read))
    named = None if isinstance(read.source, tuple) else read.source
    there = read_channels(path, named) if whole is None or match != "id" else _list_channels(whole, path)
    known = _find_known(stored, model) if match != "id" else None
    matching = match_channels(stored.provenance["channels"], there, known, match, impute=impute)
    if whole is None:  # other units are not asked to be readable
        if there.dim == "unit":
            read = dataclasses.replace(read, units=tuple(here for here in matching.here if here is not None))
        whole = read_recording(path, **asdict(read))
    return order_channels(whole, matching, find_means(stored)), read, matching


def _list_channels(recording: xr.Dataset, path: str | Path) -> ChannelTable:
    """The channels of a recording, those that are constant in it too."""
    dim = channel_dim(recording)
    source = str(recording.attrs["source"].get("path", ""))
    return ChannelTable(f"{path}: {source}", source, dim, [*recording[dim].values.tolist(), *list_constant(recording)])


def _find_known(stored: DCFResult, model: str | Path) -> ChannelTable | None:
    """Channels of the recording that the model was fitted to, where its file still has them."""
    try:
        return read_channels(split_address(model)[0], stored.provenance["source"]["path"])
    except (SourceError, KeyError):
        return None


def _load_estimator(stored: DCFResult, device: str) -> DCF:
    from .estimator import DCF  # torch is loaded once all that can be refused has been

    return DCF.from_result(stored, device)


def _check_kin(recording: xr.Dataset, estimator: DCF) -> None:
    """Refuse another kind or sampling rate; note another unit."""
    fitted, step_s = estimator.fitted_, median_step_s(recording)
    where = recording.attrs["source"].get("path")
    if recording.attrs["kind"] != fitted.kind:
        raise DataError(
            f"this is of kind {recording.attrs['kind']} and the model was fitted to {fitted.kind}",
            where=where,
            fix="name the like of it with --source",
        )
    if abs(step_s / fitted.step_s - 1) > STEP_TOLERANCE:
        raise DataError(
            f"its frames are {step_s:.4g} s apart and those of the model {fitted.step_s:.4g} s",
            where=where,
            fix="resample it first: the model knows no other step",
        )
    units = str(recording["data"].attrs.get("units", ""))
    if units != fitted.units:
        recording.attrs["notes"] = [
            *recording.attrs["notes"],
            f"its unit is {units!r} and that of the fitted data was {fitted.units!r}; values are taken as they are",
        ]


def _describe(
    estimator: DCF, recording: xr.Dataset, read: ReadConfig, stored: DCFResult, matching: Matching | None, file: str
) -> DCFResult:
    """Describe what the model says of `recording`, and whose model it is."""
    from .outcome import make_result

    result = make_result(estimator, recording, None, read, share=0.0)
    origin = stored.provenance.get("source", {})
    own = origin.get("sha256") == recording.attrs["source"]["sha256"]
    n_segments = recording.sizes["segment"]
    scores = {**result.dataset.attrs["scores"], "on": _describe_data(own)}
    dataset = result.dataset.assign_attrs(scores=scores).assign(
        segment_held_out=("segment", np.full(n_segments, not own))
    )
    if matching is not None:
        dim = str(dataset["mean"].dims[0])
        dataset = dataset.assign_coords({dim: np.asarray(matching.name_channels())})
    kept = {key: stored.provenance[key] for key in OF_THE_FIT if key in stored.provenance}
    seen, unseen = (n_segments, 0) if own else (0, n_segments)
    share = {"training": seen, "held_out": unseen, "rule": _describe_data(own), "share": float(not own)}
    provenance: dict[str, Any] = {
        **result.provenance,
        **kept,
        "split": {**result.provenance["split"], **share},
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


def _find_frames(time_s: np.ndarray, starts: Sequence[float]) -> np.ndarray:
    wanted = np.atleast_1d(np.asarray(starts, np.float64))
    if wanted.ndim != 1 or wanted.size == 0 or not np.isfinite(wanted).all():
        raise ParameterError(f"starts is {starts!r}", fix="give last, first, or times in seconds")
    if wanted.min() < time_s.min() - 1 or wanted.max() > time_s.max() + 1:
        raise ParameterError(
            f"starts go from {wanted.min():g} to {wanted.max():g} s",
            fix=f"the recording goes from {time_s.min():g} to {time_s.max():g} s",
        )
    return np.array([int(np.abs(time_s - at).argmin()) for at in wanted])

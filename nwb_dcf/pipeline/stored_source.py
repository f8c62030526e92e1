"""The recording that a stored result was made from, read again."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import xarray as xr

from ..config import FitConfig, ReadConfig
from ..config.file_places import NOWHERE_ELSE, FilePlaces
from ..config.validation import Settings
from ..data.channel_matching import Matching, list_constant, match_channels, order_channels
from ..data.preprocessing import Preprocessor
from ..data.recording import channel_dim, frame_shape, median_step_s
from ..data.result import DCFResult
from ..errors import DataError, ParameterError, SourceError, StoreError
from ..io.recordings import ChannelTable, read_channels, read_recording
from ..io.results import read_result, split_address

if TYPE_CHECKING:
    from jaxtyping import Float

    from ..estimator.fitted import FittedModel

SEGMENTS = {"trials", "align", "window", "where"}
STEP_TOLERANCE = 0.05  # of the step: v was learned per step, so that another sampling rate would change its meaning


def read_model(model: str | Path) -> DCFResult:
    """Read the fit that ``FILE#NAME`` names, or the only fit of ``FILE``.

    Raises
    ------
    StoreError
        See `nwb_dcf.read_result`.
    """
    return read_result(*split_address(model))


def read_matched(
    path: str | Path, stored: DCFResult, read: ReadConfig, model: str | Path, match: str, impute: bool
) -> tuple[xr.Dataset, ReadConfig, Matching | None]:
    """Read another file in the order of the model's channels; images have none to match.

    Returns
    -------
    recording : xarray.Dataset
    read : ReadConfig
        How it was read.
    matching : Matching or None
        How its channels were found; None for images.
    """
    if len(stored.dataset["mean"].dims) > 1:
        # pixels have no ids to match: frames of the same size are taken to be the same view
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
    # counts that were stored in bins have no spike times to be read unit by unit
    of_bins = stored.provenance["source"].get("type") == "BinnedSpikes"
    by_units = stored.dataset.attrs.get("kind") == "units" and not of_bins
    whole: xr.Dataset | None = None if by_units else read_recording(path, **asdict(read))
    named = None if isinstance(read.source, tuple) else read.source
    there = read_channels(path, named) if whole is None or match != "id" else _list_channels(whole, path)
    known = _find_known(stored, model) if match != "id" else None
    matching = match_channels(stored.provenance["channels"], there, known, match, impute=impute)
    if whole is None:  # other units are not asked to be readable
        # a unit that the model does not know may be broken: it is not read at all
        if there.dim == "unit":
            read = dataclasses.replace(read, units=tuple(here for here in matching.here if here is not None))
        whole = read_recording(path, **asdict(read))
    return order_channels(whole, matching, compute_means(stored)), read, matching


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


def load_fitted(stored: DCFResult, device: str) -> FittedModel:
    """Load the model of a stored result on `device`."""
    from ..estimator.serialization import unpack_weights  # torch is loaded once all that can be refused has been

    return unpack_weights(stored.weights, device)


class FittedKind(Protocol):
    """What a model was fitted to, as far as another recording has to be alike."""

    @property
    def kind(self) -> str: ...
    @property
    def step_s(self) -> float: ...
    @property
    def units(self) -> str: ...


def check_kind(recording: xr.Dataset, fitted: FittedKind) -> None:
    """Refuse another kind or sampling rate than those fitted; note another unit.

    Raises
    ------
    DataError
        If the kind or the step between frames differs.
    """
    step_s = median_step_s(recording)
    where = recording.attrs["source"].get("path")
    if recording.attrs["kind"] != fitted.kind:
        raise DataError(
            f"this is of kind {recording.attrs['kind']} and the model was fitted to {fitted.kind}",
            where=where,
            fix="name the like of it with --source",
        )
    # v is learned in displacements a step (paper 2.4): at another step its speeds would be wrong by the ratio
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


def find_beside(path: str | Path, result: DCFResult) -> Path | None:
    """The file of the recorded name in the folder of `path`, if there is one and it is another; no path is followed."""
    name = str((result.provenance.get("source") or {}).get("file") or "")
    beside = Path(path).absolute().parent / name
    if not name or name != Path(name).name or name in (".", "..") or beside.resolve() == Path(path).resolve():
        return None
    # a bare name alone: a provenance from elsewhere must not make us open ../ or /etc
    return beside if beside.exists() else None


def read_fitted(
    path: str | Path, result: DCFResult, data: str | Path | None = None, places: FilePlaces = NOWHERE_ELSE
) -> xr.Dataset:
    """Read again the recording that `result`, stored in `path`, was made from.

    Parameters
    ----------
    path : str or Path
        NWB file that holds the result.
    result : DCFResult
    data : str or Path, optional
        NWB file that holds the source, where that is neither `path` nor a file of the recorded name beside it.
    places : FilePlaces
        Where the files beside it are.

    Returns
    -------
    xarray.Dataset
        Recording with the frames and channels of the result.

    Raises
    ------
    SourceError
        If the source is not there.
    DataError
        If the source has changed since.
    """
    read = find_reading(result, places)
    source = result.provenance.get("source") or {}
    beside = find_beside(path, result)
    file = data or path
    try:
        recording = read_recording(file, **asdict(read))
    except SourceError as error:
        # once: the call for the file beside names `data`, and does not come back here
        if data is None and beside is not None:
            return read_fitted(path, result, beside, places)
        raise SourceError(
            f"the source of {result.name} cannot be read here: {error.what}",
            where=str(file),
            fix=f"name the file that was fitted, {source.get('file', 'which is not recorded')}, with --data",
        ) from error
    where = f"{file}: {source.get('path', '')}"
    if result.provenance.get("matching"):
        recording = order_channels(recording, Matching.from_dict(result.provenance["matching"]), compute_means(result))
    # an equal hash is not enough: trials or the clock may have changed
    same = recording.sizes["time"] == result.dataset.sizes["time"] and np.allclose(
        recording["time"], result.dataset["time"], rtol=0, atol=1e-6
    )
    hashes = [source.get("sha256") for source in (recording.attrs["source"], result.provenance.get("source", {}))]
    same = same and find_mask_hash(recording.attrs["source"]) == find_mask_hash(source)
    same = same and (recording.attrs["kind"] == "video" or hashes[0] == hashes[1])  # a video's holds its file's time
    if not same or recording["data"].shape[1:] != result.dataset["mean"].shape:
        raise DataError(f"the source has changed since {result.name} was made", where=where, fix="fit it again")
    return recording


def find_mask_hash(source: Mapping[str, Any]) -> str | None:
    """SHA-256 of the mask through which frames were read; None where there was none."""
    frames = source.get("frames")
    mask = frames.get("mask") if isinstance(frames, Mapping) else None
    return str(mask.get("sha256")) if isinstance(mask, Mapping) else None


def compute_means(result: DCFResult) -> Float[np.ndarray, " channel"]:
    """Compute the model's mean of each channel in the unit of the recording, as preparation undone."""
    preparation = Preprocessor.from_dict(result.provenance["preparation"])
    return np.asarray(preparation.undo(result.dataset["mean"].values))


def find_reading(result: DCFResult, places: FilePlaces = NOWHERE_ELSE) -> ReadConfig:
    """Settings with which the recording of `result` was read, but for those that name files: these are `places`.

    Parameters
    ----------
    result : DCFResult
    places : FilePlaces
        Which files are opened beside the NWB file, no stored fit decides.

    Raises
    ------
    StoreError
        If it was made from arrays.
    ParameterError
        If there was a mask and none is given.
    """
    read = FitConfig.from_dict(result.config).read if result.config.get("read") else None
    if read is None:
        raise StoreError(
            f"{result.name or 'this fit'} was made from arrays", fix="use nwb_dcf.DCF.from_result on those arrays"
        )
    if read.mask is not None and places.mask is None:
        raise ParameterError(
            f"{result.name or 'this fit'} was read through a mask, and a stored fit opens no other files",
            fix="name the image with --mask",
        )
    read = dataclasses.replace(read.without_places(), **asdict(places))
    # Fits of series from before bins were refused for them may have some.
    kind = result.dataset.attrs.get("kind")
    has_bins = kind in ("units", "joined", None)
    return read if has_bins else dataclasses.replace(read, bin_width_s=ReadConfig().bin_width_s)


def choose_reading(stored: DCFResult, asked: Settings) -> ReadConfig:
    """Choose how to read another file: as the model's was, but for what is asked."""
    read = asdict(find_reading(stored, FilePlaces(mask=asked.get("mask"))))
    # a window of the fit's would cut trials that were named anew
    if SEGMENTS & asked.keys():
        read = {name: value for name, value in read.items() if name not in SEGMENTS}
    return ReadConfig.make(**{**read, **asked})

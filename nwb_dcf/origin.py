"""The recording that a stored result was made from, read again."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import xarray as xr

from .config import FitConfig, ReadConfig
from .errors import DataError, SourceError, StoreError
from .matching import Matching, order_channels
from .prepare import Preparation
from .read import read_recording
from .result import DCFResult


def read_fitted(path: str | Path, result: DCFResult, data: str | Path | None = None) -> xr.Dataset:
    """Read again the recording that `result`, stored in `path`, was made from.

    Parameters
    ----------
    path : str or Path
        NWB file that holds the result.
    result : DCFResult
    data : str or Path, optional
        NWB file that holds the source, where that is neither `path` nor a file of the recorded name beside it.

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
    read = find_reading(result)
    source = result.provenance.get("source", {})
    beside = Path(path).parent / str(source.get("file", ""))
    file = data or path
    try:
        recording = read_recording(file, **asdict(read))
    except SourceError as error:
        if data is None and beside.is_file() and beside.resolve() != Path(path).resolve():
            return read_fitted(path, result, beside)
        raise SourceError(
            f"the source of {result.name} cannot be read here: {error.what}",
            where=str(file),
            fix=f"name the file that was fitted, {source.get('file', 'which is not recorded')}, with --data "
            "(simulate: --recording)",
        ) from error
    where = f"{file}: {source.get('path', '')}"
    if result.provenance.get("matching"):
        recording = order_channels(recording, Matching.from_dict(result.provenance["matching"]), find_means(result))
    same = recording.sizes["time"] == result.dataset.sizes["time"] and np.allclose(
        recording["time"], result.dataset["time"], rtol=0, atol=1e-6
    )
    hashes = [source.get("sha256") for source in (recording.attrs["source"], result.provenance.get("source", {}))]
    same = same and (recording.attrs["kind"] == "video" or hashes[0] == hashes[1])  # a video's holds its file's time
    if not same or recording["data"].shape[1:] != result.dataset["mean"].shape:
        raise DataError(f"the source has changed since {result.name} was made", where=where, fix="fit it again")
    return recording


def find_means(result: DCFResult) -> np.ndarray:
    """Values that the model's preparation turns into the mean of each channel, in the unit of the recording."""
    preparation = Preparation.from_dict(result.provenance["preparation"])
    return np.asarray(preparation.undo(result.dataset["mean"].values))


def find_reading(result: DCFResult) -> ReadConfig:
    """Settings with which the recording of `result` was read.

    Raises
    ------
    StoreError
        If it was made from arrays.
    """
    read = FitConfig.from_dict(result.config).read if result.config.get("read") else None
    if read is None:
        raise StoreError(
            f"{result.name or 'this fit'} was made from arrays", fix="use nwb_dcf.DCF.from_result on those arrays"
        )
    return read

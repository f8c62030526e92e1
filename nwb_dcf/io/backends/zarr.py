"""Open an NWB file in Zarr: a folder, read by hdmf-zarr."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ...errors import SourceError, compose_install
from .hdf5 import Opened, require_nwb2
from .restricted_pickle import restrict_pickles
from .zarr_format import FORMAT_3, explain_unreadable_format, find_format, read_metadata, writes_format_3


@contextmanager
def open_zarr(path: Path) -> Iterator[Opened]:
    """Open the folder at `path`.

    Raises
    ------
    SourceError
        If it is no Zarr, not NWB 2, its metadata are damaged, or hdmf-zarr is not installed.
    """
    version = check_folder(path)
    if importlib.util.find_spec("hdmf_zarr") is None:
        raise SourceError("reading Zarr needs hdmf-zarr", where=str(path), fix=compose_install("zarr"))
    # Object references of hdmf-zarr are pickles, read when the file is opened and later.
    with restrict_pickles():
        try:
            opened = _open_by_hdmf(path)
        except Exception as error:
            raise SourceError(
                f"the metadata of this Zarr folder are damaged ({type(error).__name__}: {error})",
                where=str(path),
                fix="copy or download it again",
            ) from error
        with opened:
            yield Opened(opened, version)


def _open_by_hdmf(path: Path) -> Any:
    if find_format(path) == 2 and writes_format_3():
        from hdmf_zarr.nwb_zarrv2 import NWBZarrV2IO

        return NWBZarrV2IO(str(path), mode="r", allow_pickle=True)  # restricted by the caller
    from hdmf_zarr.nwb import NWBZarrIO

    return NWBZarrIO(str(path), mode="r")


def _is_format_3(array: Any) -> bool:
    return bool(getattr(getattr(array, "metadata", None), "zarr_format", 2) == 3)


def check_folder(path: Path) -> str:
    """Return the NWB version of the folder at `path`, once it is known to be NWB 2 in Zarr.

    Raises
    ------
    SourceError
        See `open_zarr`.
    """
    where = str(path)
    unreadable = explain_unreadable_format(path)
    if unreadable is not None:
        raise SourceError(unreadable[0], where=where, fix=unreadable[1])
    try:
        version = read_metadata(path)[0].get("nwb_version")
    except PermissionError as error:
        raise SourceError("this folder may not be read", where=where, fix="check its permissions") from error
    except (OSError, ValueError, AttributeError) as error:
        what = f"its {FORMAT_3 if find_format(path) == 3 else '.zattrs'} is damaged ({error})"
        raise SourceError(what, where=where, fix="copy or download the folder again") from error
    return require_nwb2(version, where, form="Zarr")


def note_missing_chunks(path: str, obj: Any) -> list[str]:
    """Note which arrays of a source lack chunks on the disk, since these read as a fill value and not as an error.

    Parameters
    ----------
    path : str
        Path of the object in the file.
    obj : pynwb object
        Units or TimeSeries, of HDF5 or Zarr.

    Returns
    -------
    list of str
        A sentence for each such array; none for HDF5.
    """
    arrays = {name: getattr(column, "data", column) for name, column in obj.fields.items()}
    arrays |= {column.name: column.data for column in getattr(obj, "columns", ())}
    notes = []
    for name, array in arrays.items():
        # h5py has neither attribute: in HDF5 a chunk that is missing is one that was never written.
        lost = getattr(array, "nchunks", 0) - getattr(array, "nchunks_initialized", 0)
        if lost:
            what = f"{lost} of {array.nchunks} chunks of {path}/{name} are missing in the Zarr folder"
            # zarr 3 writes no chunk of fill values alone, so that one that was lost looks like it.
            left_out = ", and chunks of that value alone are not stored in format 3" if _is_format_3(array) else ""
            notes.append(f"{what}: their values are read as {array.fill_value}{left_out}")
    return notes

"""Open an NWB file in HDF5 on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
from pynwb import NWBHDF5IO

from ...errors import SourceError
from ..special_files import name_special
from .filters import load_filters
from .light_series import LightIO, read_plain_series


@dataclass(frozen=True)
class Opened:
    """What a format gives to a session.

    Attributes
    ----------
    io : hdmf.backends.io.HDMFIO
        Ready to ``read()``.
    nwb_version : str
        As the file states it.
    apart : tuple of LightSeries
        Series that `io` leaves out.
    """

    io: Any
    nwb_version: str
    apart: tuple[Any, ...] = ()


@contextmanager
def open_hdf5(path: Path, *, light: bool = False) -> Iterator[Opened]:
    """Open the file at `path`; if `light`, its plain series stand apart where they are many.

    Raises
    ------
    SourceError
        If there is no such file, or it is not HDF5, not NWB 2, damaged, or open for writing in another process.
    """
    version = check_file(path)
    load_filters()
    with ExitStack() as stack:
        plain: list[Any] = []
        if light:
            file = stack.enter_context(h5py.File(path, "r"))
            plain = read_plain_series(file)
        # The same file, whose metadata HDF5 has in memory by then.
        io = LightIO(file, tuple(one.light_path for one in plain)) if plain else NWBHDF5IO(str(path), "r")
        yield Opened(stack.enter_context(io), version, tuple(plain))


def check_file(path: Path) -> str:
    """Return the NWB version of the file at `path`, once it is known to be NWB 2 in HDF5.

    Raises
    ------
    SourceError
        See `open_hdf5`.
    """
    where = str(path)
    if not path.exists():
        raise SourceError("no such file", where=where, fix="check the path")
    # A pipe would be waited for, and a device read without end.
    if kind := name_special(path):
        raise SourceError(f"this is {kind}", where=where, fix="give a file")
    try:
        # pynwb's own errors name neither the lock nor the version, so the file is opened without it first.
        with h5py.File(path, "r") as file:
            return check_version(file, where)
    except BlockingIOError as error:
        raise SourceError(
            "another process has this file open for writing",
            where=where,
            fix="close it there and try again (HDF5_USE_FILE_LOCKING=FALSE in the environment reads it all the same, "
            "at the risk of half-written data)",
        ) from error
    except PermissionError as error:
        raise SourceError("this file may not be read", where=where, fix="check its permissions") from error
    except OSError as error:
        if h5py.is_hdf5(path):
            raise SourceError(
                f"this HDF5 file is damaged: {error}", where=where, fix="copy or download it again"
            ) from error
        raise SourceError("this is not an HDF5 file", where=where, fix="give an NWB 2 file in HDF5 or Zarr") from error


def name_target(io: Any, path: str) -> str:
    """Name what a link in an open file should lead to."""
    # hdmf knows the path of a broken link and not its target, and its file object has no public name.
    link = io._file.get(path, getlink=True)
    return " ".join(part for part in (getattr(link, "filename", ""), str(link.path)) if part)


def check_version(file: h5py.File, where: str) -> str:
    """Return the NWB version that an open HDF5 file states; `where` names it in errors.

    Raises
    ------
    SourceError
        If it is not NWB 2.
    """
    version = file.attrs.get("nwb_version")
    return require_nwb2(version, where, old="nwb_version" in file)


def require_nwb2(version: object, where: str, *, old: bool = False, form: str = "HDF5") -> str:
    """Return `version` as text if it is of NWB 2.

    Raises
    ------
    SourceError
        If it is not.
    """
    if isinstance(version, bytes):
        version = version.decode()
    if isinstance(version, str) and version.removeprefix("NWB-").startswith("2"):
        return version
    what, fix = "this is an NWB 1 file", "convert it to NWB 2 first (neuroconv and pynwb write it)"
    if version is None and not old:
        what = f"this is {form} but not NWB: it states no NWB version"
    elif version is not None and not isinstance(version, str):
        what, fix = f"its attribute nwb_version is {version}, a number and no text", "write it as text, such as '2.8.0'"
    elif version is not None and not str(version).removeprefix("NWB-").startswith(("0", "1")):
        what = f"it states version {version!r} of NWB"
    raise SourceError(what, where=where, fix=fix)

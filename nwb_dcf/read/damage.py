"""Say in one line which object of a file is damaged, or that its server is gone."""

from __future__ import annotations

import errno
import traceback
import zlib
from pickle import UnpicklingError
from typing import Any

from ..errors import DCFError, SourceError
from .location import Location

_SIGNS = (
    "synchronously read data",
    "filter returned failure",
    "decompression",
    "can't open directory",
    "cannot reshape array",
    "buffer",
    "truncated",
)


def explain_damage(error: BaseException, location: Location) -> SourceError | None:
    """Turn what h5py, zarr or a server raised while values were read into an error for people.

    Parameters
    ----------
    error : BaseException
        As raised.
    location : Path or Address
        What was read.

    Returns
    -------
    SourceError or None
        None if the error does not look like damage: then it is a defect of this package.
    """
    for cause in _causes(error):
        if isinstance(cause, SourceError):  # as said by the connection, below h5py
            return cause
    array = _find_array(error)
    where = f"{location}: {array}" if array else str(location)
    if isinstance(error, UnpicklingError):
        return SourceError(f"refused to read: {error}", where=where, fix="do not trust this file; ask who made it")
    if isinstance(error, PermissionError) or getattr(error, "errno", None) == errno.EACCES:
        return SourceError("it may not be read", where=where, fix="check its permissions")
    message = " ".join(str(error).split())
    broken = "bad link" in message or type(error).__name__ in ("PathNotFoundError", "GroupNotFoundError")
    if broken or (isinstance(error, FileNotFoundError) and getattr(error, "filename", None)):
        return SourceError(f"it links to what is missing: {message}", where=where, fix="put that back in its place")
    if array and (isinstance(error, (OSError, RuntimeError, ValueError, zlib.error))):
        known = isinstance(error, (OSError, zlib.error)) or any(sign in message.lower() for sign in _SIGNS)
        if known:
            return SourceError(f"its values are damaged: {message}", where=where, fix="copy or download the file again")
    return None


def _causes(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return [cause for cause in found if isinstance(cause, DCFError)]


def _find_array(error: BaseException) -> str:
    """Name the array that was read when `error` was raised: neither h5py nor zarr says it."""
    name = ""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        owner: Any = frame.f_locals.get("self")
        if type(owner).__module__.partition(".")[0] in ("h5py", "zarr") and hasattr(owner, "dtype"):
            name = "/" + str(getattr(owner, "name", "")).lstrip("/")
    return name

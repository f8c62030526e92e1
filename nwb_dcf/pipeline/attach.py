"""Put a fit that stands in a file of its own into the session that it was made of."""

from __future__ import annotations

from pathlib import Path

from ..errors import StoreError
from ..io.results import WrittenResult, read_result, split_address, write_result


def attach_nwb(
    result: str | Path, path: str | Path, *, name: str | None = None, overwrite: bool = False
) -> WrittenResult:
    """Write the fit in one file into the NWB file that it was made of.

    Parameters
    ----------
    result : str or Path
        ``FILE#NAME``, a file of results alone and the fit in it, as a fit leaves it whose own file did not take it;
        NAME may be left out where there is one. It is not changed.
    path : str or Path
        The NWB file that was fitted.
    name : str, optional
        Of the fit in `path`; its own by default.
    overwrite : bool
        Replace a fit of that name.

    Returns
    -------
    WrittenResult
        Where it is now, its name, and notes.

    Raises
    ------
    StoreError
        If there is no such fit, `path` is not the session that was fitted or its source has changed since, or it
        cannot be written.
    """
    file, fit = split_address(result)
    if Path(file).resolve() == Path(path).resolve():
        raise StoreError("the fit is in this file already", where=str(path), fix="name the session it is to go into")
    stored = read_result(file, fit)
    # without it nothing could tell whether this is the session that was fitted
    if not (stored.provenance.get("source") or {}).get("identifier"):
        what = "the fit does not say which session it was made of"
        raise StoreError(what, where=f"{file}: {stored.name}", fix="write it with nwb_dcf.write_result")
    # as read: a session whose source is another, or has changed since, is refused
    return write_result(stored, path, name=name or stored.name, overwrite=overwrite, as_read=True)

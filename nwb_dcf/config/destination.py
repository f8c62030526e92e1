"""Where a fit is to be written."""

from __future__ import annotations

from pathlib import Path

from .validation import settings


@settings
class Destination:
    """Where a fit goes, and what it may replace there.

    Parameters
    ----------
    name : str, optional
        Of the fit in ``processing/dcf``; KIND_dimN by default.
    output : str or Path, optional
        A copy to write with the fit; by default the fit goes into the file that was read.
    overwrite : bool
        Whether a fit of that name, and a file at `output`, may be replaced.
    results_only : bool
        Whether `output` is a small file without the data, as it is in any case where the file read is an address.
    """

    name: str | None = None
    output: str | Path | None = None
    overwrite: bool = False
    results_only: bool = False

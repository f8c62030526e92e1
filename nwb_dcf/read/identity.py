"""Which session a file holds: what a derived file of results repeats of it."""

from __future__ import annotations

import datetime
import os
from typing import Any

import numpy as np

from .session import open_session

FIELDS = (
    "session_description", "session_id", "session_start_time", "timestamps_reference_time", "experimenter",
    "experiment_description", "institution", "lab", "keywords", "related_publications", "protocol",
)  # fmt: skip
SUBJECT = (
    "subject_id", "species", "strain", "sex", "age", "age__reference", "date_of_birth", "genotype", "weight",
    "description",
)  # fmt: skip


def describe_session(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Describe the session in the file at `path`; JSON-able.

    Parameters
    ----------
    path : str or Path
        A file, a folder of Zarr or an address.

    Returns
    -------
    dict
        Of `FIELDS` those that the file has, times in ISO format; ``subject``, of `SUBJECT` likewise, or None;
        ``file`` and ``identifier``.

    Raises
    ------
    SourceError
        If the file cannot be read.
    """
    with open_session(os.fspath(path)) as session:
        nwbfile = session.nwbfile
        subject = nwbfile.subject
        return {
            **_describe(nwbfile, FIELDS),
            "subject": None if subject is None else _describe(subject, SUBJECT),
            "file": session.path.name,
            "identifier": str(nwbfile.identifier),
        }


def _describe(obj: Any, fields: tuple[str, ...]) -> dict[str, Any]:
    values = {name: getattr(obj, name, None) for name in fields}
    return {name: _to_plain(value) for name, value in values.items() if value is not None}


def _to_plain(value: Any) -> Any:
    if isinstance(value, datetime.datetime | datetime.date):
        return value.isoformat()
    if isinstance(value, str):
        return value
    items = np.asarray(value[:] if hasattr(value, "shape") else value).ravel().tolist()
    return [item.decode("utf-8", "replace") if isinstance(item, bytes) else str(item) for item in items]

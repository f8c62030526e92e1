"""The provenance of values: enough to find the object again, and to see whether it has changed."""

from __future__ import annotations

import datetime
import hashlib
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

import numpy as np
from pynwb.misc import Units

from ..backends.layout import as_stored
from ..backends.session import Session, open_session
from ..hashing import hash_series, hash_units, hash_video
from .external import list_other_files

if TYPE_CHECKING:
    from jaxtyping import Int


class ExternalFile(TypedDict):
    """Another file that holds values of a source, and how it is reached."""

    name: str
    how: str


class SourceFile(TypedDict):
    """A video file that holds the frames of a source."""

    name: str
    size_bytes: int


class MemberDescription(TypedDict):
    """One of several objects that are read as one; see `SourceDescription`."""

    file: str
    path: str
    type: str
    object_id: str
    sha256: str


class SourceDescription(TypedDict):
    """The source of a recording, ``recording.attrs["source"]``; JSON-able, and kept with every fit.

    Attributes
    ----------
    file : str
        Base name of the NWB file: archives publish what is written, and folders are private.
    identifier, nwb_version : str
        As the file has them.
    path, type : str
        Path of the object in the file, and its type in NWB.
    object_id : str or None
        Its id; None or empty where several objects are read as one.
    sha256 : str
        Hash of its values and its clock, see `hash_source`.
    values : int
        Number of stored values.
    channel_rows : list of int
        Rows of the units table, or columns of the series, that the recording holds.
    members : list of dict
        The objects that are read as one, or of joined sources the description of each.
    external, files : list of dict
        Other files that hold its values, and its video files.
    """

    file: str
    identifier: str
    path: str
    type: str
    object_id: str | None
    nwb_version: str
    sha256: str
    values: NotRequired[int]
    channel_rows: NotRequired[list[int]]
    members: NotRequired[Sequence[Mapping[str, object]]]
    external: NotRequired[list[ExternalFile]]
    files: NotRequired[list[SourceFile]]


def list_names(series: Any) -> list[str]:
    """External files as the NWB file has them."""
    stored = [] if series.external_file is None else series.external_file[:]
    return [name.decode() if isinstance(name, bytes) else str(name) for name in stored]


HASHED_COLUMNS = ("spike_times", "obs_intervals")


def describe_source(
    session: Session, path: str, obj: Any, channel_rows: Int[np.ndarray, " channel"], files: Sequence[Path] = ()
) -> SourceDescription:
    """Describe the object at `path` for ``recording.attrs["source"]``.

    Parameters
    ----------
    session : Session
        The open file.
    path : str
        Path of the object in the file.
    obj : pynwb object
        Units or TimeSeries.
    channel_rows : array of int, shape (channel,)
        Rows of the units table, or columns of the series, that the recording holds.
    files : sequence of Path
        Video files that hold the values, if they lie outside, where they were found.
    """
    # An address has no file beside it in which values could lie.
    own = session.path if isinstance(session.path, Path) else None
    described: SourceDescription = {
        "file": session.path.name,
        "identifier": str(session.nwbfile.identifier),
        "path": path,
        "type": obj.neurodata_type,
        "object_id": obj.object_id,
        "nwb_version": session.nwb_version,
        "sha256": hash_source(obj, _folder(session), files),
        "values": _count_values(obj),
        "channel_rows": [int(row) for row in channel_rows],
    }
    others: list[ExternalFile] = [{"name": other.name, "how": other.how} for other in list_other_files(obj, own)]
    if others:
        described["external"] = others
    if files:
        described["files"] = [{"name": file.name, "size_bytes": file.stat().st_size} for file in files]
    return described


def _count_values(obj: Any) -> int:
    """Count the spikes of a Units table, or the numbers in a series, which explain many a changed hash."""
    # math.prod of a shape needs no read.
    if not isinstance(obj, Units):
        return math.prod(np.shape(obj.data))
    return len(obj["spike_times"].target.data) if "spike_times" in obj.colnames else 0


def describe_members(
    session: Session,
    path: str,
    type_name: str,
    members: Sequence[tuple[str, Any]],
    channel_rows: Int[np.ndarray, " channel"],
) -> SourceDescription:
    """Describe several objects that are read as one, (path, object) each; see `describe_source`.

    The hash is that of the hashes of all, in their order; ``members`` describes each.
    """
    listed: list[MemberDescription] = [
        {
            "file": session.path.name,
            "path": at,
            "type": obj.neurodata_type,
            "object_id": obj.object_id,
            "sha256": hash_source(obj, _folder(session)),
        }
        for at, obj in members
    ]
    return {
        "file": session.path.name,
        "identifier": str(session.nwbfile.identifier),
        "path": path,
        "type": type_name,
        "object_id": None,
        "nwb_version": session.nwb_version,
        "sha256": hashlib.sha256("".join(item["sha256"] for item in listed).encode()).hexdigest(),
        "channel_rows": [int(row) for row in channel_rows],
        "members": listed,
    }


def hash_source(obj: Any, folder: Path, files: Sequence[Path] = ()) -> str:
    """SHA-256 of a source as stored, which a new spike sorting or a repaired clock changes.

    For Units: spike times, their index and ``obs_intervals``. For a TimeSeries: data and its clock; for a video in
    files of its own, those (see `nwb_dcf.io.hashing.hash_video`): `files`, or what is named relative to `folder`.
    """
    if isinstance(obj, Units):
        # Only what a recording is made of: a new quality column must not make a fit look outdated.
        columns = [obj[name] for name in HASHED_COLUMNS if name in obj.colnames]
        return hash_units(
            as_stored(part.data)
            for column in columns
            for part in ((column, column.target) if hasattr(column, "target") else (column,))
        )
    if not hasattr(obj, "timestamps"):  # BinnedSpikes of ndx-binned-spikes, a container and no TimeSeries
        return hash_series(obj.data, timestamps=None, rate=1e3 / obj.bin_width_in_ms, starting_time=0.0)
    clock = {"timestamps": obj.timestamps, "rate": obj.rate, "starting_time": obj.starting_time}
    # The data of an external series are empty: its files are hashed instead.
    names = list_names(obj) if hasattr(obj, "external_file") else []
    if names:
        return hash_video(files or [folder / name for name in names], **clock)
    return hash_series(as_stored(obj.data), **clock)


def _folder(session: Session) -> Path:
    return session.path.parent if isinstance(session.path, Path) else Path()


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
            # Absent fields are left out: a reader must be able to tell unknown from empty.
            **_describe(nwbfile, FIELDS),
            "subject": None if subject is None else _describe(subject, SUBJECT),
            "file": session.path.name,
            "identifier": str(nwbfile.identifier),
        }


def _describe(obj: Any, fields: tuple[str, ...]) -> dict[str, object]:
    values = {name: getattr(obj, name, None) for name in fields}
    return {name: _to_plain(value) for name, value in values.items() if value is not None}


def _to_plain(value: Any) -> object:
    """Return text as it is, dates in ISO format and arrays as lists of text, which is what JSON can hold."""
    if isinstance(value, datetime.datetime | datetime.date):
        return value.isoformat()
    if isinstance(value, str):
        return value
    # Keywords and experimenters are arrays of text.
    items = np.asarray(value[:] if hasattr(value, "shape") else value).ravel().tolist()
    return [item.decode("utf-8", "replace") if isinstance(item, bytes) else str(item) for item in items]

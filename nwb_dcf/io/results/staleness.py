"""Has a fit's source changed since? By its hash, and by h5py or zarr alone, so that listing loads nothing else."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py

from ...errors import StoreError
from ..hashing import hash_series, hash_units, hash_video
from ..interval_hashes import hash_columns
from ..special_files import is_inside
from .scripts.items import follow, is_group, read_attribute, read_text, read_values

_COLUMNS = ("spike_times_index", "spike_times", "obs_intervals_index", "obs_intervals")


class SourceCheck:
    """Compares sources in an open file with their hashes in the provenance of fits; hashes each source once.

    Parameters
    ----------
    file : h5py.File or zarr.Group
        Open for reading.
    """

    def __init__(self, file: Any) -> None:
        self._file = file
        self.identifier = read_text(file, "identifier") if "identifier" in file else ""
        self._hashes: dict[str, str | None] = {}

    def find_changes(self, provenance: Mapping[str, Any]) -> tuple[bool | None, str | None]:
        """Find whether what was fitted has changed, and what.

        Returns
        -------
        stale : bool or None
            None where that cannot be known: the source lies in another file, or has no hash.
        why : str or None
            What has changed, or why it cannot be known, in words; None where nothing has.
        """
        source = provenance.get("source") or {}
        members = _list_members(source)
        if not members:
            return None, "the fit names no source"
        if str(source.get("identifier") or self.identifier) != self.identifier:
            return None, f"the source lies in another file, {source.get('file')}"
        # What has changed comes before what cannot be known, and that before what is as it was.
        answers = [self._compare(member) for member in members]
        answers += [(True, why) for why in self._compare_tables(source.get("intervals") or {})]
        return next((answer for answer in answers if answer[0]), min(answers, key=lambda answer: answer[0] is not None))

    def _compare_tables(self, tables: Mapping[str, Any]) -> list[str]:
        """Name the tables of intervals, of those that decided the segments, are not what they were."""
        changes = []
        for path, known in tables.items():
            group = self._file.get(path) if path in self._file else None
            if group is None or not is_group(group):
                changes += [f"{path} is not in the file any more"] if known else []
                continue
            try:
                rows = len(group["id"])
                if known is None:
                    changes += [f"{path} was added since it was fitted ({rows} row{'s' * (rows > 1)})"] if rows else []
                elif hash_columns(group, [name for name in known["columns"] if name in group]) != known["sha256"]:
                    number = f" ({known['rows']} rows then, {rows} now)" if rows != known["rows"] else ""
                    changes.append(f"{path} has changed since it was fitted{number}")
            except (KeyError, OSError, ValueError, TypeError, MemoryError):
                changes.append(f"{path} cannot be read any more")
        return changes

    def _compare(self, source: Mapping[str, Any]) -> tuple[bool | None, str | None]:
        path, known = str(source["path"]), source.get("sha256")
        if path not in self._file:
            return True, f"{path} is not in the file any more"
        if not known:
            return None, f"{path} was fitted without a hash"
        # Several fits have one source, and hashing reads all of it.
        if path not in self._hashes:
            self._hashes[path] = hash_stored(self._file[path])
        found = self._hashes[path]
        if found is None:
            return None, f"{path} cannot be read"
        if found == known:
            return False, None
        return True, f"{path} has changed since it was fitted{_note_numbers(source, self._file[path])}"


def refuse_other_source(file: Any, path: Path, provenance: Mapping[str, Any]) -> None:
    """Raise unless an open file holds what a fit was made of: it may have been exchanged while the fit was made.

    Where that cannot be known, as of a source without a hash, it is taken to be so.

    Raises
    ------
    StoreError
        That names what differs: the session, the object, or its values.
    """
    source = provenance.get("source") or {}
    check, fix = SourceCheck(file), "put the fit into the file that was read, or fit this one"
    if source.get("identifier") and str(source["identifier"]) != check.identifier:
        what = f"this is another session ({check.identifier}) than the one that was fitted ({source['identifier']})"
        raise StoreError(what, where=str(path), fix=fix)
    for member in _list_members(source):
        # A copy of a session keeps its identifier; object ids differ where an object was written anew.
        stored, known = file.get(str(member["path"])), member.get("object_id")
        found = None if stored is None else read_attribute(stored, "object_id")
        if known and found and found != known:
            what = f"{member['path']} is another object than the one that was fitted"
            raise StoreError(what, where=str(path), fix=fix)
    stale, why = check.find_changes(provenance)
    if stale:
        raise StoreError(str(why), where=str(path), fix=fix)


def _note_numbers(source: Mapping[str, Any], group: Any) -> str:
    """Note how many values there were and are, where the number is what has changed."""
    data = group["spike_times"] if source.get("type") == "Units" else follow(group, "data")
    then, now = source.get("values"), None if data is None else math.prod(data.shape)
    unit = "spikes" if source.get("type") == "Units" else "values"
    return "" if then is None or now is None or then == now else f" ({then} {unit} then, {now} now)"


def _list_members(source: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """List the objects of a source: itself, or those of its members, which may be families in turn."""
    if source.get("members"):
        return [one for member in source["members"] for one in _list_members(member)]
    return [source] if source.get("path") else []


def hash_stored(group: Any) -> str | None:
    """Hash a Units table or a TimeSeries as `nwb_dcf.io.recordings` does; None where its values cannot be reached."""
    try:
        if group.attrs.get("neurodata_type") == "Units":
            return hash_units(group[name] for name in _COLUMNS if name in group)
        timestamps = follow(group, "timestamps")
        start = group.get("starting_time")
        clock = {
            "timestamps": timestamps,
            "rate": None if start is None else start.attrs["rate"],
            "starting_time": None if start is None else read_values(start),
        }
        # A series of images has its values in other files, and an empty array of data.
        if "external_file" in group and len(group["external_file"]):
            place = group.file.filename if isinstance(group, h5py.Group) else group.store.path
            folder = Path(place).absolute().parent
            files = [folder / str(name) for name in read_values(group["external_file"])]
            if not all(is_inside(file, folder) for file in files):  # a name of a stranger's opens nothing elsewhere
                return None
            return hash_video(files, **clock)
        return hash_series(follow(group, "data"), **clock)
    except (KeyError, OSError, ValueError, TypeError, MemoryError):
        return None

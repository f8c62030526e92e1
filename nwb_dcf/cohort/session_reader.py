"""Recordings of the sessions of a cohort, read when they are asked for: memory does not grow with their number."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..config import ReadConfig
from ..config.progress import Progress
from ..data.records import SourceRecord
from ..errors import DataError, DCFError
from ..io.recordings import read_behavior, read_recording
from .behavior_bins import names_series
from .labels import read_labels
from .unlabelled import NO_LABELS

KEPT_BYTES = 2**29
"""Recordings are kept up to this; a cohort that is larger is read again in each of its passes."""


class SessionReader(Mapping[str, xr.Dataset]):
    """Recordings by the names of their files.

    Parameters
    ----------
    paths : mapping of str to path
    read : ReadConfig
    kept_bytes : int
        The first recordings stay in memory while they fit into this; the others are read each time.

    Attributes
    ----------
    sources : dict of str to dict
        What was read of each file, known once it was read.
    left_out : dict of str to str
        Files that could not be read, and why; see `read_all`.
    behavior : dict of str to array, shape (frame, variable)
        At the frames of each recording, where anchors are bins of it.
    """

    def __init__(self, paths: Mapping[str, Path | str], read: ReadConfig, *, kept_bytes: int = KEPT_BYTES) -> None:
        self._paths, self._read = dict(paths), read
        self._kept: dict[str, xr.Dataset] = {}
        self._free_bytes = kept_bytes
        self.sources: dict[str, SourceRecord] = {}
        self.left_out: dict[str, str] = {}
        self.behavior: dict[str, NDArray[np.float64]] = {}

    def __getitem__(self, name: str) -> xr.Dataset:
        """Read a session, or take it out of memory.

        Raises
        ------
        DataError
            If its file has changed since it was read before.
        """
        if name in self._kept:
            return self._kept[name]
        recording = read_recording(self._paths[name], **dataclasses.asdict(self._read))
        source: SourceRecord = recording.attrs["source"]
        before = self.sources.setdefault(name, source)
        if before.get("sha256") != source.get("sha256"):
            raise DataError("the file changed while the cohort was fitted", where=name, fix="fit the cohort again")
        # passes go through all sessions in one order, so that dropping the oldest would keep none that comes next
        if recording.nbytes <= self._free_bytes:
            self._kept[name] = recording
            self._free_bytes -= recording.nbytes
        return recording

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)

    def read_all(self, align_on: str, progress: Callable[[Progress], None] | None = None) -> None:
        """Read every file once, and leave out those that cannot be read or lack the column `align_on`.

        Raises
        ------
        DataError
            If fewer than two are left.
        """
        names = list(self._paths)
        for i, name in enumerate(names):
            try:
                # labels are looked for here, so that a file without them is left out and not the end of the cohort
                if names_series(align_on):
                    self.behavior[name] = read_series(self._paths[name], align_on, self[name], self._read)
                elif align_on != NO_LABELS:
                    read_labels(self[name], align_on)
                else:
                    self[name]
            except DCFError as error:
                self.left_out[name] = f"{error.what}; {error.fix}" if error.fix else error.what
                del self._paths[name]
                self._kept.pop(name, None)
            if progress is not None:
                progress(Progress("reading", i + 1, len(names), unit="session"))
        if len(self) < 2:
            why = "; ".join(f"{name}: {reason}" for name, reason in list(self.left_out.items())[:2])
            raise DataError(
                f"{len(self)} of {len(names)} files can be used" + (f" ({why})" if why else ""), fix="give two or more"
            )


def read_series(path: Path | str, name: str, recording: xr.Dataset, read: ReadConfig) -> NDArray[np.float64]:
    """Read behaviour at the frames of a recording, (frame, variable); its doubts are added to the recording's notes."""
    series = read_behavior(path, name, recording["time"].values, time_scale=read.time_scale)
    recording.attrs["notes"] = [*recording.attrs.get("notes", []), *series.attrs["notes"]]
    return np.asarray(series.values, np.float64).reshape(recording.sizes["time"], -1)

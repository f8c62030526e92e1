"""Recordings of the sessions of a cohort, read when they are asked for: memory does not grow with their number."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..config import ReadConfig
from ..config.progress import Progress
from ..data.records import SourceRecord
from ..errors import DataError, DCFError
from ..io.recordings import list_sources, read_behavior, read_channels, read_recording
from .behavior_bins import names_series
from .labels import read_labels
from .matched import CellName, find_common, name_cells, take_cells
from .unlabelled import NO_LABELS

BIN_S = 0.05  # of units: 20 ms of trials averaged over ten hold little but noise
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
    match : str, optional
        Columns whose values name a cell: recordings have the cells that all sessions have, in one order.

    Attributes
    ----------
    sources : dict of str to dict
        What was read of each file, known once it was read.
    left_out : dict of str to str
        Files that could not be read, and why; see `read_all`.
    behavior : dict of str to array, shape (frame, variable)
        At the frames of each recording, where anchors are bins of it.
    """

    def __init__(
        self,
        paths: Mapping[str, Path | str],
        read: ReadConfig,
        *,
        kept_bytes: int = KEPT_BYTES,
        match: str | None = None,
    ) -> None:
        self._paths, self._read = dict(paths), read
        self._kept: dict[str, xr.Dataset] = {}
        self._free_bytes = kept_bytes
        self.sources: dict[str, SourceRecord] = {}
        self.left_out: dict[str, str] = {}
        self.behavior: dict[str, NDArray[np.float64]] = {}
        self._match = match
        self._cells: dict[str, dict[Any, CellName]] = {}
        self._common: list[CellName] = []

    def __getitem__(self, name: str) -> xr.Dataset:
        """Read a session, or take it out of memory; of matched sessions the cells in common.

        Raises
        ------
        DataError
            If its file has changed since it was read before.
        """
        recording = self._read_whole(name)
        # known once all sessions were read
        return take_cells(recording, self._cells[name], self._common) if self._common else recording

    def _read_whole(self, name: str) -> xr.Dataset:
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
                if self._match is not None:
                    dim = str(self[name]["data"].dims[1])
                    table = read_channels(self._paths[name], str(self.sources[name]["path"]))
                    self._cells[name] = name_cells(table, self._match, self[name][dim].values.tolist())
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
        if self._match is not None:
            self._common = find_common({name: self._cells[name] for name in self}, self._match)


def read_series(path: Path | str, name: str, recording: xr.Dataset, read: ReadConfig) -> NDArray[np.float64]:
    """Read behaviour at the frames of a recording, (frame, variable); its doubts are added to the recording's notes."""
    series = read_behavior(path, name, recording["time"].values, time_scale=read.time_scale)
    recording.attrs["notes"] = [*recording.attrs.get("notes", []), *series.attrs["notes"]]
    return np.asarray(series.values, np.float64).reshape(recording.sizes["time"], -1)


def with_bins(paths: Iterable[Path | str], reading: Mapping[str, Any]) -> dict[str, Any]:
    """Add the default width of bins to settings of reading, where units are read: a series has no bins.

    The first file that can be opened decides.
    """
    if "bin_width_s" in reading:
        return dict(reading)
    asked = reading.get("source")
    names = [asked] if isinstance(asked, str) else list(asked or ())
    for path in paths:
        try:
            catalog = list_sources(path)
        except DCFError:  # named and left out when it is read
            continue
        read = [
            source.kind
            for source in catalog.sources
            if (source.path == catalog.default if not names else any(source.path.endswith(name) for name in names))
        ]
        return {**reading, "bin_width_s": BIN_S} if "units" in read else dict(reading)
    return dict(reading)

"""Recordings of the sessions of a cohort, read when they are asked for: memory does not grow with their number."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..config import ReadConfig
from ..config.progress import Progress
from ..config.validation import Settings
from ..data.records import SourceRecord
from ..errors import DataError, DCFError, ParameterError
from ..io.recordings import list_sources, read_behavior, read_channels, read_recording
from .behavior_bins import names_series
from .labels import read_labels
from .matched import CellName, find_common, name_cells, take_cells
from .unlabelled import NO_LABELS

BIN_S = 0.05  # of units: 20 ms of trials averaged over ten hold little but noise
MANY = 40  # files, from which processes are worth their start of some seconds
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
        return self._remember(name, read_recording(self._paths[name], **dataclasses.asdict(self._read)))

    def _remember(self, name: str, recording: xr.Dataset) -> xr.Dataset:
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

    def read_all(
        self, align_on: str, progress: Callable[[Progress], None] | None = None, *, jobs: int | None = None
    ) -> None:
        """Read every file once, and leave out those that cannot be read or lack the column `align_on`.

        Parameters
        ----------
        align_on : str
        progress : callable, optional
        jobs : int, optional
            Processes that read; by default one, and from `MANY` files on as many as there are cores.

        Raises
        ------
        DataError
            If fewer than two are left.
        """
        names = list(self._paths)
        for i, (name, found) in enumerate(self._read_each(names, _choose_jobs(jobs, len(names)))):
            try:
                if isinstance(found, DCFError):
                    raise found
                recording = self._remember(name, found)
                # labels are looked for here, so that a file without them is left out and not the end of the cohort
                if names_series(align_on):
                    self.behavior[name] = read_series(self._paths[name], align_on, recording, self._read)
                elif align_on != NO_LABELS:
                    read_labels(recording, align_on)
                if self._match is not None:
                    dim = str(recording["data"].dims[1])
                    table = read_channels(self._paths[name], str(self.sources[name]["path"]))
                    self._cells[name] = name_cells(table, self._match, recording[dim].values.tolist())
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

    def _read_each(self, names: list[str], jobs: int) -> Iterator[tuple[str, xr.Dataset | DCFError]]:
        """Read the files in their order, ahead in other processes; what cannot be read is an error in its place."""
        settings = dataclasses.asdict(self._read)
        if jobs == 1:
            for name in names:
                yield name, _read_one(self._paths[name], settings)
            return
        import joblib

        with joblib.parallel_config(backend="loky", inner_max_num_threads=1):
            # few ahead: recordings that are not kept would fill the memory
            parallel = joblib.Parallel(n_jobs=jobs, return_as="generator", pre_dispatch=jobs + 1)
            paths = [self._paths[name] for name in names]
            read = parallel(joblib.delayed(_read_one)(path, settings) for path in paths)
        yield from zip(names, read, strict=True)


def _read_one(path: Path | str, settings: Mapping[str, Any]) -> xr.Dataset | DCFError:
    try:
        return read_recording(path, **settings)
    except DCFError as error:
        return error


def _choose_jobs(jobs: int | None, n_files: int) -> int:
    if jobs is None:
        return (os.cpu_count() or 1) if n_files >= MANY else 1
    if not isinstance(jobs, int) or isinstance(jobs, bool) or jobs < 1:
        raise ParameterError(f"jobs is {jobs!r}", fix="give a whole number, 1 or more")
    return min(jobs, n_files)


def read_series(path: Path | str, name: str, recording: xr.Dataset, read: ReadConfig) -> NDArray[np.float64]:
    """Read behaviour at the frames of a recording, (frame, variable); its doubts are added to the recording's notes."""
    series = read_behavior(path, name, recording["time"].values, time_scale=read.time_scale)
    recording.attrs["notes"] = [*recording.attrs.get("notes", []), *series.attrs["notes"]]
    return np.asarray(series.values, np.float64).reshape(recording.sizes["time"], -1)


def with_bins(paths: Iterable[Path | str], reading: Mapping[str, Any]) -> Settings:
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

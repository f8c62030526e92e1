"""Contents of a page: a stored fit, and of its session as much as the files hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from ..config.file_places import NOWHERE_ELSE, FilePlaces
from ..data.result import DCFResult, mark_held_out
from ..errors import DCFError, SourceError
from ..io.recordings import NO_VIDEO, FrameAccess, IntervalTable, list_sources, open_frames, read_behavior, read_tables
from ..io.results import read_result
from ..metrics.clusters import Clusters, find_clusters
from ..pipeline.stored_source import find_beside, read_fitted
from ..plots.color import list_colorings
from .decimate import Raster

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Float64, Int

MOST_COLUMNS = 12  # of a series that is offered as behaviour: wider ones are recordings
FEWEST_FRAMES = 40  # for four clusters, ten each
POSITION = 2  # columns of what can be drawn as a map


@dataclass
class ViewData:
    """A fit and what is known of its session, on one clock.

    Attributes
    ----------
    result : DCFResult
    file : str
        Base name of the NWB file; empty where only the fit is known.
    recording : xarray.Dataset or None
        What was fitted.
    tables : list of IntervalTable
    behaviors : dict of str to str
        Path in the file of each series that is offered, by the name it is offered by.
    positions : set of str
        Those of them that have two columns.
    frames : FrameAccess or None
        A video of the session.
    missing : list of str
        What cannot be shown, and why.
    """

    result: DCFResult
    file: str = ""
    path: Path | None = None
    recording: xr.Dataset | None = None
    tables: list[IntervalTable] = field(default_factory=list)
    behaviors: dict[str, str] = field(default_factory=dict)
    positions: set[str] = field(default_factory=set)
    frames: FrameAccess | None = None
    missing: list[str] = field(default_factory=list)
    _read: dict[str, xr.DataArray] = field(default_factory=dict)

    @cached_property
    def order(self) -> Int[np.ndarray, " time"]:
        """Frames of the fit in the order of their time, shape (time,); segments may overlap or be out of order."""
        return np.argsort(self.result.dataset["time"].values, kind="stable")

    @cached_property
    def time(self) -> Float64[np.ndarray, " time"]:
        """Seconds on the session clock, in order, shape (time,)."""
        return np.asarray(self.result.dataset["time"].values[self.order], np.float64)

    @cached_property
    def latents(self) -> Float[np.ndarray, "time latent"]:
        """Latents, shape (time, latent)."""
        return np.asarray(self.result.dataset["latents"].values[self.order])

    @cached_property
    def segment(self) -> Int[np.ndarray, " time"]:
        """Segment of each frame, from 0, shape (time,)."""
        return np.asarray(self.result.dataset["segment_index"].values[self.order])

    @cached_property
    def speed(self) -> Float[np.ndarray, " time"]:
        """Length of the velocity of the latents, latent units per second, shape (time,)."""
        return np.asarray(np.linalg.norm(self.result.dataset["velocity"].values[self.order], axis=1))

    @cached_property
    def held_out(self) -> Bool[np.ndarray, " time"]:
        """Whether the model did not see a frame in training, shape (time,)."""
        return np.asarray(mark_held_out(self.result.dataset, self.result.provenance)[self.order])

    @cached_property
    def clusters(self) -> Clusters | None:
        """Clusters of the latents; None where there are too few frames."""
        return find_clusters(self.latents) if len(self.time) >= FEWEST_FRAMES else None

    @cached_property
    def raster(self) -> Raster | None:
        """Rows of what was fitted; None for images, which are shown as a video, and where it is not there."""
        if self.recording is None or self.recording["data"].ndim != 2:
            return None
        data = self.recording["data"]
        # an index would read a recording that lies in a file; nearly all are in order
        in_order = np.array_equal(self.order, np.arange(len(self.order)))
        return Raster(data if in_order else data[self.order], self.time)

    @property
    def row_names(self) -> list[str]:
        """Names of the rows of the raster, as in the file."""
        if self.recording is None or self.recording["data"].ndim != 2:
            return []
        return [str(name) for name in self.recording[str(self.recording["data"].dims[1])].values]

    def sort_rows(self, latent: int) -> Int[np.ndarray, " row"]:
        """Return the rows of the raster by their loading on `latent` (from 0), the most negative first."""
        return np.argsort(self.result.dataset["loadings"].values[:, latent], kind="stable")

    @cached_property
    def step_s(self) -> float:
        """Median time between frames, seconds."""
        steps = np.diff(self.time)
        return float(np.median(steps[steps > 0])) if (steps > 0).any() else 1.0

    def list_colors(self) -> list[str]:
        """List what frames can be coloured by."""
        latents = [f"latent {k + 1}" for k in range(self.latents.shape[1])]
        clusters = ["cluster", "distance"] if len(self.time) >= FEWEST_FRAMES else []
        return [*list_colorings(self.result.dataset), "speed", *clusters, *latents, *self.behaviors]

    def list_traces(self) -> list[str]:
        """List what can be drawn against time below the latents."""
        clusters = ["distance"] if len(self.time) >= FEWEST_FRAMES else []
        return ["speed", *clusters, *self.behaviors]

    def list_pictures(self) -> list[str]:
        """List what can be shown beside the trajectory."""
        video = ["video"] if self.frames is not None else []
        return [*video, *(f"map of {name}" for name in self.behaviors if self.is_position(name))]

    def is_position(self, name: str) -> bool:
        """Whether a behaviour has two columns, which can be drawn against each other."""
        return name in self.positions

    def read_behavior(self, name: str) -> xr.DataArray:
        """Return a behaviour at the times of the latents, dims (time, variable); it is read once.

        Raises
        ------
        DCFError
            If it cannot be used.
        """
        if name not in self._read:
            if self.path is None:
                raise SourceError(f"no file was named that holds {name!r}", fix="give the file of the session")
            self._read[name] = read_behavior(self.path, self.behaviors[name], self.time)
        return self._read[name]

    def find_frame(self, t: float) -> int:
        """Return the frame of the fit nearest to the moment `t`."""
        after = int(np.clip(np.searchsorted(self.time, t), 1, max(1, len(self.time) - 1)))
        if len(self.time) == 1:
            return 0
        return after - 1 if t - self.time[after - 1] <= self.time[after] - t else after


def gather_view(
    path: str | Path, name: str | None = None, *, data: str | Path | None = None, places: FilePlaces = NOWHERE_ELSE
) -> ViewData:
    """Read a stored fit, and of its session what is there.

    Parameters
    ----------
    path : str or Path
        NWB file that holds the fit.
    name : str, optional
        Of the fit; needed where there are several.
    data : str or Path, optional
        NWB file with what was fitted, where that is neither `path` nor a file of the recorded name beside it.
    places : FilePlaces
        Where the files beside it are.

    Raises
    ------
    DCFError
        If the fit cannot be read. Other parts that are missing are named on the page.
    """
    return complete_view(read_result(path, name), path, data=data, places=places)


def complete_view(
    result: DCFResult, path: str | Path | None, *, data: str | Path | None = None, places: FilePlaces = NOWHERE_ELSE
) -> ViewData:
    """Add to a fit what its file, if one is given, holds of the session; what is missing is listed, not raised."""
    if path is None:
        why = "no file was named: what was fitted, behaviour and video are not shown"
        return ViewData(result, str(result.provenance.get("source", {}).get("file", "")), missing=[why])
    missing: list[str] = []
    recording: xr.Dataset | None = None
    try:
        recording = read_fitted(path, result, data, places)
    # a part that cannot be read leaves a page without it, not no page
    except DCFError as error:
        missing.append(f"what was fitted is not shown: {error}")
    # behaviour and video are in the session's file, the fit may be in one of its own
    session = Path(data) if data is not None else _find_session(Path(path), result)
    view = ViewData(result, Path(path).name, session, recording, missing=missing)
    try:
        view.tables = read_tables(session)
        view.behaviors, view.positions = _list_behaviors(session, result)
    except DCFError as error:
        missing.append(f"trials and behaviour are not shown: {error}")
    wanted = _list_source_paths(result)
    read = result.config.get("read") or {}
    try:
        times = read.get("frame_times") or "auto"
        view.frames, why = open_frames(
            session, wanted, frame_times=times, video_dir=places.video_dir, allow_outside=places.allow_outside
        )
        images = recording is not None and recording["data"].ndim == 3
        if view.frames is None and (images or why != NO_VIDEO):
            missing.append(f"no video is shown: {why}")
    except DCFError as error:
        missing.append(f"no video is shown: {error}")
    return view


def _find_session(path: Path, result: DCFResult) -> Path:
    """Find the file that holds the session of a fit that may lie in a file of its own."""
    beside = find_beside(path, result)
    if beside is None:
        return path
    try:
        holds = any(source.path in _list_source_paths(result) for source in list_sources(path).sources)
    except DCFError:
        holds = False
    return path if holds else beside


def _list_source_paths(result: DCFResult) -> Sequence[str]:
    source = result.provenance.get("source", {})
    members = [str(member.get("path", "")) for member in source.get("members", [])]
    return [str(source.get("path", "")), *members]


def _list_behaviors(path: Path, result: DCFResult) -> tuple[dict[str, str], set[str]]:
    """Find the series that are behaviour: no fit takes them unless named, and none of them was fitted."""
    fitted = _list_source_paths(result)
    sources = [
        source
        for source in list_sources(path).sources
        if source.kind == "series"
        and not source.problem
        and source.path not in fitted
        and int(np.prod(source.shape[1:])) <= MOST_COLUMNS
    ]
    names = [source.name for source in sources]
    behaviors, positions = {}, set()
    for source in sources:
        # two series of one name, as of two cameras, can only be kept apart by their paths
        name = source.name if names.count(source.name) == 1 else source.path
        behaviors[name] = source.path
        if source.shape[1:] == (POSITION,):
            positions.add(name)
    return behaviors, positions

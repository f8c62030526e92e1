"""Describe the objects of a file that could be fitted: their kinds, shapes, clocks and problems."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
from pynwb import TimeSeries
from pynwb.core import NWBContainer
from pynwb.ecephys import ElectricalSeries
from pynwb.icephys import PatchClampSeries
from pynwb.image import ImageSeries
from pynwb.misc import Units
from pynwb.ophys import DfOverF, Fluorescence, OnePhotonSeries, RoiResponseSeries, TwoPhotonSeries

from ...errors import DataError
from ..backends.filters import MissingFilter, find_unreadable
from ..backends.session import Session
from .clock import Clock, peek_clock
from .external import list_other_files
from .roi_kinds import infer_roi_kind, list_emissions
from .series_values import advise_turning, check_data, check_shape
from .source_kinds import DEFAULT_KINDS, Source, sort_key
from .stored_counts import TYPE as BINNED
from .stored_counts import describe_binned
from .video.clock_evidence import list_clocks, weigh
from .video.files import summarise_frames

PLAYED_TOLERANCE = 1e-3
"""Rates of a video's header and of the NWB file that differ by less are the same."""

HOW_READ = {
    "lfp": "power in frequency bands",
    "sweep": "only by name: a sweep is a trial, not a channel",
    "neuropil": "only by name: neuropil or background",
    "baseline": "only by name: a baseline",
    "deconvolved": "only by name: deconvolved events",
}


def describe_sources(session: Session, video_dir: str | None = None, *, spans: bool = False) -> list[Source]:
    """Describe every units table and TimeSeries in the file, by rank, then path.

    Parameters
    ----------
    session : Session
        The open file.
    video_dir : str, optional
        Folder of its video files, where they are not where the file names them.
    spans : bool
        Whether the span of units is described too, for which every spike time is read.
    """
    sources = []
    for path, obj in session.find_objects(Units, TimeSeries, NWBContainer):
        # Asked first: a look at any value of such an array raises.
        missing = find_unreadable(obj) if isinstance(obj, (Units, TimeSeries)) else None
        if missing is not None:
            sources.append(_describe_unreadable(session, path, obj, missing))
        elif isinstance(obj, Units):
            sources.append(_describe_units(path, obj, spans))
        elif isinstance(obj, ImageSeries):
            sources.append(_describe_frames(session, path, obj, video_dir))
        elif isinstance(obj, TimeSeries):
            sources.append(_describe_series(session, path, obj))
        elif obj.neurodata_type == BINNED:
            sources.append(describe_binned(path, obj))
        elif obj.neurodata_type == "PoseEstimation":
            sources.append(_describe_pose(session, path, obj))
    if spans:
        sources = [_name_other_files(session, source) for source in sources]
    return sorted(sources, key=sort_key)


def _name_other_files(session: Session, source: Source) -> Source:
    """Add to the description of a source the other files that hold its values."""
    objects = [obj for _, obj in session.find_members(source.members or (source.path,))]
    path = session.path if isinstance(session.path, Path) else None
    others = [other.describe() for obj in objects for other in list_other_files(obj, path)]
    if not others:
        return source
    return dataclasses.replace(source, why=f"{source.why}; values lie in {', '.join(dict.fromkeys(others))}")


def _describe_unreadable(session: Session, path: str, obj: Any, missing: MissingFilter) -> Source:
    """Describe an object whose values cannot be decompressed, without reading them."""
    problem = f"{missing.array.rpartition('/')[2]} are {missing.what}: {missing.fix}"
    if isinstance(obj, Units):
        return Source("units", path, obj.neurodata_type, (len(obj.id),), "s", problem=problem)
    if isinstance(obj, ImageSeries):
        kind = "imaging" if isinstance(obj, (OnePhotonSeries, TwoPhotonSeries)) else "video"
    else:
        kind = _find_kind(session, path, obj)
    return Source(kind, path, obj.neurodata_type, np.shape(obj.data), str(obj.unit), problem=problem)


def _describe_units(path: str, units: Units, spans: bool) -> Source:
    shape = (len(units.id),)
    if "spike_times" not in units.colnames:
        return Source("units", path, units.neurodata_type, shape, "s", problem="it has no spike times")
    # A column without an index, of a damaged table, is described as far as it goes.
    column = units["spike_times"]
    data = getattr(column, "target", column).data
    # Spike times can be hundreds of MB, and only `info` shows their span.
    if not spans and len(data):
        return Source("units", path, units.neurodata_type, shape, "s", why="spikes are binned")
    times = np.asarray(data[:], dtype=np.float64)
    times = times[np.isfinite(times)]
    if len(times) == 0:
        return Source("units", path, units.neurodata_type, shape, "s", problem="it has no spikes")
    start, stop = float(times.min()), float(times.max())
    return Source(
        "units", path, units.neurodata_type, shape, "s", start_s=start, duration_s=stop - start, why="spikes are binned"
    )


def _describe_pose(session: Session, path: str, pose: Any) -> Source:
    """Describe a PoseEstimation of any version of ndx-pose: its class is made from the specification in the file."""
    # By path below, since the order of groups differs between HDF5 and Zarr.
    members = [(session.path_of(obj), obj) for obj in getattr(pose, "pose_estimation_series", {}).values()]
    if not members:
        return Source("pose", path, pose.neurodata_type, (0,), problem="it has no body parts")
    parts = [_describe_series(session, at, obj) for at, obj in sorted(members, key=lambda item: item[0])]
    first = parts[0]
    return dataclasses.replace(
        first,
        kind="pose",
        path=path,
        neurodata_type=pose.neurodata_type,
        shape=(first.shape[0], sum(math.prod(part.shape[1:]) for part in parts)),
        problem=next((f"{part.name}: {part.problem}" for part in parts if part.problem), ""),
        why="coordinates of body parts; each part can be named too",
        members=tuple(part.path for part in parts),
    )


def _describe_series(session: Session, path: str, series: TimeSeries) -> Source:
    kind = _find_kind(session, path, series)
    shape = tuple(int(n) for n in getattr(series.data, "shape", None) or np.shape(series.data))
    about = Source(kind, path, series.neurodata_type, shape, str(series.unit))
    problem = check_data(series)
    if problem:
        return dataclasses.replace(about, problem=problem)
    try:
        clock = peek_clock(series, shape[0], session.where(path), session.scale_of(path))
    except DataError as error:
        return dataclasses.replace(about, problem=error.what)
    region = getattr(series, "rois", None)
    # Planes decide which series are read together.
    imaged = getattr(region.table, "imaging_plane", None) if region is not None else None
    plane = session.path_of(imaged) if imaged is not None else ""
    doubt = check_shape(series)
    return dataclasses.replace(
        about,
        **_describe_clock(clock),
        why=HOW_READ.get(kind) or ("ROI responses" if kind in DEFAULT_KINDS else "only by name"),
        plane=plane,
        emission_nm=list_emissions(series),
        doubt=f"{doubt}, the other way round than is usual: {advise_turning()}" if doubt else "",
    )


def _describe_frames(session: Session, path: str, series: ImageSeries, video_dir: str | None) -> Source:
    summary = summarise_frames(session, path, series, video_dir)
    kind, why = "video", "frames"
    if path.startswith("/stimulus/"):  # images that were shown, and not recorded
        kind, why = "stimulus", "only by name"
    elif isinstance(series, (OnePhotonSeries, TwoPhotonSeries)):
        kind = "imaging"
    about = Source(kind, path, series.neurodata_type, summary.shape, str(series.unit), problem=summary.problem, why=why)
    if summary.problem:
        return about
    try:
        # Timestamps are the frames that the NWB file promises, whatever the header of the video has.
        n_frames = summary.shape[0] if series.timestamps is None else len(series.timestamps)
        clock = peek_clock(series, n_frames, session.where(path), session.scale_of(path))
    except DataError as error:
        return dataclasses.replace(about, problem=str(error).removeprefix(f"{session.where(path)}: "))
    # Not a problem: frames that players show are read.
    if summary.n_hidden and n_frames > 0:
        shown = n_frames - summary.n_hidden
        about = dataclasses.replace(
            about,
            doubt=f"{summary.n_hidden} frames of its video are hidden by an edit list: "
            f"players show {shown} of {n_frames}",
        )
    clock = _choose_frame_clock(session, series, clock, summary.played_hz, n_frames)
    return dataclasses.replace(about, **_describe_clock(clock))


def _choose_frame_clock(session: Session, series: ImageSeries, clock: Clock, played_hz: float, n_frames: int) -> Clock:
    """Choose the clock by which the frames would be read, as far as the headers of the files have it."""
    if clock.rate_hz is None or played_hz <= 0 or n_frames < 2:
        return clock
    played_s = (n_frames - 1) / played_hz
    # Headers of containers round the rate.
    if abs(played_hz / clock.rate_hz - 1) < PLAYED_TOLERANCE:
        return clock
    if weigh(list_clocks(session), clock.start_s, clock.stop_s - clock.start_s, played_s)[0] == "nwb":
        return clock
    return Clock(played_hz, 1 / played_hz, clock.start_s, clock.start_s + played_s)


def _find_kind(session: Session, path: str, series: TimeSeries) -> str:
    """Return the kind of a series, by its type, or by its name where the type leaves it open."""
    if isinstance(series, RoiResponseSeries):
        return infer_roi_kind(path, series, session.find_objects(DfOverF, Fluorescence))
    if series.neurodata_type == "MicroscopyResponseSeries":
        return "roi"
    if isinstance(series, ElectricalSeries):
        return "lfp"
    return "sweep" if isinstance(series, PatchClampSeries) else "series"


class ClockDescription(TypedDict):
    """The fields of a `Source` that its clock decides, seconds and Hz; None where they are not finite."""

    rate_hz: float | None
    median_step_s: float | None
    start_s: float | None
    duration_s: float | None


def _describe_clock(clock: Clock) -> ClockDescription:
    return {
        "rate_hz": clock.rate_hz,
        "median_step_s": _finite(clock.median_step_s),
        "start_s": _finite(clock.start_s),
        "duration_s": _finite(clock.stop_s - clock.start_s),
    }


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None

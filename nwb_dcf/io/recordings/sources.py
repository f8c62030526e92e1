"""The objects of a file that could be fitted: their kinds, and which one is meant."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
from pynwb import TimeSeries
from pynwb.core import NWBContainer
from pynwb.ecephys import ElectricalSeries
from pynwb.image import ImageSeries
from pynwb.misc import Units
from pynwb.ophys import DfOverF, Fluorescence, OnePhotonSeries, RoiResponseSeries, TwoPhotonSeries

from ...errors import DataError
from ..backends.session import Session
from .binned_spikes import TYPE as BINNED
from .binned_spikes import describe_binned
from .clock import Clock, peek_clock
from .external import list_other_files
from .series_values import check_data
from .source import DEFAULT_KINDS, Source, sort_key
from .video.files import summarise_frames


def describe_sources(session: Session, video_dir: str | None = None, *, spans: bool = False) -> list[Source]:
    """Describe every units table and TimeSeries in the file, by rank, then path; videos may lie in `video_dir`.

    The span of units is described only where `spans` are asked for: it takes every spike time.
    """
    sources = []
    for path, obj in session.find_objects(Units, TimeSeries, NWBContainer):
        if isinstance(obj, Units):
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
    """Say in a source's description which other files hold its values."""
    objects = [obj for _, obj in session.find_members(source.members or (source.path,))]
    path = session.path if isinstance(session.path, Path) else None
    others = [other.describe() for obj in objects for other in list_other_files(obj, path)]
    if not others:
        return source
    return dataclasses.replace(source, why=f"{source.why}; values lie in {', '.join(dict.fromkeys(others))}")


def _describe_units(path: str, units: Units, spans: bool) -> Source:
    shape = (len(units.id),)
    if "spike_times" not in units.colnames:
        return Source("units", path, units.neurodata_type, shape, "s", problem="it has no spike times")
    column = units["spike_times"]
    data = getattr(column, "target", column).data
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
    """Describe a PoseEstimation, of whichever version of ndx-pose the file has in its cache."""
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
    kind = _find_kind(path, series)
    shape = tuple(int(n) for n in getattr(series.data, "shape", None) or np.shape(series.data))
    about = Source(kind, path, series.neurodata_type, shape, str(series.unit))
    problem = check_data(series)
    if problem:
        return dataclasses.replace(about, problem=problem)
    try:
        clock = peek_clock(series, shape[0], session.where(path), session.scale_of(path))
    except DataError as error:
        return dataclasses.replace(about, problem=error.what)
    named = "ROI responses" if kind in DEFAULT_KINDS else "only by name"
    region = getattr(series, "rois", None)
    imaged = getattr(region.table, "imaging_plane", None) if region is not None else None
    plane = session.path_of(imaged) if imaged is not None else ""
    return dataclasses.replace(
        about,
        **_describe_clock(clock),
        why="power in frequency bands" if kind == "lfp" else named,
        plane=plane,
    )


def _describe_frames(session: Session, path: str, series: ImageSeries, video_dir: str | None) -> Source:
    summary = summarise_frames(session, path, series, video_dir)
    kind, why = "video", "frames"
    if path.startswith("/stimulus/"):  # what was shown is no recording
        kind, why = "stimulus", "only by name"
    elif isinstance(series, (OnePhotonSeries, TwoPhotonSeries)):
        kind = "imaging"
    about = Source(kind, path, series.neurodata_type, summary.shape, str(series.unit), problem=summary.problem, why=why)
    if summary.problem:
        return about
    try:
        n_frames = summary.shape[0] if series.timestamps is None else len(series.timestamps)
        clock = peek_clock(series, n_frames, session.where(path), session.scale_of(path))
    except DataError as error:
        return dataclasses.replace(about, problem=str(error).removeprefix(f"{session.where(path)}: "))
    return dataclasses.replace(about, **_describe_clock(clock))


def _find_kind(path: str, series: TimeSeries) -> str:
    """Kind of a series, by type first and by name where the type leaves it open."""
    if isinstance(series, RoiResponseSeries):
        words = path.lower().replace("_", "")
        if "neuropil" in words:
            return "neuropil"
        if isinstance(series.parent, DfOverF) or "dff" in words or "dfoverf" in words or "deltaf" in words:
            return "dff"
        other = any(word in series.name.lower() for word in ("deconv", "spike", "event", "denois", "background"))
        return "fluorescence" if isinstance(series.parent, Fluorescence) and not other else "roi"
    if series.neurodata_type == "MicroscopyResponseSeries":
        return "roi"
    if isinstance(series, ElectricalSeries):
        return "lfp"
    return "series"


def _describe_clock(clock: Clock) -> dict[str, Any]:
    return {
        "rate_hz": clock.rate_hz,
        "median_step_s": _finite(clock.median_step_s),
        "start_s": _finite(clock.start_s),
        "duration_s": _finite(clock.stop_s - clock.start_s),
    }


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None

"""Several sources of one file as one recording: one clock, one set of segments, the channels side by side.

=============================== ==========================================================
among the sources are           the clock
=============================== ==========================================================
units                           their bins (``bin_width_s``)
no units, and ``resample_hz``   frames of that rate within the samples of the slowest
no units                        the samples of the slowest source, as they are
=============================== ==========================================================

The source that has the clock chooses the segments too. The others are read around them and resampled on its frames
(`io.recordings.resample`); frames that one of them does not cover, as in its gaps, are left out, and no segment crosses
them. Nothing is scaled here: `nwb_dcf.data.preprocessing` gives each source the same weight.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from ...config import ReadConfig
from ...data.clock_doubts import compare_spans
from ...data.doubt import report_doubts
from ...data.recording import flatten_frames, frame_dims, make_recording, median_step_s
from ...errors import DOUBT, DataError, ParameterError
from ..backends.session import Session
from .clock import list_sampling_rates
from .interpolation import Interpolation, choose_interpolation, describe_rules
from .provenance import SourceDescription
from .resample import METHOD, Frames, divide_clock, keep_frames, resample, resample_recording
from .segments import ChosenSegments, Segments
from .source_kinds import FRAME_KINDS, Source

if TYPE_CHECKING:
    from jaxtyping import Num, Shaped

Reader = Callable[[Session, Source, ReadConfig, list[str], ChosenSegments | None], xr.Dataset]

MARGIN = 2
"""Steps of a source that are read before and after each segment, so that its ends lie between two samples."""


def join_sources(session: Session, sources: Sequence[Source], config: ReadConfig, read: Reader) -> xr.Dataset:
    """Read several sources as one recording.

    Parameters
    ----------
    session : Session
        The open file.
    sources : sequence of Source
        Two or more; at most one of units.
    config : ReadConfig
        Bin width or ``resample_hz``, segments, selection of units.
    read : callable
        Reads one source: ``read(session, source, config, notes, chosen)``.

    Returns
    -------
    xarray.Dataset
        A recording of kind ``joined`` (see `data.recording`): channels of the sources in the order given.

    Raises
    ------
    ParameterError
        If the sources cannot be joined so, or a setting has no meaning for them.
    DataError
        If the sources do not overlap in time, and as the reader of each.
    """
    where = str(session.path)
    paths = [source.path for source in sources]
    if len(set(paths)) < len(paths):
        raise ParameterError(f"one source is named twice: {', '.join(paths)}", where=where, fix="name each once")
    # Two tables would need two selections of units and two bin widths.
    units = [source for source in sources if source.kind == "units"]
    if len(units) > 1:
        raise ParameterError(
            f"{len(units)} tables of units cannot be joined: {', '.join(source.path for source in units)}",
            where=where,
            fix="name one of them beside other sources",
        )
    if units and config.resample_hz is not None:
        refuse_resampled_units(units[0], session)

    # Labels go into ids of channels, `units/7`, and so into stored fits.
    labels = name_labels(paths)
    parts: dict[str, xr.Dataset] = {}

    def read_part(source: Source, chosen: ChosenSegments | None = None) -> xr.Dataset:
        return read(session, source, dataclasses.replace(config, source=source.path, resample_hz=None), [], chosen)

    for source in sources:  # the step of some is known only once they are read
        if not units and math.isnan(_find_step(source, config)):
            parts[source.path] = read_part(source)
    step_s = {s.path: median_step_s(parts[s.path]) if s.path in parts else _find_step(s, config) for s in sources}
    # The slowest has the clock: on a faster one its values would be repeated. A series whose values hold from sample to
    # sample has one where something changes, which is no clock for others.
    leader = units[0] if units else max(sources, key=lambda s: (not holds_values(session, s), step_s[s.path]))
    clock = parts[leader.path] if leader.path in parts else read_part(leader)
    if config.resample_hz is not None:
        # Before the others are read: their intervals follow from these frames.
        clock = resample_recording(clock, config.resample_hz, config.min_length_s)
    frames = divide_clock(clock)

    values: dict[str, Num[np.ndarray, "time _channel"]] = {}
    good = np.ones(len(frames.centre), bool)
    notes = [f"the clock is that of {leader.path}: {_describe_clock(clock, config)}", *clock.attrs["notes"]]
    for source in sources:
        if source is leader:
            values[source.path], parts[source.path] = flatten_frames(clock), clock
            continue
        # Before a source is read: of two clocks without overlap nothing would be left, after minutes of reading.
        _check_overlap(leader, source, frames, where)
        notes += _compare_sources(session, leader, source)
        holds = holds_values(session, source)
        # A source that was read for its step is not read again, unless its values hold from before the frames.
        if source.path not in parts or holds:
            around = _choose_before(source, frames) if holds else _widen(frames, MARGIN * step_s[source.path])
            parts[source.path] = read_part(source, ChosenSegments(around, bridge_gaps=holds))
        rules = choose_rules(session, source, parts[source.path])
        on = resample(parts[source.path], frames, rules)
        values[source.path] = on.values
        good &= on.covered
        notes.append(f"{source.path} is resampled on that clock: {', '.join(describe_rules(rules)) or METHOD}")
        notes += [
            note if note.startswith(DOUBT) else f"{labels[source.path]}: {note}"
            for note in parts[source.path].attrs["notes"]
        ]
    if not good.all():
        notes.append(f"{int((~good).sum())} of {len(good)} frames dropped, which a source does not cover")
    return keep_frames(_put_together(clock, parts, values, labels, notes), good, config.min_length_s)


def name_labels(paths: Sequence[str]) -> dict[str, str]:
    """Return a short label for each path: its last part, or all of it where that is not unique.

    Examples
    --------
    >>> name_labels(["/units", "/acquisition/a/x", "/acquisition/b/x"])
    {'/units': 'units', '/acquisition/a/x': 'acquisition/a/x', '/acquisition/b/x': 'acquisition/b/x'}
    """
    short = [path.rsplit("/", 1)[-1] for path in paths]
    return {path: name if short.count(name) == 1 else path.strip("/") for path, name in zip(paths, short, strict=True)}


def refuse_resampled_units(source: Source, session: Session) -> None:
    """Refuse to resample units, whose clock is set by their bins.

    Raises
    ------
    ParameterError
        If `source` holds units.
    """
    if source.kind == "units":
        raise ParameterError(
            "units are in bins, and resampling is for series",
            where=session.where(source.path),
            fix="give --bin in place of --resample",
        )


def _find_step(source: Source, config: ReadConfig) -> float:
    """Return the seconds between the frames of a source, as far as they are known before it is read; else NaN."""
    if source.kind == "units":
        return 0.0
    if source.kind == "lfp" and config.bands != "none":
        return 1 / config.power_rate_hz
    step_s = 1 / source.rate_hz if source.rate_hz else source.median_step_s
    return math.nan if step_s is None else step_s * (config.every if source.kind in FRAME_KINDS else 1)


def _describe_clock(clock: xr.Dataset, config: ReadConfig) -> str:
    if clock.attrs["bin_width_s"]:
        return f"bins of {clock.attrs['bin_width_s']:g} s"
    if config.resample_hz is not None:
        return f"frames at {config.resample_hz:g} Hz, as asked"
    return f"its own samples, every {median_step_s(clock):.4g} s, the slowest"


def _check_overlap(leader: Source, source: Source, frames: Frames, where: str) -> None:
    if source.start_s is None or source.duration_s is None:
        return
    first, last = float(frames.left[0]), float(frames.right[-1])
    if source.start_s + source.duration_s < first or source.start_s > last:
        raise DataError(
            f"the sources do not overlap in time: {leader.path} is read from {first:.6g} to {last:.6g} s, and "
            f"{source.path} goes from {source.start_s:.6g} to {source.start_s + source.duration_s:.6g} s",
            where=where,
            fix="compare their clocks, or fit one of them",
        )


def holds_values(session: Session, source: Source) -> bool:
    """Return whether a value of a source holds until the next one (its continuity is step)."""
    if source.kind not in ("series", "family"):
        return False
    members = session.find_members(source.members or (source.path,))
    return all(str(getattr(series, "continuity", None)).lower() == "step" for _, series in members)


def choose_rules(session: Session, source: Source, recording: xr.Dataset) -> list[Interpolation]:
    """Choose how the channels of a source are interpolated; none for sources that are not plain series."""
    if source.kind not in ("series", "family"):
        return []
    ((_, series), *_) = session.find_members(source.members or (source.path,))
    return choose_interpolation(series, flatten_frames(recording))


def _choose_before(source: Source, frames: Frames) -> Segments:
    """Choose all of a source up to the end of the frames: a value that holds there may have begun long before."""
    start = min(float(frames.left[0]), float(frames.left[0]) if source.start_s is None else source.start_s) - 1.0
    return Segments(np.array([start]), np.array([float(frames.right[-1])]), np.array([-1]), {})


def _compare_sources(session: Session, leader: Source, source: Source) -> list[str]:
    """Compare the clocks of two sources; refuse where one would have to be in another unit."""
    ours, theirs = _find_span(session, leader), _find_span(session, source)
    if ours is None or theirs is None:
        return []
    doubt = compare_spans(
        ours,
        theirs,
        path=source.path,
        name=source.name,
        own_name=leader.name,
        sampling_hz=list_sampling_rates(session),
    )
    if doubt is None:
        return []
    if doubt.of_scale and 1 in (session.scale_of(leader.path), session.scale_of(source.path)):
        return []
    # Sources in two units would be joined at the wrong times, so that the doubt becomes a refusal.
    return report_doubts([dataclasses.replace(doubt, refuses=doubt.of_scale)], source.path, session.where(source.path))


def _find_span(session: Session, source: Source) -> tuple[float, float] | None:
    """Return the first and last time of a source, whatever is read of it."""
    if source.kind == "units":
        ((_, units),) = session.find_members((source.path,))
        column = units["spike_times"]
        times = np.asarray(getattr(column, "target", column).data[:], np.float64)
        times = times[np.isfinite(times)] * (session.scale_of(source.path) or 1.0)
        return (float(times.min()), float(times.max())) if len(times) else None
    if source.start_s is None or source.duration_s is None:
        return None
    return source.start_s, source.start_s + source.duration_s


def _widen(frames: Frames, margin_s: float) -> Segments:
    """Return the intervals of the frames with `margin_s` on either side; those that then overlap become one."""
    edges = np.flatnonzero(np.diff(frames.segment) != 0)
    start = frames.left[np.append(0, edges + 1)] - margin_s
    stop = frames.right[np.append(edges, len(frames.left) - 1)] + margin_s
    # Segments of one source must not overlap, and margins of neighbours do.
    apart = np.append(True, start[1:] > stop[:-1])
    last = np.append(np.flatnonzero(apart)[1:] - 1, len(start) - 1)
    return Segments(start[apart], stop[last], np.full(int(apart.sum()), -1), {})


def _put_together(
    clock: xr.Dataset,
    parts: dict[str, xr.Dataset],
    values: dict[str, Num[np.ndarray, "time _channel"]],
    labels: dict[str, str],
    notes: Sequence[str],
) -> xr.Dataset:
    """Make one recording of the values of all sources, in the order of `values`."""
    recordings = [parts[path] for path in values]
    names = [labels[path] for path in values]
    members = [
        {
            **recording.attrs["source"],
            "label": name,
            "kind": recording.attrs["kind"],
            "units": str(recording["data"].attrs.get("units", "a.u.")),
        }
        for name, recording in zip(names, recordings, strict=True)
    ]
    # Ids alone may be the same in two sources: unit 3 and ROI 3.
    ids = [_list_ids(name, recording) for name, recording in zip(names, recordings, strict=True)]
    trials = [str(name) for name in clock.data_vars if str(name).startswith("trial_")]
    return make_recording(
        np.concatenate(list(values.values()), axis=1),
        clock["time"].values,
        channel=np.concatenate(ids),
        channel_source=np.repeat(names, [len(part) for part in ids]),
        segment_index=clock["segment_index"].values,
        segment_start=clock["segment_start"].values,
        segment_stop=clock["segment_stop"].values,
        segment_row=clock["segment_row"].values,
        trial_columns={name.removeprefix("trial_"): clock[name].values for name in trials},
        units="mixed",
        kind="joined",
        source=_describe_members(members),
        bin_width_s=clock.attrs["bin_width_s"],
        left_out=[
            {**item, "channel": f"{name}/{item['id']}"} if "value" in item else item
            for name, recording in zip(names, recordings, strict=True)
            for item in recording.attrs["left_out"]
        ],
        notes=notes,
    )


def _list_ids(label: str, recording: xr.Dataset) -> Shaped[np.ndarray, " channel"]:
    """Name the channels with the label of their source: ``units/7``, of pixels ``video/3,5`` (y, x)."""
    ids = [recording[dim].values.tolist() for dim in frame_dims(recording)]
    if len(ids) == 2:
        return np.array([f"{label}/{y},{x}" for y in ids[0] for x in ids[1]])
    return np.array([f"{label}/{one}" for one in ids[0]])


def _describe_members(members: Sequence[Mapping[str, Any]]) -> SourceDescription:
    """Describe joined sources as one, with a hash of the hashes of all."""
    # Any member that changes, changes this one.
    digest = hashlib.sha256("".join(str(member.get("sha256") or "") for member in members).encode())
    return {
        "file": members[0]["file"],
        "identifier": members[0]["identifier"],
        "path": " and ".join(str(member["path"]) for member in members),
        "type": " and ".join(str(member["type"]) for member in members),
        "object_id": "",
        "nwb_version": members[0]["nwb_version"],
        "sha256": digest.hexdigest(),
        "members": list(members),
    }

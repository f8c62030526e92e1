"""Samples at their own times: a TimeSeries, a family of one-column series, the ROIs of one plane or several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from ...config import ReadConfig
from ...data.recording import make_recording
from ...data.spike_binning import MAX_VALUES
from ...errors import DataError, ParameterError
from ..backends.session import Session
from .conditions import is_id_list
from .members_clock import SharedClock, read_shared_clock
from .missing_values import MAX_GAP_S, complete
from .provenance import SourceDescription, describe_members, describe_source
from .rois import Channels, compute_dff, select_rois
from .runs import CutClock, cut_clock
from .segments import ChosenSegments
from .series_values import channel_ids, check_data, convert_samples, count_channels, name_unit
from .source_kinds import ROI_KINDS, Source, name_members

if TYPE_CHECKING:
    from jaxtyping import Float, Int, Num, Shaped

AXES = ("x", "y", "z")
"""Names of the coordinates of a body part, in the order of its columns."""

Members = Sequence[tuple[str, Any]]


def read_traces(
    session: Session, source: Source, config: ReadConfig, notes: list[str], chosen: ChosenSegments | None = None
) -> xr.Dataset:
    """Read one TimeSeries, or several that are read as one, as a recording of their samples at their own times.

    Parameters
    ----------
    session : Session
        The open file.
    source : Source
        A series of any kind, or several as one.
    config : ReadConfig
        Segments, ROIs, missing samples, dF/F; bin width is not used.
    notes : list of str
        Notes made so far; they come first among the recording's notes.
    chosen : ChosenSegments, optional
        Segments in place of those that `config` asks for.

    Returns
    -------
    xarray.Dataset
        ``data`` (time, channel), or (time, roi) with the ids of the ROIs, in the unit of the series. The channels of
        a family have the names of its members; ROIs of several planes are named ``plane:id``.

    Raises
    ------
    DataError, ParameterError, SourceError
        If the data are not real numbers by time and channel, miss values, or have no usable clock or segment.
    """
    members = session.find_members(source.members or (source.path,))
    where = session.where(source.path)
    for path, series in members:
        # All members are checked before any is read.
        problem = check_data(series)
        if problem:
            raise DataError(problem, where=session.where(path), fix="choose another source with --source")
    dim = "roi" if source.kind in ROI_KINDS else "channel"
    channels = [_choose_channels(session, path, series, source, config) for path, series in members]
    ids = _name_channels([path for path, _ in members], channels, family=source.kind == "family")
    left_out = [item for chosen in channels for item in chosen.left_out]
    notes = [*notes, *(note for chosen in channels for note in chosen.notes)]

    clock = read_shared_clock(session, members, source.kind)
    # The clock is cut before values are read, so that only samples of segments are.
    cut = cut_clock(session, config, clock.samples, where, chosen)
    # Before the read: memory that runs out ends the process without a message.
    _check_size(len(cut.time), len(ids), where)
    unit = ""
    if config.dff:
        # Before the cut: F0 of the first samples of a segment needs those before it.
        values = _read_dff(session, members, channels, clock, config)[cut.runs.samples]
        unit = "dF/F"
        notes.append(f"dF/F: F0 is the {config.dff_quantile:g} quantile of {config.dff_window_s:g} s about each sample")
    else:
        values = _read_values(session, members, channels, clock, cut)
    # NaN is usual in ROIs, families and pose; in other series it is filled only where that is asked for.
    kept = np.arange(len(ids))
    if source.kind not in ("series", "lfp") or config.max_gap_s is not None:
        gap_s = MAX_GAP_S if config.max_gap_s is None else config.max_gap_s
        done = complete(values, cut, ids, dim, gap_s, where, min_length_s=config.min_length_s)
        values, cut, kept = done.values, done.cut, done.kept
        left_out += done.left_out
        notes += done.notes
    return make_traces(
        values,
        cut,
        dim=dim,
        ids=[ids[i] for i in kept],
        unit=unit or name_unit(members[0][1], values),
        kind="series" if source.kind == "lfp" else source.recording_kind,
        about=_describe(session, source, members, channels, kept),
        left_out=left_out,
        notes=notes,
        where=where,
    )


def make_traces(
    values: Num[np.ndarray, "time channel"],
    cut: CutClock,
    *,
    dim: str,
    ids: Sequence[Any],
    unit: str,
    kind: str,
    about: SourceDescription,
    left_out: Sequence[dict[str, object]],
    notes: Sequence[str],
    where: str,
) -> xr.Dataset:
    """Make a recording of values on a clock that has been cut; constant channels are left out.

    Parameters
    ----------
    values : array, shape (time, channel)
        In the order of ``cut.time``.
    cut : CutClock
        Their clock.
    dim : str
        ``channel`` or ``roi``.
    ids : sequence of int or str, shape (channel,)
        Ids of the channels.
    unit, kind : str
        Unit of the values, and kind of the recording.
    about : SourceDescription
        The source, with one of ``channel_rows`` for each channel.
    left_out, notes : sequence
        What was left out and noted so far.
    where : str
        Names the source in errors.

    Raises
    ------
    DataError
        If every channel is constant, or values are NaN or infinite.
    """
    # A constant has no variance to explain, and a prediction of it would always be right.
    varies = values.max(axis=0) != values.min(axis=0)  # NaN varies: validate_recording reports where it is
    if not varies.any():
        raise DataError(f"every {dim} is constant in the samples read", where=where, fix="choose another source")
    constant: list[dict[str, object]] = [
        {
            "what": dim,
            "id": ids[int(i)],
            "why": f"it is {values[0, i]:g} in every sample read",
            "value": float(values[0, i]),
        }
        for i in np.flatnonzero(~varies)
    ]
    notes = [*notes, *cut.notes]
    if constant:
        notes.append(f"{len(constant)} of {len(ids)} {dim}s left out as constant")
    try:
        return make_recording(
            values[:, varies],
            cut.time,
            channel_dim=dim,
            channel=np.asarray(ids)[varies],
            **cut.describe_segments(),
            units=unit,
            kind=kind,
            source={**about, "channel_rows": np.asarray(about["channel_rows"])[varies].tolist()},
            left_out=[*left_out, *constant, *cut.segments.left_out],
            notes=notes,
        )
    except DataError as error:
        if "NaN" not in error.what:
            raise
        fix = "interpolate short gaps, and cut segments at longer ones, with --max-gap SECONDS"
        raise DataError(error.what, where=where, fix=fix) from error


def _choose_channels(session: Session, path: str, series: Any, source: Source, config: ReadConfig) -> Channels:
    where = session.where(path)
    if source.kind not in ROI_KINDS or getattr(series, "rois", None) is None:
        return Channels(np.arange(count_channels(series)), channel_ids(series, where))
    selection = config.rois
    if source.members and selection is not None and is_id_list(selection):
        raise ParameterError(
            f"ids name ROIs of one plane, and {source.path} is {len(source.members)} planes",
            where=where,
            fix="name one plane with --source, or give a condition",
        )
    return select_rois(series, selection, where)


def name_channels(source: Source, members: Members) -> tuple[str, list[Any]]:
    """Return the dim of the channels of a source and the ids of all of them, none selected."""
    if source.kind == "pose":
        named = zip(name_members([path for path, _ in members]), members, strict=True)
        return "channel", [f"{part}_{axis}" for part, (_, series) in named for axis in AXES[: count_channels(series)]]
    channels = [Channels(np.arange(count_channels(series)), channel_ids(series, path)) for path, series in members]
    ids = _name_channels([path for path, _ in members], channels, family=source.kind == "family")
    return "roi" if source.kind in ROI_KINDS else "channel", ids


def _name_channels(paths: Sequence[str], channels: Sequence[Channels], *, family: bool) -> list[Any]:
    """Ids of all channels: those of the file where they are unique, else with the name of their series."""
    if family:
        return name_members(paths)
    # Ids of the file, by which a stored fit finds its channels in another one.
    ids = [i for chosen in channels for i in chosen.ids]
    if len(set(ids)) == len(ids):
        return ids
    labels = name_members(paths)
    # Planes number their ROIs from 0 each.
    return [f"{label}:{i}" for label, chosen in zip(labels, channels, strict=True) for i in chosen.ids]


def _read_values(
    session: Session, members: Members, channels: Sequence[Channels], clock: SharedClock, cut: CutClock
) -> Num[np.ndarray, "time channel"]:
    """Read the samples of all runs of all members, in their unit."""
    parts = []
    for (path, series), chosen, row in zip(members, channels, clock.row, strict=True):
        samples = read_rows(series.data, row, cut)
        parts.append(convert_samples(series, samples, chosen.column, session.where(path)))
    return np.concatenate(parts, axis=1)


def read_rows(data: Any, row: Int[np.ndarray, " sample"] | None, cut: CutClock) -> Shaped[np.ndarray, "time ..."]:
    """Read the samples of all runs from the data of one series of a shared clock."""
    if row is None:
        return cut.runs.read(data)
    rows = row[cut.runs.samples]
    # One slice and a selection in memory: h5py reads a list of rows one by one.
    first, stop = int(rows.min()), int(rows.max()) + 1
    return np.asarray(np.asarray(data[first:stop])[rows - first])


def _read_dff(
    session: Session, members: Members, channels: Sequence[Channels], clock: SharedClock, config: ReadConfig
) -> Float[np.ndarray, "sample roi"]:
    """Read every sample of the series as dF/F."""
    parts = []
    for (path, series), chosen, row in zip(members, channels, clock.row, strict=True):
        n_samples, where = series.data.shape[0], session.where(path)
        _check_size(n_samples, len(chosen.ids), where)
        raw = convert_samples(series, np.asarray(series.data[:]), chosen.column, where)
        raw = raw if row is None else raw[row]
        timed = np.isfinite(clock.samples.time)
        dff = np.full(raw.shape, np.nan)
        dff[timed] = compute_dff(raw[timed], clock.samples.time[timed], config.dff_window_s, config.dff_quantile)
        # A baseline at or below 0 means that a background was taken off: the quotient would be noise.
        low = np.isnan(dff).all(axis=0) & np.isfinite(raw).any(axis=0)
        if low.any():
            names = ", ".join(str(chosen.ids[i]) for i in np.flatnonzero(low)[:8])
            raise DataError(
                f"F0 of {int(low.sum())} of {len(chosen.ids)} ROIs falls to 0 or below ({names}): "
                "these are not raw fluorescence",
                where=where,
                fix="fit the series without --dff, or leave those out with --rois",
            )
        parts.append(dff)
    return np.concatenate(parts, axis=1)


def _describe(
    session: Session, source: Source, members: Members, channels: Sequence[Channels], kept: Int[np.ndarray, " kept"]
) -> SourceDescription:
    """Describe the source for the recording, with the column in its own series that each channel is."""
    rows = np.concatenate([chosen.column for chosen in channels])[kept]
    if source.members:
        return describe_members(session, source.path, source.neurodata_type, members, rows)
    return describe_source(session, source.path, members[0][1], rows)


def _check_size(n_samples: int, n_channels: int, where: str) -> None:
    if n_samples * n_channels > MAX_VALUES:
        raise DataError(
            f"{n_samples} samples of {n_channels} channels do not fit into memory",
            where=where,
            fix="read less with --trials, or fit a filtered and down-sampled series",
        )

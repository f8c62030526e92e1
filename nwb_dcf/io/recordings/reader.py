"""Read one source of one file as a recording."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from pynwb import TimeSeries
from pynwb.epoch import TimeIntervals

from ...config import ReadConfig
from ...config.progress import Listener
from ...config.time_scale import TimeScales
from ...errors import DOUBT, ParameterError, SourceError, name_arguments
from ..backends.filters import find_unreadable
from ..backends.layout import turn
from ..backends.session import Session, open_session
from ..backends.zarr import note_missing_chunks
from ..interval_hashes import describe_tables
from .external import describe_unwritten, list_other_files
from .join_sources import choose_rules, join_sources, refuse_resampled_units
from .pose import read_pose
from .provenance import list_names
from .resample import resample_recording
from .segments import ChosenSegments
from .series_values import advise_turning
from .source_kinds import FRAME_KINDS, ROI_KINDS, SERIES_KINDS, Source
from .source_list import describe_sources
from .source_selection import choose_source
from .stored_counts import read_binned
from .tables import check_scales
from .timeseries import read_traces
from .units import Counting, read_units
from .video.video import read_video

WIDE_BIN_S = 2.0  # no latent of interest is that slow, and 20 is 20 ms for most programs
SETTINGS_OF = {
    "units": (("units",), "a units table"),
    "bin_width_s": (("units",), "a units table"),
    "cut_gaps": (("units",), "a units table"),
    "rois": (ROI_KINDS, "ROI responses"),
    "dff": (("fluorescence", "roi"), "fluorescence"),
    "min_confidence": (("pose",), "a PoseEstimation"),
    "egocentric": (("pose",), "a PoseEstimation"),
    "bands": (("lfp",), "an ElectricalSeries"),
    "power_rate_hz": (("lfp",), "an ElectricalSeries"),
    "transpose": (SERIES_KINDS, "series of samples"),
    "max_gap_s": ((*ROI_KINDS, "family", "pose", "series", "sweep"), "series of samples"),
    **dict.fromkeys(("size", "crop", "every", "mask", "frame_times", "keep_frames"), (FRAME_KINDS, "video")),
}
"""Settings that apply to some kinds of sources alone: those kinds, and their name in errors."""


def read_recording(
    path: str | Path, source: str | Sequence[str] | None = None, *, progress: Listener | None = None, **settings: Any
) -> xr.Dataset:
    """Read a recording from an NWB file.

    Parameters
    ----------
    path : str or Path
        An NWB 2 file in HDF5, a Zarr folder, or an address (``https://``, ``s3://``, ``dandi://``). It is not changed.
    source : str or sequence of str, optional
        What to read: ``"units"``, a path such as ``"/processing/behavior/Position/hand_position"``, or a name that
        is unique in the file; several are joined (`io.recordings.join_sources`). By default the first of units, dF/F,
        fluorescence, other ROI responses, families of one-column series, pose, video, imaging and LFP.
    progress : callable, optional
        Called with a `nwb_dcf.config.progress.Progress` while long sources are read.
    **settings
        Fields of `nwb_dcf.config.ReadConfig` by name, which describes them: ``bin_width_s``, ``trials``,
        ``align``, ``window``, ``where``, ``units``, ...

    Returns
    -------
    xarray.Dataset
        A recording, see `data.recording`. ``attrs["notes"]`` has the choices that were made, ``attrs["left_out"]`` the
        units, channels and trials that are not in it, and why.

    Raises
    ------
    SourceError
        If the file or the source cannot be opened or chosen.
    DataError
        If the values cannot be used: not finite, unsorted spike times, overlapping trials.
    ParameterError
        If a setting is unknown or invalid.

    Examples
    --------
    >>> recording = read_recording("session.nwb", bin_width_s=0.05)  # doctest: +SKIP
    >>> recording["data"].dims  # doctest: +SKIP
    ('time', 'unit')
    """
    return read_counting(path, ReadConfig.make(source=source, **settings), None, progress=progress)


def read_counting(
    path: str | Path, config: ReadConfig, counting: Counting | None, *, progress: Listener | None = None
) -> xr.Dataset:
    """Read a recording as `read_recording` does; a table of units that is read alone is counted as `counting` says.

    Raises
    ------
    SourceError, DataError, ParameterError
        As `read_recording`.
    """
    with open_session(path) as opened:
        # Time scales belong to the open file, as tables and series of it are scaled by one rule.
        session = dataclasses.replace(
            opened, time_scales=TimeScales.parse(config.time_scale), allow_outside=config.allow_outside
        )
        sources = describe_sources(session, config.video_dir)
        turned: tuple[str, ...] = ()
        if config.transpose:
            # Sources are described again: with other axes their shapes, problems and kinds differ.
            turned = turn_series(session, sources, config)
            sources = describe_sources(session, config.video_dir)
        if isinstance(config.source, tuple):
            several = [choose_source(session, sources, name) for name in config.source]
            check_settings(config, several)
            session = _begin_reading(session, several)
            joined = join_sources(session, several, config, partial(_read_part, progress=progress))
            return _put_doubts_first(_name_intervals(session, joined, config))
        chosen = choose_source(session, sources, config.source)
        if config.resample_hz is not None:
            # Before anything is read, which may take minutes.
            refuse_resampled_units(chosen, session)
        notes = [f"source is {chosen.path} ({chosen.neurodata_type}): {chosen.why}", *turned]
        session = _begin_reading(session, [chosen])
        notes += _note_scales(session)
        recording = read_source(session, chosen, config, notes, progress=progress, counting=counting)
        if config.resample_hz is not None:
            # While the file is open: the rules are those of its series.
            rules = choose_rules(session, chosen, recording)
            recording = resample_recording(recording, config.resample_hz, config.min_length_s, rules)
        return _put_doubts_first(_name_intervals(session, recording, config))


def _name_intervals(session: Session, recording: xr.Dataset, config: ReadConfig) -> xr.Dataset:
    """Add to the source which tables of intervals decided the segments, with hashes by which a change of them shows."""
    tables = dict(session.find_objects(TimeIntervals))

    def find(path: str) -> dict[str, Any] | None:
        table = tables.get(path)
        return None if table is None else {"id": table.id.data, **{one.name: one.data for one in table.columns}}

    source = {**recording.attrs["source"], "intervals": describe_tables(config, find)}
    return recording.assign_attrs(source=source)


def _begin_reading(session: Session, sources: Sequence[Source]) -> Session:
    """Note in the session which objects are read, and refuse time scales that apply to none."""
    scales = session.time_scales
    if scales.own is not None and len(sources) > 1:
        raise ParameterError(
            f"one time scale is given for {len(sources)} sources",
            where=str(session.path),
            fix=f"name the source of each, as --time-scale {sources[0].name}=...",
        )
    check_scales(session)
    paths = {path for source in sources for path in (source.path, *source.members)}
    return dataclasses.replace(session, reading=tuple(sorted(paths)), reads_several=len(sources) > 1)


def _note_scales(session: Session) -> list[str]:
    scales = session.time_scales
    own = [] if scales.own is None else [f"times of the source are multiplied by {scales.own:.9g}, as asked"]
    return own + [f"times of {name} are multiplied by {factor:.9g}, as asked" for name, factor in scales.named.items()]


def _put_doubts_first(recording: xr.Dataset) -> xr.Dataset:
    # A long recording has dozens of notes; those that may make it worthless come first.
    notes = sorted(
        dict.fromkeys(map(name_arguments, recording.attrs["notes"])), key=lambda note: not note.startswith(DOUBT)
    )
    return recording.assign_attrs(notes=notes)


def _read_part(
    session: Session,
    source: Source,
    config: ReadConfig,
    notes: list[str],
    chosen: ChosenSegments | None = None,
    *,
    progress: Listener | None,
) -> xr.Dataset:
    """Read a source that is to be joined, with the settings that apply to its kind."""
    default = ReadConfig()
    # One configuration is for all sources that are joined, and `bin_width_s` has no meaning for a pose.
    foreign = [name for name, (known, _) in SETTINGS_OF.items() if source.kind not in known]
    foreign += ["dff_window_s", "dff_quantile"] if "dff" in foreign else []
    own = dataclasses.replace(config, **{name: getattr(default, name) for name in foreign})
    return read_source(session, source, own, notes, chosen, progress)


def read_source(
    session: Session,
    source: Source,
    config: ReadConfig,
    notes: list[str],
    chosen: ChosenSegments | None = None,
    progress: Listener | None = None,
    counting: Counting | None = None,
) -> xr.Dataset:
    """Read a source of an open session by the reader of its kind.

    Parameters
    ----------
    session : Session
        The open file.
    source : Source
        What to read.
    config : ReadConfig
        Settings, all of which must apply to its kind.
    notes : list of str
        Notes made so far; they come first among the recording's notes.
    chosen : ChosenSegments, optional
        Segments in place of those that `config` asks for.
    progress : callable, optional
        Called while long sources are read.
    counting : Counting, optional
        Of units.

    Raises
    ------
    DataError, ParameterError, SourceError
        If a link leads nowhere, a filter is missing, or as the reader of its kind.
    """
    check_settings(config, (source,))
    members = session.find_members(source.members or (source.path,))
    # pynwb leaves out objects behind broken links, and HDF5 fills chunks that were never written: neither is an error.
    for path, obj in members:
        session.check_links(path)
        missing = find_unreadable(obj)
        if missing is not None:
            raise SourceError(missing.what, where=session.where(missing.array), fix=missing.fix)
        notes = [*notes, *note_missing_chunks(path, obj), *describe_unwritten(obj, path)]
        notes += _note_other_files(session, path, obj, config)
    if source.doubt:
        notes = [*notes, f"{DOUBT}{source.path}: {source.doubt}"]
    match source.kind:
        case "binned":
            return read_binned(session, *members[0], config, notes, chosen)
        case "units":
            return read_units(session, *members[0], config, [*notes, *_note_wide_bins(config)], counting)
        case "video" | "imaging" | "stimulus":
            return read_video(
                session, *members[0], config, notes, kind=source.recording_kind, chosen=chosen, progress=progress
            )
        case "pose":
            return read_pose(session, source, config, notes, chosen)
        case "lfp" if config.bands != "none":
            from .lfp_power import read_band_power  # loads scipy.signal, which nothing else needs

            return read_band_power(session, source, config, notes, chosen, progress)
        case _:
            return read_traces(session, source, config, notes, chosen)


def _note_wide_bins(config: ReadConfig) -> list[str]:
    """Doubt bins of seconds: milliseconds were meant, or all that happens within a bin is averaged."""
    width = config.bin_width_s
    if not isinstance(width, int | float) or width < WIDE_BIN_S:
        return []
    return [
        f"{DOUBT}bins are {width:g} s wide, and whatever happens within one is averaged; likely milliseconds: give "
        f"--bin {width / 1000:g}"
    ]


def _note_other_files(session: Session, path: str, obj: Any, config: ReadConfig) -> list[str]:
    """Name the files, other than this one, that hold values of an object; refuse them where that is asked.

    Raises
    ------
    SourceError
        If there are any and none is allowed.
    """
    others = list_other_files(obj, session.path if isinstance(session.path, Path) else None)
    names = [other.describe() for other in others]
    if hasattr(obj, "external_file"):
        # Videos are always files of their own, and lie outside too where nothing but the NWB file may be read.
        names += [f"{name} (video)" for name in list_names(obj)]
    if names and not config.allow_external:
        raise SourceError(
            f"values lie in other files: {', '.join(names)}",
            where=session.where(path),
            fix="leave --no-external out, or copy them into the file",
        )
    return [f"values of {path} lie in other files: {', '.join(other.describe() for other in others)}"] if others else []


def turn_series(session: Session, sources: Sequence[Source], config: ReadConfig) -> tuple[str, ...]:
    """Exchange the axes of the data of the chosen sources, for as long as the session is open.

    Returns
    -------
    tuple of str
        A note for each series that is turned.

    Raises
    ------
    ParameterError
        If there is none that could be.
    """
    if config.source is None and (notes := _turn_default(session, sources, config)):
        return tuple(notes)
    names = config.source if isinstance(config.source, tuple) else (config.source,)
    # By the shapes as stored: what a source is called does not depend on its axes.
    chosen = [choose_source(session, sources, name) for name in names]
    check_settings(config, chosen)
    notes = []
    for source in chosen:
        members = session.find_members(source.members or (source.path,)) if source.kind in SERIES_KINDS else []
        for path, series in members:
            # Among several sources only those wider than long are exchanged: the others are right.
            shape = np.shape(series.data)
            several = len(chosen) > 1
            if len(shape) == 2 and (not several or shape[0] < shape[1]) and turn(series):
                notes.append(_describe_turned(path, series))
    if not notes:
        raise ParameterError(
            f"transpose is given, and {', '.join(source.path for source in chosen)} has no two axes to exchange",
            fix="leave --transpose out",
        )
    return tuple(notes)


def _turn_default(session: Session, sources: Sequence[Source], config: ReadConfig) -> list[str]:
    """Turn the series whose shapes call for it, if one of them is then what is fitted by default."""
    advice = advise_turning()
    suspects = [one for one in sources if one.kind in SERIES_KINDS and advice in f"{one.problem} {one.doubt}"]
    turned = [
        (path, series)
        for source in suspects
        for path, series in session.find_members(source.members or (source.path,))
        if len(np.shape(series.data)) == 2 and turn(series)
    ]
    if not turned:
        return []
    # As stored they are refused, so that the default is found among them only now.
    first = choose_source(session, describe_sources(session, config.video_dir), None)
    read = {first.path, *first.members}
    return [_describe_turned(path, series) for path, series in turned if path in read]


def _describe_turned(path: str, series: TimeSeries) -> str:
    n_samples, n_channels = np.shape(series.data)
    sizes = f"{n_samples} samples of {n_channels} channels"
    return f"data of {path} are read as (channel, time), as --transpose asks: {sizes}"


def check_settings(config: ReadConfig, sources: Sequence[Source]) -> None:
    """Refuse settings that apply to none of `sources`.

    Raises
    ------
    ParameterError
        If one is given.
    """
    default, kinds = ReadConfig(), {source.kind for source in sources}
    for name, (known, what) in SETTINGS_OF.items():
        # A setting without effect is refused, since its user believes in one.
        if getattr(config, name) != getattr(default, name) and not kinds & set(known):
            read = ", ".join(f"{source.path} ({source.neurodata_type})" for source in sources)
            value = getattr(config, name) if isinstance(getattr(config, name), bool) else ""
            fix = f"leave `{name}={value}` out, or name {what} as --source"
            if name == "bin_width_s":
                fix += "; --resample HZ puts a series on a regular clock"
            raise ParameterError(f"{name} is for {what}, and this is {read}", fix=fix)

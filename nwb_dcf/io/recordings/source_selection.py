"""Choose the source of a file: the one that is named, or the first by rank."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Sequence

import numpy as np

from ...errors import SourceError
from ..backends.session import Session
from .find_object import match_paths
from .members_clock import SAME_STEP
from .source_kinds import DEFAULT_KINDS, ROI_KINDS, SERIES_KINDS, Source, name_together, rank, sort_key
from .video.files import list_tracked

FAMILY_SIZE = 4
"""Series that differ in a number alone are a family from this many on."""


CHANNEL = r"(?i)chan(?:nel)?_?(\d+)"
"""A channel of a microscope in the name of a series or of its plane."""


def group_sources(sources: Sequence[Source]) -> list[Source]:
    """Join series that belong together to one source each, in place of its members; in the order of choice."""
    together = [*sources, *find_families(sources), *find_planes(sources)]
    members = {path for source in together for path in source.members}
    return sorted((source for source in together if source.path not in members), key=sort_key)


def find_families(sources: Sequence[Source]) -> list[Source]:
    """Find one-column series of one type, unit and clock whose paths differ in one number alone.

    Notes
    -----
    Clocks are compared by their first and last sample here, and sample by sample when the family is read.
    """
    families: dict[tuple[object, ...], list[Source]] = {}
    for source in sources:
        # The last number in the path tells the members apart: cell_07, trial_2/cell_07.
        number = re.search(r"\d+(?=\D*$)", source.path)
        if number and source.kind == "series" and source.shape[1:] in ((), (1,)) and not source.problem:
            # Without a common clock they would need to be resampled, which is done only where it is asked for.
            clock = (source.shape, source.rate_hz, source.median_step_s, source.start_s, source.duration_s)
            around = (source.path[: number.start()], source.path[number.end() :])
            families.setdefault((around, source.neurodata_type, source.unit, clock), []).append(source)
    return [
        _join_sources(
            sorted(members, key=lambda source: (_number(source.path), source.path)),
            kind="family",
            why="one-column series on one clock, read as one; each can be named too",
        )
        for members in families.values()
        if len(members) >= FAMILY_SIZE
    ]


def find_planes(sources: Sequence[Source]) -> list[Source]:
    """Find ROI responses of one kind, rate and emission wavelength, each of another imaging plane."""
    found = []
    of_planes = [source for source in sources if source.kind in ROI_KINDS and source.plane and not source.problem]
    # Two wavelengths, or channels of a microscope, of one plane are two indicators, not more cells.
    groups: dict[tuple[object, ...], list[Source]] = {}
    for source in of_planes:
        groups.setdefault((source.kind, source.emission_nm, _name_light(source)), []).append(source)
    for (kind, *_), usable in groups.items():
        # A plane that has several (raw, smoothed) is joined with those of its own name in other planes.
        names = {re.sub(r"\d+", "0", source.path) for source in usable}
        candidates = [usable] + [[s for s in usable if re.sub(r"\d+", "0", s.path) == name] for name in sorted(names)]
        planes = next((group for group in candidates if _are_planes(group)), None)
        if planes:
            alone = "" if planes[0].kind in DEFAULT_KINDS else f"{planes[0].why}; "
            why = f"{alone}{len(planes)} planes on one clock; each can be named too"
            found.append(_join_sources(planes, kind=str(kind), why=why))
    return found


def _name_light(source: Source) -> str:
    """Name the channel of the microscope as suite2p and others number it: ``2`` of RoiResponseSeriesChan2Plane0."""
    found = re.search(CHANNEL, source.path) or re.search(CHANNEL, source.plane)
    return found[1] if found else ""


def _are_planes(group: Sequence[Source]) -> bool:
    if len(group) < 2 or len({source.plane for source in group}) < len(group):
        return False
    steps = [source.median_step_s for source in group]
    starts = [source.start_s for source in group]
    # Planes are scanned one after the other: starts differ by up to one step.
    first, start_s = steps[0], starts[0]
    if first is None or start_s is None or len({source.unit for source in group}) > 1:
        return False
    same_rate = all(step is not None and abs(step - first) <= SAME_STEP * first for step in steps)
    return same_rate and all(start is not None and abs(start - start_s) <= first for start in starts)


def _join_sources(members: Sequence[Source], *, kind: str, why: str) -> Source:
    first = members[0]
    paths = [source.path for source in members]
    return dataclasses.replace(
        first,
        kind=kind,
        path=name_together(paths),
        neurodata_type=f"{len(members)} {first.neurodata_type}",
        shape=(min(source.shape[0] for source in members), sum(math.prod(s.shape[1:]) for s in members)),
        why=why,
        members=tuple(paths),
        plane="",
    )


def _number(path: str) -> int:
    numbers = re.findall(r"\d+", path)
    return int(numbers[-1]) if numbers else 0


FIRST = {
    "units": "units with spikes",
    "binned": "counts in bins, but no spikes",
    "dff": "dF/F",
    "fluorescence": "fluorescence, but no spikes and no dF/F",
    "roi": "ROI responses, but no spikes, dF/F or fluorescence",
    "family": "a family of one-column series, but no spikes and no ROI responses",
    "pose": "pose, but no spikes, no ROI responses and no family of one-column series",
    "video": "video, but no spikes, no ROI responses and no pose",
    "imaging": "imaging, but no spikes, no ROI responses, no pose and no video",
    "lfp": "voltages, but nothing that comes before them",
}


NOT_BY_DEFAULT = {
    "sweep": "sweeps of patch clamp are trials, not channels",
    "neuropil": "neuropil is not the activity of cells",
    "baseline": "a baseline is not the activity of cells",
    "deconvolved": "deconvolved events are an estimate made from fluorescence",
}

LANDMARK = r"landmark|corner|arena|fiducial|calibration|apparatus"
"""Names of tracked points that belong to the arena and not to an animal."""

LOOK, LOOK_MEMBERS = 64, 4
"""Samples that are read in three places, of so many members at most, to find out whether a source varies."""


def choose_source(session: Session, sources: Sequence[Source], name: str | None) -> Source:
    """Return the source called `name`, or the one that is fitted by default.

    Parameters
    ----------
    session : Session
        The open file, for errors.
    sources : sequence of Source
        As `describe_sources` returns them.
    name : str or None
        ``"units"``, a path, a name that is unique in the file, ``"video"`` where there is one, or None.

    Raises
    ------
    SourceError
        If there is none, or more than one.
    """
    if name is None:
        return _choose_default(session, sources)
    named = match_paths([source.path for source in sources], session.resolve(name))
    found = [source for source in sources if source.path in named]
    if len(found) > 1:
        raise SourceError(
            f"{len(found)} objects are called {name!r}",
            where=str(session.path),
            fix=f"give the path of one of them: {', '.join(source.path for source in found)}",
        )
    together = [source for source in group_sources(sources) if source.members]
    found = found or [source for source in together if name in (source.path, source.path[1:], source.name)]
    # Last, so that an object of that name comes before the kind.
    found = found or _find_kind(session, sources, name)
    if not found:
        session.check_links(session.find_lost(name) or name)
        raise SourceError(f"there is no source {name!r}", where=str(session.path), fix=_list_names(sources))
    return dataclasses.replace(found[0], why="as named")  # its reader reports a problem, with advice


def _find_kind(session: Session, sources: Sequence[Source], name: str) -> list[Source]:
    """Return the only video of the file where `name` asks for it.

    Raises
    ------
    SourceError
        If there are more, or if there is none, though poses were tracked in one.
    """
    if name != "video":
        return []
    videos = [source for source in sources if source.kind == "video"]
    if len(videos) > 1:
        raise SourceError(
            f"{len(videos)} videos are in this file",
            where=str(session.path),
            fix=f"give the path of one of them: {', '.join(source.path for source in videos)}",
        )
    tracked = [
        (source.path, files)
        for source in sources
        if source.kind == "pose" and (files := list_tracked(session, source.path))
    ]
    if not videos and tracked:
        path, files = tracked[0]
        raise SourceError(
            f"the file holds no video: it merely names {', '.join(files)}, in which this pose was tracked",
            where=session.where(path),
            fix=f"write that video into it as an ImageSeries with an external_file; {_list_names(sources)}",
        )
    return videos


def _choose_default(session: Session, sources: Sequence[Source]) -> Source:
    # Nothing in NWB marks the main data of a file: the order of kinds is a convention, and the note names the others.
    grouped = group_sources(sources)
    for kind in DEFAULT_KINDS:
        usable = [source for source in grouped if source.kind == kind and not source.problem]
        if usable:
            first, reason = break_tie(session, usable)
            others = [source.path for source in usable if source is not first]
            why = f"no source was named, and this file has {FIRST[kind]}"
            if others:
                why += f", this one {reason}; --source chooses another: {', '.join(others)}"
            # Who has two indicators would otherwise believe that both are fitted.
            wavelengths = [source.emission_nm for source in usable]
            if first.emission_nm and len(set(wavelengths)) > 1:
                seen = ", ".join("/".join(f"{value:g}" for value in one) for one in sorted(set(wavelengths)))
                why += f"; these are of {len(set(wavelengths))} emission wavelengths ({seen} nm) and not read as one"
            # What would have been chosen but for a problem is named, or it would seem to be missing.
            before = [source for source in grouped if source.problem and rank(source) <= rank(first)]
            passed = [f"{source.path} ({source.problem})" for source in before]
            if passed:
                why += f"; passed over: {', '.join(passed)}"
            return dataclasses.replace(first, why=why)
    # Videos are the only data of many files, and a missing file is easily put back.
    blocked = next((s for s in sources if s.kind in ("video", "imaging") and s.problem), None)
    if blocked:
        raise SourceError(f"{blocked.path} would be fitted by default, but {blocked.problem}", where=str(session.path))
    named = {source.kind for source in sources}
    also = [reason for kind, reason in NOT_BY_DEFAULT.items() if kind in named]
    raise SourceError(
        "nothing here is fitted by default: no units with spikes, no ROI responses, no family of one-column series, "
        f"no video{''.join(f'; {reason}' for reason in also)}",
        where=str(session.path),
        fix=_list_names(sources),
    )


def break_tie(session: Session, usable: Sequence[Source]) -> tuple[Source, str]:
    """Choose among sources of one kind that can be read.

    Landmarks and sources that do not vary come last; then that with most samples comes first, of voltages that with the
    lowest rate; then the order of their paths decides.

    Returns
    -------
    Source
        The first.
    str
        What decided, for its notes; empty where there is one source.
    """
    if len(usable) == 1:
        return usable[0], ""

    def key(source: Source) -> tuple[bool, bool, float]:
        slow_or_long = (source.rate_hz or 0.0) if source.kind == "lfp" else -float(source.shape[0])
        return _is_landmark(source), _is_constant(session, source), slow_or_long

    keys = {source.path: key(source) for source in usable}
    first, second = sorted(usable, key=lambda source: (keys[source.path], source.path))[:2]
    won = next((i for i in range(3) if keys[first.path][i] != keys[second.path][i]), 3)
    most = "of the lowest rate" if first.kind == "lfp" else "with most samples"
    return first, ("which is no landmark", "which varies", most, "first by name")[won]


def _is_landmark(source: Source) -> bool:
    return source.kind == "pose" and re.search(LANDMARK, source.name.lower()) is not None


def _is_constant(session: Session, source: Source) -> bool:
    """Return whether all values at the beginning, the middle and the end of a source are equal."""
    if source.kind not in SERIES_KINDS:
        return False
    for _, series in session.find_members((source.members or (source.path,))[:LOOK_MEMBERS]):
        n = int(np.shape(series.data)[0])
        for begin in {0, max(n // 2 - LOOK // 2, 0), max(n - LOOK, 0)}:
            values = np.asarray(series.data[begin : begin + LOOK], np.float64)
            # NaN differs from everything, itself too.
            values = values[np.isfinite(values).all(axis=tuple(range(1, values.ndim)))]
            if len(values) and (values != values[0]).any():
                return False
    return True


def _list_names(sources: Sequence[Source], limit: int = 8) -> str:
    """List the sources of the file and how to name them, for the advice of an error."""
    grouped = group_sources(sources)
    usable = [source for source in grouped if not source.problem]
    others = [source for source in grouped if source.problem]
    parts = []
    if usable:
        short = [source.name if sum(s.name == source.name for s in sources) == 1 else source.path for source in usable]
        listed = [
            f"{_quote(name)} ({source.neurodata_type}, shape {source.shape})"
            for name, source in zip(short[:limit], usable, strict=False)
        ]
        more = f" and {len(usable) - limit} more (nwb-dcf info lists them)" if len(usable) > limit else ""
        parts.append(f"name one with --source: {', '.join(listed)}{more}")
    if others:
        listed = [f"{source.path} ({source.kind}: {source.problem})" for source in others[:limit]]
        parts.append(f"also here: {', '.join(listed)}")
    return "; ".join(parts) or "the file holds no other units or TimeSeries: give another file"


def _quote(name: str) -> str:
    return f"'{name}'" if " " in name else name

"""The objects of a file that could be fitted: their kinds, and which one is meant."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pynwb import TimeSeries
from pynwb.core import NWBContainer
from pynwb.ecephys import ElectricalSeries
from pynwb.image import ImageSeries
from pynwb.misc import Units
from pynwb.ophys import DfOverF, Fluorescence, RoiResponseSeries

from ..errors import DataError, SourceError
from .clock import peek_clock
from .series import check_data
from .session import Session

DEFAULT_KINDS = ("units", "dff", "fluorescence", "roi")
"""Kinds that are fitted without being named, the first of them that the file has."""

FIRST = {
    "units": "units with spikes",
    "dff": "dF/F",
    "fluorescence": "fluorescence, but no spikes and no dF/F",
    "roi": "ROI responses, but no spikes, dF/F or fluorescence",
}

LATER_KINDS = ("family", "pose", "video", "imaging")
"""Kinds that are recognised, and that this version cannot fit."""

FAMILY_SIZE = 4
NOT_YET = "not yet fitted by this version"


@dataclass(frozen=True)
class Source:
    """An object of the file that could be fitted.

    Attributes
    ----------
    kind : str
        ``units``, ``dff``, ``fluorescence``, ``roi``, ``neuropil``, ``series``, ``lfp``, or one of `LATER_KINDS`.
    path : str
        Path in the file; of a family, with ``*`` in place of the number.
    neurodata_type : str
        Its type in NWB.
    shape : tuple of int
        (unit,) for units, else of the data.
    unit : str
        Unit of the values.
    rate_hz, median_step_s : float or None
        The rate, or the median step of explicit timestamps.
    start_s, duration_s : float or None
        First spike or sample on the session clock, and the time to the last.
    problem : str
        Why it cannot be fitted; empty if it can.
    why : str
        What decides whether it is fitted: its rank, or that it must be named.
    members : tuple of str
        Paths of the series in a family.
    """

    kind: str
    path: str
    neurodata_type: str
    shape: tuple[int, ...]
    unit: str = ""
    rate_hz: float | None = None
    median_step_s: float | None = None
    start_s: float | None = None
    duration_s: float | None = None
    problem: str = ""
    why: str = ""
    members: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Last part of the path."""
        return self.path.rsplit("/", 1)[-1]

    @property
    def recording_kind(self) -> str:
        """``kind`` of a recording of it: voltages read by name are a series like any other."""
        return "series" if self.kind == "lfp" else self.kind


def describe_sources(session: Session) -> list[Source]:
    """Describe every units table and TimeSeries in the file, by rank, then path."""
    sources = []
    for path, obj in session.find_objects(Units, TimeSeries, NWBContainer):
        if isinstance(obj, Units):
            sources.append(_describe_units(path, obj))
        elif isinstance(obj, TimeSeries):
            sources.append(_describe_series(session, path, obj))
        elif obj.neurodata_type == "PoseEstimation":
            shape = (len(getattr(obj, "pose_estimation_series", ())),)
            sources.append(
                Source("pose", path, obj.neurodata_type, shape, problem=NOT_YET, why="name one of its series")
            )
    return sorted(sources, key=lambda source: (_rank(source), source.path))


def choose_source(session: Session, sources: Sequence[Source], name: str | None) -> Source:
    """Return the source called `name`, or the one that is fitted by default.

    Parameters
    ----------
    session : Session
        The open file, for errors.
    sources : sequence of Source
        As `describe_sources` gives them.
    name : str or None
        ``"units"``, a path, a name that is unique in the file, or None.

    Raises
    ------
    SourceError
        If there is none, more than one, or it cannot be fitted.
    """
    if name is None:
        return _choose_default(session, sources)
    exact = [source for source in sources if source.path in (name, f"/{name}")]
    found = exact or [source for source in sources if source.name == name]
    if len(found) > 1:
        raise SourceError(
            f"{len(found)} objects are called {name!r}",
            where=str(session.path),
            fix=f"give the path of one of them: {', '.join(source.path for source in found)}",
        )
    families = [source for source in group_families(sources) if source.kind == "family"]
    found = found or [source for source in families if name in (source.path, source.name)]
    if not found:
        raise SourceError(f"there is no source {name!r}", where=str(session.path), fix=_list_names(sources))
    if found[0].problem == NOT_YET:  # any other problem is told by the reader, with what to do about it
        raise SourceError(
            f"this {found[0].neurodata_type} cannot be fitted: {found[0].problem}",
            where=session.where(found[0].path),
            fix=_list_names([source for source in sources if source.path not in (found[0].path, *found[0].members)]),
        )
    return dataclasses.replace(found[0], why="as named")


def group_families(sources: Sequence[Source]) -> list[Source]:
    """Put one-column series that differ in a number at the end of their name into one family."""
    families: dict[tuple[str, str, tuple[int, ...]], list[Source]] = {}
    for source in sources:
        number = re.search(r"\d+$", source.path)
        if number and source.kind == "series" and len(source.shape) == 1:
            key = (source.path[: number.start()], source.neurodata_type, source.shape)
            families.setdefault(key, []).append(source)
    grouped = list(sources)
    for (stem, kind, shape), members in families.items():
        if len(members) < FAMILY_SIZE:
            continue
        grouped = [source for source in grouped if source not in members]
        grouped.append(
            dataclasses.replace(
                members[0],
                kind="family",
                path=f"{stem}*",
                neurodata_type=f"{len(members)} {kind}",
                shape=(shape[0], len(members)),
                problem=NOT_YET,
                why="a family of one-column series; name one of them",
                members=tuple(member.path for member in members),
            )
        )
    return sorted(grouped, key=lambda source: (_rank(source), source.path))


def _choose_default(session: Session, sources: Sequence[Source]) -> Source:
    for kind in DEFAULT_KINDS:
        usable = [source for source in sources if source.kind == kind and not source.problem]
        if usable:
            others = [source.path for source in usable[1:]]
            why = f"no source was named, and this file has {FIRST[kind]}"
            if others:
                why += f", this one first by name; --source chooses another: {', '.join(others)}"
            passed = [f"{s.path} ({s.problem})" for s in sources if s.kind in DEFAULT_KINDS and s.problem]
            if passed:
                why += f"; passed over: {', '.join(passed)}"
            return dataclasses.replace(usable[0], why=why)
    raise SourceError(
        "nothing here is fitted by default: no units with spikes, no ROI responses",
        where=str(session.path),
        fix=_list_names(sources),
    )


def _list_names(sources: Sequence[Source], limit: int = 8) -> str:
    """Say what the file holds and how to name it."""
    grouped = group_families(sources)
    usable = [source for source in grouped if not source.problem]
    others = [source for source in grouped if source.problem]
    says = []
    if usable:
        short = [source.name if sum(s.name == source.name for s in sources) == 1 else source.path for source in usable]
        listed = [
            f"{_quote(name)} ({source.neurodata_type}, shape {source.shape})"
            for name, source in zip(short[:limit], usable, strict=False)
        ]
        more = f" and {len(usable) - limit} more (nwb-dcf info lists them)" if len(usable) > limit else ""
        says.append(f"name one with --source: {', '.join(listed)}{more}")
    if others:
        listed = [f"{source.path} ({source.kind}: {source.problem})" for source in others[:limit]]
        says.append(f"also here: {', '.join(listed)}")
    return "; ".join(says) or "the file holds no other units or TimeSeries: give another file"


def _quote(name: str) -> str:
    return f"'{name}'" if " " in name else name


def _rank(source: Source) -> int:
    order = (*DEFAULT_KINDS, *LATER_KINDS, "lfp", "neuropil", "series")
    return order.index(source.kind)


def _describe_units(path: str, units: Units) -> Source:
    shape = (len(units.id),)
    if "spike_times" not in units.colnames:
        return Source("units", path, units.neurodata_type, shape, "s", problem="it has no spike times")
    column = units["spike_times"]
    times = np.asarray(getattr(column, "target", column).data[:], dtype=np.float64)
    times = times[np.isfinite(times)]
    if len(times) == 0:
        return Source("units", path, units.neurodata_type, shape, "s", problem="it has no spikes")
    start, stop = float(times.min()), float(times.max())
    return Source(
        "units", path, units.neurodata_type, shape, "s", start_s=start, duration_s=stop - start, why="spikes are binned"
    )


def _describe_series(session: Session, path: str, series: TimeSeries) -> Source:
    kind = _find_kind(path, series)
    shape = tuple(int(n) for n in getattr(series.data, "shape", None) or np.shape(series.data))
    about = Source(kind, path, series.neurodata_type, shape, str(series.unit))
    if kind in LATER_KINDS:
        return dataclasses.replace(about, rate_hz=_finite(series.rate), problem=NOT_YET, why="frames")
    problem = check_data(series)
    if problem:
        return dataclasses.replace(about, problem=problem)
    try:
        clock = peek_clock(series, shape[0], session.where(path))
    except DataError as error:
        return dataclasses.replace(about, problem=error.what)
    named = "ROI responses" if kind in DEFAULT_KINDS else "only by name"
    return dataclasses.replace(
        about,
        rate_hz=clock.rate_hz,
        median_step_s=_finite(clock.median_step_s),
        start_s=_finite(clock.start_s),
        duration_s=_finite(clock.stop_s - clock.start_s),
        why="only by name, as voltages: band power is not yet fitted by this version" if kind == "lfp" else named,
    )


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
    if isinstance(series, ImageSeries):
        return "imaging" if series.neurodata_type in ("TwoPhotonSeries", "OnePhotonSeries") else "video"
    if isinstance(series, ElectricalSeries):
        return "lfp"
    return "series"


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None

"""Series that are read as one source: families of one-column series, and the planes of a session."""

from __future__ import annotations

import dataclasses
import math
import os
import re
from collections.abc import Sequence

from .shared_clock import SAME_STEP
from .sources import ROI_KINDS, Source, sort_key

FAMILY_SIZE = 4
"""Series that differ in a number alone are a family from this many on."""


def group_sources(sources: Sequence[Source]) -> list[Source]:
    """Put series that belong together into one source each, in place of its members; in the order of choice."""
    together = [*sources, *find_families(sources), *find_planes(sources)]
    members = {path for source in together for path in source.members}
    return sorted((source for source in together if source.path not in members), key=sort_key)


def find_families(sources: Sequence[Source]) -> list[Source]:
    """Find one-column series whose paths differ in one number, and that share type, unit and clock.

    Notes
    -----
    Clocks are compared by their first and last sample here, and sample by sample when the family is read.
    """
    families: dict[tuple[object, ...], list[Source]] = {}
    for source in sources:
        number = re.search(r"\d+(?=\D*$)", source.path)
        if number and source.kind == "series" and source.shape[1:] in ((), (1,)) and not source.problem:
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
    """Find ROI responses of one kind and rate, each of another imaging plane."""
    found = []
    for kind in ROI_KINDS:
        usable = [source for source in sources if source.kind == kind and source.plane and not source.problem]
        # A plane that has several (raw, smoothed) is joined with those of its own name in other planes.
        names = {re.sub(r"\d+", "0", source.path) for source in usable}
        candidates = [usable] + [[s for s in usable if re.sub(r"\d+", "0", s.path) == name] for name in sorted(names)]
        planes = next((group for group in candidates if _are_planes(group)), None)
        if planes:
            why = f"{len(planes)} planes on one clock; each can be named too"
            found.append(_join_sources(planes, kind=kind, why=why))
    return found


def _are_planes(group: Sequence[Source]) -> bool:
    if len(group) < 2 or len({source.plane for source in group}) < len(group):
        return False
    steps = [source.median_step_s for source in group]
    starts = [source.start_s for source in group]
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


def name_together(paths: Sequence[str]) -> str:
    """Write what several paths have in common, with ``*`` for the rest.

    Examples
    --------
    >>> name_together(["/acquisition/cell_07", "/acquisition/cell_11"])
    '/acquisition/cell_*'
    """
    # Letter by letter, but numbers stay whole: cell_10 and cell_11 are cell_*.
    prefix = os.path.commonprefix(paths).rstrip("0123456789")  # noqa: RUF071
    suffix = os.path.commonprefix([path[len(prefix) :][::-1] for path in paths])[::-1]  # noqa: RUF071
    suffix = suffix.lstrip("0123456789")
    return f"{prefix}*{suffix}"


def name_members(paths: Sequence[str]) -> list[str]:
    """Short names of the members: the last part of their paths where those differ, else what does differ."""
    names = [path.rsplit("/", 1)[-1] for path in paths]
    if len(set(names)) == len(names):
        return names
    prefix, _, suffix = name_together(paths).partition("*")
    return [path[len(prefix) : len(path) - len(suffix)] for path in paths]


def _number(path: str) -> int:
    numbers = re.findall(r"\d+", path)
    return int(numbers[-1]) if numbers else 0

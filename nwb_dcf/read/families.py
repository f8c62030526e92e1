"""Series that are read as one source: families of one-column series."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

from .sources import NOT_YET, Source, rank

FAMILY_SIZE = 4
"""Series that differ in a number alone are a family from this many on."""


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
    return sorted(grouped, key=lambda source: (rank(source), source.path))

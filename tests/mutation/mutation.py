"""One change to the code that a test must notice."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutation:
    """Replace `old`, which occurs exactly once in `file`, by `new`."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

"""A doubt about times, and the units of time that files hold."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..errors import DOUBT, DataError


@dataclass(frozen=True)
class Unit:
    """A unit of time in which files hold times.

    Attributes
    ----------
    words : str
        As in "the times are in ...".
    scale : str
        The argument of ``--time-scale`` for it.
    seconds : float
        Its length.
    """

    words: str
    scale: str
    seconds: float


FINER = (
    Unit("milliseconds", "0.001", 1e-3),
    Unit("microseconds", "1e-6", 1e-6),
    Unit("nanoseconds", "1e-9", 1e-9),
)
COARSER = (
    Unit("minutes", "60", 60.0),
    Unit("thousands of seconds", "1000", 1e3),
    Unit("hours", "3600", 3600.0),
    Unit("days", "86400", 86400.0),
)


@dataclass(frozen=True)
class Doubt:
    """A doubt about the times of an object.

    Attributes
    ----------
    what : str
        What looks wrong, with the numbers that show it.
    cause : str
        Its likely cause, as a clause.
    fix : str
        What to do about it, as an imperative.
    refuses : bool
        Whether it is an error, since hardly anything would be fitted.
    of_scale : bool
        Whether it is about the unit of the times, so that a time scale settles it.
    scale : float or None
        That time scale, where it follows from the file itself.
    """

    what: str
    cause: str
    fix: str
    refuses: bool = False
    of_scale: bool = True
    scale: float | None = None

    def describe(self, path: str) -> str:
        """Return the doubt as a note of a recording, with the path of the object that it concerns."""
        return f"{DOUBT}{path}: {self.what}; likely {self.cause}: {self.fix}"


def report_doubts(doubts: Iterable[Doubt], path: str, where: str) -> list[str]:
    """Return the notes of `doubts` about the object at `path`.

    Raises
    ------
    DataError
        If one of them refuses; `where` names the object then.
    """
    notes = []
    for doubt in doubts:
        if doubt.refuses:
            raise DataError(f"{doubt.what}; likely {doubt.cause}", where=where, fix=doubt.fix)
        notes.append(doubt.describe(path))
    return notes

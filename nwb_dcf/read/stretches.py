"""Intervals of time: when a source was recorded, and the segments that are read of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..errors import DataError


@dataclass(frozen=True)
class Stretches:
    """When a source was recorded: disjoint intervals, in order.

    Attributes
    ----------
    start, stop : array of float64, shape (stretch,)
        Seconds.
    exact : bool
        False if the ends are merely the first and the last spike: then nothing says that the recording
        did not go on, and trials may reach beyond them by up to half their length.
    """

    start: np.ndarray
    stop: np.ndarray
    exact: bool = True

    @property
    def span(self) -> str:
        """The whole of it in words, for errors and notes."""
        return f"{self.start[0]:.6g} to {self.stop[-1]:.6g} s"

    def observed_s(self, start: np.ndarray, stop: np.ndarray) -> np.ndarray:
        """Seconds of each interval that were recorded."""
        knots = np.column_stack([self.start, self.stop]).ravel()
        lengths = np.cumsum(self.stop - self.start)
        before = np.column_stack([lengths - (self.stop - self.start), lengths]).ravel()
        observed: np.ndarray = np.interp(stop, knots, before) - np.interp(start, knots, before)
        return observed


@dataclass(frozen=True)
class Segments:
    """The intervals to read, in order of time.

    Attributes
    ----------
    start, stop : array of float64, shape (segment,)
        Seconds.
    row : array of int, shape (segment,)
        Id of each in its interval table, -1 where there is none.
    columns : mapping of str to array of shape (segment,)
        Scalar columns of that table.
    left_out : tuple of dict
        Trials that were not taken, and why.
    notes : tuple of str
        Which choice was made.
    """

    start: np.ndarray
    stop: np.ndarray
    row: np.ndarray
    columns: Mapping[str, np.ndarray]
    left_out: tuple[dict[str, object], ...] = ()
    notes: tuple[str, ...] = ()

    def take(self, which: np.ndarray) -> Segments:
        """Return the segments at places `which`, each as often as it is named."""
        return dataclasses.replace(
            self,
            start=self.start[which],
            stop=self.stop[which],
            row=self.row[which],
            columns={name: values[which] for name, values in self.columns.items()},
        )


def whole_stretches(recorded: Stretches, why: str) -> Segments:
    """Make each stretch a segment, because of `why`."""
    n = len(recorded.start)
    extent = "from the first spike to the last" if not recorded.exact else "without a gap"
    count = "one segment" if n == 1 else f"{n} segments, each"
    return Segments(recorded.start, recorded.stop, np.full(n, -1), {}, notes=(f"{count} {extent}: {why}",))


def exclude_intervals(segments: Segments, start: np.ndarray, stop: np.ndarray, step_s: float) -> tuple[Segments, int]:
    """Cut intervals out of segments; what is left of one may be several pieces, each with its row and columns.

    Parameters
    ----------
    segments : Segments
        In order of time.
    start, stop : array of float64, shape (interval,)
        Seconds, in any order; they may overlap.
    step_s : float
        Pieces shorter than two of these are left out.

    Returns
    -------
    Segments
        The pieces.
    int
        How many segments were cut or left out.

    Examples
    --------
    >>> whole = Segments(np.array([0.0]), np.array([9.0]), np.array([-1]), {})
    >>> exclude_intervals(whole, np.array([3.0]), np.array([4.0]), 0.1)[0].stop
    array([3., 9.])
    """
    order = np.argsort(start, kind="stable")
    start, stop = start[order], np.maximum.accumulate(stop[order]) if len(stop) else stop
    pieces: list[tuple[float, float, int]] = []
    cut = 0
    for i, (a, b) in enumerate(zip(segments.start.tolist(), segments.stop.tolist(), strict=True)):
        hit = np.flatnonzero((start < b) & (stop > a))
        cut += len(hit) > 0
        edges = zip([a, *np.maximum(stop[hit], a)], [*np.minimum(start[hit], b), b], strict=True)
        pieces += [(low, high, i) for low, high in edges if len(hit) == 0 or (high - low) / step_s >= 2 - 1e-6]
    rows = np.array([i for *_, i in pieces], dtype=np.int64)
    kept = dataclasses.replace(
        segments.take(rows),
        start=np.array([low for low, *_ in pieces], dtype=np.float64),
        stop=np.array([high for _, high, _ in pieces], dtype=np.float64),
    )
    return kept, cut


def drop_short(segments: Segments, min_length_s: float, where: str) -> Segments:
    """Leave out segments shorter than `min_length_s`.

    Raises
    ------
    DataError
        If none is as long.
    """
    length = segments.stop - segments.start
    long_enough = length >= min_length_s * (1 - 1e-9)
    n_short = int((~long_enough).sum())
    if n_short == 0:
        return segments
    if n_short == len(length):
        raise DataError(
            f"no segment is as long as {min_length_s:g} s: the longest has {length.max():.4g} s",
            where=where,
            fix="give a smaller --min-length",
        )
    why = f"shorter than {min_length_s:g} s"
    kept = segments.take(np.flatnonzero(long_enough))
    left_out = [{"what": "trial", "id": int(row), "why": why} for row in segments.row[~long_enough] if row >= 0]
    return dataclasses.replace(
        kept, left_out=(*kept.left_out, *left_out), notes=(*kept.notes, f"{n_short} segments dropped: {why}")
    )

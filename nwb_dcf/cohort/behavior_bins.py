"""Continuous behaviour as conditions: bins of its values that all sessions have in common, nested over its columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from ..data.records import JSON
from ..errors import DataError
from .anchors import Floats, Ints

if TYPE_CHECKING:
    from jaxtyping import Float

BINS_OF_ONE, BINS_OF_TWO = 12, 5  # 25 of two columns: enough frames in each within minutes
LEAST_BINS = 4
POINTS = 1000  # of each session, so that a long one does not place all the edges
SERIES = "/"


def names_series(align_on: str) -> bool:
    """Whether `align_on` names a series of behaviour, as ``"behavior/position"``, and not a column of trials."""
    return SERIES in align_on


def name_end(align_on: str) -> str:
    """Return the name of a series without its path."""
    return align_on.rsplit(SERIES, 1)[-1]


@dataclass(frozen=True)
class BehaviorBins:
    """Edges between the bins of the first column, and in each of these between those of the second.

    Attributes
    ----------
    first : tuple of float
        Inner edges; the outermost bins are open.
    second : tuple of tuple of float
        For each bin of the first column; empty with one column.
    names : tuple of str
        Of the columns, for labels.
    """

    first: tuple[float, ...]
    second: tuple[tuple[float, ...], ...] = ()
    names: tuple[str, ...] = ("value",)

    @property
    def labels(self) -> list[str]:
        """A text for each bin."""
        outer = [f"{self.names[0]} {text}" for text in _describe(self.first)]
        if not self.second:
            return outer
        return [
            f"{text}, {self.names[1]} {inner}"
            for text, edges in zip(outer, self.second, strict=True)
            for inner in _describe(edges)
        ]

    def assign(self, values: Float[np.ndarray, "frame variable"]) -> Ints:
        """Return the bin of each frame; -1 where a value is missing."""
        found = np.searchsorted(self.first, values[:, 0], side="right")
        if self.second:
            inner = np.zeros(len(values), np.int64)
            for i, edges in enumerate(self.second):
                here = found == i
                inner[here] = np.searchsorted(edges, values[here, 1], side="right")
            starts = np.cumsum([0, *(len(edges) + 1 for edges in self.second)])
            found = starts[found] + inner
        return np.where(np.isfinite(values).all(axis=1), found, -1).astype(np.int64)

    def to_dict(self) -> JSON:
        """Return the edges, JSON-able."""
        return {"first": list(self.first), "second": [list(edges) for edges in self.second], "names": list(self.names)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Make bins of `to_dict`'s output."""
        second = tuple(tuple(map(float, edges)) for edges in values["second"])
        return cls(tuple(map(float, values["first"])), second, tuple(map(str, values["names"])))


def fit_bins(behavior: Mapping[str, Float[np.ndarray, "frame variable"]], name: str = "value") -> BehaviorBins:
    """Choose bins that hold equally many frames of all sessions together.

    Parameters
    ----------
    behavior : mapping of str to array, shape (frame, variable)
        Of each session, one or two columns; NaN where it is not known.
    name : str
        Of the series.

    Raises
    ------
    DataError
        If there are more columns, or a session's behaviour is constant or has too few values.

    Examples
    --------
    >>> bins = fit_bins({"a": np.arange(100.0)[:, None], "b": np.arange(100.0)[:, None]}, "x")
    >>> len(bins.labels), bins.labels[0]
    (12, 'x below 8')
    """
    widths = {session: values.shape[1] for session, values in behavior.items()}
    width = next(iter(widths.values()))
    if set(widths.values()) != {width} or width > 2:
        listed = ", ".join(f"{session} {columns}" for session, columns in list(widths.items())[:4])
        raise DataError(f"{name} has other columns than one or two in every session: {listed}", fix="name another")
    pooled = []
    for session, values in behavior.items():
        known = values[np.isfinite(values).all(axis=1)]
        if not len(known):
            raise DataError(f"{name} is known in no frame", where=session, fix="leave the session out")
        still = [column for column in range(width) if np.ptp(known[:, column]) == 0]
        if still:
            which = f"column {still[0]} of {name}" if width > 1 else name
            raise DataError(f"{which} is constant, {known[0, still[0]]:.4g}", where=session, fix="name another series")
        pooled.append(known[np.linspace(0, len(known) - 1, min(POINTS, len(known))).round().astype(int)])
    values = np.concatenate(pooled)
    n_bins = BINS_OF_ONE if width == 1 else BINS_OF_TWO
    first = _cut(values[:, 0], n_bins)
    if width == 1:
        bins = BehaviorBins(first, names=(name,))
    else:
        # nested: a joint grid would have cells that no animal visits
        within = np.searchsorted(first, values[:, 0], side="right")
        second = tuple(_cut(values[within == i, 1], n_bins) for i in range(len(first) + 1))
        bins = BehaviorBins(first, second, (f"{name} 0", f"{name} 1"))
    if len(bins.labels) < LEAST_BINS:
        raise DataError(
            f"{name} has {len(np.unique(values, axis=0))} values, which make {len(bins.labels)} bins",
            fix="name a column of trials with them",
        )
    return bins


def _cut(values: Floats, n_bins: int) -> tuple[float, ...]:
    """Inner edges at quantiles, each once: where many values are equal there are fewer bins."""
    edges = np.unique(np.quantile(values, np.arange(1, n_bins) / n_bins))
    # an edge at the least value would leave nothing below it
    return tuple(float(edge) for edge in edges if edge > values.min())


def _describe(edges: Sequence[float]) -> list[str]:
    if not edges:
        return ["any"]
    between = [f"{low:.3g} to {high:.3g}" for low, high in zip(edges[:-1], edges[1:], strict=True)]
    return [f"below {edges[0]:.3g}", *between, f"from {edges[-1]:.3g}"]


def count_transitions(at: Ints, segment: Ints, lag: int, n_bins: int) -> NDArray[np.float64]:
    """Count how often one bin is followed by another `lag` frames later in the same segment, (bin, bin)."""
    counts = np.zeros((n_bins, n_bins))
    if lag >= len(at):
        return counts
    early, late = at[:-lag], at[lag:]
    kept = (early >= 0) & (late >= 0) & (segment[:-lag] == segment[lag:])
    np.add.at(counts, (early[kept], late[kept]), 1)
    return counts

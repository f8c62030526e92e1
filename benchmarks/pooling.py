"""Scores pooled over seeds, and two methods compared on the very stretches that both were scored on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from rows import Row

from nwb_dcf.metrics import Interval, SegmentSums, compare_paired

Key = tuple[int, str]


@dataclass(frozen=True)
class Pool:
    """One score of one method.

    Attributes
    ----------
    sums : dict of (seed, stretch) to (part, whole)
    over : {"segments", "blocks"}
    """

    sums: dict[Key, tuple[float, float]]
    over: str

    @property
    def seeds(self) -> set[int]:
        """Seeds that were scored."""
        return {seed for seed, _ in self.sums}

    def add_up(self, keys: Iterable[Key] | None = None) -> SegmentSums:
        """Sum over seeds: a stretch that several of them held out counts as one, for it is no new sample."""
        found: dict[str, np.ndarray] = {}
        for key in sorted(self.sums if keys is None else keys):
            found[key[1]] = found.get(key[1], np.zeros(2)) + np.array(self.sums[key])
        table = np.array(list(found.values()))
        return SegmentSums(table[:, 0], table[:, 1], self.over)


def pool_rows(rows: Iterable[Row], score: str, task: str = "fit") -> dict[str, Pool]:
    """Collect a score of every method that has it."""
    pools: dict[str, Pool] = {}
    for row in rows:
        if row.task == task and score in row.scores:
            sums = row.scores[score]
            pool = pools.setdefault(row.method, Pool({}, sums.over))
            entries = zip(row.pieces, sums.part.tolist(), sums.whole.tolist(), strict=True)
            pool.sums.update({(row.seed, piece): (part, whole) for piece, part, whole in entries})
    return pools


def compare_pools(a: Pool, b: Pool) -> Interval | None:
    """Difference a - b, in pairs, on what both were scored on; None where that is nothing."""
    common = a.sums.keys() & b.sums.keys()
    return compare_paired(a.add_up(common), b.add_up(common)) if common else None

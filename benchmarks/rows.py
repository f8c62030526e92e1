"""Finished rows of the comparison: scores in sums over segments, so that intervals are made when tables are."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from sets import Benchmark, label_pieces

from nwb_dcf.metrics import SegmentSums
from nwb_dcf.metrics.segment_sums import divide_frames

ROWS = Path(__file__).with_name("rows")


@dataclass(frozen=True)
class Row:
    """What one task gave.

    Attributes
    ----------
    name, seed, method, task
        Set, split, method, and task of `compare`.
    pieces : list of str
        Which held-out segment or block each sum is over: the same in two rows for the same stretch of data.
    scores : dict of str to SegmentSums
    figures : dict
        Numbers without sums: seconds, agreement, energy outside and the like.
    commit : str
    """

    name: str
    seed: int
    method: str
    task: str
    pieces: list[str]
    scores: dict[str, SegmentSums]
    figures: dict[str, Any]
    commit: str

    @classmethod
    def make(
        cls,
        benchmark: Benchmark,
        method: str,
        task: str,
        commit: str,
        scores: Mapping[str, SegmentSums],
        figures: Mapping[str, Any],
    ) -> Self:
        """Name the pieces of the held-out frames by when they start, and in simulations by their seed too."""
        division = divide_frames(label_pieces(benchmark.held_out))
        first = benchmark.held_out["time"].values[np.unique(division.index, return_index=True)[1]]
        simulated = benchmark.held_out.attrs["source"].get("type") == "Simulation"
        pieces = [f"{benchmark.seed if simulated else ''}@{t:.3f}" for t in first]
        return cls(benchmark.name, benchmark.seed, method, task, pieces, dict(scores), dict(figures), commit)

    @property
    def key(self) -> tuple[str, int, str, str]:
        """What there is one row of."""
        return self.name, self.seed, self.method, self.task

    def to_dict(self) -> dict[str, Any]:
        """Return the row as a JSON-able dict."""
        return dataclasses.asdict(self, dict_factory=_to_plain)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Make a row from `to_dict`'s output."""
        scores = {
            name: SegmentSums(np.array(s["part"]), np.array(s["whole"]), s["over"])
            for name, s in values["scores"].items()
        }
        return cls(**{**values, "scores": scores})


def read_rows(paths: Iterable[Path]) -> list[Row]:
    """Read rows; of two with one key the later counts. A line that a killed run left half is passed over."""
    rows: dict[tuple[str, int, str, str], Row] = {}
    for path in paths:
        for line in path.read_text().splitlines() if path.exists() else ():
            try:
                row = Row.from_dict(json.loads(line))
            except json.JSONDecodeError:
                continue
            rows[row.key] = row
    return list(rows.values())


def _to_plain(items: list[tuple[str, Any]]) -> dict[str, Any]:
    return {
        name: [float(f"{v:.7g}") for v in value] if isinstance(value, np.ndarray) else value for name, value in items
    }

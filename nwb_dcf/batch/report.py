"""Table of a batch: as text, CSV and JSON."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ..errors import ParameterError
from .outcome import JobOutcome

COLUMNS = ("file", "state", "name", "dim", "k_eff", "bottleneck_r2", "pca_r2", "seconds", "message")
SUFFIXES = (".csv", ".json")
Row = dict[str, str | int | float | None]  # by `COLUMNS`


@dataclass(frozen=True)
class BatchReport:
    """Outcomes of all files, in the order in which they were given.

    Attributes
    ----------
    outcomes : tuple of JobOutcome
    engine : str
    """

    outcomes: tuple[JobOutcome, ...]
    engine: str

    @property
    def counts(self) -> dict[str, int]:
        """Number of files in each state."""
        states = [outcome.state for outcome in self.outcomes]
        counts = {state: states.count(state) for state in ("fitted", "skipped", "failed")}
        return {"planned": states.count("planned"), **counts} if "planned" in states else counts

    @property
    def failed(self) -> bool:
        """Whether any file failed."""
        return self.counts["failed"] > 0

    def to_dict(self) -> dict[str, object]:
        """Return the report as a JSON-able dict."""
        return {"engine": self.engine, "counts": self.counts, "files": self.rows}

    @property
    def rows(self) -> list[Row]:
        """A flat row for each file."""
        rows = []
        for outcome in self.outcomes:
            values = asdict(outcome)
            # one flat row: CSV has no tables in cells
            values |= values.pop("scores")
            rows.append({column: values.get(column) for column in COLUMNS})
        return rows

    def write(self, path: str | Path) -> None:
        """Write the table as CSV or JSON, by its suffix.

        Raises
        ------
        ParameterError
            If the suffix is another, or the file cannot be written.
        """
        path = check_report(path)
        try:
            if path.suffix == ".json":
                path.write_text(json.dumps(self.to_dict(), indent=1) + "\n", encoding="utf-8")
                return
            with path.open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, COLUMNS)
                writer.writeheader()
                writer.writerows(self.rows)
        except OSError as error:
            raise ParameterError(f"the report cannot be written: {error}", where=str(path)) from error


def check_report(path: str | Path) -> Path:
    """Refuse, before the long work, a report that cannot be written."""
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise ParameterError(f"report is {path.name!r}", fix="name a .csv or .json file")
    if not path.resolve().parent.is_dir():
        raise ParameterError("no such folder", where=str(path.parent), fix="make it first")
    return path


def sort_outcomes(outcomes: Sequence[JobOutcome], files: Sequence[str]) -> tuple[JobOutcome, ...]:
    """Put outcomes into the order of `files`."""
    place = {file: i for i, file in enumerate(files)}
    # as they were given, not as they ended: the same batch gives the same table
    return tuple(sorted(outcomes, key=lambda outcome: place[outcome.file]))

"""A comparison as a table of text, for terminals and pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..data.certificate import LINES

COLUMNS = {
    "reconstruction": "R2 of held-out data",
    "linear": "behaviour, linear",
    "neighbours": "behaviour, neighbours",
    "left_out": "left-out channels",
}


def describe_row(row: Mapping[str, Any]) -> dict[str, str]:
    """Lay out what one method gave, a cell for each question; DCF's score less the method's in brackets."""
    # a note below the table says what the mark means
    cells = {"method": row["method"] + ("" if row["seeded"] else " ~")}
    for key, title in COLUMNS.items():
        score = (row.get("scores") or {}).get(key)
        difference = (row.get("differences") or {}).get(key)
        if score:
            cells[title] = _show(score["value"])
        if difference:
            low, high = (_show(difference[end]) for end in ("low", "high"))
            # beside the score and not in a column of its own: the interval that decides belongs to the difference
            cells[title] += f" ({float(difference['value']):+.3f} [{low}, {high}])"
    if row.get("found_again") is not None:
        cells["found again"] = _show(row["found_again"])
    if row.get("largest_channel") is not None:
        cells["one channel"] = _show(row["largest_channel"], 2)
        cells["seconds"] = _show(row["seconds"], 1)
    if row.get("unlike") is not None:
        cells["two fits differ by"] = _show(row["unlike"])
    if row.get("failed"):
        cells["failed"] = "see below"
    return cells


def describe_certificates(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Lay out the verdicts of all methods: a row for each line, a column for each method, its number in brackets."""
    table = []
    for name in LINES:
        cells: dict[str, str] = {"certificate": name}
        for row in rows:
            one = next((line for line in row.get("certificate") or () if line["line"] == name), None)
            if one is None or one["verdict"] == "not measured":
                cells[row["method"]] = "-"
            else:
                cells[row["method"]] = f"{one['verdict']} ({_show(one['value'])})"
        table.append(cells)
    # a line that no method answers would be a row of dashes
    return [cells for cells in table if set(list(cells.values())[1:]) - {"-"}]


def list_failures(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say what follows where a line fails or is doubtful, method by method."""
    return [
        f"{row['method']}: {line['sentence']}"
        for row in rows
        for line in row.get("certificate") or ()
        # of the data, and the same for all
        if line["verdict"] in ("fail", "doubtful") and (line["line"] != "not made of noise" or row is rows[0])
    ]


def _show(value: float, digits: int = 3) -> str:
    return f"{value:.{digits}f}"

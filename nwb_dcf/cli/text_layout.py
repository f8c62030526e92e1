"""Layout of text: labels before lines, tables, numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

Report = Mapping[str, Any]
"""A report as JSON has it, from which alone its text is made: what is printed is what a program is given."""
LABEL_WIDTH = 10  # nine letters and a blank


def label_lines(label: str, texts: Sequence[str]) -> list[str]:
    """Put `label` before the first of `texts` and align the others below it."""
    return [f"{label if i == 0 else '':<{LABEL_WIDTH - 1}} {text}" for i, text in enumerate(texts)]


def format_number(value: Any, digits: int = 3) -> str:
    """Show `value` with so many `digits` behind the point; ``unknown`` where it is no finite number."""
    return f"{value:.{digits}f}" if isinstance(value, int | float) and math.isfinite(value) else "unknown"


def describe_duration(seconds: float) -> str:
    """Say an estimated duration with as many digits as it deserves: ``about 40 s``, ``about 12 min``."""
    if seconds < 100:
        return f"about {seconds:.1g} s" if seconds < 10 else f"about {5 * round(seconds / 5)} s"
    return f"about {seconds / 60:.0f} min" if seconds < 6000 else f"about {seconds / 3600:.1f} h"


def format_scalar(value: Any) -> str:
    """Show any value in a cell of a table."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple):
        return (
            " x ".join(format_scalar(v) for v in value)
            if all(isinstance(v, int) for v in value)
            else ", ".join(map(format_scalar, value))
        )
    return str(value)


def lay_out_table(rows: Sequence[Report]) -> list[str]:
    """Align the columns of `rows` that hold anything."""
    names = dict.fromkeys(name for row in rows for name in row)
    # a column that is empty in every row would only push the others off the screen
    columns = [name for name in names if any(row.get(name) not in (None, "", []) for row in rows)]
    cells = [
        [name.replace("_", " ") for name in columns],
        *([format_scalar(row.get(c)) for c in columns] for row in rows),
    ]
    widths = [max(len(row[i]) for row in cells) for i in range(len(columns))]
    return ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in cells]

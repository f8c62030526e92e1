"""Tables of the benchmarks, and the file they are kept in."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

RESULTS = Path(__file__).with_name("RESULTS.md")


@dataclass(frozen=True)
class Table:
    """Rows of one benchmark under its title."""

    title: str
    rows: Sequence[Mapping[str, object]]

    def to_markdown(self) -> str:
        """Return the table with the machine, versions and commit that it was made with."""
        names = list(self.rows[0])
        lines = [f"| {' | '.join(names)} |", f"| {' | '.join('---' for _ in names)} |"]
        lines += [f"| {' | '.join(_show(row[name]) for name in names)} |" for row in self.rows]
        return "\n".join([f"## {self.title}", "", describe_machine(), "", *lines, ""])


def describe_machine() -> str:
    """Return device, versions and commit in one line."""
    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU {name_processor()}"
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return (
        f"{device}, {torch.get_num_threads()} threads; torch {version('torch')}, numpy {version('numpy')}, "
        f"Python {platform.python_version()}; commit {commit.stdout.strip() or 'unknown'}"
    )


def name_processor() -> str:
    """Return the processor's model where the system tells it, else its architecture: figures of two differ."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0].replace(",", "") if models else platform.machine()


def write_section(table: Table, *, keep_lines: bool = False) -> None:
    """Put `table` into RESULTS.md in place of the section of the same title, or behind all others.

    Parameters
    ----------
    table : Table
    keep_lines : bool
        Keep the lines of the old section whose first cell is in none of the new rows: of sets not run again.
    """
    head, *sections = RESULTS.read_text().split("\n## ") if RESULTS.exists() else ["# Results\n"]
    titles = [section.split("\n", 1)[0] for section in sections]
    written = table.to_markdown()
    if table.title in titles:
        place = titles.index(table.title)
        if keep_lines:
            written = _add_lines(written, sections[place], {_show(next(iter(row.values()))) for row in table.rows})
        sections[place] = written.removeprefix("## ")
    else:
        sections.append(written.removeprefix("## "))
    RESULTS.write_text("\n".join([head.strip() + "\n", *(f"## {section.strip()}\n" for section in sections)]))


def _add_lines(written: str, old: str, names: set[str]) -> str:
    """Add the lines of an `old` table that are about none of `names`, in alphabetical order with the new ones."""
    lines = written.rstrip().split("\n")
    first = next(i for i, line in enumerate(lines) if line.startswith("| ---")) + 1
    header = lines[first - 2]
    table = [line for line in old.split("\n") if line.startswith("| ")]
    if not table or table[0] != header:  # other columns: its lines mean something else
        return written
    kept = [line for line in table[2:] if line.split(" | ")[0].removeprefix("| ") not in names]
    return "\n".join([*lines[:first], *sorted([*lines[first:], *kept]), ""])


def _show(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.1f}" if abs(value) >= 100 else f"{value:.4g}"
    return str(value)

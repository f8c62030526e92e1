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

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU {platform.machine()}"
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return (
        f"{device}, {torch.get_num_threads()} threads; torch {version('torch')}, numpy {version('numpy')}, "
        f"Python {platform.python_version()}; commit {commit.stdout.strip() or 'unknown'}"
    )


def write_section(table: Table) -> None:
    """Put `table` into RESULTS.md in place of the section of the same title."""
    head, *sections = RESULTS.read_text().split("\n## ") if RESULTS.exists() else ["# Results\n"]
    kept = [f"## {section.strip()}\n" for section in sections if section.split("\n", 1)[0] != table.title]
    RESULTS.write_text("\n".join([head.strip() + "\n", *kept, table.to_markdown()]))


def _show(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.1f}" if abs(value) >= 100 else f"{value:.4g}"
    return str(value)

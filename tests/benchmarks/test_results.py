from __future__ import annotations

from pathlib import Path

import pytest
import results
from results import Table, write_section


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "RESULTS.md"
    monkeypatch.setattr(results, "RESULTS", path)
    return path


def titles(page: Path) -> list[str]:
    return [line for line in page.read_text().splitlines() if line.startswith("## ")]


def test_a_section_takes_its_own_place(page: Path) -> None:
    write_section(Table("first", [{"set": "a", "r2": 0.5}]))
    write_section(Table("second", [{"set": "a", "r2": 0.25}]))
    write_section(Table("first", [{"set": "a", "r2": 0.75}]))
    assert titles(page) == ["## first", "## second"]
    text = page.read_text()
    assert "| a | 0.75 |" in text
    assert "| a | 0.25 |" in text
    assert "| a | 0.5 |" not in text


def test_lines_of_other_sets_stay_where_asked(page: Path) -> None:
    write_section(Table("table", [{"set": "a", "r2": 0.5}, {"set": "c", "r2": 0.125}]))
    again = Table("table", [{"set": "b", "r2": 0.25}, {"set": "c", "r2": 1.0}])
    write_section(again, keep_lines=True)
    lines = [line for line in page.read_text().splitlines() if line.startswith("| ")][2:]
    assert lines == ["| a | 0.5 |", "| b | 0.25 |", "| c | 1 |"]
    write_section(again)
    assert "| a |" not in page.read_text()


def test_lines_under_other_columns_go(page: Path) -> None:
    write_section(Table("table", [{"set": "a", "error": 0.5}]))
    write_section(Table("table", [{"set": "b", "r2": 0.25}]), keep_lines=True)
    assert "| a |" not in page.read_text()

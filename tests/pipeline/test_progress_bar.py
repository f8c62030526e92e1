"""Progress where no terminal is: a line for each stage, and now and then within it."""

from __future__ import annotations

import io
import os
import re
import sys

import pytest

from nwb_dcf.config.progress import Progress
from nwb_dcf.pipeline import progress_bar
from nwb_dcf.pipeline.progress_bar import ProgressBar


def report(bar: ProgressBar) -> None:
    with bar:
        for step in (0, 50, 100):
            bar(Progress("training", step, 100, loss=0.5))


def test_where_no_terminal_is_each_stage_has_a_line_and_long_ones_have_more(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with ProgressBar() as bar:
        for stage in ("reading s.mp4", "choosing steps", "training"):  # what is only read may be refused in one line
            for step in (0, 50, 100):
                bar(Progress(stage, step, 100))
    assert capsys.readouterr().err.splitlines() == ["choosing steps: step 0 of 100", "training: step 0 of 100"]
    monkeypatch.setattr(progress_bar, "LINE_EVERY_S", 0.0)
    report(ProgressBar())
    written = capsys.readouterr()
    assert written.err.splitlines()[1] == "training: step 50 of 100, loss 0.5000"
    assert written.out == ""


def test_quiet_writes_nothing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(progress_bar, "LINE_EVERY_S", 0.0)
    report(ProgressBar(hidden=True))
    assert capsys.readouterr().err == ""


class Terminal(io.StringIO):
    """A terminal that keeps what is written to it."""

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        return 2


STEPS = [
    Progress(f"{fit}{stage} ({part})", step, 400, loss=0.1234)
    for fit in ("", "null 1 of 19: ", "fit 2 of 2: ")
    for part in ("encoder and compression", "dynamics")
    for stage in ("choosing steps", "training")
    for step in (100, 400)
]


@pytest.mark.parametrize("columns", [60, 80])
def test_one_bar_is_whole_and_never_goes_back(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "get_terminal_size", lambda fd: os.terminal_size((columns, 24)))
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with ProgressBar(n_fits=3) as bar:
        for progress in STEPS:
            bar(progress)
            bar._bar.refresh()
    drawn = [line for line in re.split(r"[\r\n]", terminal.getvalue()) if "%|" in line]
    assert terminal.getvalue().count("\n") == 1  # of the one bar, at its end
    assert max(map(len, drawn)) <= columns
    assert all("<" in line for line in drawn)  # the time left, which stands after the bar, is in sight
    assert any("null 1/19, dynamics: steps" in line for line in drawn)
    assert ("loss 0.1234" in terminal.getvalue()) is (columns == 80)
    percent = [int(found[1]) for line in drawn if (found := re.search(r"(\d+)%", line))]
    assert percent == sorted(percent)
    assert percent[-1] == 100
    before = percent[next(i for i, line in enumerate(drawn) if "null" in line) - 1]
    assert 25 <= before <= 34  # a third of three fits


def test_a_log_has_every_stage_and_quiet_has_no_part_in_it() -> None:
    lines: list[str] = []
    with ProgressBar(hidden=True, log=lines.append) as bar:
        for progress in STEPS:
            bar(progress)
    assert len(lines) == 12  # one for each stage: none of them takes half a minute
    assert lines[1] == "training (encoder and compression): step 100 of 400, loss 0.1234"

"""Progress where no terminal is: a line for each stage, and now and then within it."""

from __future__ import annotations

import io
import os
import re
import sys

import pytest

from nwb_dcf.config import progress as stages
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


def test_stages_have_the_names_that_the_bar_knows() -> None:
    for name in ("CHOOSING_SMOOTHING", "SCORES", "WRITING"):
        assert getattr(progress_bar, name) == getattr(stages, name)


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
STEPS.insert(8, Progress("scores", 0, 1))
STEPS.insert(0, Progress("choosing smoothing", 1, 2, unit="split"))
STEPS.append(Progress("writing", 0, 1))


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
    with_loss = [line for line in drawn if line.startswith(("encoder: ", "dynamics: ")) and "  0%" not in line]
    assert with_loss
    assert all(line.endswith("loss 0.1234") for line in with_loss)
    assert any(line.startswith("scores") for line in drawn)
    percent = [int(found[1]) for line in drawn if (found := re.search(r"(\d+)%", line))]
    assert percent == sorted(percent)
    assert percent[-1] == 100
    before = percent[next(i for i, line in enumerate(drawn) if "null" in line) - 1]
    assert 20 <= before <= 34  # nearly a third of three fits


def test_a_log_has_every_stage_and_quiet_has_no_part_in_it() -> None:
    lines: list[str] = []
    with ProgressBar(hidden=True, log=lines.append) as bar:
        for progress in STEPS:
            bar(progress)
    assert len(lines) == 15  # one for each stage: none of them takes half a minute
    assert [lines[0], lines[5], lines[14]] == ["choosing smoothing: split 1 of 2", "scores", "writing"]
    assert lines[2] == "training (encoder and compression): step 100 of 400, loss 0.1234"

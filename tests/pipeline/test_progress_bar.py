"""Progress where no terminal is: a line now and then, and nothing of a short task."""

from __future__ import annotations

import pytest

from nwb_dcf.config.progress import Progress
from nwb_dcf.pipeline import progress_bar
from nwb_dcf.pipeline.progress_bar import ProgressBar


def report(bar: ProgressBar) -> None:
    with bar:
        for step in (0, 50, 100):
            bar(Progress("training", step, 100, loss=0.5))


def test_a_log_gets_lines_of_long_work_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    report(ProgressBar())
    assert capsys.readouterr().err == ""  # three steps take no half minute
    monkeypatch.setattr(progress_bar, "LINE_EVERY_S", 0.0)
    report(ProgressBar())
    written = capsys.readouterr()
    assert written.err.splitlines()[1] == "training: step 50 of 100, loss 0.5000"
    assert written.out == ""


def test_quiet_writes_nothing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(progress_bar, "LINE_EVERY_S", 0.0)
    report(ProgressBar(hidden=True))
    assert capsys.readouterr().err == ""

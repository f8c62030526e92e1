"""Kinds of files whose clock is wrong: what is right to answer was written down before the reader was looked at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nwb_dcf.cli import main

from .field_files import write_rois, write_series, write_spikes

SINCE_1970 = 1.7e9
FIT = ("fit", "FILE", "--dry-run")

Case = tuple[Callable[[Path], Path], tuple[str, ...], int, tuple[str, ...]]

# kind: how to write it, the command, its exit code, words of the answer
KINDS: dict[str, Case] = {
    "spikes in milliseconds, trials in seconds": (
        lambda path: write_spikes(path, lambda t: t * 1e3, trials={}),
        FIT,
        2,
        ("milliseconds", "--time-scale 0.001"),
    ),
    "spikes in milliseconds alone": (
        lambda path: write_spikes(path, lambda t: t * 1e3),
        FIT,
        0,
        ("doubt", "milliseconds"),
    ),
    "spikes in whole microseconds": (
        lambda path: write_spikes(path, lambda t: np.round(t * 1e6), trials={}),
        FIT,
        2,
        ("microseconds", "--time-scale 1e-6"),
    ),
    "spikes in whole nanoseconds": (
        lambda path: write_spikes(path, lambda t: np.round(t * 1e9)),
        FIT,
        2,
        ("nanoseconds", "--time-scale 1e-9"),
    ),
    "spikes in nanoseconds since 1970": (
        lambda path: write_spikes(path, lambda t: np.round((t + SINCE_1970) * 1e9), dtype="i8"),
        FIT,
        2,
        ("nanoseconds", "1970"),
    ),
    "spikes in sample numbers": (
        lambda path: write_spikes(path, lambda t: np.round(t * 24414.0625), dtype="i8", trials={}),
        FIT,
        2,
        ("sample numbers", "--time-scale 1/"),
    ),
    "spikes in minutes": (lambda path: write_spikes(path, lambda t: t / 60), FIT, 2, ("clock", "spikes/s")),
    "spikes in thousands of seconds": (lambda path: write_spikes(path, lambda t: t / 1e3), FIT, 2, ("spikes/s",)),
    "float32 since 1970": (
        lambda path: write_spikes(path, lambda t: t + SINCE_1970, dtype="f4"),
        FIT,
        2,
        ("float32", "128 s"),
    ),
    "float32 after two days": (
        lambda path: write_spikes(path, lambda t: t + 2e5, dtype="f4"),
        FIT,
        0,
        ("doubt", "float32", "15.6 ms"),
    ),
    "everything since 1970": (
        lambda path: write_spikes(path, lambda t: t + SINCE_1970, trials={"shift": SINCE_1970}),
        FIT,
        0,
        ("doubt", "1970", "20 segments"),
    ),
    "spikes since 1970, trials from 0": (
        lambda path: write_spikes(path, lambda t: t + SINCE_1970, trials={}),
        FIT,
        0,
        ("doubt", "1970", "trials"),
    ),
    "trials in milliseconds": (
        lambda path: write_spikes(path, trials={"scale": 1e3}),
        FIT,
        0,
        ("doubt", "/intervals/trials", "--time-scale trials=0.001"),
    ),
    "trials in milliseconds, by name": (
        lambda path: write_spikes(path, trials={"scale": 1e3}),
        (*FIT, "--trials", "trials"),
        2,
        ("/intervals/trials", "--time-scale trials=0.001"),
    ),
    "trials in sample numbers": (
        lambda path: write_spikes(path, trials={"scale": 3e4}),
        FIT,
        0,
        ("doubt", "/intervals/trials", "--time-scale trials=1/30000"),
    ),
    "events in milliseconds": (
        lambda path: write_spikes(path, trials={"go_cue": [1e3 * (6.0 * k + 1) for k in range(20)]}),
        (*FIT, "--align", "go_cue", "--window", "0", "1"),
        2,
        ("go_cue", "--time-scale go_cue=0.001"),
    ),
    "a series in milliseconds beside units": (
        lambda path: write_series(path, np.arange(3600) * 1e3 / 30),
        (*FIT, "--source", "units", "--source", "wheel"),
        2,
        ("wheel", "--time-scale wheel=0.001"),
    ),
    "a series by frame numbers beside units": (
        lambda path: write_series(path, np.arange(3600.0)),
        (*FIT, "--source", "wheel"),
        0,
        ("doubt", "frame numbers", "--time-scale"),
    ),
    "a series in nanoseconds": (
        lambda path: write_series(path, np.round(np.arange(3600) * 1e9 / 30), units=False),
        (*FIT, "--source", "wheel"),
        0,
        ("doubt", "nanoseconds", "--time-scale 1e-9"),
    ),
    "a series of float32 since 1970": (
        lambda path: write_series(path, (SINCE_1970 + np.arange(3600) / 30).astype("f4"), units=False),
        (*FIT, "--source", "wheel"),
        2,
        ("float32", "128 s"),
    ),
    "a series that overlaps by a little": (
        lambda path: write_series(path, 114 + np.arange(3600) / 30),
        (*FIT, "--source", "units", "--source", "wheel"),
        0,
        ("doubt", "wheel", "5 %"),
    ),
    "the step of ROIs in place of their rate": (
        lambda path: write_rois(path, rate=1 / 30),
        FIT,
        0,
        ("doubt", "--time-scale", "30 Hz"),
    ),
    "ROIs at 30 kHz": (lambda path: write_rois(path, rate=3e4), FIT, 2, ("clock", "30000 Hz")),
    "ROIs in milliseconds, trials in seconds": (
        lambda path: write_rois(path, timestamps=np.arange(1200) * 1e2, trials={}),
        FIT,
        2,  # the trials say so too
        ("milliseconds", "--time-scale 0.001"),
    ),
}


def run(capsys: pytest.CaptureFixture[str], path: Path, arguments: tuple[Any, ...]) -> tuple[int, str]:
    """The exit code of a command and all that it prints."""
    code = main([str(path) if word == "FILE" else str(word) for word in arguments])
    printed = capsys.readouterr()
    return code, printed.out + printed.err


@pytest.mark.parametrize("kind", KINDS)
def test_a_wrong_clock_is_doubted_or_refused(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write, command, code, words = KINDS[kind]
    seen, text = run(capsys, write(tmp_path / "s.nwb"), command)
    assert seen == code, text
    assert [word for word in words if word not in text] == [], text
    if code == 0:
        assert text.startswith("doubt"), text


@pytest.mark.parametrize(
    ("kind", "scale", "right"),
    [
        ("spikes in milliseconds, trials in seconds", "0.001", "20 segments"),
        ("spikes in whole microseconds", "1e-6", "20 segments"),
        ("spikes in sample numbers", "1/24414.0625", "20 segments"),
        ("trials in milliseconds", "trials=0.001", "20 segments"),
        ("trials in sample numbers", "trials=1/30000", "20 segments"),
        ("events in milliseconds", "go_cue=0.001", "20 segments"),
        ("a series in milliseconds beside units", "wheel=0.001", "1 segment"),
        ("ROIs in milliseconds, trials in seconds", "0.001", "20 segments"),
    ],
)
def test_the_way_out_reads_what_was_meant(
    kind: str, scale: str, right: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write, command, _, _ = KINDS[kind]
    code, text = run(capsys, write(tmp_path / "s.nwb"), (*command, "--time-scale", scale))
    assert code == 0, text
    assert right in text
    assert "doubt" not in text

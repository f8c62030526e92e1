"""Pages of the site and README: commands and Python in them work, and options that they name exist."""

from __future__ import annotations

import functools
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from pynwb import NWBFile, TimeSeries
from pynwb.behavior import Position, SpatialSeries

from nwb_dcf.cli import cli, main
from nwb_dcf.pipeline.fit_request import FitRequest
from tests.nwb_files import (
    add_trials,
    make_pose_session,
    make_roi_session,
    make_spike_session,
    make_voltage_session,
    simulate_spike_times,
)
from tests.video_files import make_video_session, simulate_frames, write_video

ROOT = Path(__file__).resolve().parents[2]
GENERATED = ("tutorials", "_build")
PAGES = [ROOT / "README.md"] + [
    path for path in sorted((ROOT / "docs").rglob("*.md")) if path.relative_to(ROOT / "docs").parts[0] not in GENERATED
]
BLOCK = re.compile(r"^(<!-- not run: .+ -->\n)?```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NOT_STARTED = ("view", "demo", "remove")  # the first serves until it is ended; the last takes what other lines need
ELSEWHERE = ("cohort", "batch", "start")  # run by tests of their own: fits of many sessions take minutes


@dataclass(frozen=True)
class Block:
    """One block of a page."""

    language: str
    text: str
    is_run: bool

    @property
    def commands(self) -> list[list[str]]:
        """Arguments of each command of ours."""
        lines = self.text.replace("\\\n", " ").splitlines() if self.language in ("sh", "bash") else []
        words = (shlex.split(line, comments=True) for line in lines)
        return [word[1:] for word in words if word[:1] == ["nwb-dcf"]]


def read_blocks(page: Path) -> list[Block]:
    return [Block(found[2], found[3], not found[1]) for found in BLOCK.finditer(page.read_text())]


def find_command(words: list[str]) -> tuple[click.Command, list[str]]:
    command: click.Command = cli
    while isinstance(command, click.Group) and words and words[0] in command.commands:
        command, words = command.commands[words[0]], words[1:]
    return command, words


def name_page(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name_page)
def test_commands_of_a_page_are_understood(page: Path) -> None:
    for block in read_blocks(page):
        for words in block.commands:
            command, rest = find_command(words)
            assert not isinstance(command, click.Group), words
            with command.make_context("nwb-dcf", list(rest)):
                pass


def list_option_names(command: click.Command) -> Iterator[str]:
    for param in command.params:
        yield from (*param.opts, *param.secondary_opts)
    if isinstance(command, click.Group):
        for below in command.commands.values():
            yield from list_option_names(below)


@pytest.mark.parametrize("page", PAGES, ids=name_page)
def test_options_that_a_page_names_exist(page: Path) -> None:
    known = {*list_option_names(cli), "--help"}
    text = re.sub(r"^```(?:sh|bash|text)\n.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    named = set(re.findall(r"(?<=`)--[a-z][a-z-]*[a-z]", text)) | set(re.findall(r"(?<= )--[a-z][a-z-]*[a-z]", text))
    assert named - known - {"--results-only"} == set()
    for quoted in re.findall(r"`nwb-dcf ([^`]+)`", text):
        command, rest = find_command(quoted.split())
        assert command is not cli, quoted
        own = {*list_option_names(command), "--help"}
        assert {word for word in rest if word.startswith("--")} <= own, quoted


def make_session(path: Path, start: float = 0.0, seed: int = 0) -> Path:
    """A session with all that pages speak of: units in places, trials with outcomes and events, a position."""

    def add(nwbfile: NWBFile) -> None:
        starts = start + np.arange(0.6, 28.0, 2.0)
        numbers = np.arange(len(starts))
        columns = {
            "outcome": ["miss" if n % 5 == 4 else "hit" for n in numbers],
            "direction": (numbers % 3).tolist(),
            "go_cue": (starts + 0.5).tolist(),
        }
        add_trials(nwbfile, [(t, t + 1.8) for t in starts], columns)
        time = start + np.arange(0, 30, 0.05)
        place = np.column_stack([np.cos(2 * np.pi * time / 1.7), np.sin(2 * np.pi * time / 1.7)])
        series = SpatialSeries("position", place, timestamps=time, reference_frame="", unit="m")
        nwbfile.create_processing_module("behavior", "").add(Position(spatial_series=series))

    places = ["M1", "S1"] * 4
    return make_spike_session(
        path, spike_times=simulate_spike_times(8, 30.0, start, 0), trials=None,
        unit_columns={"location": places}, change=add,
    )  # fmt: skip


def make_calcium(path: Path) -> Path:
    columns = {"snr": np.array([5.0, 6.0, 7.0, 8.0, 2.0, 9.0])}

    def lift(nwbfile: NWBFile) -> None:
        for one in nwbfile.objects.values():
            if isinstance(one, TimeSeries):
                one.fields["data"] = np.asarray(one.data) + 100.0

    return make_roi_session(path, names={"Fluorescence": ["RoiResponseSeries"]}, columns=columns, change=lift)


def make_video(path: Path) -> Path:
    write_video(path.parent / "camera.mkv", simulate_frames(80))
    return make_video_session(path, ["camera.mkv"], num_samples=80)


OTHERS: dict[str, Callable[[Path], Path]] = {
    "calcium": make_calcium,
    "pose": functools.partial(make_pose_session, parts=("snout", "tailbase", "ear")),
    "lfp": functools.partial(make_voltage_session, name="ElectricalSeries", processed=True),
    "video": make_video,
}


def prepare_folder(page: Path, folder: Path) -> None:
    """Make what commands of a page begin with: sessions, and the fit that most of them speak of."""
    OTHERS.get(page.stem, make_session)(folder / "session.nwb")
    text = page.read_text()
    names = [name for name in ("monday", "tuesday") if f"{name}.nwb" in text]
    for name in names:
        make_session(folder / f"{name}.nwb")
    if "monday.nwb#" in text and "fit monday" not in text:
        assert main(["fit", "monday.nwb", "--quiet"]) == 0
    if "units_dim3" in text or page.stem in ("dandi", "neurosift", "view"):
        assert main(["fit", "session.nwb", "--quiet"]) == 0


def finish_command(words: list[str]) -> list[str]:
    """What is written twice on a page replaces what the first has left."""
    replaces = words[0] in ("fit", "plot", "export", "simulate") or words[:2] == ["cohort", "fit"]
    replaces = replaces and "--dry-run" not in words and words[0] != "cohort"
    return [*words, "--overwrite"] if replaces else words


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fits take three steps, unless a page asks for more."""
    make = FitRequest.make.__func__

    def hurry(cls: type[FitRequest], path: Any, dim: Any = None, **settings: Any) -> FitRequest:
        if settings.get("config") is None:
            settings.setdefault("steps", 3)
        if settings.get("write") is None:
            settings.setdefault("overwrite", True)  # a page shows the same fit in the shell and in Python
        return make(cls, path, dim, **settings)

    monkeypatch.setattr(FitRequest, "make", classmethod(hurry))


RUN = [
    page
    for page in PAGES
    if any(block.is_run and (block.commands or block.language == "python") for block in read_blocks(page))
]


@pytest.mark.long
@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize("page", [page for page in RUN if page.stem not in ELSEWHERE], ids=name_page)
def test_commands_and_python_of_a_page_run(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for package in ("matplotlib", "plotly", "panel"):
        pytest.importorskip(package, reason=f"could not import {package}")
    monkeypatch.chdir(tmp_path)
    prepare_folder(page, tmp_path)
    variables: dict[str, Any] = {"__name__": "__main__"}
    for block in read_blocks(page):
        if not block.is_run:
            continue
        for words in block.commands:
            if words[0] in NOT_STARTED:
                continue
            code = main(finish_command(words))
            assert code == 0, f"nwb-dcf {shlex.join(words)}: {capsys.readouterr().err}"
        if block.language == "python":
            exec(compile(block.text, page.name, "exec"), variables)


def test_every_block_has_a_language_that_is_known() -> None:
    known = {"sh", "bash", "python", "matlab", "text", "groovy", "mermaid"}
    for page in PAGES:
        fences = re.findall(r"^```(.*)$", page.read_text(), flags=re.MULTILINE)
        opened = [language for language in fences[::2] if not language.startswith("{")]
        assert set(opened) <= known | {""}, page
        assert all(language == "" for language in fences[1::2]), page

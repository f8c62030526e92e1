"""The table of bad input, as code: generated rows, each with its exit code, one line, and a file that stays as it is.

Rows of option values run in this process. The longer tables, of files changed in every place, are slow.
"""

from __future__ import annotations

import faulthandler
import os
import random
import resource
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import h5py
import pytest

from nwb_dcf.cli import main
from tests.nwb_files import make_series_session, make_spike_session

from .bad_sessions import list_changes
from .bad_values import OPTIONS, list_rows

OPEN_THE_FILE = (
    "--source", "--trials", "--tags", "--where", "--units", "--warm-start", "--checkpoint", "-o", "--name", "--device",
)  # fmt: skip
"""Options whose values are compared with what the file holds: a tenth of a second each, and the rest are at once."""
SOON_S = 120.0  # on a busy machine, and where torch is loaded to ask for a device; most take 50 ms
MUCH_BYTES = 2e9
N_CHANGED, N_FLIPPED = 120, 200


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_spike_session(tmp_path_factory.mktemp("table") / "s.nwb", n_units=4, duration_s=6)


@pytest.fixture
def in_folder(session: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of the session, which is to hold nothing else afterwards."""
    monkeypatch.chdir(session.parent)
    before = session.read_bytes()
    yield session.parent
    assert session.read_bytes() == before
    assert os.listdir(session.parent) == ["s.nwb"]


def run(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Run a command, which ends with 0, or with 2 and one printable line, soon and without much memory."""
    started = time.perf_counter()
    code = main(arguments)
    out, err = capsys.readouterr()
    about = [arg[:60] for arg in arguments]
    check_ending(code, out, err, about)
    assert time.perf_counter() - started < SOON_S, about
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 < MUCH_BYTES, about
    return code, err


def check_ending(code: int, out: str, err: str, about: list[str]) -> None:
    """Check that a command ended with 0, or with 2 and one printable line."""
    assert code in (0, 2), (about, code, err)
    assert "Traceback" not in err
    if code == 2:
        assert out == "", about
        assert err.startswith("nwb-dcf: error: "), about
        assert err.count("\n") == 1, about
        assert err[:-1].isprintable(), about
        assert len(err) < 4300, about


def test_there_are_enough_rows() -> None:
    assert len(list_rows()) >= 400


@pytest.mark.parametrize("option", [option for option in OPTIONS if option not in OPEN_THE_FILE])
def test_an_invalid_value_is_refused(option: str, in_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for value in dict.fromkeys(OPTIONS[option]):
        code, err = run(["fit", "s.nwb", option, value, "--dry-run"], capsys)
        assert code == 2, (option, value[:60], err)


@pytest.mark.slow
@pytest.mark.parametrize("option", OPEN_THE_FILE)
def test_a_value_that_the_file_does_not_know_is_refused(
    option: str, in_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for value in dict.fromkeys(OPTIONS[option]):
        code, err = run(["fit", "s.nwb", option, value, "--dry-run"], capsys)
        assert code == 2, (option, value[:60], err)


SPIKES = "spikes"
SERIES = "series"


def make(kind: str, folder: Path) -> Path:
    if kind == SPIKES:
        return make_spike_session(folder / "whole.nwb", n_units=4, duration_s=6)
    return make_series_session(folder / "whole.nwb")


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", [SPIKES, SERIES])
def test_a_file_that_is_changed_in_one_place(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = make(kind, tmp_path)
    changes = list(list_changes(whole))
    random.Random(0).shuffle(changes)
    folder = tmp_path / "changed"
    codes = []
    for i, (what, change) in enumerate(changes[:N_CHANGED]):
        folder.mkdir()
        path = Path(shutil.copyfile(whole, folder / "s.nwb"))
        try:
            with h5py.File(path, "r+") as file:
                change(file)
        except RuntimeError:  # a link to itself, which HDF5 does not let one make there
            shutil.rmtree(folder)
            continue
        before = path.read_bytes()
        monkeypatch.chdir(folder)
        source = "units" if kind == SPIKES else "signal"
        arguments = ["info", "s.nwb"] if i % 2 else ["fit", "s.nwb", "--dry-run", "--source", source]
        codes.append(run(arguments, capsys)[0])
        assert path.read_bytes() == before, what
        assert os.listdir(folder) == ["s.nwb"], what
        shutil.rmtree(folder)
    assert {0, 2} == set(codes)


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("name", [SPIKES, SERIES, "fit"])
def test_flipped_bytes(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """HDF5 has no checksums of old files: some flips are read as other values, and none of ours ends but with 0 or 2.

    HDF5's own library may die of what it reads. Such a death is allowed only inside h5py, is printed with its place,
    and leaves the file as it was: SECURITY.md says so.
    """
    stored = Path(__file__).parents[1] / "back_compat" / "ndx-dcf-1.0.0.nwb"
    whole = stored if name == "fit" else make(name, tmp_path)
    data = whole.read_bytes()
    draw = random.Random(name)
    folder = tmp_path / "flipped"
    folder.mkdir()
    monkeypatch.chdir(folder)
    path, deaths = folder / "s.nwb", []
    for _ in range(N_FLIPPED):
        at = draw.randrange(len(data))
        flipped = data[:at] + bytes([data[at] ^ (1 << draw.randrange(8))]) + data[at + 1 :]
        path.write_bytes(flipped)
        for command in ("info", "list"):
            code, innermost = run_apart([command, "s.nwb"], tmp_path)
            if code < 0:
                assert f"{os.sep}h5py{os.sep}" in innermost, (command, at, code, innermost)
                deaths.append((command, at, signal.Signals(-code).name))
        assert path.read_bytes() == flipped
        assert os.listdir(folder) == ["s.nwb"]
    print(f"{2 * N_FLIPPED} commands: {len(deaths)} deaths in HDF5's library {deaths}")
    assert len(deaths) <= N_FLIPPED // 50


def run_apart(arguments: list[str], place: Path) -> tuple[int, str]:
    """Run a command in a process of its own, and check its one line; a death has a negative code and a last frame."""
    started = time.perf_counter()
    pid = os.fork()  # the imports are done: a new interpreter would take seconds
    if pid == 0:
        code = 99
        try:
            for number, file in ((1, "out"), (2, "err")):
                os.dup2(os.open(place / file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
            sys.stdout, sys.stderr = (os.fdopen(number, "w", closefd=False) for number in (1, 2))
            faulthandler.enable(sys.stderr)
            code = main(arguments)
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)
    _, status, usage = os.wait4(pid, 0)
    code, out, err = os.waitstatus_to_exitcode(status), *((place / file).read_text() for file in ("out", "err"))
    if code < 0:
        return code, next((line for line in err.splitlines() if line.startswith("  File ")), "")
    check_ending(code, out, err, arguments)
    assert time.perf_counter() - started < SOON_S, arguments
    assert usage.ru_maxrss * 1024 < MUCH_BYTES, arguments
    return code, ""


TOO_LONG = "x" * 5000


@pytest.mark.parametrize("command", ["info", "fit", "list", "show", "refit", "export", "transform", "evaluate"])
@pytest.mark.parametrize("file", [TOO_LONG, "x/" * 3000, "\udcff.nwb", "é" * 200 + ".nwb", "/dev/null", "."])
def test_a_file_name_that_cannot_be(
    command: str, file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    more = {"export": ["-o", "x.csv"], "transform": ["--model", file], "evaluate": ["--against", "x"]}
    assert run([command, file, *more.get(command, [])], capsys)[0] == 2
    assert os.listdir(tmp_path) == []

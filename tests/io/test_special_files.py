"""Pipes, sockets and devices are refused at once, by every command; what is no NWB file is never overwritten."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from nwb_dcf.cli import main
from nwb_dcf.errors import StoreError
from nwb_dcf.io.results import check_derived, check_writable
from nwb_dcf.io.special_files import name_special


@pytest.fixture
def session(real_data: Callable[[str], Path], tmp_path: Path) -> Path:
    """Give a writable copy of a small real recording."""
    path = Path(shutil.copyfile(real_data("three_units.nwb"), tmp_path / "s.nwb"))
    path.chmod(0o644)
    return path


pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names on this system")


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "arguments",
    [
        ["info", "PIPE"],
        ["fit", "PIPE"],
        ["fit", "PIPE", "--dry-run"],
        ["list", "PIPE"],
        ["show", "PIPE"],
        ["remove", "PIPE", "x"],
        ["refit", "PIPE"],
        ["transform", "PIPE", "--model", "SESSION"],
        ["transform", "SESSION", "--model", "PIPE"],
        ["simulate", "PIPE"],
        ["evaluate", "PIPE", "--against", "x"],
        ["export", "PIPE", "-o", "out.csv"],
        ["plot", "PIPE", "-o", "out.html"],
        ["fit", "SESSION", "-o", "PIPE"],
        ["fit", "SESSION", "-o", "PIPE", "--overwrite", "--dry-run"],
        ["fit", "SESSION", "-o", "PIPE", "--overwrite", "--results-only", "--dry-run"],
        ["export", "SESSION", "-o", "PIPE.csv", "--overwrite"],
        ["plot", "SESSION", "-o", "PIPE.html", "--overwrite"],
    ],
)
def test_a_pipe_is_refused_in_one_line(
    arguments: list[str], session: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(session.parent)
    for name in ("PIPE", "PIPE.csv", "PIPE.html"):
        os.mkfifo(name)
    before = session.read_bytes()
    assert main([session.name if argument == "SESSION" else argument for argument in arguments]) == 2
    line = capsys.readouterr().err.strip()
    assert "\n" not in line
    assert "a pipe" in line or "holds no fit" in line or "no fit" in line
    assert session.read_bytes() == before
    assert all(name_special(name) == "a pipe" for name in ("PIPE", "PIPE.csv", "PIPE.html"))


def test_devices_and_sockets_have_their_names(tmp_path: Path) -> None:
    assert name_special("/dev/null") == "a device"
    assert name_special(tmp_path) is None
    assert name_special(tmp_path / "nothing") is None
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(str(tmp_path / "s"))
        assert name_special(tmp_path / "s") == "a socket"


@pytest.mark.parametrize("what", ["text", "empty", "plain HDF5", "link", "device"])
def test_what_is_no_nwb_file_is_never_overwritten(session: Path, what: str) -> None:
    import h5py

    output = session.with_name("out.nwb")
    letter = session.with_name("letter.txt")
    letter.write_text("dear")
    if what == "text":
        output.write_text("dear")
    elif what == "empty":
        output.touch()
    elif what == "plain HDF5":
        with h5py.File(output, "w") as file:
            file["dear"] = 1
    elif what == "link":
        output.symlink_to(letter)
    else:
        output = Path("/dev/null")
    for check in (
        lambda: check_writable(session, kind="units", dim=3, output=output, overwrite=True),
        lambda: check_derived(output, kind="units", dim=3, overwrite=True),
    ):
        with pytest.raises(StoreError, match=r"the output is a device|`overwrite=True` replaces NWB files alone"):
            check()
    assert letter.read_text() == "dear"


def test_an_nwb_file_is_overwritten_if_asked(session: Path) -> None:
    output = session.with_name("out.nwb")
    output.write_bytes(session.read_bytes())
    assert check_writable(session, kind="units", dim=3, output=output, overwrite=True) == "units_dim3"
    with pytest.raises(StoreError, match="the output exists"):
        check_writable(session, kind="units", dim=3, output=output)

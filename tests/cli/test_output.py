"""What the command line writes: no text out of a file steers a terminal, and a full output has a code of its own."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from nwb_dcf.cli import main
from nwb_dcf.cli.output import clean_report, print_json, write_text
from nwb_dcf.errors import DCFError, clean_text
from tests.nwb_files import make_spike_session

HOSTILE = "a\x1b[31mred\x1b]0;title\x07\r\x9b1mz\u202eb\u200f\x7f\ud800\u2028"
CONTROLS = [chr(code) for code in (*range(0x20), *range(0x7F, 0xA0))]


def test_controls_are_shown_as_escapes_and_other_letters_stay() -> None:
    cleaned = clean_text(HOSTILE)
    assert cleaned.isprintable()
    assert cleaned.startswith("a\\x1b[31mred\\x1b]0;title\\x07 \\x9b1mz\\u202eb")
    assert clean_text("Łódź 東京 µV α²") == "Łódź 東京 µV α²"
    assert len(clean_text("x" * 10**6)) < 5000


@pytest.mark.parametrize("char", CONTROLS)
def test_no_control_reaches_a_terminal(char: str, capsys: pytest.CaptureFixture[str]) -> None:
    write_text(f"one{char}two")
    print_json({f"key{char}": f"value{char}"})
    printed = capsys.readouterr().out
    assert [one for one in printed if one in CONTROLS and one != "\n"] == []
    assert json.loads(printed.partition("\n{")[2].join(["{", ""])) == {f"key{char}": f"value{char}"}
    error = DCFError(f"what{char}", where=f"file{char}", fix=f"fix{char}")
    assert str(error).isprintable()


def test_a_note_cannot_fake_a_line_of_a_report() -> None:
    assert clean_report({"notes": ["fine\nwritten   /processing/dcf/other"], "n": (1, "a\nb")}) == {
        "notes": ["fine written /processing/dcf/other"],
        "n": (1, "a b"),
    }


def test_a_name_with_controls_is_shown_harmless(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", str(tmp_path / "s\x1b[2J.nwb")]) == 2
    assert "s\\x1b[2J.nwb: no such file" in capsys.readouterr().err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["list", "nowhere.nwb", "--json"]])
def test_a_full_output_ends_with_74(arguments: list[str]) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "nwb_dcf", *arguments], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 74
    assert "standard output cannot be written" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_log_has_the_command_the_progress_and_the_report_whatever_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    session, log = make_spike_session(tmp_path / "s.nwb"), tmp_path / "fit.log"
    log.write_text("kept\n")
    assert main(["fit", str(session), "--steps", "3", "--quiet", "--log", str(log)]) == 0
    assert capsys.readouterr().err == ""
    first, command, *lines = log.read_text().splitlines()
    assert first == "kept"
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d nwb-dcf ", command)
    assert any("written   /processing/dcf/units_dim3" in line for line in lines)
    assert all(re.match(r"\d{4}-", line) for line in lines)
    assert main(["fit", str(session), "--dim", "99", "--log", str(log)]) == 2
    assert "nwb-dcf: error: " in log.read_text().splitlines()[-1]
    n = len(log.read_text())
    assert main(["fit", str(session), "--dim", "99"]) == 2
    assert len(log.read_text()) == n  # the next command has none


def test_a_log_is_never_a_session_nor_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    session = make_spike_session(tmp_path / "s.nwb")
    before = session.read_bytes()
    assert main(["fit", str(session), "--log", str(session)]) == 2
    assert "this is no text file; name another file for the log" in capsys.readouterr().err
    assert session.read_bytes() == before
    assert main(["fit", str(session), "--log", str(tmp_path)]) == 2
    assert "Is a directory" in capsys.readouterr().err

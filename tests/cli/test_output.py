"""What the command line writes: no text out of a file steers a terminal, and a full output has a code of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from nwb_dcf.cli import main
from nwb_dcf.cli.output import clean_report, print_json, write_text
from nwb_dcf.errors import DCFError, clean_text

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

"""A folder of a format that is not read here: one sentence says which it is, and how it is converted."""

from __future__ import annotations

from pathlib import Path

import pytest

from nwb_dcf.cli import main
from nwb_dcf.io.backends.zarr_format import explain_unreadable_format, writes_format_3


def make_folder(path: Path, marker: str) -> Path:
    path.mkdir()
    (path / marker).write_text('{"zarr_format": 3, "node_type": "group", "attributes": {"nwb_version": "2.9.0"}}')
    return path


@pytest.mark.skipif(writes_format_3(), reason="format 3 is read here")
@pytest.mark.parametrize("command", [("info",), ("fit", "--dry-run"), ("list",), ("show",)], ids=lambda words: words[0])
def test_every_command_names_format_3_and_the_way_out(
    command: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_folder(tmp_path / "monday.nwb.zarr", "zarr.json")
    assert main([command[0], str(folder), *command[1:]]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    for words in ("monday.nwb.zarr: this folder is Zarr format 3", "hdmf-zarr 0.", "NWBHDF5IO('monday.nwb', 'w')"):
        assert words in error, error


def test_format_2_is_read_and_another_folder_is_named_so(tmp_path: Path) -> None:
    assert explain_unreadable_format(make_folder(tmp_path / "old.zarr", ".zgroup")) is None
    (tmp_path / "empty").mkdir()
    explained = explain_unreadable_format(tmp_path / "empty")
    assert explained is not None
    assert "no Zarr" in explained[0]

"""What `nwb-dcf doctor` finds: packages that are missing or damaged, folders that cannot be written."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from nwb_dcf.cli import main
from nwb_dcf.cli.doctor import describe_installation
from nwb_dcf.errors import compose_install
from nwb_dcf.pipeline import installation
from nwb_dcf.pipeline.installation import EXTRAS, REQUIRED, check_installation, list_versions

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Leave two required packages, one damaged, and an extra that is missing; return the folder of the damaged one."""
    (tmp_path / "damaged_package.py").write_text("raise ValueError('built for\\nanother NumPy')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(installation, "REQUIRED", {"numpy": "numpy", "damaged": "damaged_package"})
    monkeypatch.setattr(installation, "EXTRAS", {"video": {"av": "a_package_that_nobody_has"}})
    return tmp_path


def test_extras_are_those_of_the_project() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = {
        extra: {re.split(r"[<>=! ;\[]", line)[0] for line in lines} - {"platformdirs"}
        for extra, lines in extras.items()
        if extra not in ("docs", "bench", "test", "all")
    }
    assert {extra: set(packages) for extra, packages in EXTRAS.items()} == named
    base = {
        re.split(r"[<>=! ;\[]", line)[0]
        for line in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    }
    assert set(REQUIRED) <= base


def test_a_damaged_package_and_a_missing_extra_are_named(few: Path) -> None:
    found = {check.about: check for check in check_installation(few).checks}
    assert found["numpy"].state == "ok"
    assert found["damaged"].state == "broken"
    assert "ValueError: built for another NumPy" in found["damaged"].text
    assert (found["extra video"].state, found["extra video"].fix) == ("missing", compose_install("video"))
    assert found["current folder"].state == "ok"
    assert list(few.glob(".nwb-dcf-*")) == []


def test_a_folder_that_cannot_be_written_is_a_fault(few: Path) -> None:
    (few / "file").write_text("")
    report = check_installation(few / "file" / "folder")
    assert [check.about for check in report.broken] == ["damaged", "current folder"]


def test_what_fails_while_it_is_checked_ends_no_report(few: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise OSError("plugins of another HDF5")

    (few / "no_cache.py").write_text("raise OSError(20, 'Not a directory', '/none/pynwb-hdmf/4')")
    monkeypatch.setattr(installation, "REQUIRED", {"h5py": "h5py", "pynwb": "no_cache"})
    monkeypatch.setattr("nwb_dcf.io.backends.filters.list_filters", fail)
    found = {check.about: check for check in check_installation(few).checks}
    assert found["HDF5 filters"].text == "cannot be checked (OSError: plugins of another HDF5)"
    assert found["pynwb"].fix == "set XDG_CACHE_HOME to a folder that can be written"
    assert found["current folder"].state == "ok"


def test_the_report_is_one_page_and_ends_with_0(few: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    text = capsys.readouterr().out
    assert len(text.splitlines()) < 40
    assert "damaged" in text
    assert "BROKEN: cannot be imported" in text
    assert "verdict   1 broken: see above" in text
    assert main(["doctor", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["broken"] == 1
    assert describe_installation(report) == text.rstrip("\n")


def test_versions_are_known_without_an_import() -> None:
    versions = list_versions(("numpy", "a-package-that-nobody-has"))
    assert list(versions) == ["nwb-dcf", "Python", "numpy"]

"""The package works from a built wheel: nothing it needs is left behind in the repository."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

LOAD_FROM_WHEEL = """
import json, sys
import nwb_dcf, nwb_dcf.io.ndx
from nwb_dcf.cli import main
code = main(["--version"])
print(json.dumps([code, nwb_dcf.__file__, nwb_dcf.io.ndx.__file__]))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    done = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return next(folder.glob("nwb_dcf-*.whl"))


@pytest.mark.slow
def test_wheel_holds_the_spec_the_types_and_no_tests(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {"nwb_dcf/spec/ndx-dcf.namespace.yaml", "nwb_dcf/spec/ndx-dcf.extensions.yaml", "nwb_dcf/py.typed"} <= set(
        names
    )
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"nwb_dcf"}


@pytest.mark.slow
def test_wheel_runs_away_from_the_repository(wheel: Path, tmp_path: Path) -> None:
    installed = tmp_path / "installed"
    zipfile.ZipFile(wheel).extractall(installed)
    done = subprocess.run(
        [sys.executable, "-c", LOAD_FROM_WHEEL],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(installed)},
    )
    assert done.returncode == 0, done.stderr
    code, package, ndx = json.loads(done.stdout.splitlines()[-1])
    assert code == 0
    assert package.startswith(str(installed))
    assert ndx.startswith(str(installed))

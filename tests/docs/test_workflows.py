"""The shipped rule of Snakemake and process of Nextflow: their commands, and the rule by Snakemake where it is."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from nwb_dcf.cli import main
from nwb_dcf.io.results import list_results
from tests.nwb_files import make_spike_session

WORKFLOWS = Path(__file__).parents[2] / "packaging" / "workflows"


@pytest.mark.long
@pytest.mark.parametrize("workflow", ["Snakefile", "main.nf"])
def test_the_command_of_a_workflow_fits_a_session(
    workflow: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("raw", "fitted", "logs"):
        Path(folder).mkdir()
    make_spike_session(tmp_path / "raw" / "one two.nwb")
    found = re.search(r"nwb-dcf (fit [^\n\"]+)", (WORKFLOWS / workflow).read_text())
    assert found
    command = found[1]
    for placeholder, path in (
        ("{input:q}", "'raw/one two.nwb'"),
        ("{output:q}", "'fitted/one two.nwb'"),
        ("{log:q}", "'logs/one two.log'"),
        ("'fitted/${session}'", "'fitted/one two.nwb'"),
        ("'${session}'", "'raw/one two.nwb'"),
    ):
        command = command.replace(placeholder, path)
    assert main([*shlex.split(command), "--steps", "2"]) == 0
    assert [fit["name"] for fit in list_results("fitted/one two.nwb")] == ["units_dim3"]
    assert list_results("raw/one two.nwb") == []


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("snakemake") is None, reason="Snakemake is not installed")
def test_snakemake_fits_a_folder_and_a_broken_file_fails_alone(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    make_spike_session(tmp_path / "raw" / "one two.nwb")
    (tmp_path / "raw" / "broken.nwb").write_text("no HDF5")
    command = ["snakemake", "--snakefile", str(WORKFLOWS / "Snakefile"), "--cores", "1", "--keep-going"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert [path.name for path in (tmp_path / "fitted").iterdir()] == ["one two.nwb"]
    assert "this is not an HDF5 file" in (tmp_path / "logs" / "broken.log").read_text()

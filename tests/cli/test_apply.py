"""The commands on a stored fit, on one small file; `transform`, which writes into NWB, as a subprocess."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nwb_dcf import read_result
from nwb_dcf.cli import main
from tests.cli.conftest import Run, SmallFit
from tests.nwb_files import make_spike_session


@pytest.fixture
def stored(small_fit: SmallFit, tmp_path: Path) -> Path:
    """A copy of the file with the fit, alone in its folder."""
    return Path(shutil.copyfile(small_fit.output, tmp_path / "fit.nwb"))


def test_transform_writes_into_the_other_file_and_says_whose_model_it_was(
    stored: Path, small_fit: SmallFit, run_cli: Callable[..., Run]
) -> None:
    other = Path(shutil.copyfile(small_fit.session, stored.parent / "other.nwb"))
    done = run_cli("transform", "other.nwb", "--model", "fit.nwb#units_dim2", "--json", cwd=stored.parent)
    assert done.code == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["name"] == "units_dim2"
    assert report["model"]["file"] == "fit.nwb"
    assert "model     units_dim2 of fit.nwb, sha256 " in done.stderr
    assert "written   /processing/dcf/units_dim2 in other.nwb" in done.stderr
    np.testing.assert_allclose(read_result(other).dataset["latents"], read_result(stored).dataset["latents"], atol=1e-6)


def test_a_file_without_the_channels_is_refused_in_one_line_and_unchanged(
    stored: Path, run_cli: Callable[..., Run], look_at: Callable[[Path], dict[str, bytes]]
) -> None:
    make_spike_session(stored.parent / "few.nwb", n_units=3, duration_s=12)
    before = look_at(stored.parent)
    done = run_cli("transform", "few.nwb", "--model", "fit.nwb", cwd=stored.parent)
    assert done.code == 2
    assert done.stdout == ""
    line = (
        "nwb-dcf: error: few.nwb: /units: 2 of the model's 5 units are missing, matched by id: 3, 4; "
        "set them to the mean the model knows with --impute mean, or match otherwise with --match\n"
    )
    assert done.stderr == line
    assert look_at(stored.parent) == before


def test_simulate_prints_what_it_did_and_writes_paths(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = stored.parent / "paths.csv"
    line = ["simulate", str(stored), "--frames", "4", "--starts", "1,6.5", "--paths", "3", "-o", str(output), "--json"]
    assert main(line) == 0
    out, err = capsys.readouterr()
    report = json.loads(out)
    assert (report["paths"], report["frames"], report["written"]) == (6, 4, str(output))
    assert "simulated 6 paths of 4 frames (0.08 s) by units_dim2, from 2 starts from " in err
    with output.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 24
    assert {row["trial_path"] for row in rows} == {"0", "1", "2"}
    assert main(line) == 2
    assert json.loads(capsys.readouterr().out)["error"]["what"] == "the output exists"


def test_export_writes_each_format(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for suffix in ("csv", "npz", "nc", "parquet", "mat"):
        output = stored.parent / f"fit.{suffix}"
        assert main(["export", str(stored), "units_dim2", "-o", str(output)]) == 0
        assert capsys.readouterr().out.startswith(f"written   {output}: units_dim2 of {stored} (")
        assert output.stat().st_size > 1000
    assert main(["export", str(stored), "-o", "fit.xls"]) == 2
    assert "'fit.xls' names no format" in capsys.readouterr().err


def test_a_wrong_start_is_a_usage_error(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", str(stored), "--starts", "noon"]) == 2
    assert "'noon' is neither last, first nor times in seconds" in capsys.readouterr().err

"""The commands on a stored fit, as subprocesses on one small file."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nwb_dcf import read_result
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


def test_simulate_prints_what_it_did_and_writes_paths(stored: Path, run_cli: Callable[..., Run]) -> None:
    options = ("--frames", 4, "--starts", "1,6.5", "--paths", 3, "-o", "paths.csv", "--json")
    done = run_cli("simulate", "fit.nwb", *options, cwd=stored.parent)
    assert done.code == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["paths"], report["frames"], report["written"]) == (6, 4, "paths.csv")
    assert "simulated 6 paths of 4 frames (0.08 s) by units_dim2, from 2 starts from " in done.stderr
    with open(stored.parent / "paths.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 24
    assert {row["trial_path"] for row in rows} == {"0", "1", "2"}
    again = run_cli("simulate", "fit.nwb", *options, cwd=stored.parent)
    assert again.code == 2
    assert json.loads(again.stdout)["error"]["what"] == "the output exists"


@pytest.mark.parametrize("suffix", ["csv", "npz", "nc", "parquet"])
def test_export_writes_each_format(suffix: str, stored: Path, run_cli: Callable[..., Run]) -> None:
    done = run_cli("export", "fit.nwb", "units_dim2", "-o", f"fit.{suffix}", cwd=stored.parent)
    assert done.code == 0, done.stderr
    assert done.stdout.startswith(f"written   fit.{suffix}: units_dim2 of fit.nwb (")
    assert (stored.parent / f"fit.{suffix}").stat().st_size > 1000


def test_evaluate_prints_both_decoders_with_pca(tmp_path: Path, run_cli: Callable[..., Run]) -> None:
    from tests.test_decoding import add_rhythm

    make_spike_session(tmp_path / "s.nwb", n_units=5, change=add_rhythm)
    assert run_cli("fit", "s.nwb", "--dim", 2, "--bin", 0.05, "--steps", 5, "--quiet", cwd=tmp_path).code == 0
    done = run_cli("evaluate", "s.nwb", "--against", "behavior/rhythm", cwd=tmp_path)
    assert done.code == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == ("decoded   /processing/behavior/rhythm (m, 2 columns pooled) from 2 latents of units_dim2")
    assert lines[2].startswith("found     R2 ")
    assert "by ridge regression; PCA " in lines[2]
    assert "by nearest neighbours; PCA " in lines[3]
    missing = run_cli("evaluate", "s.nwb", "--against", "licks", cwd=tmp_path)
    assert missing.code == 2
    assert "there is no series 'licks'; series are: " in missing.stderr


def test_a_wrong_start_is_a_usage_error(stored: Path, run_cli: Callable[..., Run]) -> None:
    done = run_cli("simulate", "fit.nwb", "--starts", "noon", cwd=stored.parent)
    assert done.code == 2
    assert "'noon' is neither last, first nor times in seconds" in done.stderr

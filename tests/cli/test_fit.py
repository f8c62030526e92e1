"""`nwb-dcf fit` and `demo` from the outside, on small and on real recordings."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nwb_dcf
from nwb_dcf.cli import main
from nwb_dcf.data.synthetic import simulate_navigation
from nwb_dcf.estimator.smoothing_and_scale import LEAST_BIN_S, MOST_BIN_S
from nwb_dcf.io.results import write_session
from tests.fork_server import ForkServer
from tests.nwb_files import make_spike_session

from .conftest import ROOT, SmallFit

Cli = Callable[..., Any]


def test_fit_says_what_it_did_and_its_two_lines_read_it_back(
    tmp_path: Path, run_cli: Cli, real_data: Callable[[str], Path]
) -> None:
    path = Path(shutil.copyfile(real_data("reach_chewie.nwb"), tmp_path / "s.nwb"))
    done = run_cli("fit", path, "--bin", 0.1, "--smooth", 0.1, "--steps", 5)
    assert done.code == 0, done.stderr
    for words in (
        "163 units, 1640 bins of 100 ms in 159 segments",
        "11 units (23, ",
        "held out",
        "PCA",
        "units_dim3",
    ):
        assert words in done.stdout
    lines = [line.strip() for line in done.stdout.splitlines() if "read_nwb" in line]
    assert len(lines) == 2
    reading = subprocess.run(
        [sys.executable, "-I", "-c", "\n".join([*lines, "print(latents.shape)"])],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert reading.stdout == "(1640, 3)\n", reading.stderr
    assert os.listdir(tmp_path) == ["s.nwb"]


def test_output_is_a_copy_and_json_is_one_document(small_fit: SmallFit) -> None:
    assert small_fit.done.code == 0, small_fit.done.stderr
    fit = json.loads(small_fit.done.stdout)
    assert (fit["name"], fit["file"], fit["dim"], fit["channels"]) == ("units_dim2", "out.nwb", 2, 5)
    assert fit["bins"] > 0
    assert np.isfinite(fit["scores"]["bottleneck_r2"])
    assert np.isfinite(fit["scores"]["pca_r2"])
    assert fit["scores"]["null"]["fits"] == 1
    assert fit["scores"]["agreement"]["fits"] == 2
    assert len(fit["scores"]["intervals"]["bottleneck_r2"]) == 2
    for words in (
        "null      1 fit to channels shifted",
        "too few for a p: 1 could show no less than 0.50",
        "agreement axes 1, 2, ... of 2 fits",
        "no latencies from them",
    ):
        assert words in small_fit.done.stderr
    assert fit["split"]["training"] + fit["split"]["held_out"] == fit["segments"]
    assert "/processing/dcf/units_dim2 in out.nwb" in small_fit.done.stderr
    assert small_fit.session.read_bytes() == small_fit.before
    assert sorted(os.listdir(small_fit.session.parent)) == ["out.nwb", "s.nwb"]


def test_dry_run_plans_and_writes_nothing(tmp_path: Path, run_cli: Cli) -> None:
    path = make_spike_session(tmp_path / "s.nwb", n_units=5, duration_s=12)
    before = path.read_bytes()
    done = run_cli("fit", path, "--dim", 2, "--dry-run")
    assert done.code == 0, done.stderr
    assert "5 units" in done.stdout
    assert "units_dim2" in done.stdout
    assert "nothing was fitted or written" in done.stdout
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["s.nwb"]


def test_a_dry_run_says_what_is_left_to_the_fit_and_chooses_where_it_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recording = simulate_navigation("track", 30, duration_s=300.0, bin_width_s=0.02, seed=1).recording
    track = str(write_session(recording, tmp_path / "s.nwb"))

    def plan(*options: str) -> str:
        assert main(["fit", track, "--dry-run", *options]) == 0
        return capsys.readouterr().out

    monkeypatch.setattr("nwb_dcf.pipeline.fit_seconds.CHEAP_S", 5.0)
    assert json.loads(plan("--json"))["smoothing"]["chosen"]
    monkeypatch.setattr("nwb_dcf.pipeline.fit_seconds.CHEAP_S", 0.0)
    left = plan().replace("\n          ", " ")
    bins = f"with bins of {1000 * LEAST_BIN_S:g} to {1000 * MOST_BIN_S:g} ms: about "
    assert f"smoothing smoothing and scale will be chosen by the fit, {bins}" in left
    assert "add --smooth auto --scale auto to see now" in left
    assert "GiB at most, by the bins that are chosen" in left
    asked = json.loads(plan("--smooth", "auto", "--json"))
    assert asked["smoothing"]["chosen"]
    assert asked["to_choose"] is None
    given = json.loads(plan("--bin", "0.05", "--json"))
    assert given["bin_width_s"] == 0.05
    assert "bins" not in given["to_choose"]


def test_a_plan_of_a_fit_that_exists_says_what_would_stand_in_the_way_and_how_the_file_grows(
    tmp_path: Path, run_cli: Cli
) -> None:
    path = make_spike_session(tmp_path / "s.nwb", n_units=5, duration_s=12)
    planned = json.loads(run_cli("fit", path, "--dim", 2, "--dry-run", "--json").stdout)
    assert "refusal" not in planned
    size = path.stat().st_size
    assert run_cli("fit", path, "--dim", 2, "--steps", 3, "--quiet").code == 0
    before = path.read_bytes()
    assert 0.5 < planned["growth_bytes"] / (len(before) - size) < 2
    done = run_cli("fit", path, "--dim", 2, "--dry-run")
    assert done.code == 0, done.stderr
    assert "not as it is asked: this fit exists; replace it with --overwrite" in done.stdout
    assert "the file grows by about" in done.stdout
    assert path.read_bytes() == before
    again = run_cli("fit", path, "--dim", 2, "--dry-run", "--overwrite")
    assert "not as it is asked" not in again.stdout
    refused = run_cli("fit", path, "--dim", 2, "--name", "a/b", "--dry-run")  # by anything else it still is
    assert refused.code == 2


def test_bins_of_seconds_are_questioned(tmp_path: Path, run_cli: Cli) -> None:
    path = make_spike_session(tmp_path / "s.nwb", n_units=5, duration_s=900, trials=None)
    done = run_cli("fit", path, "--bin", 20, "--smooth", 0, "--dim", 2, "--dry-run")
    assert done.code == 0, done.stderr
    assert "doubt     bins are 20 s wide" in done.stdout
    assert "likely milliseconds: give --bin 0.02" in done.stdout.replace("\n          ", " ")
    assert "bins are" not in run_cli("fit", path, "--bin", 1, "--dim", 2, "--dry-run").stdout


INTERRUPT = """
import os, signal, sys
from nwb_dcf.cli import main
from nwb_dcf.pipeline.progress_bar import ProgressBar

def press_ctrl_c(self, progress, stage=sys.argv.pop(1)):
    if progress.stage.startswith(stage) and progress.step > 0:
        os.kill(os.getpid(), signal.SIGINT)

ProgressBar.__call__ = press_ctrl_c
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may switch it off for background jobs
sys.exit(main())
"""


@pytest.mark.parametrize(("stage", "options"), [("choosing steps", []), ("training", ["--keep-partial"])])
def test_ctrl_c_ends_cleanly(
    stage: str,
    options: list[str],
    cli_server: ForkServer,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    script = tmp_path_factory.mktemp("script") / "interrupt.py"
    script.write_text(INTERRUPT)
    path = make_spike_session(tmp_path / "s.nwb", n_units=5, duration_s=12)
    before = path.read_bytes()
    done = subprocess.run(
        [*cli_server.command, str(script), stage, "fit", str(path), "--dim", "2", "--steps", "60", *options],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 130, done.stderr
    assert "Traceback" not in done.stderr
    assert os.listdir(tmp_path) == ["s.nwb"]
    if options:
        assert "training was interrupted" in done.stdout
        assert [fit["name"] for fit in nwb_dcf.list_results(path)] == ["units_dim2"]
    else:
        assert done.stdout == ""
        assert done.stderr.strip() == "nwb-dcf: interrupted; nothing was written"
        assert path.read_bytes() == before


@pytest.mark.long
def test_demo_finds_the_latents_it_made(tmp_path: Path, run_cli: Cli) -> None:
    done = run_cli("demo", tmp_path, "--json")
    assert done.code == 0, done.stderr
    report = json.loads(done.stdout)
    files = sorted(tmp_path.iterdir())
    assert [file.suffix for file in files] == [".nwb", ".png"]
    assert report["picture"] == str(files[1])
    assert files[0].name in json.dumps(report)
    assert json.loads(run_cli("info", files[0], "--json").stdout)["fits"] == [report["name"]]
    assert report["truth_r2"] > 0.8
    assert report["bottleneck_r2"] > report["pca_r2"] - 0.01

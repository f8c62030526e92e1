"""`nwb-dcf fit` and `demo` from the outside, on small and on real recordings."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.nwb_files import make_spike_session

from .conftest import ROOT

Cli = Callable[..., Any]


def test_fit_says_what_it_did_and_its_two_lines_read_it_back(
    tmp_path: Path, run_cli: Cli, real_data: Callable[[str], Path]
) -> None:
    path = Path(shutil.copy(real_data("reach_chewie.nwb"), tmp_path / "s.nwb"))
    done = run_cli("fit", path, "--bin", 0.1, "--smooth", 0.1, "--steps", 5)
    assert done.code == 0, done.stderr
    for words in (
        "163 units, 1640 bins of 100 ms in 159 segments",
        "no spikes",
        "held out",
        "PCA",
        "K_eff",
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


def test_output_is_a_copy_and_json_is_one_document(tmp_path: Path, run_cli: Cli) -> None:
    path = make_spike_session(tmp_path / "s.nwb")
    before = path.read_bytes()
    done = run_cli("fit", path, "--dim", 2, "--steps", 5, "--seed", 3, "-o", "out.nwb", "--json", cwd=tmp_path)
    assert done.code == 0, done.stderr
    fit = json.loads(done.stdout)
    assert (fit["name"], fit["file"], fit["dim"], fit["channels"]) == ("units_dim2", "out.nwb", 2, 8)
    assert fit["bins"] > 0
    assert np.isfinite(fit["scores"]["bottleneck_r2"])
    assert np.isfinite(fit["scores"]["pca_r2"])
    assert fit["split"]["training"] + fit["split"]["held_out"] == fit["segments"]
    assert path.read_bytes() == before
    assert sorted(os.listdir(tmp_path)) == ["out.nwb", "s.nwb"]


def test_dry_run_plans_and_writes_nothing(tmp_path: Path, run_cli: Cli) -> None:
    path = make_spike_session(tmp_path / "s.nwb")
    before = path.read_bytes()
    done = run_cli("fit", path, "--dim", 2, "--dry-run")
    assert done.code == 0, done.stderr
    assert "8 units" in done.stdout
    assert "units_dim2" in done.stdout
    assert "nothing was fitted or written" in done.stdout
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["s.nwb"]


@pytest.mark.parametrize("keep", [False, True])
def test_ctrl_c_ends_cleanly(keep: bool, tmp_path: Path, run_cli: Cli) -> None:
    path = make_spike_session(tmp_path / "s.nwb")
    before = path.read_bytes()
    command = [sys.executable, "-c", WAIT_FOR_TRAINING, "fit", str(path), "--dim", "2", "--steps", "1000000"]
    process = subprocess.Popen(
        [*command, *(["--keep-partial"] if keep else [])],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )
    assert process.stderr is not None
    assert process.stderr.readline() == "training\n"
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert os.listdir(tmp_path) == ["s.nwb"]
    if keep:
        assert "training was interrupted" in out
        assert json.loads(run_cli("info", path, "--json").stdout)["fits"] == ["units_dim2"]
    else:
        assert "nwb-dcf: interrupted; nothing was written" in err
        assert path.read_bytes() == before


WAIT_FOR_TRAINING = """
import sys
from nwb_dcf.cli import main
from nwb_dcf.cli.progress import TrainingBar

def say_once(self, progress, said=[]):
    if not said:
        said.append(True)
        print("training", file=sys.stderr, flush=True)

TrainingBar.__call__ = say_once
sys.exit(main())
"""


def test_demo_finds_the_latents_it_made(tmp_path: Path, run_cli: Cli) -> None:
    done = run_cli("demo", tmp_path, "--json")
    assert done.code == 0, done.stderr
    report = json.loads(done.stdout)
    files = list(tmp_path.iterdir())
    assert len(files) == 1
    assert files[0].suffix == ".nwb"
    assert files[0].name in json.dumps(report)
    assert json.loads(run_cli("info", files[0], "--json").stdout)["fits"]

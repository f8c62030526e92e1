"""What can be asked without a file: help, version, bad usage; and how soon it is answered."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import ROOT

LIST_MODULES = """
import contextlib, io, json, sys
from nwb_dcf.cli import main
with contextlib.redirect_stdout(io.StringIO()):
    code = main(sys.argv[1:])
print(json.dumps([code, sorted(sys.modules)]))
"""


@pytest.mark.parametrize(
    "arguments", [["--help"], ["fit", "--help"], ["info", "--help"], ["demo", "--help"], ["--version"]]
)
def test_help_loads_click_and_nothing_heavy(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIST_MODULES, *arguments], capture_output=True, text=True, check=True, cwd=ROOT
    )
    code, modules = json.loads(done.stdout)
    assert code == 0
    packages = {module.partition(".")[0] for module in modules}
    assert not packages & {
        "numpy",
        "scipy",
        "pandas",
        "xarray",
        "torch",
        "pynwb",
        "hdmf",
        "h5py",
        "tqdm",
        "safetensors",
        "sklearn",
    }
    light = ("nwb_dcf.cli", "nwb_dcf.errors.")
    own = {module for module in modules if module.startswith("nwb_dcf.") and not module.startswith(light)}
    version = {"nwb_dcf.pipeline.installation"} if arguments == ["--version"] else set()
    assert own == {
        "nwb_dcf.cohort",  # its face, which loads what is asked of it
        "nwb_dcf.errors",
        "nwb_dcf.pipeline",
        "nwb_dcf.pipeline.progress_bar",
        *version,
    }


@pytest.mark.parametrize("command", ["info", "list"])
def test_what_is_asked_of_a_file_needs_no_model(command: str, real_data: Callable[[str], Path]) -> None:
    path = str(real_data("three_units.nwb"))
    done = subprocess.run(
        [sys.executable, "-c", LIST_MODULES, command, path], capture_output=True, text=True, check=True, cwd=ROOT
    )
    code, modules = json.loads(done.stdout)
    assert code == 0
    assert {"torch", "torchdiffeq", "scipy.signal", "matplotlib", "sklearn"} & set(modules) == set()


def test_help_starts_a_quarter_second_after_an_empty_python_at_most() -> None:
    def take(*arguments: str) -> float:
        """Seconds of a processor, the least of five: what another job takes meanwhile does not count."""
        times = []
        for _ in range(5):
            before = os.times()
            subprocess.run([sys.executable, *arguments], capture_output=True, check=True, cwd=ROOT)
            after = os.times()
            times.append(after.children_user - before.children_user + after.children_system - before.children_system)
        return min(times)

    assert take("-m", "nwb_dcf", "--help") - take("-c", "pass") < 0.25


def test_help_names_every_command_and_option(run_cli: Callable[..., Any]) -> None:
    done = run_cli("--help")
    assert done.code == 0
    assert all(command in done.stdout for command in ("info", "fit", "demo"))
    options = (
        "--dim --source --bin --trials --align --window --where --units --transformation --smooth --scale --held-out "
        "--preset --seed --device --steps --name --overwrite --output --keep-partial --dry-run --json --quiet"
    )
    helped = run_cli("fit", "--help").stdout
    assert [option for option in options.split() if option not in helped] == []


def test_version(run_cli: Callable[..., Any]) -> None:
    import nwb_dcf

    lines = run_cli("--version").stdout.splitlines()
    assert lines[0] == f"nwb-dcf {nwb_dcf.__version__}"
    assert [line.split()[0] for line in lines] == ["nwb-dcf", "Python", "torch", "pynwb", "hdmf", "numpy"]


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("nwb-dcf sim", ["plain,simulate"]),
        ("nwb-dcf fit --nu", ["plain,--null"]),
        ("nwb-dcf fit ses", ["file,ses"]),  # "file": the shell itself completes names of files
        ("nwb-dcf cohort show co", ["file,co"]),
    ],
)
def test_a_shell_completes_commands_options_and_files(
    run_cli: Callable[..., Any], typed: str, completed: list[str]
) -> None:
    words = {"COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split()) - 1), "_NWB_DCF_COMPLETE": "bash_complete"}
    assert run_cli(env=words).stdout.splitlines() == completed


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "missing command; see nwb-dcf --help"),
        (["fti"], "no such command 'fti'"),
        (["fit"], "missing argument 'FILE...|FOLDER|dandi://ID'; see nwb-dcf fit --help"),
        (["fit", "s.nwb", "--dim", "three"], "'three' is neither a whole number nor 'auto'"),
        (["fit", "s.nwb", "--scale", "max"], "scale is 'max'; give one of auto, global, soft, zscore, none"),
        (["fit", "s.nwb", "--smooth", "much"], "'much' is neither a number of seconds nor 'auto'"),
        (["fit", "s.nwb", "--window", "1"], "'--window' requires 2 arguments"),
        (["fit", "s.nwb", "--widow", "1"], "no such option '--widow'"),
    ],
)
def test_bad_usage_is_one_line_and_exit_2(run_cli: Callable[..., Any], arguments: list[str], says: str) -> None:
    done = run_cli(*arguments)
    assert done.code == 2
    assert done.stdout == ""
    assert done.stderr.startswith("nwb-dcf: error: ")
    assert says in done.stderr
    assert done.stderr.count("\n") == 1


def test_bad_usage_is_one_document_under_json(run_cli: Callable[..., Any]) -> None:
    done = run_cli("fit", "--json")
    assert done.code == 2
    error = json.loads(done.stdout)["error"]
    assert error["type"] == "UsageError"
    assert error["exit_code"] == 2
    assert done.stderr == f"nwb-dcf: error: {error['message']}\n"


def test_nothing_is_searched_for_cycles_when_the_command_ends() -> None:
    # handlers run last first: the one that was registered before the command sees what the command's own has done
    told = "import atexit, gc; atexit.register(lambda: print(gc.get_freeze_count() > 1000)); import nwb_dcf.cli as c"
    run = f"{told}; c.main(['--version']); c.main(['--version'])"
    done = subprocess.run([sys.executable, "-c", run], capture_output=True, text=True, check=True)
    assert done.stdout.split()[-1] == "True"

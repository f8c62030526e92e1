"""What each door into the package loads, seen in a clean process, and which room may import which."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.nwb_files import make_spike_session

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {
    "numpy",
    "scipy",
    "pandas",
    "xarray",
    "torch",
    "torchdiffeq",
    "pynwb",
    "hdmf",
    "h5py",
    "safetensors",
    "tqdm",
    "sklearn",
}


def load(code: str) -> set[str]:
    """Packages loaded by `code` in a clean process."""
    tail = "\nimport json, sys; print(json.dumps(sorted({m.partition('.')[0] for m in sys.modules})))"
    done = subprocess.run(
        [sys.executable, "-c", code + tail], capture_output=True, text=True, check=False, cwd=ROOT, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import nwb_dcf", HEAVY),
        ("import nwb_dcf; dir(nwb_dcf); nwb_dcf.__version__; nwb_dcf.DCFError", HEAVY),
        ("from nwb_dcf import DCFResult", {"torch", "pynwb", "hdmf", "h5py", "scipy"}),
        ("from nwb_dcf import read_recording, list_sources", {"torch", "torchdiffeq", "safetensors"}),
        ("from nwb_dcf import read_result, list_results, write_result", {"torch", "torchdiffeq", "safetensors"}),
        ("import nwb_dcf.data.synthetic", {"torch", "pynwb", "hdmf", "h5py"}),
        ("from nwb_dcf import fit_nwb, plan_fit, read_result", {"torch", "sklearn"}),
        ("import nwb_dcf.data.preprocessing", {"torch", "pynwb", "hdmf", "h5py"}),
        ("import nwb_dcf.metrics", {"torch", "pynwb", "hdmf", "h5py"}),
        ("import nwb_dcf.io.ndx", {"torch", "xarray"}),
        ("import nwb_dcf.model", {"pynwb", "hdmf", "h5py", "xarray", "pandas"}),
        ("import nwb_dcf.model.training", {"pynwb", "hdmf", "h5py", "xarray", "pandas"}),
        ("from nwb_dcf import DCF", {"pynwb", "hdmf", "h5py"}),
        ("import nwb_dcf.spikeinterface", {"torch", "pynwb", "matplotlib"}),
    ],
)
@pytest.mark.long
def test_a_door_loads_only_its_own_room(code: str, absent: set[str]) -> None:
    assert load(code) & absent == set()


NEVER_IN_A_FIT = {
    "matplotlib", "plotly", "dash", "spikeinterface", "cebra", "umap", "pytest", "IPython", "torch._dynamo",
    "torch._inductor", "sympy", "networkx", "scipy.signal", "nwb_dcf.compare.compare", "nwb_dcf.plots.report",
    "nwb_dcf.spikeinterface", "nwb_dcf.view.app", "nwb_dcf.estimator.dcf", "nwb_dcf.pipeline.scan",
}  # fmt: skip
NEVER_IN_A_PLAN = {"torch", "sklearn", "scipy.stats", "scipy.optimize", "nwb_dcf.data.fit_schema"} | NEVER_IN_A_FIT


@pytest.mark.long
@pytest.mark.parametrize(
    ("options", "absent"),
    [("--dry-run", NEVER_IN_A_PLAN), ("--steps 2 --smooth 0.1 --scale soft -o o.nwb", NEVER_IN_A_FIT)],
    ids=["plan", "fit"],
)
def test_a_fit_loads_what_it_needs(options: str, absent: set[str], tmp_path: Path) -> None:
    """Half a second that one import costs is a twentieth of a short fit."""
    make_spike_session(tmp_path / "s.nwb", n_units=5, duration_s=20)
    code = (
        f"import sys; from nwb_dcf.cli import main; assert main({['fit', 's.nwb', '--quiet', *options.split()]!r}) == 0"
    )
    tail = "; import json; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code + tail], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert set(json.loads(done.stdout.splitlines()[-1])) & absent == set()


def test_without_spikeinterface_the_rest_works_and_its_room_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['spikeinterface'] = None\n"
        "from nwb_dcf import *\n"
        "import nwb_dcf\n"
        "try:\n    import nwb_dcf.spikeinterface\n"
        "except ImportError as error:\n    assert '[spikeinterface]' in str(error)\n"
        "else:\n    raise SystemExit('no error')"
    )
    load(code)


def test_reading_a_recording_loads_no_torch(real_data: Callable[[str], Path]) -> None:
    path = str(real_data("three_units.nwb"))
    loaded = load(f"import nwb_dcf; nwb_dcf.list_sources({path!r}); nwb_dcf.read_recording({path!r}, trials='none')")
    assert "pynwb" in loaded
    assert "torch" not in loaded


def test_public_names_are_there_and_few() -> None:
    import nwb_dcf

    assert len(nwb_dcf.__all__) <= 20
    assert set(nwb_dcf.__all__) <= set(dir(nwb_dcf))
    for name in nwb_dcf.__all__:
        assert getattr(nwb_dcf, name) is not None
    with pytest.raises(AttributeError, match="fit"):
        nwb_dcf.fit  # noqa: B018


@pytest.mark.long
def test_packages_come_with_the_package() -> None:
    """As users write it, after ``import nwb_dcf`` alone; a star import brings names, no packages."""
    load("import nwb_dcf; nwb_dcf.batch.run, nwb_dcf.cohort.fit_cohort, nwb_dcf.view.view_nwb, nwb_dcf.Cohort")
    load("from nwb_dcf import *; Cohort; assert not {'batch', 'cohort', 'view'} & set(globals())")


def test_packages_import_one_way() -> None:
    lint_imports = Path(sysconfig.get_path("scripts")) / "lint-imports"
    command = str(lint_imports) if lint_imports.exists() else shutil.which("lint-imports")
    assert command, "import-linter comes with the test extra"
    done = subprocess.run([command, "--no-cache"], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_module_is_in_a_layer_and_says_whether_it_knows_nwb_and_torch() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    modules = {
        path.stem for path in (ROOT / "nwb_dcf").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    modules -= {"__init__"}
    (layers,) = (contract for contract in contracts if contract["type"] == "layers")
    assert layers["exhaustive"], "import-linter itself then refuses a module that is in no layer"
    assert {name for layer in layers["layers"] for name in layer.split(" | ")} == modules - {"__main__"}
    free = {
        "pynwb": {"__main__", "io", "spikeinterface"},
        "torch": {"__main__", "estimator", "model"},
    }
    for package, allowed in free.items():
        (contract,) = (c for c in contracts if package in c.get("forbidden_modules", ()))
        assert {name.removeprefix("nwb_dcf.") for name in contract["source_modules"]} == modules - allowed

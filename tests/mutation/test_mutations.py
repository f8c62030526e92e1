"""Change the method or a guard in one place, and a fast test must fail: the changes are in `table` and `guards`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..fork_server import ForkServer
from .guards import GUARDS
from .mutation import Mutation
from .table import MUTATIONS

EVERY = [*MUTATIONS, *GUARDS]
ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = float(os.environ.get("NWB_DCF_MUTATION_S", "240"))  # of one mutation; one to five on a quiet machine
LOADED = ("pytest", "numpy", "scipy.stats", "sklearn.linear_model", "pandas", "xarray", "torch", "torchdiffeq", "pynwb")
DATA = os.environ.get("NWB_DCF_TEST_DATA") or str(ROOT.parent / "shared" / "data")  # not beside the copy
TRAINED = "not a_trained"  # what a network learns in seconds is not needed here


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package and its tests that may be spoilt."""
    copy = tmp_path_factory.mktemp("project")
    for part in ("nwb_dcf", "tests", "spec"):
        shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    return copy


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServer]:
    """A process that has loaded all that is not changed, and nothing of this package."""
    server = ForkServer(*LOADED)
    yield server
    server.stop()


def run_tests(server: ForkServer, project: Path, tests: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    """Run some tests against the copy until one fails."""
    paths = [str(Path("tests", name)) for name in tests]
    return subprocess.run(
        [*server.command, "-m", "pytest", "-n", "0", "-x", "-q", "-p", "no:cacheprovider", "-k", TRAINED, *paths],
        cwd=project,
        env={
            **os.environ,
            "PYTHONPATH": str(project),
            "PYTHONDONTWRITEBYTECODE": "1",
            "OMP_NUM_THREADS": "1",
            "NWB_DCF_TEST_DATA": DATA,
        },
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


def find_failed(run: subprocess.CompletedProcess[str]) -> str | None:
    """Name of the test that failed, None where none did or the tests could not even run."""
    # an error in what a test is given notices a change too; one at collection does not, and has another exit status
    found = re.search(r"^(?:FAILED|ERROR) (\S+::\S+)", run.stdout, re.MULTILINE)
    return found[1] if found and run.returncode == pytest.ExitCode.TESTS_FAILED else None


def test_the_table_is_of_this_code() -> None:
    for mutation in EVERY:
        source = (ROOT / "nwb_dcf" / mutation.file).read_text()
        assert source.count(mutation.old) == 1, f"{mutation.name}: {mutation.old!r} in {mutation.file}"
        assert mutation.new != mutation.old
        assert all((ROOT / "tests" / name.partition("::")[0]).is_file() for name in mutation.tests), mutation.name
    assert len({mutation.name for mutation in EVERY}) == len(EVERY)
    assert sum(mutation.file.startswith("model/") for mutation in MUTATIONS) >= 15


@pytest.mark.slow
def test_nothing_fails_where_nothing_is_changed(server: ForkServer, project: Path) -> None:
    run = run_tests(server, project, tuple(sorted({name for mutation in EVERY for name in mutation.tests})))
    assert run.returncode == pytest.ExitCode.OK, run.stdout[-2000:]
    (project / "where.py").write_text("import nwb_dcf; print(nwb_dcf.__file__)")
    answer = subprocess.run([*server.command, "where.py"], cwd=project, capture_output=True, text=True, check=True)
    assert Path(answer.stdout.strip()).is_relative_to(project)


@pytest.mark.slow
@pytest.mark.parametrize("mutation", [pytest.param(mutation, id=mutation.name) for mutation in EVERY])
def test_a_fast_test_notices(server: ForkServer, project: Path, mutation: Mutation) -> None:
    path = project / "nwb_dcf" / mutation.file
    source = path.read_text()
    assert source.count(mutation.old) == 1
    path.write_text(source.replace(mutation.old, mutation.new))
    try:
        run = run_tests(server, project, mutation.tests)
    finally:
        path.write_text(source)
    failed = find_failed(run)
    if not failed and "no real recording" in run.stdout:
        pytest.skip("no real recording in " + DATA)
    assert failed, f"nothing noticed: {mutation.name}\n{run.stdout[-2000:]}"
    sys.stdout.write(f"{mutation.name}: {failed}\n")  # shown by -rP

"""What CI relies on: README's two commands, pins for everything they install, skips that do not hide."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from threadpoolctl import threadpool_info

import nwb_dcf

ROOT = Path(__file__).resolve().parents[2]

SKIPS = """
import pytest

def test_missing():
    pytest.importorskip("a_package_that_nobody_has")

def test_elsewhere():
    pytest.skip("no real recording here")
"""


def test_readme_gives_exactly_the_two_commands() -> None:
    lines = [
        line
        for line in (ROOT / "README.md").read_text().splitlines()
        if line.startswith("pip install -c constraints.txt ")
    ]
    assert lines == [
        "pip install -c constraints.txt . && nwb-dcf demo",
        "pip install -c constraints.txt '.[test]' && pytest",
    ]


def test_every_dependency_is_pinned() -> None:
    pinned = {line.partition("==")[0] for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [
        *project["dependencies"],
        *(name for extra in project["optional-dependencies"].values() for name in extra),
    ]
    names = {re.split(r"[\[<>=! ;]", requirement)[0].lower() for requirement in wanted} - {"nwb-dcf"}
    assert names - pinned == set()


def test_the_project_names_no_machine() -> None:
    folders = ("nwb_dcf", "spec", "tests", "tutorials", "benchmarks", "docs", "packaging", ".ci")
    files = [path for path in ROOT.iterdir() if path.suffix in (".md", ".toml", ".txt", ".cff", ".yaml", ".py")]
    files += [path for folder in folders for path in (ROOT / folder).rglob("*") if "__pycache__" not in path.parts]
    # written so that this file does not find itself
    local = re.compile("|".join(["/" + "work/", "/" + "opt/", "/" + "root/", "file:" + "//"]))
    found = [path for path in files if path.is_file() and local.search(path.read_text(errors="ignore"))]
    assert found == []


@pytest.mark.skipif("PYTEST_XDIST_WORKER" not in os.environ, reason="one worker alone may use every core")
def test_each_worker_uses_one_core() -> None:
    import torch

    pools = {f"{pool['internal_api']} of {pool['filepath']}": pool["num_threads"] for pool in threadpool_info()}
    assert {name: n for name, n in pools.items() if n != 1} == {}
    assert torch.get_num_threads() == 1


@pytest.mark.parametrize("in_ci", [False, True])
@pytest.mark.long
def test_a_skip_for_want_of_a_package_fails_ci(in_ci: bool, tmp_path: Path) -> None:
    shutil.copy(ROOT / "conftest.py", tmp_path)
    (tmp_path / "test_skips.py").write_text(SKIPS)
    (tmp_path / "test_module.py").write_text(SKIPS.replace("def test_missing():\n    ", ""))
    environment = {name: value for name, value in os.environ.items() if name != "NWB_DCF_CI"}
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-rN",  # without the summary, which repeats whole reasons where CI is set and cuts them elsewhere
            "--continue-on-collection-errors",
            str(tmp_path),
        ],
        cwd=tmp_path,
        env=environment | ({"NWB_DCF_CI": "1"} if in_ci else {}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode != 0) is in_ci, done.stdout
    if in_ci:
        assert done.stdout.count("(in CI every optional package must be there)") == 2
        assert "1 failed, 1 skipped, 1 error" in done.stdout


def read_yaml(path: str) -> dict[str, Any]:
    return YAML(typ="safe").load((ROOT / path).read_text())


def test_the_catalog_record_the_recipe_and_the_citation_are_current() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    record = read_yaml("ndx-meta.yaml")
    assert list(record) == ["name", "version", "src", "pip", "license", "maintainers"]
    namespace = read_yaml("spec/ndx-dcf.namespace.yaml")["namespaces"][0]
    assert (record["name"], record["version"]) == (namespace["name"], namespace["version"])
    assert read_yaml("CITATION.cff")["version"] == nwb_dcf.__version__
    recipe = read_yaml("packaging/conda/recipe.yaml")
    assert recipe["context"]["version"] == nwb_dcf.__version__
    wanted = {re.match(r"([\w.-]+)(.*)", line).groups() for line in project["dependencies"]}
    run = {tuple(line.split(" ", 1)) for line in recipe["requirements"]["run"]}
    assert run == {("pytorch" if name == "torch" else name, bound) for name, bound in wanted} | {
        ("python", project["requires-python"])
    }
    # an address that is none is not rendered
    assert all(one.startswith("https://") for one in (recipe["about"]["homepage"], recipe["source"]["url"]))
    extras = re.findall(r"'\.\[([\w,]+)\]'", (ROOT / "packaging" / "Containerfile").read_text())[0].split(",")
    assert set(extras) <= project["optional-dependencies"].keys()


def test_the_catalog_page_names_types_that_there_are() -> None:
    types = {one.get("neurodata_type_def") for one in read_yaml("spec/ndx-dcf.extensions.yaml")["groups"]}
    text = "".join((ROOT / "packaging" / "ndx-catalog" / name).read_text() for name in ("README.md", "pull-request.md"))
    core = {"TimeSeries", "TimeIntervals", "DynamicTable"}
    assert set(re.findall(r"`([A-Z]\w+[a-z]\w*)`", text)) - core <= types

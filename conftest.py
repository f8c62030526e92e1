"""What holds for every test, and: where NWB_DCF_CI is set, a test skipped for want of a package is a failure.

On a reader's machine such a skip is a courtesy. In CI, which installs every optional package, it
would be a test that nobody ever runs.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from threadpoolctl import threadpool_limits

if "PYTEST_XDIST_WORKER" in os.environ:
    # A core for each worker: threads of several workers on one core wait for each other, many times longer.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    # Libraries that a plugin of pytest has loaded before this file, as jaxtyping's loads numpy, read it too early.
    threadpool_limits(1)

MISSING_PACKAGE = re.compile(
    r"could not import|no module named|is not installed|not importable|missing (package|module|dependency)",
    re.IGNORECASE,
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--shapes", action="store_true", help="check calls of nwb_dcf against the shapes it annotates")


# Folders' own conftest files import the package before any hook runs; workers of xdist inherit the environment.
if "--shapes" in sys.argv:
    os.environ["NWB_DCF_SHAPES"] = "1"
if os.environ.get("NWB_DCF_SHAPES") and (Path(__file__).parent / "tests" / "shapes.py").exists():
    from tests.shapes import install

    install()


def _fail_if_package_is_missing(report: Any) -> None:
    if not (os.environ.get("NWB_DCF_CI") and report.outcome == "skipped") or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    if MISSING_PACKAGE.search(reason):
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid}: {reason} (in CI every optional package must be there)"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, Any]:
    report = yield
    _fail_if_package_is_missing(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, Any, Any]:
    report = yield
    _fail_if_package_is_missing(report)
    return report

"""One sorting, its recording, and an analyzer whose latents are computed once."""

from __future__ import annotations

from typing import Any

import pytest

import nwb_dcf.spikeinterface  # noqa: F401 - registers the extension

from .sessions import QUICK, make_analyzer, make_recording, make_sorting

DURATIONS, STARTS = (12.0, 8.0), (100.0, 200.0)


@pytest.fixture(autouse=True)
def _quiet() -> Any:
    from spikeinterface.core import reset_global_job_kwargs, set_global_job_kwargs

    set_global_job_kwargs(progress_bar=False)
    yield
    reset_global_job_kwargs()


@pytest.fixture(scope="session")
def sorting() -> Any:
    return make_sorting(DURATIONS)


@pytest.fixture(scope="session")
def recording() -> Any:
    return make_recording(DURATIONS, STARTS)


@pytest.fixture(scope="session")
def computed(sorting: Any, recording: Any) -> Any:
    """An analyzer in memory with latents; it is not to be changed."""
    analyzer = make_analyzer(sorting, recording)
    analyzer.compute("dcf_latents", progress_bar=False, **QUICK)
    return analyzer


@pytest.fixture
def analyzer(sorting: Any, recording: Any) -> Any:
    """An analyzer in memory without latents."""
    return make_analyzer(sorting, recording)

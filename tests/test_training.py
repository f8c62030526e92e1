"""The search for the steps and the refit side by side: the same result, and the same ends."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest
import torch
import xarray as xr

from nwb_dcf import DCF
from nwb_dcf.errors import DataError
from nwb_dcf.progress import Progress
from nwb_dcf.simulate import simulate_reach
from nwb_dcf.train.threads import use_threads
from nwb_dcf.training import Training

SETTINGS = {"steps": 60, "batch": 64}


@pytest.fixture(scope="module")
def reach() -> xr.Dataset:
    return simulate_reach(n_trials=20).recording


@pytest.fixture
def beside(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Two threads; the list says in how many of the trainings the refit ran beside."""
    ran: list[str] = []
    refit_beside = Training._refit_beside

    def note(self: Training, *arguments: object) -> object:
        ran.append("beside")
        return refit_beside(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Training, "_refit_beside", note)
    with use_threads(2):
        yield ran


@pytest.mark.parametrize("settings", [{}, {"start": "random", "align_steps": 20}, {"joined": False, "gamma": 0.0}])
def test_side_by_side_gives_what_one_after_the_other_gives(
    reach: xr.Dataset, beside: list[str], settings: dict[str, object]
) -> None:
    fits = []
    for threads in (1, 2):
        with use_threads(threads):
            fits.append(DCF(dim=2, settings={**SETTINGS, **settings}).fit(reach))
        assert len(beside) == threads - 1
    one, two = (fit.fitted_ for fit in fits)
    assert one.steps == two.steps
    assert any(one.steps.values())
    assert one.curve.step == two.curve.step
    for name in ("cf", "df", "align", "context"):
        np.testing.assert_array_equal(getattr(one.curve, name), getattr(two.curve, name), err_msg=name)
    weights = two.model.state_dict()
    for name, value in one.model.state_dict().items():
        assert torch.equal(value, weights[name]), name


@pytest.mark.parametrize("settings", [{"jointly": True}, {"width": 512}, {"network": "mlp", "early_stopping": False}])
def test_what_does_not_pay_runs_one_after_the_other(
    reach: xr.Dataset, beside: list[str], settings: dict[str, object]
) -> None:
    DCF(dim=2, settings={**SETTINGS, "steps": 4, "batch": 512, **settings}).fit(reach)
    assert beside == []


def test_progress_tells_of_the_search_and_then_of_the_refit(reach: xr.Dataset, beside: list[str]) -> None:
    events: list[Progress] = []
    DCF(dim=2, settings=SETTINGS, progress=events.append).fit(reach)
    stages = [event.stage.split(" (")[0] for event in events]
    assert beside
    assert stages == sorted(stages, key=["choosing steps", "training"].index)
    assert stages[-1] in ("choosing steps", "training")  # a refit may have passed its step before the search ends


def test_ctrl_c_in_the_search_leaves_no_thread_behind(reach: xr.Dataset, beside: list[str]) -> None:
    def interrupt(event: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        DCF(dim=2, settings=SETTINGS, progress=interrupt).fit(reach)
    assert beside
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("refit")]


def test_an_error_of_the_refit_is_told(reach: xr.Dataset, beside: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    start = Training.start

    def fail(self: Training, prepared: xr.Dataset) -> object:
        if threading.current_thread() is not threading.main_thread():
            raise DataError("as expected", fix="nothing")
        return start(self, prepared)

    monkeypatch.setattr(Training, "start", fail)
    with pytest.raises(DataError, match="as expected"):
        DCF(dim=2, settings=SETTINGS).fit(reach)
    assert torch.get_num_threads() == 2

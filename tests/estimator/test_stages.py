"""The search for the steps and the refit side by side: the same result, and the same ends."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
import torch
import xarray as xr

from nwb_dcf import DCF
from nwb_dcf.config.progress import Progress
from nwb_dcf.data.synthetic import simulate_reach
from nwb_dcf.errors import DataError
from nwb_dcf.estimator.initialization import seed_initial_weights
from nwb_dcf.estimator.stages import Start, Training
from nwb_dcf.model.parallel import use_threads
from nwb_dcf.model.training import FoundSteps

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


@pytest.fixture
def late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the refit begin when the search is over, so that all of its steps are still to come."""
    over, start, tell = threading.Event(), Training.start, FoundSteps.tell

    def wait(self: Training, prepared: xr.Dataset) -> Start:
        if threading.current_thread() is not threading.main_thread():
            assert over.wait(60)
        return start(self, prepared)

    def note(self: FoundSteps, steps: dict[str, int], *, complete: bool = False) -> None:
        tell(self, steps, complete=complete)
        if complete:
            over.set()

    monkeypatch.setattr(Training, "start", wait)
    monkeypatch.setattr(FoundSteps, "tell", note)


def test_while_the_search_goes_on_progress_tells_of_it_alone(reach: xr.Dataset, beside: list[str]) -> None:
    stages: list[str] = []
    DCF(dim=2, settings=SETTINGS, progress=lambda event: stages.append(event.stage.split(" (")[0])).fit(reach)
    assert beside
    assert stages == sorted(stages, key=["choosing steps", "training"].index)


@pytest.mark.usefixtures("late")
def test_then_progress_tells_of_the_refit(reach: xr.Dataset, beside: list[str]) -> None:
    events: list[Progress] = []
    fit = DCF(dim=2, settings=SETTINGS, progress=events.append).fit(reach)
    assert beside
    told = {event.stage: event.step for event in events}
    assert told["training (code and compression)"] == fit.steps_["u"]


@pytest.mark.usefixtures("late")
@pytest.mark.parametrize("keep_partial", [False, True])
def test_ctrl_c_in_the_refit_keeps_what_it_has_learned_where_asked(
    reach: xr.Dataset, beside: list[str], keep_partial: bool
) -> None:
    def interrupt(event: Progress) -> None:
        if event.stage.startswith("training"):
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            time.sleep(0.5)  # the main thread has it before the next step

    fit = DCF(dim=2, settings=SETTINGS, progress=interrupt, keep_partial=keep_partial)
    if keep_partial:
        assert any("interrupted in training" in note for note in fit.fit(reach).fitted_.notes)
    else:
        with pytest.raises(KeyboardInterrupt):
            fit.fit(reach)
    assert beside
    assert torch.get_num_threads() == 2


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
            assert torch.get_num_threads() == 1  # half of them
            raise DataError("as expected", fix="nothing")
        return start(self, prepared)

    monkeypatch.setattr(Training, "start", fail)
    with pytest.raises(DataError, match="as expected"):
        DCF(dim=2, settings=SETTINGS).fit(reach)
    assert torch.get_num_threads() == 2


def test_initial_weights_are_drawn_by_one_thread_at_a_time() -> None:
    """The global generator is put back in between: what two threads draw does not depend on who was first."""
    drawn: list[float] = []

    def draw() -> None:
        with seed_initial_weights(1):
            drawn.append(float(torch.rand(())))

    with seed_initial_weights(1):
        first = float(torch.rand(()))
        other = threading.Thread(target=draw)
        other.start()
        other.join(0.3)
        assert not drawn
        second = float(torch.rand(()))
    other.join()
    assert drawn == [first]
    with seed_initial_weights(1):
        assert [float(torch.rand(())) for _ in range(2)] == [first, second]

"""What is done with a fit while its v learns: on its own copy of the model, with the results of a fit without it."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
import pytest
import torch
import xarray as xr

from nwb_dcf.config.fit import FitConfig
from nwb_dcf.config.presets import make_config
from nwb_dcf.data.recording import make_recording
from nwb_dcf.data.synthetic import simulate_ball, simulate_lorenz
from nwb_dcf.estimator import beside_dynamics
from nwb_dcf.estimator.beside_dynamics import BesideDynamics
from nwb_dcf.estimator.fit import fit
from nwb_dcf.estimator.fitted import FittedModel, PreparedFrames
from nwb_dcf.model.parallel import use_threads

SETTINGS = {"dim": 2, "steps": 12, "smooth": 0.04, "scale": "global"}  # of counts, whose encoder hides channels


@dataclass(frozen=True)
class Case:
    recording: xr.Dataset
    config: FitConfig
    alone: FittedModel

    def measure(
        self, fitted: FittedModel, prepared: PreparedFrames | None = None
    ) -> tuple[str, np.ndarray, np.ndarray]:
        own = fitted.prepare(self.recording)
        if prepared is not None:  # the fit's own frames, which need not be prepared again
            for name in ("values", "segment", "time"):
                np.testing.assert_array_equal(getattr(prepared, name), getattr(own, name))
        latents = fitted.encode(own)
        return threading.current_thread().name, latents, fitted.rates(latents)


@pytest.fixture(scope="module")
def case() -> Case:
    recording = simulate_lorenz(12, 40, 8, seed=0).recording
    config = make_config("default", SETTINGS, kind="counts")
    with use_threads(1):
        return Case(recording, config, fit(recording, config))


def test_measures_beside_v_are_those_after_it_and_leave_the_fit_alone(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    # whatever else this machine does: of two threads of torch one would spin
    monkeypatch.setattr(beside_dynamics, "is_worth_a_thread", lambda *_: True)
    seen: list[FittedModel] = []

    def measure(ready: FittedModel, prepared: PreparedFrames | None) -> tuple[str, np.ndarray, np.ndarray]:
        assert prepared is not None
        seen.append(ready)
        return case.measure(ready, prepared)

    beside = BesideDynamics(measure)
    with use_threads(1):
        fitted = fit(case.recording, case.config, beside=beside)
    assert seen[0].model is not fitted.model  # which v's training switches between learning and use
    thread, latents, rates = beside.result(fitted)
    assert thread == "beside"
    expected = case.measure(case.alone)
    np.testing.assert_array_equal(latents, expected[1])
    np.testing.assert_array_equal(rates, expected[2])
    for name, weights in case.alone.model.state_dict().items():
        assert torch.equal(weights, fitted.model.state_dict()[name]), name
    assert fitted.calibration is not None
    assert case.alone.calibration is not None
    np.testing.assert_array_equal(fitted.calibration.slope, case.alone.calibration.slope)


def test_a_u_net_is_measured_beside_v_as_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    ball = simulate_ball(8, 16, size=16, seed=0)
    frames, time, segment = ball.truth["frames"].values, ball.recording["time"].values, ball.recording["segment_index"]
    recording = make_recording(frames, time, segment_index=segment.values)
    config = make_config("default", {"dim": 2, "steps": 6, "network": "unet", "channels": (4,)}, kind="images")

    def measure(fitted: FittedModel, prepared: PreparedFrames | None) -> tuple[str, np.ndarray]:
        assert prepared is not None
        return threading.current_thread().name, fitted.flow(prepared)

    found = []
    with use_threads(1):
        for worth in (True, False):
            monkeypatch.setattr(beside_dynamics, "is_worth_a_thread", lambda *_, worth=worth: worth)
            beside = BesideDynamics(measure)
            found.append(beside.result(fit(recording, config, beside=beside)))
    assert [thread for thread, _ in found] == ["beside", threading.current_thread().name]
    np.testing.assert_array_equal(found[0][1], found[1][1])


def test_one_thread_is_left_to_training(case: Case) -> None:
    seen: list[PreparedFrames | None] = []

    def measure(fitted: FittedModel, prepared: PreparedFrames | None) -> tuple[str, np.ndarray, np.ndarray]:
        seen.append(prepared)
        return case.measure(fitted, prepared)

    beside = BesideDynamics(measure)
    with use_threads(1):
        fitted = fit(case.recording, case.config, beside=beside)
    assert beside.result(fitted)[0] == threading.current_thread().name
    assert seen[0] is not None


def test_what_fails_beside_v_is_raised_when_it_is_asked_for(case: Case) -> None:
    def refuse(_fitted: FittedModel, _prepared: PreparedFrames | None) -> None:
        raise ValueError("no")

    beside = BesideDynamics(refuse)
    with use_threads(2):
        beside.start(case.alone, lambda _fitted: None, case.alone.prepare(case.recording))
    beside.wait()
    with pytest.raises(ValueError, match="no"):
        beside.result(case.alone)

"""One training: steps chosen on held-out frames, then finished on all frames from there."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

from nwb_dcf import DCF
from nwb_dcf.config.progress import CHOOSING_SMOOTHING, Progress
from nwb_dcf.data.synthetic import simulate_reach
from nwb_dcf.estimator import train_stages as stages
from nwb_dcf.estimator.initialization import seed_initial_weights
from nwb_dcf.model.training import FrameTable, train_model

SETTINGS = {"steps": 60, "batch_size": 256}


@pytest.fixture(scope="module")
def reach() -> xr.Dataset:
    return simulate_reach(n_trials=20).recording


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What `train_model` was asked for, call by call."""
    calls: list[dict[str, Any]] = []

    def note(model: Any, table: FrameTable, config: Any, **others: Any) -> Any:
        trained = train_model(model, table, config, **others)
        calls.append({"table": table, "config": config, "trained": trained, **others})
        return trained

    monkeypatch.setattr(stages, "train_model", note)
    return calls


@pytest.mark.parametrize("settings", [{}, {"train_encoder_with_flows": False, "gamma": 0.0}])
def test_each_part_is_searched_and_then_finished_on_all_frames(
    reach: xr.Dataset, trainings: list[dict[str, Any]], settings: dict[str, Any]
) -> None:
    fitted = DCF(dim=2, settings={**SETTINGS, **settings}).fit(reach).fitted_
    n = reach.sizes["time"]
    for name in ("u", "v"):
        calls = [call for call in trainings if name in call["learn"]]
        search = calls[0]
        rows, held_out = search["table"].rows, search["held_out"].rows
        assert not set(rows.tolist()) & set(held_out.tolist())
        assert len(rows) + len(held_out) == n
        assert fitted.steps[name] == search["trained"].best_step[name]
        wanted = round(0.25 * fitted.steps[name])
        if wanted and fitted.steps[name] * 256 >= stages.FINISH_PASSES * n:
            (finish,) = calls[1:]
            assert finish["table"].rows is None
            assert finish["held_out"] is None
            assert finish["config"].steps == wanted == fitted.finished[name]
            assert (
                stages.LEAST_RATE * search["config"].learning_rate
                <= finish["config"].learning_rate
                < search["config"].learning_rate
            )
        else:
            assert not calls[1:]
            assert name not in fitted.finished
    assert any(fitted.finished.values())


@pytest.mark.parametrize(("fraction", "single_stage", "steps"), [(0.5, False, 30), (1.0, False, 60), (0.5, True, 60)])
def test_dynamics_take_their_fraction_of_the_steps_where_they_learn_alone(
    reach: xr.Dataset, trainings: list[dict[str, Any]], fraction: float, single_stage: bool, steps: int
) -> None:
    own = {"dynamics_fraction": fraction, "single_stage": single_stage, "early_stopping": False}
    DCF(dim=2, settings={**SETTINGS, **own}).fit(reach)
    (of_v,) = (call for call in trainings if "v" in call["learn"])
    assert of_v["config"].steps == steps
    assert {call["config"].steps for call in trainings if "u" in call["learn"]} == {60}


def test_axes_and_their_variances_are_those_of_all_frames(reach: xr.Dataset) -> None:
    model = DCF(dim=2, settings=SETTINGS).fit(reach)
    x = model.prepare(reach).astype("f8")
    values, vectors = np.linalg.eigh(np.cov(x.T, bias=True))
    np.testing.assert_allclose(model.spectrum_, values[::-1][: model.k_max_], rtol=1e-3)
    np.testing.assert_allclose(np.abs(np.diag(vectors[:, ::-1].T @ model.loadings_))[:2], 1, atol=1e-3)


def test_many_frames_and_few_passes_need_no_finish(reach: xr.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "FINISH_PASSES", 1e9)
    assert DCF(dim=2, settings=SETTINGS).fit(reach).fitted_.finished == {}


def test_a_part_that_is_best_at_its_start_is_left_there(reach: xr.Dataset, trainings: list[dict[str, Any]]) -> None:
    hopeless = {**SETTINGS, "learning_rate": 100.0, "train_encoder_with_flows": False, "gamma": 0.0}
    fitted = DCF(dim=2, settings=hopeless).fit(reach).fitted_
    assert fitted.steps == {"u": 0, "v": 0}
    assert fitted.finished == {}
    assert len(trainings) == 2
    assert not any(p.any() for p in fitted.model.u.network.last.parameters())


def test_a_compression_that_did_not_learn_is_noted_with_what_decided() -> None:
    noise = np.random.default_rng(0).normal(size=(300, 6)) * [5, 4, 3, 0.5, 0.5, 0.5]  # nothing to be learned
    for steps, noted in ((40, True), (0, False)):
        settings = {"try_encoder": False, "early_stopping": bool(steps)}
        fitted = DCF(3, steps=max(steps, 2), settings=settings).fit(noise).fitted_
        assert (fitted.steps["u"] == 0) == noted
        assert any("than the initial model on 60 held-out frames in 2 segments" in one for one in fitted.notes) == noted


def test_progress_tells_of_the_search_and_then_of_the_finish(reach: xr.Dataset) -> None:
    told: list[str] = []
    DCF(dim=2, settings=SETTINGS, progress=lambda event: told.append(event.stage)).fit(reach)
    parts = ("encoder and compression", "dynamics")
    both = [f"{stage} ({part})" for part in parts for stage in ("choosing steps", "training")]
    assert [CHOOSING_SMOOTHING, *(stage for stage in both if stage in told)] == list(dict.fromkeys(told))
    assert told[0] == CHOOSING_SMOOTHING
    assert both[1] in told


@pytest.mark.parametrize("stage", ["choosing steps", "training"])
@pytest.mark.parametrize("keep_partial", [False, True])
def test_ctrl_c_keeps_what_has_been_learned_where_asked(reach: xr.Dataset, stage: str, keep_partial: bool) -> None:
    def interrupt(event: Progress) -> None:
        if event.stage.startswith(stage):
            raise KeyboardInterrupt

    fit = DCF(dim=2, settings=SETTINGS, progress=interrupt, keep_partial=keep_partial)
    if keep_partial:
        what = "in training" if stage == "training" else "while steps were chosen"
        assert any(f"interrupted {what}" in note for note in fit.fit(reach).fitted_.notes)
    else:
        with pytest.raises(KeyboardInterrupt):
            fit.fit(reach)


def test_an_interrupted_fit_counts_its_steps_whatever_their_batches(
    reach: xr.Dataset, trainings: list[dict[str, Any]]
) -> None:
    def interrupt(event: Progress) -> None:
        if "dynamics" in event.stage:
            raise KeyboardInterrupt

    settings = {**SETTINGS, "dynamics_batch_size": 64, "early_stopping": False}
    (note,) = [
        one
        for one in DCF(2, settings=settings, progress=interrupt, keep_partial=True).fit(reach).fitted_.notes
        if "interrupted" in one
    ]
    # the first report of a training comes after 25 steps
    assert f"after {sum(call['config'].steps for call in trainings[:-1]) + 25} steps" in note


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

"""From file to file: small sessions, and real ones."""

from __future__ import annotations

import getpass
import hashlib
import json
import shutil
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nwb_dcf import DCF, DCFResult, fit_nwb, list_results, plan_fit, read_recording, read_result
from nwb_dcf.config.progress import Progress
from nwb_dcf.data.split import split_recording
from nwb_dcf.errors import DataError, DCFError, ParameterError, StoreError

from ..nwb_files import make_series_session, make_spike_session

QUICK: dict[str, Any] = {"steps": 20, "width": 16, "depth": 2, "batch_size": 64, "solver_steps": 4}


@dataclass(frozen=True)
class Fit:
    session: Path
    output: Path
    before: bytes
    result: DCFResult


@pytest.fixture(scope="module")
def fit(tmp_path_factory: pytest.TempPathFactory) -> Fit:
    """A session and the copy of it that holds a fit; neither is to be changed."""
    session = make_spike_session(tmp_path_factory.mktemp("pipeline") / "s.nwb", n_units=6, duration_s=24)
    before = session.read_bytes()
    output = session.parent / "out.nwb"
    result = fit_nwb(session, 2, bin_width_s=0.05, output=output, seed=4, null=1, repeats=2, **QUICK)
    return Fit(session, output, before, result)


def test_output_leaves_the_given_file_alone(fit: Fit) -> None:
    assert fit.session.read_bytes() == fit.before
    assert sorted(path.name for path in fit.session.parent.iterdir()) == ["out.nwb", "s.nwb"]
    assert list_results(fit.session) == []
    assert [stored["name"] for stored in list_results(fit.output)] == ["units_dim2"] == [fit.result.name]


def test_what_is_read_back_is_what_was_returned(fit: Fit) -> None:
    stored = read_result(fit.output)
    for name in ("latents", "flowed", "velocity", "spectrum", "bottleneck_r2", "pca_r2", "loadings", "mean"):
        np.testing.assert_allclose(stored.dataset[name], fit.result.dataset[name], rtol=1e-6, atol=1e-6, err_msg=name)
    np.testing.assert_array_equal(stored.dataset["time"], fit.result.dataset["time"])
    assert stored.config == fit.result.config
    assert stored.weights == fit.result.weights
    assert stored.dataset.attrs["scores"] == fit.result.dataset.attrs["scores"]
    assert stored.provenance["support"] == fit.result.provenance["support"]


def test_null_and_agreement_are_kept_beside_the_scores(fit: Fit) -> None:
    scores = fit.result.dataset.attrs["scores"]
    null, agreement = scores["null"], scores["agreement"]
    assert null["fits"] == 1
    assert null["bottleneck_r2"][0] < scores["bottleneck_r2"] - 0.05  # two rhythms are shared by all units
    assert null["pca_r2"][0] < scores["pca_r2"] - 0.05
    assert null["p"] is None  # no p of fewer than 19 nulls
    assert agreement["fits"] == 2
    assert all(0 < value <= 1 for name in ("axes", "pca_axes", "planes", "pca_planes") for value in agreement[name])
    recording = read_recording(fit.session, bin_width_s=0.05)
    again = DCF.from_result(fit.result)  # the fit is the first one, whatever followed
    np.testing.assert_allclose(again.transform(recording)["data"], fit.result.dataset["latents"], atol=1e-5)


def test_the_stored_model_gives_the_stored_latents(fit: Fit) -> None:
    stored = read_result(fit.output)
    again = DCF.from_result(stored)
    recording = read_recording(fit.session, bin_width_s=0.05)
    np.testing.assert_allclose(again.transform(recording)["data"], stored.dataset["latents"], atol=1e-5)
    np.testing.assert_allclose(again.flow(recording)["data"], stored.dataset["flowed"], atol=1e-5)
    np.testing.assert_allclose(again.velocity(recording)["data"], stored.dataset["velocity"], atol=1e-4)


def test_held_out_segments_are_those_of_the_seed_and_are_not_fitted(fit: Fit) -> None:
    recording = read_recording(fit.session, bin_width_s=0.05)
    split = split_recording(recording, 0.2, seed=4)
    assert split is not None
    np.testing.assert_array_equal(fit.result.dataset["segment_held_out"], split.held_out_segments)
    dcf = DCF.from_result(fit.result)
    np.testing.assert_allclose(dcf.mean_, dcf.prepare(split.training).mean(0), atol=1e-5)
    assert np.abs(dcf.mean_ - dcf.prepare(recording).mean(0)).max() > 1e-4
    assert fit.result.dataset.attrs["scores"]["bottleneck_r2"] == pytest.approx(dcf.score(split.held_out), rel=1e-4)


def test_provenance_is_complete_and_names_no_user_host_or_folder(fit: Fit) -> None:
    stored = read_result(fit.output)
    trace = stored.provenance
    assert {"created", "versions", "machine", "seed", "source", "preparation", "split", "steps", "search",
            "training", "channels", "left_out", "notes"} <= set(trace)  # fmt: skip
    assert trace["seed"] == 4
    assert trace["source"]["file"] == "s.nwb"
    assert trace["source"]["path"] == "/units"
    assert len(trace["source"]["sha256"]) == 64
    assert trace["split"]["held_out"] == int(stored.dataset["segment_held_out"].sum())
    assert stored.config["read"]["bin_width_s"] == 0.05
    text = json.dumps([trace, stored.config, stored.dataset.attrs], allow_nan=False)
    for secret in (str(fit.session.parent), str(Path.home()), socket.gethostname()):
        assert len(secret) < 3 or secret not in text
    user = getpass.getuser()
    assert f"/{user}" not in text
    raw = fit.output.read_bytes()
    assert str(fit.session.parent).encode() not in raw


def test_the_same_seed_gives_the_same_latents_from_file_to_file(fit: Fit, tmp_path: Path) -> None:
    path = Path(shutil.copyfile(fit.session, tmp_path / "s.nwb"))
    again = fit_nwb(path, 2, bin_width_s=0.05, seed=4, **QUICK)
    np.testing.assert_array_equal(again.dataset["latents"], fit.result.dataset["latents"])
    np.testing.assert_array_equal(again.dataset["velocity"], fit.result.dataset["velocity"])
    assert [stored["name"] for stored in list_results(path)] == ["units_dim2"]  # in place


def test_a_plan_is_what_the_fit_does(fit: Fit) -> None:
    plan = plan_fit(fit.session, 2, bin_width_s=0.05, seed=4, output="elsewhere.nwb", **QUICK)
    data = fit.result.dataset
    assert (plan.to_dict()["name"], plan.kind, plan.dim) == (fit.result.name, "units", 2)
    described = json.loads(json.dumps(plan.to_dict(), allow_nan=False))
    sizes = {"channels": data.sizes["unit"], "bins": data.sizes["time"], "segments": data.sizes["segment"]}
    assert {name: described[name] for name in sizes} == sizes
    assert described["source"] == fit.result.provenance["source"]
    assert described["split"] == {name: fit.result.provenance["split"][name] for name in described["split"]}
    assert described["left_out"] == fit.result.provenance["left_out"]
    assert (described["null"], described["repeats"]) == (0, 1)
    assert fit.session.read_bytes() == fit.before


def test_a_fit_that_is_best_at_its_start_is_stored_too(tmp_path: Path) -> None:
    path = make_spike_session(tmp_path / "s.nwb", n_units=5, duration_s=20)
    fit_nwb(path, 2, **{**QUICK, "learning_rate": 30.0})
    stored = read_result(path)
    assert stored.provenance["steps"]["u"] == 0
    assert np.isfinite(stored.dataset["latents"]).all()
    assert np.isfinite(stored.dataset["bottleneck_r2"]).all()


def test_a_series_in_blocks(tmp_path: Path) -> None:
    path = make_series_session(tmp_path / "s.nwb")
    result = fit_nwb(path, 2, source="signal", held_out=0.3, **QUICK)
    assert "blocks" in result.provenance["split"]["rule"]
    intervals = result.provenance["split"]["held_out_intervals_s"]
    assert sum(stop - start for start, stop in intervals) == pytest.approx(0.3 * 30, abs=1.5)
    assert result.dataset.attrs["scores"]["frames"] < 200
    stored = read_result(path)
    recording = read_recording(path, source="signal")
    np.testing.assert_allclose(
        DCF.from_result(stored).transform(recording)["data"], stored.dataset["latents"], atol=1e-5
    )


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"dim": 0}, ParameterError, "dim is 0"),
        ({"dim": 7}, ParameterError, "dim is 7, above the 6 usable units"),
        ({"stepz": 3}, ParameterError, "no setting stepz"),
        ({"preset": "mine"}, ParameterError, "preset"),
        ({"held_out": 1.5}, ParameterError, "hold out"),
        ({"bin_width_s": float("nan")}, ParameterError, "bin_width_s"),
        ({"device": "cuda:7"}, ParameterError, "cuda:7"),
        ({"source": "nothing"}, DCFError, "nothing"),
        ({"scale": "huge"}, ParameterError, "scale"),
        ({"name": "a/b"}, DCFError, "a/b"),
        ({"null": -1}, ParameterError, "null is -1"),
        ({"repeats": 0}, ParameterError, "repeats is 0"),
        ({"repeats": 1.5}, ParameterError, "repeats is 1.5"),
        ({"window": 2}, ParameterError, "window is 2; give several values"),
        ({"encoder_window": (-0.5, 1)}, ParameterError, "encoder_window is"),
        ({"read": {"window": 2, "align": "go"}}, ParameterError, "window is 2"),
    ],
)
def test_bad_settings_change_nothing(fit: Fit, settings: dict[str, Any], error: type, words: str) -> None:
    before = sorted(fit.session.parent.iterdir())
    arguments = {"dim": 2, **settings}
    with pytest.raises(error, match=words) as caught:
        fit_nwb(fit.session, **{**QUICK, **arguments})
    assert "\n" not in str(caught.value)
    assert fit.session.read_bytes() == fit.before
    assert sorted(fit.session.parent.iterdir()) == before


def test_each_stage_gets_its_own_settings(tmp_path: Path) -> None:
    starts = np.arange(0.5, 22.5, 2.0)
    trials, columns = [(start, start + 1.5) for start in starts], {"cue": starts + 0.5}
    path = make_spike_session(tmp_path / "s.nwb", n_units=5, duration_s=24, trials=trials, trial_columns=columns)
    result = fit_nwb(
        path,
        2,
        held_out=0.3,
        align="cue",
        read={"window": (-0.4, 0.8), "bin_width_s": 0.05},
        model={"encoder_window": 1},
        train={"held_out": 0.25},
        **QUICK,
    )
    config = result.config
    assert tuple(config["read"]["window"]) == (-0.4, 0.8)
    assert (config["model"]["encoder_window"], config["train"]["held_out"]) == (1, 0.25)
    assert result.provenance["split"]["share"] == 0.3
    np.testing.assert_allclose(result.dataset["segment_stop"] - result.dataset["segment_start"], 1.2)


def test_a_fit_that_is_there_is_refused_before_training(fit: Fit) -> None:
    def fail(event: Progress) -> None:
        # the name may need the number of latents, and the smoothing is chosen before that
        if event.stage != "choosing smoothing":
            raise AssertionError(f"{event.stage} has begun")

    digest = hashlib.sha256(fit.output.read_bytes()).hexdigest()
    with pytest.raises(StoreError, match="units_dim2"):
        fit_nwb(fit.output, 2, name="units_dim2", progress=fail, **QUICK)
    with pytest.raises(StoreError, match=r"out\.nwb"):
        fit_nwb(fit.session, 2, output=fit.output, progress=fail, **QUICK)
    assert hashlib.sha256(fit.output.read_bytes()).hexdigest() == digest


def test_ctrl_c_writes_nothing_unless_asked(tmp_path: Path) -> None:
    def interrupt(event: Progress) -> None:
        if "steps" in event.stage or "training" in event.stage:
            raise KeyboardInterrupt

    path = make_spike_session(tmp_path / "s.nwb", n_units=5, duration_s=20)
    before = path.read_bytes()
    with pytest.raises(KeyboardInterrupt):
        fit_nwb(path, 2, progress=interrupt, **QUICK)
    assert path.read_bytes() == before
    result = fit_nwb(path, 2, progress=interrupt, keep_partial=True, **QUICK)
    assert result.provenance["interrupted"]
    assert read_result(path).provenance["interrupted"]


def test_too_few_data_are_refused(tmp_path: Path) -> None:
    path = make_series_session(tmp_path / "s.nwb", np.random.default_rng(0).normal(size=(600, 1)))
    with pytest.raises(DataError, match="1 usable"):
        fit_nwb(path, 1, source="signal", **QUICK)


@pytest.mark.parametrize(
    ("name", "dim", "settings"),
    [
        pytest.param("reach_chewie.nwb", 3, {"bin_width_s": 0.1, "smooth": 0.1}, marks=pytest.mark.long),
        ("three_units.nwb", 2, {"bin_width_s": 0.1}),
    ],
)
def test_real_recordings(
    name: str, dim: int, settings: dict[str, Any], real_data: Callable[[str], Path], tmp_path: Path
) -> None:
    path = Path(shutil.copyfile(real_data(name), tmp_path / name))
    path.chmod(0o644)
    result = fit_nwb(path, dim, **settings, **QUICK)
    scores = result.dataset.attrs["scores"]
    assert scores["on"] == "held-out data"
    assert scores["bottleneck_r2"] > scores["pca_r2"] - 0.02 > 0.1
    assert scores["round_trip_r2"] > 0.99
    stored = read_result(path)
    recording = read_recording(path, bin_width_s=settings["bin_width_s"])
    again = DCF.from_result(stored).transform(recording)
    np.testing.assert_allclose(again["data"], stored.dataset["latents"], atol=1e-5)
    assert stored.dataset["velocity"].attrs["units"] == "1/s"

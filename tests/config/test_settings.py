from __future__ import annotations

import contextlib
import dataclasses
import json
from typing import Any

import pytest

from nwb_dcf.config import Destination, FitConfig, ModelConfig, PrepareConfig, ReadConfig, TrainConfig, sort_settings
from nwb_dcf.errors import ParameterError

NAN = float("nan")
BAD: list[tuple[type, dict[str, Any], str]] = [
    (ReadConfig, {"bin_width_s": 0}, "bin_width_s"),
    (ReadConfig, {"bin_width_s": NAN}, "bin_width_s"),
    (ReadConfig, {"align": "cue"}, "`align=` and `window=` belong"),
    (ReadConfig, {"window": (0.0, 1.0)}, "`align=` and `window=` belong"),
    (ReadConfig, {"align": "cue", "window": (1.0, 0.0)}, "earlier first"),
    (ReadConfig, {"align": "cue", "window": (0.0, NAN)}, "window"),
    (ReadConfig, {"trials": "none", "where": "a == 1"}, "trials is 'none'"),
    (PrepareConfig, {"transformation": "log"}, "transformation is 'log'.*sqrt"),
    (PrepareConfig, {"scale": "big"}, "scale"),
    (PrepareConfig, {"smooth": -1}, "smooth"),
    (PrepareConfig, {"smooth": NAN}, "smooth"),
    (PrepareConfig, {"smooth": "much"}, "smooth"),
    (ModelConfig, {"dim": 0}, "dim is 0"),
    (ModelConfig, {"dim": 2.5}, "dim"),
    (ModelConfig, {"dim": True}, "dim"),
    (ModelConfig, {"dim": 3, "k_max": 2}, "k_max is 2 and dim 3"),
    (ModelConfig, {"k_max": 4.5}, "k_max"),
    (ModelConfig, {"k_max": "all"}, "k_max"),
    (ModelConfig, {"history": -1}, "history"),
    (ModelConfig, {"width": 0}, "width"),
    (ModelConfig, {"encoder_depth": 0}, "encoder_depth"),
    (ModelConfig, {"solver_steps": 2.5}, "solver_steps"),
    (ModelConfig, {"history_start": "skip"}, "history_start"),
    (ModelConfig, {"start": "svd"}, "start"),
    (ModelConfig, {"solver": "euler"}, "solver"),
    (ModelConfig, {"bridge_noise": -0.1}, "bridge_noise"),
    (ModelConfig, {"bridge_noise": 0.0}, "closed-form"),
    (ModelConfig, {"noise_scale": "absolute"}, "closed-form"),
    (ModelConfig, {"train_encoder_with_flows": "no"}, "train_encoder_with_flows is 'no'"),
    (TrainConfig, {"seed": -1}, "seed"),
    (TrainConfig, {"seed": 1.5}, "seed"),
    (TrainConfig, {"steps": 0}, "steps"),
    (TrainConfig, {"steps": 10.5}, "steps"),
    (TrainConfig, {"batch_size": 2.5}, "batch_size"),
    (TrainConfig, {"learning_rate": 0}, "learning_rate"),
    (TrainConfig, {"learning_rate": NAN}, "learning_rate"),
    (TrainConfig, {"ema_decay": 1.5}, "ema_decay"),
    (TrainConfig, {"prefix_p": 0}, "prefix_p"),
    (TrainConfig, {"prefix_ramp": -1}, "prefix_ramp"),
    (TrainConfig, {"held_out": 1.0}, "held_out"),
    (TrainConfig, {"schedule": "linear"}, "schedule"),
    (TrainConfig, {"device": "tpu"}, "device"),
    (TrainConfig, {"device": 0}, "device"),
    (TrainConfig, {"early_stopping": "yes"}, "early_stopping"),
]


@pytest.mark.parametrize(("stage", "settings", "words"), BAD)
def test_a_value_that_cannot_be_meant_is_refused(stage: type, settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ParameterError, match=words) as caught:
        stage(**settings)
    assert caught.value.fix


def test_the_bounds_themselves_are_allowed() -> None:
    assert TrainConfig(seed=3).seed == 3
    assert ModelConfig(dim=2, k_max=0).k_max == 0
    assert ModelConfig(dim=2, k_max=2).k_max == 2


def test_config_survives_json() -> None:
    config = FitConfig(
        PrepareConfig(smooth=0.1),
        ModelConfig(dim=2, k_max=5),
        TrainConfig(seed=4, device="cpu"),
        ReadConfig(align="cue", window=(-0.5, 1.0), units=(1, 2, 5)),
        preset="paper",
    )
    assert FitConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert FitConfig.from_dict(FitConfig().to_dict()) == FitConfig()


def test_unknown_keys_are_refused() -> None:
    for values in ({"model": {"dimension": 3}}, {"networks": {}}):
        with pytest.raises(ParameterError, match=r"no setting (dimension|networks).*known are"):
            FitConfig.from_dict(values)


def test_configs_are_frozen() -> None:
    for stage in (ReadConfig(), PrepareConfig(), ModelConfig(), TrainConfig(), FitConfig()):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(stage, dataclasses.fields(stage)[0].name, 1)


@pytest.mark.parametrize("stage", [ReadConfig, PrepareConfig, ModelConfig, TrainConfig])
def test_what_is_of_another_type_is_refused_in_words(stage: type) -> None:
    odd = (2, 0.5, "x", None, (), ("a",), (1, 2), (1, None), ((1,), 2), {"a": 1}, object(), True, NAN)
    for field in dataclasses.fields(stage):
        for value in odd:
            with contextlib.suppress(ParameterError):
                stage(**{field.name: value})


# -- names and stages ---------------------------------------------------------------------------------


def test_a_name_that_two_stages_own_is_refused_with_both() -> None:
    stages = {"read": ReadConfig, "prepare": PrepareConfig, "model": ModelConfig, "train": TrainConfig}
    owners: dict[str, list[str]] = {}
    destination = {field.name for field in dataclasses.fields(Destination)}
    for stage, cls in stages.items():
        assert not destination & {field.name for field in dataclasses.fields(cls)}
        for field in dataclasses.fields(cls):
            owners.setdefault(field.name, []).append(stage)
    for name, found in owners.items():
        if len(found) == 1:
            assert sort_settings({name: 1}) == (({name: 1}, {}) if found == ["read"] else ({}, {name: 1}))
            continue
        with pytest.raises(ParameterError, match=f"{name} is a setting of two stages") as caught:
            sort_settings({name: 1})
        assert all(f"{stage}={{'{name}': ...}}" in str(caught.value) for stage in found)
    assert all(len(found) == 1 for found in owners.values())  # each name says by itself what it sets


def test_settings_of_a_stage_are_given_together() -> None:
    read, rest = sort_settings(
        {
            "read": {"window": (-0.5, 1.0)},
            "align": "go",
            "model": {"encoder_window": 2},
            "train": TrainConfig(seed=4),
            "preset": "paper",
        }
    )
    assert read == {"window": (-0.5, 1.0), "align": "go"}
    assert (rest["encoder_window"], rest["seed"], rest["held_out"], rest["preset"]) == (2, 4, 0.2, "paper")
    assert sort_settings({"model": ModelConfig(dim=7)})[1].keys().isdisjoint({"dim"})  # an argument of its own


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"model": {"breadth": 3}}, "model has no setting breadth; .*known are bridge_noise"),
        ({"read": {"steps": 3}}, "read has no setting steps"),
        ({"model": {"dim": 3}}, "dim is given in model; give it by itself"),
        ({"train": {"steps": 3}, "steps": 4}, "steps is given twice"),
        ({"read": 3}, "read is 3; give a mapping .* or a ReadConfig"),
        ({"model": TrainConfig()}, "model is TrainConfig"),
    ],
)
def test_what_is_in_the_wrong_stage_is_refused(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ParameterError, match=says):
        sort_settings(settings)


def test_settings_of_fits_stored_under_former_names_are_read() -> None:
    former = {
        "prepare": {"transform": "none"},
        "model": {"joined": True, "conditioned": False, "window": 2, "noise": 0.1},
        "train": {
            "rate": 0.1,
            "encoder_rate": 0.2,
            "batch": 7,
            "ema": 0.5,
            "clip": 2.0,
            "tolerance": 0.1,
            "jointly": True,
        },
    }
    config = FitConfig.from_dict(json.loads(json.dumps(former)))
    assert config.prepare.transformation == "none"
    model, train = config.model, config.train
    assert (model.train_encoder_with_flows, model.condition_on_k, model.encoder_window) == (True, False, 2)
    assert model.bridge_noise == 0.1
    assert (train.learning_rate, train.encoder_learning_rate, train.batch_size, train.ema_decay) == (0.1, 0.2, 7, 0.5)
    assert (train.max_grad_norm, train.early_stopping_tolerance, train.single_stage) == (2.0, 0.1, True)

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from nwb_dcf.config import FitConfig, ModelConfig, PrepareConfig, ReadConfig, TrainConfig
from nwb_dcf.errors import ParameterError

NAN = float("nan")
BAD: list[tuple[type, dict[str, Any], str]] = [
    (ReadConfig, {"bin_width_s": 0}, "bin width"),
    (ReadConfig, {"bin_width_s": NAN}, "bin width"),
    (ReadConfig, {"align": "cue"}, "align and window"),
    (ReadConfig, {"window": (0.0, 1.0)}, "align and window"),
    (ReadConfig, {"align": "cue", "window": (1.0, 0.0)}, "earlier first"),
    (ReadConfig, {"align": "cue", "window": (0.0, NAN)}, "window"),
    (ReadConfig, {"trials": "none", "where": "a == 1"}, "trials is 'none'"),
    (PrepareConfig, {"transform": "log"}, "transform is 'log'.*sqrt"),
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
    (ModelConfig, {"noise": -0.1}, "noise"),
    (ModelConfig, {"noise": 0.0}, "closed-form"),
    (ModelConfig, {"noise_scale": "absolute"}, "closed-form"),
    (ModelConfig, {"joined": "no"}, "joined is 'no'"),
    (TrainConfig, {"seed": -1}, "seed"),
    (TrainConfig, {"seed": 1.5}, "seed"),
    (TrainConfig, {"steps": 0}, "steps"),
    (TrainConfig, {"steps": 10.5}, "steps"),
    (TrainConfig, {"batch": 2.5}, "batch"),
    (TrainConfig, {"rate": 0}, "rate"),
    (TrainConfig, {"rate": NAN}, "rate"),
    (TrainConfig, {"ema": 1.5}, "ema"),
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

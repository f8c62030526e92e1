"""What is asked of a fit is sorted by the stage that owns it, and refused where it is not clear."""

from __future__ import annotations

from typing import Any

import pytest

from nwb_dcf.batch.job import FIT_DEFAULTS
from nwb_dcf.config import Destination, FitConfig, ReadConfig, TrainConfig
from nwb_dcf.config.request import hash_request
from nwb_dcf.errors import ParameterError
from nwb_dcf.pipeline.fit_request import FitRequest


def test_keywords_go_to_the_stage_that_owns_them() -> None:
    request = FitRequest.make(
        "s.nwb", 2, source="units", seed=4, output="copy.nwb", held_out=0.1, null=3, train={"held_out": 0.3}
    )
    assert request.read.source == "units"
    assert request.config.train.seed == 4
    assert (request.held_out, request.config.train.held_out) == (0.1, 0.3)
    assert request.target.asked == Destination(output="copy.nwb")
    assert request.arguments == {"dim": 2, "held_out": 0.1, "null": 3, "repeats": 1}
    assert request.choose_bins


def test_stages_are_given_whole() -> None:
    config = FitConfig(train=TrainConfig(steps=7))
    request = FitRequest.make(
        "s.nwb", 5, read=ReadConfig(source="units"), config=config, write=Destination(name="mine", overwrite=True)
    )
    assert (request.config.train.steps, request.config.model.dim, request.dim) == (7, 5, 5)
    assert request.config.chosen is None  # finished: no kind of recording adds to it
    assert request.read.source == "units"
    assert not request.choose_bins  # a whole ReadConfig says its bins
    assert (request.target.asked.name, request.target.asked.overwrite) == ("mine", True)
    assert FitRequest.make("s.nwb", read={"source": "units"}).choose_bins


def test_dim_is_three_or_that_of_the_configuration() -> None:
    assert FitRequest.make("s.nwb").dim == 3
    config = FitConfig.from_dict({"model": {"dim": 6}, "read": {"source": "lfp"}})
    request = FitRequest.make("s.nwb", config=config)
    assert (request.dim, request.read.source, request.config.read) == (6, "lfp", None)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"write": {"output": "a.nwb"}, "output": "b.nwb"}, "output is given twice, by itself and in write"),
        ({"write": Destination(), "name": "x"}, "name is given twice"),
        ({"write": {"outputs": "a.nwb"}}, "write has no setting outputs; did you mean output"),
        ({"write": {"overwrite": 1}}, "overwrite is 1; give True or False"),
        ({"config": FitConfig(), "steps": 4}, "steps is given beside config; give it in config"),
        ({"config": FitConfig(), "preset": "paper"}, "preset is given beside config"),
        ({"config": {"steps": 4}}, r"config is \{'steps': 4\}; give a nwb_dcf.config.FitConfig"),
        ({"config": FitConfig(read=ReadConfig()), "source": "units"}, "what to read is given twice"),
        ({"config": FitConfig(), "dim": 0}, "dim is 0"),
        ({"overwritten": True}, "there is no setting overwritten; did you mean overwrite"),
        ({"warmstart": "f.nwb"}, "there is no setting warmstart; did you mean warm_start"),
        ({"repeats": 0}, "repeats is 0"),
    ],
)
def test_what_is_not_clear_is_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ParameterError, match=says):
        FitRequest.make("s.nwb", **options)


def test_a_batch_finds_a_request_by_the_keywords_it_was_given() -> None:
    for options in ({"steps": 4, "output": "a.nwb", "resume": True}, {"config": FitConfig(preset="paper")}):
        assert FitRequest.make("s.nwb", **options).hash == hash_request({**FIT_DEFAULTS, **options})
    assert FitRequest.make("s.nwb", steps=4).hash != FitRequest.make("s.nwb", steps=5).hash

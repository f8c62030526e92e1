from __future__ import annotations

import pytest

from nwb_dcf.config import FitConfig
from nwb_dcf.config.presets import PRESETS, adapt_to_kind, configure_encoder, make_config
from nwb_dcf.errors import ParameterError


def test_default_is_the_configuration_itself() -> None:
    own = {"try_encoder": False, "dynamics_fraction": 1.0, "dynamics_batch_size": 0}  # of values
    assert make_config("default", own) == FitConfig()
    assert make_config("default", {}).train.try_encoder  # values choose, stored fits have chosen


def test_a_batch_that_is_given_is_that_of_every_part() -> None:
    assert make_config("default", {}).train.dynamics_batch_size == 256
    assert make_config("default", {"batch_size": 1024}).train.dynamics_batch_size == 0
    # an encoder that is tried has the settings of counts, whose v needs all of its steps
    tried = configure_encoder(make_config("default", {}))
    assert tried is not None
    assert (tried.train.dynamics_batch_size, tried.train.dynamics_fraction) == (0, 1.0)


def test_axes_that_start_at_random_are_ordered_by_the_draws_of_k() -> None:
    # with K = dim in most draws two random starts of one recording agreed in .87 of their axes, and in .99 without
    counts = make_config("default", {"dim": 3}, kind="counts").train.prefix_at_dim
    assert counts > 0.5
    for settings, prefix_at_dim in (({}, 0.0), ({"prefix_at_dim": 0.5}, 0.5)):
        random = {"dim": 3, "start": "random", **settings}
        assert make_config("default", random, kind="counts").train.prefix_at_dim == prefix_at_dim
        assert adapt_to_kind(make_config("default", random), "counts").train.prefix_at_dim == prefix_at_dim
    assert adapt_to_kind(make_config("default", {"dim": 3}), "counts").train.prefix_at_dim == counts


def test_settings_find_their_stage() -> None:
    config = make_config("default", {"dim": 2, "smooth": 0.1, "steps": 7})
    assert (config.model.dim, config.prepare.smooth, config.train.steps) == (2, 0.1, 7)


@pytest.mark.parametrize("preset", ["paper", "authors"])
def test_what_the_paper_says(preset: str) -> None:
    config = make_config(preset, {})
    model, train = config.model, config.train
    assert config.preset == preset
    assert (model.start, model.condition_on_k, model.closed_form) == ("random", False, False)
    assert (model.solver, model.k_max, model.history, model.width, model.depth) == ("dopri5", 0, 10, 256, 4)
    assert (model.bridge_noise, model.noise_scale) == (0.1, "absolute")
    assert (train.alpha, train.beta, train.eta) == (1, 1, 1)
    assert (train.batch_size, train.prefix_p, train.prefix_per_sample, train.prefix_ramp) == (
        256,
        0.02,
        False,
        1_000_000,
    )
    assert (train.prefix_at_dim, train.tau_in_angle, train.max_grad_norm, train.early_stopping) == (0, 0, 0, False)
    assert train.ema_decay ** (500_000 / 256) == pytest.approx(0.5)
    assert train.steps * train.batch_size == pytest.approx(55.7e6, rel=0.01)


def test_where_the_text_and_the_code_of_the_authors_differ() -> None:
    paper, authors = make_config("paper", {}).model, make_config("authors", {}).model
    assert (paper.train_encoder_with_flows, paper.masked_endpoints, paper.history_start) == (True, True, "repeat")
    assert (authors.train_encoder_with_flows, authors.masked_endpoints, authors.history_start) == (False, False, "drop")


@pytest.mark.parametrize("preset", PRESETS)
def test_settings_stand_above_the_preset(preset: str) -> None:
    config = make_config(preset, {"steps": 9, "history": 1, "train_encoder_with_flows": False})
    assert (config.train.steps, config.model.history, config.model.train_encoder_with_flows) == (9, 1, False)
    assert PRESETS[preset].get("steps") != 9


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ParameterError, match="preset is 'mine'; choose one of default, paper, authors"):
        make_config("mine", {})
    with pytest.raises(ParameterError, match=r"no setting stepz; did you mean steps. known are .*steps"):
        make_config("default", {"stepz": 3})

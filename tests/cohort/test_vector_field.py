from __future__ import annotations

import numpy as np
import pytest

from nwb_dcf.cohort.coupling import fit_coupling
from nwb_dcf.cohort.findings import note_dynamics
from nwb_dcf.cohort.vector_field import (
    Paths,
    SharedDynamics,
    compare_dynamics,
    compute_paths,
    fit_field,
    halve_paths,
    score_field,
)
from nwb_dcf.data.synthetic import CohortDesign
from nwb_dcf.errors import DataError

from .simulated import align, draw, find_axes


def compare(seed: int, sharing: str) -> SharedDynamics:
    frames = align(draw(5, seed, CohortDesign(sharing=sharing)))
    axes = find_axes(frames)
    rng = np.random.default_rng(seed)
    halves = []
    for one in frames:
        latents = fit_coupling(one, axes.anchors).transform(one.values, one.trial)
        halves.append(halve_paths(latents, one, rng))
    return compare_dynamics(halves)


def test_a_quadratic_field_is_found():
    rng = np.random.default_rng(0)
    state = rng.normal(size=(400, 2))
    velocity = np.column_stack([state[:, 0] * state[:, 1] - 1, 0.5 * state[:, 0] ** 2 - state[:, 1]])
    paths = Paths(state, velocity, np.zeros(400, np.int64))
    field = fit_field([paths], ridge=1e-9)
    assert np.allclose(field(state), velocity, atol=1e-6)
    assert score_field(field, paths) > 0.999


def test_velocities_are_central_differences_inside_a_condition():
    frames = align(draw(1, seed=0))[0]
    latents = np.column_stack([frames.bin, frames.condition]).astype(float)
    paths = compute_paths(latents, frames)
    assert np.allclose(paths.velocity, [1, 0])
    assert len(paths.state) == 6 * 14
    assert np.allclose(paths.state[0], [1, 0])


def test_the_others_field_is_as_good_as_the_own_where_dynamics_are_shared_and_only_there():
    shared = np.median([compare(seed, "dynamics").ratio for seed in range(2)])
    different = np.median([compare(seed, "starts").ratio for seed in range(2)])
    assert shared > 0.9
    assert different < 0.7


def test_verdicts():
    def judge(own: list[float], shared: list[float]) -> str:
        return SharedDynamics(np.array(own), np.array(shared)).verdict

    assert judge([0.8, 0.7], [0.79, 0.7]) == "shared"
    assert judge([0.8, 0.7], [0.3, 0.2]) == "different"
    assert judge([0.8, 0.7], [0.64, 0.56]) == "cannot tell"
    assert judge([0.1, 0.2], [0.1, 0.2]) == "cannot tell"


def test_half_of_the_trials_without_a_path_cannot_tell():
    full = Paths(np.random.default_rng(0).normal(size=(12, 2)), np.ones((12, 2)), np.arange(12))
    empty = Paths(np.empty((0, 2)), np.empty((0, 2)), np.empty(0, np.int64))
    dynamics = compare_dynamics([(full, empty), (empty, full)])
    assert np.isnan(dynamics.own).all()
    assert dynamics.verdict == "cannot tell"
    assert "too few trials" in note_dynamics(dynamics).sentence
    with pytest.raises(DataError, match="no condition has means"):
        fit_field([empty])

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from nwb_dcf.cohort.anchors import compute_condition_means
from nwb_dcf.cohort.coupling import fit_coupling
from nwb_dcf.cohort.findings import note_groups
from nwb_dcf.cohort.groups import GroupComparison, compare_groups, compute_floor, list_divisions
from nwb_dcf.data.synthetic import CohortDesign
from nwb_dcf.errors import DataError

from .simulated import align, draw, find_axes

AB = ["a"] * 4 + ["b"] * 4


def compare(seed: int, design: CohortDesign) -> GroupComparison:
    frames = align(draw(8, seed, design))
    axes = find_axes(frames)
    means = []
    for one in frames:
        latents = fit_coupling(one, axes.anchors).transform(one.values, one.trial)
        means.append(compute_condition_means(one.with_values(latents)).means)
    names = [str(i) for i in range(8)]
    return compare_groups(np.stack(means), AB, names, axes.anchors, rng=np.random.default_rng(0))


def test_a_slower_group_is_found_and_the_ratio_is_a_lower_bound():
    found = [compare(seed, CohortDesign(speed=[1] * 4 + [0.75] * 4)) for seed in range(2)]
    assert all(one.p_speed <= 0.05 for one in found)
    assert all(0.75 < one.ratio < 0.95 for one in found)


def test_fields_that_differ_beyond_their_speeds_are_a_warning():
    found = compare(0, CohortDesign(speed=[1] * 4 + [0.75] * 4))
    for p, said in ((0.5, False), (found.floor, True)):
        sentences = [finding.sentence for finding in note_groups(dataclasses.replace(found, p_turned=p))]
        assert any("they are turned may be what speed has found" in sentence for sentence in sentences) == said


def test_equal_groups_are_not_told_apart():
    found = [compare(seed, CohortDesign(rate_factor=[1] * 4 + [0.5] * 4)) for seed in range(2)]
    assert sum(one.p_speed <= 0.05 for one in found) <= 1
    assert np.mean([one.ratio for one in found]) == pytest.approx(1, abs=0.05)
    assert all(np.isfinite(one.threshold) for one in found)


def test_a_turned_field_is_seen_by_the_fields():
    found = [compare(seed, CohortDesign(turn_deg=[0] * 4 + [45] * 4)) for seed in range(2)]
    assert all(one.p_field <= 0.05 for one in found)
    # and are no slower ones: divided by speeds they differ as well
    assert all(one.p_turned <= 0.05 for one in found)


def turn(speed: float, rng: np.random.Generator) -> np.ndarray:
    """Two conditions on a circle, ten bins."""
    angle = np.array([0.0, 2.0])[:, None] + speed * 0.2 * np.arange(10)
    means = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    return means + 0.01 * rng.normal(size=means.shape)


def test_several_sessions_of_one_animal_count_once():
    rng = np.random.default_rng(0)
    means = np.stack([turn(1, rng) for _ in range(6)] + [turn(0.5, rng) for _ in range(6)])
    animal = [f"x{i // 2}" for i in range(12)]
    comparison = compare_groups(means, ["a"] * 6 + ["b"] * 6, animal, np.zeros((2, 10, 2)), rng=rng)
    assert comparison.floor == pytest.approx(0.1)  # three against three animals, and not six against six sessions
    assert not comparison.can_tell
    assert np.isnan(comparison.threshold)


def test_divisions_are_all_and_the_true_one_is_first():
    true = np.array([False, False, True, True])
    divisions, exact = list_divisions(true, 100, np.random.default_rng(0))
    assert exact
    assert len(np.unique(divisions, axis=0)) == len(divisions) == 6
    assert (divisions[0] == true).all()
    drawn, exact = list_divisions(true, 5, np.random.default_rng(0))
    assert not exact
    assert len(drawn) == 5


def test_floors():
    assert compute_floor(4, 4) == pytest.approx(2 / 70)
    assert compute_floor(3, 5) == pytest.approx(1 / 56)


@pytest.mark.parametrize(
    ("group", "animal", "message"),
    [
        (["a"] * 4, ["1", "2", "3", "4"], "1 groups"),
        (["a", "a", "b", "b"], ["1", "2", "2", "3"], "animal 2 is in both groups"),
        (["a", "a", "a", "b"], ["1", "2", "3", "4"], "a group has one animal"),
    ],
)
def test_groups_that_cannot_be_compared_are_refused(group: list[str], animal: list[str], message: str):
    rng = np.random.default_rng(0)
    with pytest.raises(DataError, match=message):
        compare_groups(np.stack([turn(1, rng) for _ in group]), group, animal, np.zeros((2, 10, 2)), rng=rng)

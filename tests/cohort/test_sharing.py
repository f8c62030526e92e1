from __future__ import annotations

import numpy as np
import pytest

from nwb_dcf.cohort.anchors import compute_cross_trial_gram
from nwb_dcf.cohort.sharing import SharingTest, compute_sharing_test
from nwb_dcf.data.synthetic import CohortDesign
from nwb_dcf.errors import DataError

from .simulated import align, draw


def run_test(n_animals: int, seed: int, sharing: str, n_permutations: int = 99) -> SharingTest:
    design = CohortDesign(sharing=sharing, trial_factor=[1, 0.5, 1, 0.7][:n_animals])
    grams, usable = zip(*(compute_cross_trial_gram(one) for one in align(draw(n_animals, seed, design))), strict=True)
    return compute_sharing_test(grams, usable, n_permutations=n_permutations, rng=np.random.default_rng(seed))


def test_what_is_shared_is_found():
    test = run_test(3, 0, "dynamics")
    assert test.p == 0.01
    assert (test.p_session == 0.01).all()
    assert test.similarity[0, 1] > 0.5


def test_starts_arranged_alike_are_significant_whatever_moves_them():
    assert run_test(3, 0, "starts").p == 0.01


def test_nothing_shared_is_found_as_often_as_the_level_says():
    # 16 cohorts at 5 %: four or more false positives have a probability of .007.
    found = [run_test(3, seed, "nothing", 39).p <= 0.05 for seed in range(16)]
    assert sum(found) < 4


def test_one_permutation_for_all_sessions_would_keep_them_matched():
    # A guard of the test itself: with one seed for every session nothing is permuted against anything.
    grams, usable = zip(*(compute_cross_trial_gram(one) for one in align(draw(3, 5))), strict=True)

    class Same:
        def permutation(self, x: np.ndarray) -> np.ndarray:
            return np.roll(x, 1)

    assert compute_sharing_test(grams, usable, n_permutations=19, rng=Same()).p == 1.0


def test_the_floor_is_that_of_the_conditions():
    rng = np.random.default_rng(0)
    gram = rng.normal(size=(3, 4, 3, 4))
    gram = gram + gram.transpose(2, 3, 0, 1)
    test = compute_sharing_test([gram, gram], [np.ones(3, bool)] * 2, n_permutations=999, rng=rng)
    assert test.floor == pytest.approx(1 / 6)
    assert test.p >= 0.1


def test_too_little_to_permute_is_refused():
    gram = np.random.default_rng(0).normal(size=(2, 4, 2, 4))
    with pytest.raises(DataError, match="nothing to permute below three"):
        compute_sharing_test([gram, gram], [np.ones(2, bool)] * 2, rng=np.random.default_rng(0))
    with pytest.raises(DataError, match="has none to compare with"):
        compute_sharing_test([gram], [np.ones(2, bool)], rng=np.random.default_rng(0))

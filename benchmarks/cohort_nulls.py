"""Levels of the tests of cohorts without conditions: names of cells and behaviour that mean nothing.

``python benchmarks/cohort_nulls.py [N]``: N null cohorts of each kind, 200 by default.
"""

from __future__ import annotations

import sys

import numpy as np
from scipy.ndimage import gaussian_filter1d

from nwb_dcf.cohort import Cohort
from nwb_dcf.cohort.matched import compare_covariances
from nwb_dcf.data.recording import make_recording
from nwb_dcf.errors import DataError


def count_matched(n: int) -> None:
    """Four sessions of twenty cells with latents and loadings of their own, under the same names."""
    found = []
    for seed in range(n):
        rng = np.random.default_rng(seed)
        covariances = []
        for _ in range(4):
            z = 5 * gaussian_filter1d(rng.normal(size=(300, 3)), 8, axis=0)
            covariances.append(np.corrcoef((z @ rng.normal(size=(3, 20)) + rng.normal(size=(300, 20))).T))
        test = compare_covariances(covariances, 99, rng)
        found.append((test.p <= 0.05, np.mean(test.p_session <= 0.05)))
    print_levels("cells matched by names that mean nothing", found)


def count_continuous(n: int) -> None:
    """Three sessions whose behaviour is as slow as the units' latents, and not theirs."""
    found = []
    for seed in range(n):
        rng = np.random.default_rng(1000 + seed)
        recordings, behavior = {}, {}
        for session in "abc":
            slow = gaussian_filter1d(rng.normal(size=(1500, 1)), 15, axis=0)
            z = gaussian_filter1d(rng.normal(size=(1500, 2)), 25, axis=0)
            values = z / z.std() @ rng.normal(size=(2, 15)) + rng.normal(size=(1500, 15))
            recordings[session], behavior[session] = make_recording(values, 0.1 * np.arange(1500)), slow / slow.std()
        try:
            test = Cohort(2, n_permutations=39, repeats=1, force=True).fit(recordings, None, behavior=behavior).sharing_
        except DataError:  # values of two sessions do not overlap
            continue
        found.append((test.p <= 0.05, np.mean(test.p_session <= 0.05)))
    print_levels("bins of behaviour that the units do not follow, 39 shifts", found)


def print_levels(what: str, found: list[tuple[bool, float]]) -> None:
    cohort, session = np.mean(found, axis=0)
    print(f"{what}, n {len(found)}: p <= .05 in {cohort:.3f} of cohorts, {session:.3f} of sessions", flush=True)


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    count_matched(count)
    count_continuous(count)

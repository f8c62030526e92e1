from __future__ import annotations

import numpy as np

from nwb_dcf.cohort.anchors import compute_condition_means, compute_gram, scale_means
from nwb_dcf.cohort.stability import TrialResampling, draw_trials, resample_sessions
from nwb_dcf.data.synthetic import CohortDesign

from .simulated import N_BINS, N_CONDITIONS, align, draw


def test_axes_repeat_where_sessions_share_and_not_elsewhere():
    worst = {}
    for sharing in ("dynamics", "nothing"):
        frames = align(draw(6, 2, CohortDesign(sharing=sharing)))
        grams = [compute_gram(scale_means(compute_condition_means(one))) for one in frames]
        found = resample_sessions(grams, N_CONDITIONS, N_BINS, 3, rng=np.random.default_rng(0), n_repeats=4)
        worst[sharing] = found.mean(axis=0).min()
    assert worst["dynamics"] > 0.8
    assert worst["nothing"] < 0.6


def test_three_sessions_have_no_disjoint_sets():
    assert resample_sessions([np.eye(6)] * 3, 2, 3, 1, rng=np.random.default_rng(0)) is None


def test_draws_keep_every_condition():
    frames = align(draw(1, 0))[0]
    drawn = draw_trials(frames, 0.5, np.random.default_rng(0))
    kept = frames.select_trials(drawn)
    assert (kept.trials_per_condition == np.round(0.5 * frames.trials_per_condition)).all()
    resampling = TrialResampling(N_CONDITIONS, N_BINS, rng=np.random.default_rng(0), n_repeats=2)
    resampling.add(frames)
    assert resampling.compare(2).shape == (2, 2)

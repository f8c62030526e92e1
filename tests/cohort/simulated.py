"""Simulated animals as labelled frames."""

from __future__ import annotations

import numpy as np

from nwb_dcf.cohort.anchors import AlignedFrames, compute_condition_means, compute_gram, scale_means
from nwb_dcf.cohort.axes import GramSum, SharedAxes, fit_axes
from nwb_dcf.cohort.labels import TrialClock, align_frames, fit_session_preprocessor
from nwb_dcf.data.synthetic import CohortDesign, Simulation, simulate_cohort

N_CONDITIONS, N_BINS = 6, 16
CONDITIONS = [str(i) for i in range(N_CONDITIONS)]


def draw(n_animals: int, seed: int, design: CohortDesign | None = None, dim: int = 3) -> list[Simulation]:
    return simulate_cohort(
        n_animals,
        dim,
        n_conditions=N_CONDITIONS,
        n_bins=N_BINS,
        bin_width_s=0.06,
        trials_per_condition=(5, 9),
        n_units=(40, 60),
        design=design,
        seed=seed,
    )


def align(animals: list[Simulation]) -> list[AlignedFrames]:
    clock = TrialClock(0.06, N_BINS, 0.06)
    frames = []
    for i, animal in enumerate(animals):
        labels = animal.recording["trial_condition"].values.astype(np.str_)
        preprocessor = fit_session_preprocessor(animal.recording, clock)
        frames.append(align_frames(animal.recording, labels, CONDITIONS, clock, preprocessor, name=f"animal{i}"))
    return frames


def find_axes(frames: list[AlignedFrames], dim: int = 3) -> SharedAxes:
    grams = [compute_gram(scale_means(compute_condition_means(one))) for one in frames]
    return fit_axes(GramSum(N_CONDITIONS, N_BINS, grams), dim)


def score_linear(training: np.ndarray, target: np.ndarray, test: np.ndarray, truth: np.ndarray) -> float:
    design = np.column_stack([training, np.ones(len(training))])
    weights = np.linalg.lstsq(design, target, rcond=None)[0]
    estimate = np.column_stack([test, np.ones(len(test))]) @ weights
    return float(1 - np.square(truth - estimate).sum() / np.square(truth - truth.mean(axis=0)).sum())

"""Pseudo-animals of reach_chewie.nwb (disjoint units and trials), and how each method puts them into one space."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from recordings import read_chewie
from scipy.linalg import orthogonal_procrustes

from nwb_dcf.cohort.anchors import (
    AlignedFrames,
    compute_condition_means,
    compute_gram,
    scale_means,
)
from nwb_dcf.cohort.axes import GramSum, SharedAxes, fit_axes
from nwb_dcf.cohort.coupling import fit_coupling
from nwb_dcf.config import PrepareConfig
from nwb_dcf.data.preprocessing import fit_preprocessor

FOLDER = Path(os.environ.get("NWB_DCF_TEST_DATA", "../shared/data"))
N_BINS, N_DIRECTIONS = 9, 8  # of the reaches: every trial has nine bins of 100 ms


@dataclass(frozen=True)
class Animal:
    """One pseudo-animal: labelled frames, the hand's velocity, and the frames of trials that are not held out."""

    frames: AlignedFrames
    velocity: np.ndarray
    training: np.ndarray

    @property
    def fitted(self) -> AlignedFrames:
        return self.frames.select_trials(np.unique(self.frames.trial[self.training]))


def draw_animals(seed: int, n: int) -> list[Animal]:
    recording, velocity = read_chewie(FOLDER)
    values = fit_preprocessor(recording, PrepareConfig(smooth=0.1, scale="global")).apply(recording)["data"].values
    trial = recording["segment_index"].values.astype(np.int64)
    direction = np.unique(recording["trial_direction"].values, return_inverse=True)[1]
    within = np.arange(len(trial)) - np.searchsorted(trial, trial)
    rng = np.random.default_rng(seed)
    units = np.array_split(rng.permutation(np.flatnonzero(values.var(axis=0) > 0)), n)
    order = rng.permutation(len(direction))
    order = order[np.argsort(direction[order], kind="stable")]
    animals = []
    for i in range(n):
        mine = rng.permutation(order[i::n])
        mine = mine[np.argsort(direction[mine], kind="stable")]
        held_out = mine[np.arange(len(mine)) % 4 == rng.integers(4)]
        kept = np.isin(trial, mine) & (within < N_BINS)
        x = values[kept][:, units[i]]
        frames = AlignedFrames(
            x / np.sqrt(x.var(axis=0).mean()), trial[kept], direction[trial[kept]], within[kept], N_DIRECTIONS, N_BINS
        )
        animals.append(Animal(frames, velocity[kept], ~np.isin(trial[kept], held_out)))
    return animals


def find_axes(frames: list[AlignedFrames], dim: int) -> SharedAxes:
    grams = [compute_gram(scale_means(compute_condition_means(one))) for one in frames]
    return fit_axes(GramSum(frames[0].n_conditions, frames[0].n_bins, grams), dim)


def read_ours(animals: list[Animal]) -> list[np.ndarray]:
    axes = find_axes([animal.fitted for animal in animals], 3)
    couplings = [fit_coupling(animal.fitted, axes.anchors) for animal in animals]
    return [c.transform(a.frames.values, a.frames.trial) for c, a in zip(couplings, animals, strict=True)]


def read_pca(animals: list[Animal]) -> list[np.ndarray]:
    """Own principal components of the frames that are fitted."""
    latents = []
    for animal in animals:
        values = animal.frames.values.astype(np.float64)
        centre = values[animal.training].mean(axis=0)
        axes = np.linalg.svd(values[animal.training] - centre, full_matrices=False)[2][:3]
        latents.append((values - centre) @ axes.T)
    return latents


def find_mean_paths(animals: list[Animal], latents: list[np.ndarray]) -> list[np.ndarray]:
    """Condition means of latents over the trials that are fitted, (condition * bin, latent), centred."""
    paths = []
    for animal, z in zip(animals, latents, strict=True):
        f = animal.frames
        frames = AlignedFrames(z, f.trial, f.condition, f.bin, N_DIRECTIONS, N_BINS)
        kept = frames.select_trials(np.unique(f.trial[animal.training]))
        means = compute_condition_means(kept).means.reshape(-1, z.shape[1])
        paths.append(means - means.mean(axis=0))
    return paths


def match_signs(animals: list[Animal]) -> list[np.ndarray]:
    """PCA, each axis turned so that its mean path agrees in sign with the first animal's."""
    latents = read_pca(animals)
    paths = find_mean_paths(animals, latents)
    return [z * np.sign(np.sum(p * paths[0], axis=0)) for z, p in zip(latents, paths, strict=True)]


def match_procrustes(animals: list[Animal]) -> list[np.ndarray]:
    latents = read_pca(animals)
    paths = find_mean_paths(animals, latents)
    return [z @ orthogonal_procrustes(p, paths[0])[0] for z, p in zip(latents, paths, strict=True)]


def match_cca(animals: list[Animal]) -> list[np.ndarray]:
    """PCA, then canonical correlation with the first animal's mean paths (Gallego 2020; Safaie 2023)."""
    latents = read_pca(animals)
    paths = find_mean_paths(animals, latents)
    reference, r_first = np.linalg.qr(paths[0])
    matched = []
    for z, p in zip(latents, paths, strict=True):
        q, r = np.linalg.qr(p)
        left, _, right = np.linalg.svd(q.T @ reference)
        matched.append(z @ np.linalg.inv(r) @ left @ right @ r_first)
    return matched


def match_pcr(animals: list[Animal]) -> list[np.ndarray]:
    """Principal components regression on condition means, as LFADS stitches sessions: ridge .01, single frames read."""
    scaled = [scale_means(compute_condition_means(animal.fitted)) for animal in animals]
    side_by_side = np.concatenate([one.reshape(-1, one.shape[2]) for one in scaled], axis=1)
    u, s, _ = np.linalg.svd(side_by_side, full_matrices=False)
    target = u[:, :3] * s[:3]
    latents = []
    for animal in animals:
        means = compute_condition_means(animal.fitted).means
        flat = means.reshape(-1, means.shape[2])
        centre = flat.mean(axis=0)
        gram = (flat - centre).T @ (flat - centre)
        penalty = 0.01 * np.trace(gram) / len(gram) * np.eye(len(gram))
        latents.append((animal.frames.values - centre) @ np.linalg.solve(gram + penalty, (flat - centre).T @ target))
    return latents


METHODS: dict[str, Callable[[list[Animal]], list[np.ndarray]]] = {
    "ours": read_ours,
    "PCA, signs matched": match_signs,
    "PCA + Procrustes": match_procrustes,
    "PCA + pairwise CCA": match_cca,
    "PCR on means (LFADS)": match_pcr,
}

"""Sessions whose trials have conditions: tested for what they have in common, given axes, and coupled one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from ..data.preprocessing import Preprocessor
from ..data.recording import name_source
from ..errors import DataError
from .anchors import (
    AlignedFrames,
    Floats,
    compute_condition_means,
    compute_cross_trial_gram,
    compute_gram,
    scale_means,
)
from .axes import GramSum, SharedAxes, fit_axes
from .coupled_session import CoupledSession
from .coupling import fit_coupling
from .findings import Finding, note_axes, note_dynamics, note_sharing, note_strange_labels, note_trials
from .labels import (
    TrialClock,
    align_frames,
    choose_clock,
    fit_session_preprocessor,
    order_conditions,
    read_labels,
    refuse_copy,
    refuse_few_channels,
)
from .sharing import LEAST_CONDITIONS, LEVEL, SharingTest, compute_sharing_test
from .stability import TrialResampling, resample_sessions
from .vector_field import Paths, QuadraticField, SharedDynamics, compare_dynamics, compute_paths, fit_field, halve_paths

LEAST_SEEN = 0.5  # of the conditions, with a trial at least
Labels = str | Mapping[str, ArrayLike]


@dataclass(frozen=True)
class LabelledFit:
    """Result of `fit_labelled`; see the attributes of `nwb_dcf.cohort.Cohort`."""

    conditions: list[str]
    clock: TrialClock
    axes: SharedAxes
    over_trials: Floats | None
    over_sessions: Floats | None
    sharing: SharingTest | None
    unshared: bool
    sessions: Mapping[str, CoupledSession]
    field: QuadraticField
    dynamics: SharedDynamics
    findings: Sequence[Finding]


@dataclass
class _Gathered:
    """Products of one pass over the sessions, which are read one at a time."""

    grams: list[NDArray[np.float32]] = field(default_factory=list)
    cross: list[Floats] = field(default_factory=list)
    usable: list[NDArray[np.bool_]] = field(default_factory=list)
    seen: dict[str, NDArray[np.bool_]] = field(default_factory=dict)
    n_trials: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class _Sharing:
    """What the test of common conditions has found, and the sessions that the axes are found with."""

    test: SharingTest | None
    included: NDArray[np.bool_]
    unshared: bool
    findings: list[Finding]


def fit_labelled(
    recordings: Mapping[str, xr.Dataset],
    labels: Labels,
    dim: int,
    *,
    smooth_bins: float,
    window: int,
    ridge: float | None,
    rng: np.random.Generator,
    n_permutations: int,
    repeats: int,
    force: bool,
) -> LabelledFit:
    """Find the shared space of sessions with conditions, and couple every session to it.

    Parameters are those of `nwb_dcf.cohort.Cohort` and of its `fit`.

    Raises
    ------
    DataError
        If there is no common condition, a session is listed twice or lacks most conditions, bins differ, or conditions
        differ in no common way (unless forced).
    """
    names = list(recordings)
    texts = _read_all_labels(recordings, labels)
    conditions = order_conditions(texts)
    clock = choose_clock(recordings, smooth_bins)
    gathered = _Gathered()
    resampling = TrialResampling(len(conditions), clock.n_bins, rng=rng, n_repeats=repeats)
    for name in names:
        frames, _ = prepare_session(recordings[name], texts[name], name, dim, conditions, clock)
        means = compute_condition_means(frames)
        gathered.seen[name], gathered.n_trials[name] = means.seen, frames.n_trials
        _check_seen(means.seen, name)
        # float32: cohorts of hundreds of sessions keep a matrix (condition * bin)^2 each
        gathered.grams.append(compute_gram(scale_means(means)).astype(np.float32))
        cross, usable = compute_cross_trial_gram(frames)
        gathered.cross.append(cross)
        gathered.usable.append(usable)
        resampling.add(frames)

    # before axes: sessions that have nothing in common span a space too, which would mean nothing
    sharing = _test_sharing(gathered, names, rng, n_permutations=n_permutations, force=force)
    included = sharing.included
    grams = [gram for gram, kept in zip(gathered.grams, included, strict=True) if kept]
    axes = fit_axes(GramSum(len(conditions), clock.n_bins, grams), dim)
    over_sessions = resample_sessions(grams, len(conditions), clock.n_bins, dim, rng=rng, n_repeats=repeats)
    over_trials = resampling.compare(dim)

    sessions: dict[str, CoupledSession] = {}
    paths: list[Paths] = []
    halves: list[tuple[Paths, Paths]] = []
    for name, in_axes in zip(names, included, strict=True):
        # prepared a second time rather than kept: frames of all sessions would not fit into memory
        frames, preprocessor = prepare_session(recordings[name], texts[name], name, dim, conditions, clock)
        sessions[name], latents = couple_session(
            frames, preprocessor, recordings[name], axes.anchors, window=window, ridge=ridge, in_axes=bool(in_axes)
        )
        paths.append(compute_paths(latents, frames))
        halves.append(halve_paths(latents, frames, rng))
    # of the sessions that the axes are from, as a session left out for its labels says nothing of the dynamics
    shared = fit_field([path for path, kept in zip(paths, included, strict=True) if kept])
    dynamics = compare_dynamics(halves)
    findings = [
        *note_strange_labels(texts, conditions),
        *sharing.findings,
        *note_axes(over_trials, over_sessions),
        *note_trials(gathered.n_trials, gathered.seen, conditions),
        # a description without p: sessions that start alike predict each other whatever moves them afterwards
        note_dynamics(dynamics),
    ]
    return LabelledFit(
        conditions, clock, axes, over_trials, over_sessions, sharing.test, sharing.unshared, sessions, shared, dynamics,
        findings,
    )  # fmt: skip


def prepare_session(
    recording: xr.Dataset,
    texts: NDArray[np.str_],
    name: str,
    dim: int,
    conditions: Sequence[str],
    clock: TrialClock,
) -> tuple[AlignedFrames, Preprocessor]:
    """Prepare the frames of a session and label them; return them with the preparation.

    Raises
    ------
    DataError
        If it has fewer channels than there are latents.
    """
    refuse_few_channels(recording, name, dim)
    preprocessor = fit_session_preprocessor(recording, clock)
    return align_frames(recording, texts, conditions, clock, preprocessor, name=name), preprocessor


def couple_session(
    frames: AlignedFrames,
    preprocessor: Preprocessor,
    recording: xr.Dataset,
    anchors: Floats,
    *,
    window: int,
    ridge: float | None,
    in_axes: bool,
) -> tuple[CoupledSession, Floats]:
    """Couple a session to fixed anchors; return it with its latents (frame, latent).

    Raises
    ------
    DataError
        If it lacks most conditions.
    """
    means = compute_condition_means(frames)
    _check_seen(means.seen, frames.name or name_source(recording) or "the session")
    coupling = fit_coupling(frames, anchors, window=window, ridge=ridge)
    latents = coupling.transform(frames.values, frames.trial)
    mean_latents = compute_condition_means(frames.with_values(latents)).means
    channels = recording[str(recording["data"].dims[1])].values
    session = CoupledSession(preprocessor, coupling, channels, frames.n_trials, means.seen, in_axes, mean_latents)
    return session, latents


def _read_all_labels(recordings: Mapping[str, xr.Dataset], labels: Labels) -> dict[str, NDArray[np.str_]]:
    texts, identifiers = {}, dict[str, str]()
    for name, recording in recordings.items():
        refuse_copy(identifiers, recording, name)
        if not isinstance(labels, str) and name not in labels:
            raise DataError("no labels for this session", where=name)
        texts[name] = read_labels(recording, labels if isinstance(labels, str) else labels[name])
    return texts


def _check_seen(seen: NDArray[np.bool_], name: str) -> None:
    if seen.mean() < LEAST_SEEN:
        raise DataError(
            f"it has {int(seen.sum())} of {len(seen)} conditions with every bin: fewer than half",
            where=name,
            fix="leave the session out",
        )


def _test_sharing(
    gathered: _Gathered, names: list[str], rng: np.random.Generator, *, n_permutations: int, force: bool
) -> _Sharing:
    """Test whether conditions differ in a common way, and choose the sessions that the axes are found with."""
    # a warning and no refusal: with two conditions the axes can be had, only not tested
    if min(int(usable.sum()) for usable in gathered.usable) < LEAST_CONDITIONS:
        sentence = (
            f"whether conditions differ in a common way: cannot tell, {LEAST_CONDITIONS} conditions with two trials "
            "are needed in each session"
        )
        return _Sharing(None, np.ones(len(names), bool), False, [Finding("sharing", "warning", sentence)])
    test = compute_sharing_test(gathered.cross, gathered.usable, n_permutations=n_permutations, rng=rng)
    if test.p > LEVEL and not force:
        raise DataError(
            f"conditions do not differ in a common way in these sessions (p {test.p:.3g}); no shared space was fitted",
            fix="look at labels and events; --force writes it with the mark 'unshared'",
        )
    return _Sharing(test, test.included, test.p > LEVEL, note_sharing(test, names))

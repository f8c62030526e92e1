"""A cohort without labels: sessions are rotated onto each other by their dynamics, or refused.

The rule is that of `nwb_dcf.cohort.alignment`: one field has to predict all sessions, and clearly better than after any
other rotation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..data.preprocessing import Preprocessor
from ..data.recording import flatten_frames
from ..errors import DataError
from .alignment import LEAST_SESSIONS, align_sessions, whiten
from .anchors import AlignedFrames, Floats, compute_condition_means
from .axes import SharedAxes, list_lags
from .coupling import Coupling
from .findings import Finding, note_alignment
from .labels import TrialClock, choose_clock, fit_session_preprocessor, label_frames, refuse_few_channels
from .moment_matching import compute_signature
from .vector_field import QuadraticField, find_paths, fit_field

if TYPE_CHECKING:
    from jaxtyping import Float

NO_LABELS = "none"
CONDITION = "all trials"  # the only one: nothing tells trials apart
LONGEST = 60  # bins from which lags are chosen: of a session without trials the timescale is not its length
UNTESTED = (
    "without labels nothing has a p: that the dynamics are alike was asked of one field alone, and fields of their own "
    "that happen to be alike would pass"
)


@dataclass(frozen=True)
class UnlabelledSession:
    """A session in the common space.

    Attributes
    ----------
    preprocessor : Preprocessor
    coupling : Coupling
        Its principal components, whitened and rotated.
    means : array, shape (1, bin, latent)
        Mean over all trials.
    n_trials : int
    """

    preprocessor: Preprocessor
    coupling: Coupling
    means: Float[np.ndarray, "one bin latent"]
    n_trials: int


@dataclass(frozen=True)
class UnlabelledFit:
    """Result of `fit_unlabelled`.

    Attributes
    ----------
    clock : TrialClock
    axes : SharedAxes
    field : QuadraticField
        Of single trials, which shrinks velocities.
    sessions : dict of str to UnlabelledSession
    findings : list of Finding
    """

    clock: TrialClock
    axes: SharedAxes
    field: QuadraticField
    sessions: dict[str, UnlabelledSession]
    findings: list[Finding]


def fit_unlabelled(
    recordings: Mapping[str, xr.Dataset],
    dim: int,
    smooth_bins: float,
    rng: np.random.Generator,
) -> UnlabelledFit:
    """Rotate the principal components of sessions onto each other by their dynamics.

    Parameters
    ----------
    recordings : mapping of str to xarray.Dataset
    dim : int
    smooth_bins : float
    rng : numpy.random.Generator
        Of the starts of the search.

    Returns
    -------
    UnlabelledFit
        Axes are ordered by timescale, slowest first, of positive third moment.

    Raises
    ------
    DataError
        If there are fewer than four sessions, one has fewer channels than there are latents, or the rotations do not
        pass the rule.
    """
    if len(recordings) < LEAST_SESSIONS:
        raise DataError(
            f"{len(recordings)} sessions without labels: {LEAST_SESSIONS} are needed",
            fix="give more, or name a column of trials with --align-on trials.COLUMN",
        )
    for name, recording in recordings.items():
        refuse_few_channels(recording, name, dim)
    clock = choose_clock(recordings, smooth_bins)
    lags = list_lags(min(clock.n_bins, LONGEST))
    prepared = {name: prepare_unlabelled(recording, clock) for name, recording in recordings.items()}
    white = {name: whiten(frames.values, dim) for name, (frames, _) in prepared.items()}
    alignment = align_sessions(
        [latents for latents, _, _ in white.values()], [frames.trial for frames, _ in prepared.values()], lags, rng
    )
    finding = note_alignment(alignment)
    if not alignment.accepted:
        raise DataError(finding.sentence)
    turned = {name: white[name][0] @ turn for name, turn in zip(prepared, alignment.rotations, strict=True)}
    order, persistence = find_timescales(list(turned.values()), [frames for frames, _ in prepared.values()], lags)
    sessions: dict[str, UnlabelledSession] = {}
    paths = []
    variance = np.zeros(dim)
    for (name, (frames, preprocessor)), rotation in zip(prepared.items(), alignment.rotations, strict=True):
        latents, weights, centre = white[name]
        full = rotation @ order
        coupling = Coupling((weights @ full)[None], centre[None], np.zeros(dim), 0.0, np.ones(dim))
        latents = latents @ full
        means = compute_condition_means(frames.with_values(latents)).means
        sessions[name] = UnlabelledSession(preprocessor, coupling, means, frames.n_trials)
        paths.append(find_paths(split_trials(latents, frames)))
        loadings = np.linalg.lstsq(latents, frames.values - centre, rcond=None)[0]
        variance += np.square(loadings).sum(axis=1) / np.var(frames.values, axis=0).sum() / len(prepared)
    anchors = np.nanmean([session.means for session in sessions.values()], axis=0)
    axes = SharedAxes(anchors, variance, persistence)
    findings = [finding, Finding("dynamics", "note", UNTESTED)]
    return UnlabelledFit(clock, axes, fit_field(paths), sessions, findings)


def prepare_unlabelled(
    recording: xr.Dataset, clock: TrialClock, preprocessor: Preprocessor | None = None
) -> tuple[AlignedFrames, Preprocessor]:
    """Prepare the frames of a session; all its trials have one condition."""
    preprocessor = preprocessor or fit_session_preprocessor(recording, clock)
    labels = np.full(recording.sizes["segment"], CONDITION)
    condition, at = label_frames(recording, labels, [CONDITION], clock)
    values = np.asarray(flatten_frames(preprocessor.apply(recording)), np.float64)
    index = recording["segment_index"].values.astype(np.int64)
    return AlignedFrames(values, index, condition, at, 1, clock.n_bins), preprocessor


def split_trials(latents: Floats, frames: AlignedFrames) -> Float[np.ndarray, "trial bin latent"]:
    """Put each trial into a row; bins that it lacks are NaN."""
    labelled = frames.is_anchor
    trials, row = np.unique(frames.trial[labelled], return_inverse=True)
    split = np.full((len(trials), frames.n_bins, latents.shape[1]), np.nan)
    split[row, frames.bin[labelled]] = latents[labelled]
    return split


def find_timescales(
    latents: list[Floats], frames: list[AlignedFrames], lags: list[int]
) -> tuple[NDArray[np.float64], Floats]:
    """Find the rotation to axes by timescale, as for labelled cohorts, and the persistence of each."""
    dim = latents[0].shape[1]
    total, third = np.zeros((dim, dim)), np.zeros((dim, dim, dim))
    for values, one in zip(latents, frames, strict=True):
        signature = compute_signature(values, one.trial, lags)
        total += signature.covariance.mean(axis=0) / len(latents)
        third += signature.third[0]
    persistence, vectors = np.linalg.eigh((total + total.T) / 2)
    persistence, vectors = persistence[::-1], vectors[:, ::-1]
    skew = np.einsum("ijk,ia,ja,ka->a", third, vectors, vectors, vectors)
    return np.asarray(vectors * np.where(skew < 0, -1.0, 1.0)), persistence

"""A cohort whose anchors are bins of continuous behaviour: what the units do in each bin is common to all sessions.

The test shifts behaviour in time against the units, in each session by another delay. Bins next to each other are
visited one after the other, so that permuting them would call every slow fluctuation a common one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from ..data.preprocessing import Preprocessor
from ..data.recording import flatten_frames
from ..errors import DataError
from .anchors import AlignedFrames, Floats, Ints, compute_condition_means, compute_gram, scale_means
from .axes import GramSum, SharedAxes, compare_axes, fit_axes
from .behavior_bins import BehaviorBins, count_transitions, fit_bins
from .coupled_session import CoupledSession
from .coupling import RIDGE, WINDOW, fit_coupling
from .findings import Finding, note_axes, note_sharing
from .labels import TrialClock, find_width, fit_session_preprocessor, refuse_copy
from .sharing import LEVEL, SharingTest
from .stability import LEAST_SESSIONS
from .vector_field import Paths, QuadraticField, fit_field

if TYPE_CHECKING:
    from jaxtyping import Float

LAGS_S = (0.25, 0.5, 1.0)  # by which axes are ordered: of movement, not of the Gaussian
BLOCKS = 10  # of a session: means of different blocks are independent
LEAST_SEEN = 0.5  # of the bins
LEAST_FRAMES = 10  # of a bin in a session, in two blocks or more
SHIFT = 0.1  # of a session at least, at either end: a shift below would leave behaviour where it was
FIELD_FRAMES = 2000  # of each session
UNTESTED = "whether dynamics are shared is not tested: anchors are bins of behaviour, which have no course in time"


@dataclass(frozen=True)
class ContinuousFit:
    """Result of `fit_continuous`.

    Attributes
    ----------
    clock : TrialClock
        With one bin: an anchor has no time.
    bins : BehaviorBins
    axes : SharedAxes
    field : QuadraticField
        Of single frames, which shrinks velocities.
    sessions : dict of str to CoupledSession
    sharing : SharingTest
    over_sessions : array, shape (repeat, latent), or None
    findings : list of Finding
    unshared : bool
    """

    clock: TrialClock
    bins: BehaviorBins
    axes: SharedAxes
    field: QuadraticField
    sessions: dict[str, CoupledSession]
    sharing: SharingTest
    over_sessions: Float[np.ndarray, "repeat latent"] | None
    findings: list[Finding]
    unshared: bool


@dataclass(frozen=True)
class _Products:
    """What is kept of a session: matrices of the anchors, none of its units."""

    gram: Floats
    cross: Floats
    shifted: list[Floats]
    transitions: Floats


def fit_continuous(
    recordings: Mapping[str, xr.Dataset],
    behavior: Mapping[str, Float[np.ndarray, "frame variable"]],
    dim: int,
    *,
    name: str,
    smooth_bins: float,
    rng: np.random.Generator,
    window: int = WINDOW,
    n_permutations: int = 199,
    repeats: int = 10,
    force: bool = False,
) -> ContinuousFit:
    """Fit a shared space whose anchors are bins of behaviour.

    Parameters
    ----------
    recordings : mapping of str to xarray.Dataset
    behavior : mapping of str to array, shape (frame, variable)
        At the frames of each recording; NaN where it is not known.
    dim : int
    name : str
        Of the behaviour.
    smooth_bins : float
    rng : numpy.random.Generator
    window, n_permutations, repeats, force
        See `nwb_dcf.cohort.Cohort`.

    Raises
    ------
    DataError
        If behaviour is constant, sessions have no values in common, or units do not follow it in a common way.
    """
    identifiers: dict[str, str] = {}
    for session, recording in recordings.items():
        refuse_copy(identifiers, recording, session)
        if len(behavior[session]) != recording.sizes["time"]:
            raise DataError(
                f"{len(behavior[session])} values of {name} for {recording.sizes['time']} frames", where=session
            )
    bins = fit_bins(behavior, name)
    width = find_width(recordings)
    clock = TrialClock(width, 1, smooth_bins * width)
    n_bins = len(bins.labels)
    if n_bins <= dim:
        raise DataError(f"{n_bins} bins of {name} hold up to {n_bins - 1} latents", fix="ask for less with --dim")
    names = list(recordings)
    found = [
        _gather(label_behavior(recordings[one], behavior[one], bins, clock, one)[0], width, n_permutations, rng)
        for one in names
    ]
    sharing = _test([one.cross for one in found], [one.shifted for one in found])
    findings = note_sharing(sharing, names, of=f"shifts of {name} in time", what=("units", f"follow {name}"))
    if sharing.p > LEVEL and not force:
        raise DataError(
            f"units do not follow {name} in a common way in these sessions (p {sharing.p:.3g}); no shared space was "
            "fitted",
            fix="look at the behaviour and its clock; --force writes it with the mark 'unshared'",
        )
    included = sharing.included
    kept = [one for one, there in zip(found, included, strict=True) if there]
    axes = _find_axes(kept, dim)
    over_sessions = _compare_halves(kept, dim, repeats, rng)
    findings += note_axes(None, over_sessions)
    sessions: dict[str, CoupledSession] = {}
    paths = []
    for one, there in zip(names, included, strict=True):
        frames, preprocessor = label_behavior(recordings[one], behavior[one], bins, clock, one)
        sessions[one], latents = couple_frames(
            frames, preprocessor, recordings[one], axes.anchors, window=window, in_axes=bool(there)
        )
        if there:
            paths.append(_find_velocities(latents, frames.trial))
    findings.append(Finding("dynamics", "note", UNTESTED))
    return ContinuousFit(
        clock, bins, axes, fit_field(paths), sessions, sharing, over_sessions, findings, bool(sharing.p > LEVEL)
    )


def as_columns(values: ArrayLike) -> Float[np.ndarray, "frame variable"]:
    """Return behaviour as (frame, variable)."""
    columns = np.asarray(values, np.float64)
    return columns[:, None] if columns.ndim == 1 else columns


def label_behavior(
    recording: xr.Dataset,
    behavior: Float[np.ndarray, "frame variable"],
    bins: BehaviorBins,
    clock: TrialClock,
    name: str,
) -> tuple[AlignedFrames, Preprocessor]:
    """Prepare the frames of a session and label each with the bin of its behaviour.

    Raises
    ------
    DataError
        If fewer than half of the bins are visited.
    """
    preprocessor = fit_session_preprocessor(recording, clock)
    values = np.asarray(flatten_frames(preprocessor.apply(recording)), np.float64)
    at = bins.assign(np.asarray(behavior, np.float64))
    segment = recording["segment_index"].values.astype(np.int64)
    n_bins = len(bins.labels)
    # a bin of a moment says nothing of the units' mean there
    counts = np.bincount(at[at >= 0], minlength=n_bins)
    block = _cut_blocks(len(at))
    visited = np.array([counts[i] >= LEAST_FRAMES and len(np.unique(block[at == i])) > 1 for i in range(n_bins)])
    if visited.mean() < LEAST_SEEN:
        raise DataError(
            f"its behaviour visits {int(visited.sum())} of the {n_bins} bins in common: fewer than half",
            where=name,
            fix="leave the session out, or name another series",
        )
    at = np.where(np.isin(at, np.flatnonzero(visited)), at, -1)
    return AlignedFrames(values, segment, at, np.where(at >= 0, 0, -1), n_bins, 1, name), preprocessor


def couple_frames(
    frames: AlignedFrames,
    preprocessor: Preprocessor,
    recording: xr.Dataset,
    anchors: Float[np.ndarray, "condition bin latent"],
    *,
    window: int,
    in_axes: bool,
) -> tuple[CoupledSession, Floats]:
    """Couple a session to anchors in behaviour; return its latents too."""
    # the penalty for few trials is for few visits: segments of behaviour are long
    coupling = fit_coupling(frames, anchors, window=window, ridge=RIDGE)
    latents = coupling.transform(frames.values, frames.trial)
    means = compute_condition_means(frames.with_values(latents))
    channels = recording[str(recording["data"].dims[1])].values
    n_segments = int(recording.sizes["segment"])
    return CoupledSession(preprocessor, coupling, channels, n_segments, means.seen, in_axes, means.means), latents


def _gather(frames: AlignedFrames, width: float, n_permutations: int, rng: np.random.Generator) -> _Products:
    n = len(frames.values)
    block = _cut_blocks(n)
    values = frames.values - frames.values[frames.condition >= 0].mean(axis=0)
    shifts = rng.integers(max(1, round(SHIFT * n)), n - round(SHIFT * n), n_permutations)
    # units stay as they are: what they do by themselves is the same in every shift
    shifted = [_multiply_blocks(values, np.roll(frames.condition, int(s)), block, frames.n_conditions) for s in shifts]
    lags = sorted({max(1, round(lag / width)) for lag in LAGS_S})
    transitions = sum(
        (count_transitions(frames.condition, frames.trial, lag, frames.n_conditions) for lag in lags),
        np.zeros((frames.n_conditions, frames.n_conditions)),
    )
    return _Products(
        compute_gram(scale_means(compute_condition_means(frames))),
        _multiply_blocks(values, frames.condition, block, frames.n_conditions),
        shifted,
        transitions / max(1.0, transitions.sum()),
    )


def _cut_blocks(n: int) -> Ints:
    return np.minimum(np.arange(n) * BLOCKS // max(n, 1), BLOCKS - 1)


def _multiply_blocks(values: Floats, at: Ints, block: Ints, n_bins: int) -> Floats:
    """Compute products of the bins' means whose factors come from different blocks of time, centred, of norm 1."""
    sums, counts = np.zeros((BLOCKS, n_bins, values.shape[1])), np.zeros((BLOCKS, n_bins))
    known = at >= 0
    row = block[known] * n_bins + at[known]
    order = np.argsort(row, kind="stable")
    there, first = np.unique(row[order], return_index=True)
    sums.reshape(-1, values.shape[1])[there] = np.add.reduceat(values[known][order], first, axis=0)
    counts.reshape(-1)[:] = np.bincount(row, minlength=BLOCKS * n_bins)
    total, number = sums.sum(axis=0), counts.sum(axis=0)
    products = total @ total.T - np.einsum("bix,bjx->ij", sums, sums, optimize=True)
    pairs = np.outer(number, number) - counts.T @ counts
    usable = pairs > 0
    gram = np.where(usable, products / np.where(usable, pairs, 1), 0.0)
    # what all bins have in common is no following
    seen = (number > 0).astype(np.float64)
    centring = np.diag(seen) - np.outer(seen, seen) / seen.sum()
    gram = centring @ gram @ centring
    norm = np.linalg.norm(gram)
    return np.asarray(gram / norm if norm > 0 else gram)


def _test(cross: Sequence[Floats], shifted: Sequence[Sequence[Floats]]) -> SharingTest:
    """Test whether bins differ in a common way: behaviour is shifted in each session by another delay."""
    blocks = np.stack(cross)
    null = np.stack([np.stack(list(one)) for one in shifted])  # (session, shift, bin, bin)
    total = blocks.sum(axis=0)
    n = null.shape[1]
    own = np.einsum("sij,sij->s", blocks, total - blocks)
    null_total = null.sum(axis=0)
    above = 1 + np.sum(np.einsum("spij,spij->p", null, null_total - null) >= own.sum())
    above_session = 1 + np.sum(np.einsum("spij,sij->sp", null, total - blocks) >= own[:, None], axis=1)
    return SharingTest(
        p=float(above / (n + 1)),
        p_session=above_session / (n + 1),
        floor=1 / (n + 1),
        floor_session=np.full(len(blocks), 1 / (n + 1)),
        similarity=np.einsum("sij,tij->st", blocks, blocks),
        n_permutations=n,
    )


def _find_axes(found: Sequence[_Products], dim: int) -> SharedAxes:
    n_bins = len(found[0].gram)
    lagged = np.mean([one.transitions for one in found], axis=0)
    return fit_axes(GramSum(n_bins, 1, [one.gram for one in found]), dim, transitions=lagged)


def _compare_halves(
    found: Sequence[_Products], dim: int, repeats: int, rng: np.random.Generator
) -> Float[np.ndarray, "repeat latent"] | None:
    """Correlate the axes of two disjoint halves of the sessions; None with fewer than four."""
    n = len(found)
    compared = []
    for _ in range(repeats if n >= LEAST_SESSIONS else 0):
        order = rng.permutation(n)
        halves = [[found[i] for i in part] for part in (order[: n // 2], order[n // 2 :])]
        seen = [np.any([np.isfinite(np.diag(one.gram)) for one in half], axis=0).all() for half in halves]
        if all(seen):
            compared.append(compare_axes(_find_axes(halves[0], dim), _find_axes(halves[1], dim)))
    return np.array(compared) if compared else None


def _find_velocities(latents: Floats, segment: Ints) -> Paths:
    """States and central differences of single frames, some of each session."""
    inner = np.flatnonzero(segment[2:] == segment[:-2]) + 1
    chosen = inner[np.linspace(0, len(inner) - 1, min(FIELD_FRAMES, len(inner))).round().astype(int)]
    return Paths(latents[chosen], (latents[chosen + 1] - latents[chosen - 1]) / 2, np.zeros(len(chosen), np.int64))

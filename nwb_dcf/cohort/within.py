"""Comparison of two kinds of trials within sessions, such as hits and misses; trials are permuted.

Speed is how fast time runs along the cohort's anchors (`nwb_dcf.cohort.speed`), as it is for groups, and the fields are
compared as a whole. Kinds are permuted among the trials of each condition, so that a kind that is more frequent in a
condition makes no difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from .anchors import AlignedFrames, Floats
from .sharing import LEVEL
from .speed import FURTHEST, TimeFit, fit_time, refuse_few_bins
from .vector_field import find_paths, fit_field

if TYPE_CHECKING:
    from jaxtyping import Float

LEAST_TRIALS = 2  # of each kind in a condition, for the condition to be compared
LEAST_CONDITIONS = 2  # a field fitted to the path of one condition says little beside that path
TIE = 1e-9


@dataclass(frozen=True)
class KindComparison:
    """Result of `compare_kinds`.

    Attributes
    ----------
    kinds : tuple of two str
    sessions : tuple of str
    ratio : array, shape (session,)
        Speed of the second kind over that of the first.
    p_session : array, shape (session,)
        Of the speed, each session alone.
    mean_ratio : float
        Over sessions (geometric): a lower bound of the difference.
    p_speed, p_field : float
        Over all sessions.
    floor : float
        The smallest p that so many permutations allow.
    n_permutations : int
    fields : array, shape (2, condition, bin, latent)
        Mean field of each kind at the anchors, latent units per bin; NaN where no session has trials enough.
    difference : array, shape (condition, bin)
        Distance between both.
    threshold : float
        The largest distance of any anchor exceeds it in 5 % of the permutations.
    left_out : dict of str to str
        Sessions that could not be compared, and why.
    """

    kinds: tuple[str, str]
    sessions: tuple[str, ...]
    ratio: Float[np.ndarray, " session"]
    p_session: Float[np.ndarray, " session"]
    mean_ratio: float
    p_speed: float
    p_field: float
    floor: float
    n_permutations: int
    fields: Float[np.ndarray, "kind condition bin latent"]
    difference: Float[np.ndarray, "condition bin"]
    threshold: float
    left_out: dict[str, str]


@dataclass(frozen=True)
class KindSession:
    """Latents of one session, and the kind of each trial.

    Attributes
    ----------
    frames : AlignedFrames
        Whose values are latents.
    kind : dict of int to str
        Of each trial that has one.
    """

    frames: AlignedFrames
    kind: dict[int, str]


def compare_kinds(
    sessions: dict[str, KindSession],
    anchors: Float[np.ndarray, "condition bin latent"],
    *,
    rng: np.random.Generator,
    n_permutations: int = 999,
) -> KindComparison:
    """Compare two kinds of trials in each session and over all.

    Parameters
    ----------
    sessions : dict of str to KindSession
    anchors : array, shape (condition, bin, latent)
        Along which speed is measured, and where the fields are compared.
    rng : numpy.random.Generator
    n_permutations : int

    Raises
    ------
    DataError
        If there are not two kinds, no session has two trials of each in two conditions, or bins are too few.
    """
    refuse_few_bins(anchors.shape[1])
    kinds = sorted({kind for session in sessions.values() for kind in session.kind.values()})
    if len(kinds) != 2:
        listed = ", ".join(kinds[:5]) or "none"
        raise DataError(f"{len(kinds)} kinds of trials: {listed}", fix="name a column that has two")
    prepared: dict[str, _Trials] = {}
    left_out: dict[str, str] = {}
    for name, session in sessions.items():
        trials = _gather_trials(session, kinds[1])
        if len(np.unique(trials.condition)) < LEAST_CONDITIONS:
            left_out[name] = (
                f"{len(np.unique(trials.condition))} conditions have {LEAST_TRIALS} trials of each kind, "
                f"{LEAST_CONDITIONS} are needed"
            )
        else:
            prepared[name] = trials
    if not prepared:
        raise DataError(f"no session can be compared ({next(iter(left_out.values()))})", fix="name another column")
    found = [_prepare(trials, anchors) for trials in prepared.values()]
    # the first row is what was observed, as in all permutation tests here
    log_ratio, fields = _measure(found, [one.trials.is_second for one in found], anchors)
    ratios, gaps = [log_ratio], [np.linalg.norm(fields[1] - fields[0], axis=1)]
    for _ in range(n_permutations):
        permuted, turned = _measure(found, [_permute(one.trials, rng) for one in found], anchors)
        ratios.append(permuted)
        gaps.append(np.linalg.norm(turned[1] - turned[0], axis=1))
    sizes, ordered = np.nansum(np.square(gaps), axis=1), np.sort(np.nanmax(gaps, axis=1))
    all_ratios = np.abs(np.array(ratios))
    means = np.abs(np.mean(ratios, axis=1))
    return KindComparison(
        kinds=(kinds[0], kinds[1]),
        sessions=tuple(prepared),
        ratio=np.exp(log_ratio),
        p_session=np.mean(all_ratios >= all_ratios[0] - TIE, axis=0),
        mean_ratio=float(np.exp(log_ratio.mean())),
        p_speed=float(np.mean(means >= means[0] - TIE)),
        p_field=float(np.mean(sizes >= sizes[0] - TIE)),
        floor=1 / (n_permutations + 1),
        n_permutations=n_permutations,
        fields=fields.reshape(2, *anchors.shape),
        difference=gaps[0].reshape(anchors.shape[:2]),
        threshold=float(ordered[int(np.ceil((1 - LEVEL) * len(ordered))) - 1]),
        left_out=left_out,
    )


@dataclass(frozen=True)
class _Trials:
    """Latents of the trials that are compared, bin by bin: NaN where a trial has no such bin."""

    latents: Float[np.ndarray, "trial bin latent"]
    condition: NDArray[np.int64]
    is_second: NDArray[np.bool_]
    n_conditions: int


def _gather_trials(session: KindSession, second: str) -> _Trials:
    frames = session.frames
    labelled = frames.is_anchor & np.isin(frames.trial, list(session.kind))
    trials, first, row = np.unique(frames.trial[labelled], return_index=True, return_inverse=True)
    latents = np.full((len(trials), frames.n_bins, frames.values.shape[1]), np.nan)
    latents[row, frames.bin[labelled]] = frames.values[labelled]
    condition = frames.condition[labelled][first]
    is_second = np.array([session.kind[int(trial)] == second for trial in trials], bool)
    able = [
        c for c in range(frames.n_conditions)
        if min(np.sum(is_second[condition == c]), np.sum(~is_second[condition == c])) >= LEAST_TRIALS
        # of a path with a gap no speed can be had
        and np.isfinite(latents[condition == c]).any(axis=0).all()
    ]  # fmt: skip
    kept = np.isin(condition, able)
    return _Trials(latents[kept], condition[kept], is_second[kept], frames.n_conditions)


def _permute(trials: _Trials, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Exchange kinds among the trials of each condition."""
    permuted = trials.is_second.copy()
    for condition in np.unique(trials.condition):
        mine = np.flatnonzero(trials.condition == condition)
        permuted[mine] = rng.permutation(permuted[mine])
    return permuted


def _average_kinds(trials: _Trials, is_second: NDArray[np.bool_]) -> Float[np.ndarray, "kind condition bin latent"]:
    """Average the trials of each kind and condition, bin by bin; NaN where there are none."""
    row = trials.condition + trials.n_conditions * is_second
    chosen = (row == np.arange(2 * trials.n_conditions)[:, None]).astype(np.float64)
    known = np.isfinite(trials.latents)
    flat = (len(row), -1)
    with np.errstate(invalid="ignore"):
        means = chosen @ np.where(known, trials.latents, 0.0).reshape(flat) / (chosen @ known.reshape(flat))
    return np.asarray(means.reshape(2, trials.n_conditions, *trials.latents.shape[1:]))


@dataclass(frozen=True)
class _Prepared:
    """Trials of a session, and how fast time runs in the mean of all of them."""

    trials: _Trials
    able: NDArray[np.int64]
    mean: Float[np.ndarray, "able bin latent"]
    time: TimeFit

    def measure_log_speed(self, means: Float[np.ndarray, "condition bin latent"]) -> float:
        """Return the logarithm of the speed of a kind from its means."""
        # a bin that no trial of the kind reaches tells nothing of its speed
        moved = np.nan_to_num(means[self.able] - self.mean)
        difference = self.time.difference + float((self.time.gradient * moved).sum())
        return float(np.log1p(np.clip(difference, -FURTHEST, FURTHEST)))


def _prepare(trials: _Trials, anchors: Float[np.ndarray, "condition bin latent"]) -> _Prepared:
    able = np.unique(trials.condition)
    mean = _average_kinds(trials, np.zeros(len(trials.condition), bool))[0][able]
    return _Prepared(trials, able, mean, fit_time(mean, anchors[able]))


def _measure(
    sessions: Sequence[_Prepared],
    kinds: Sequence[NDArray[np.bool_]],
    anchors: Float[np.ndarray, "condition bin latent"],
) -> tuple[Floats, Float[np.ndarray, "kind point latent"]]:
    """Measure the logarithm of the ratio of speeds of each session, and the mean field of each kind."""
    points = anchors.reshape(-1, anchors.shape[2])
    ratios, fields, weights = [], np.zeros((2, *points.shape)), np.zeros(len(points))
    for session, is_second in zip(sessions, kinds, strict=True):
        means = _average_kinds(session.trials, is_second)
        ratios.append(session.measure_log_speed(means[1]) - session.measure_log_speed(means[0]))
        # where a session has no such trials its fields would be extrapolated
        known = np.repeat(np.isin(np.arange(len(anchors)), session.able), anchors.shape[1])
        weights += known
        for i, one in enumerate(means):
            fields[i, known] += fit_field([find_paths(one)])(points[known])
    with np.errstate(invalid="ignore"):
        return np.array(ratios), fields / weights[:, None]

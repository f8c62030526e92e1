"""Behaviour decoded across the animals of a stored cohort, and in an animal that is new to it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import numpy as np
from numpy.typing import NDArray

from ..config import ReadConfig
from ..config.progress import Progress
from ..data.cohort_record import CohortRecord
from ..errors import DataError, DCFError
from ..io.recordings import read_behavior, read_recording
from ..io.results import read_cohort
from .anchors import AlignedFrames, Floats, compute_condition_means, compute_gram, scale_means
from .axes import GramSum, fit_axes
from .coupling import fit_coupling
from .decoding import (
    CURVE_TRIALS,
    CrossDecoding,
    DecodedSession,
    Method,
    decode_across,
    decode_new_session,
    decode_within,
)
from .labels import TrialClock, align_frames, fit_session_preprocessor, read_labels
from .stored import make_generator, require_session
from .unlabelled import NO_LABELS

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

HELD_OUT = 4  # one trial in so many, condition by condition
DRAWS = 3  # of few trials of a new animal: one draw would decide the score
LEAST_BINS = 20  # of a session, with the behaviour known


@dataclass(frozen=True)
class CohortEvaluation:
    """How well behaviour is decoded across the animals of a cohort: R2 on trials that no part of it saw.

    Attributes
    ----------
    sessions : tuple of str
    against, unit : str
        Series that is decoded, and its unit.
    decoding : dict of str to CrossDecoding
        By method, ``ridge`` and ``neighbours``.
    pca : dict of str to array, shape (session,)
        A decoder trained on the session's own principal components, as many as the cohort has latents.
    n_trials : tuple of int
    new : dict of str to array, shape (session, count)
        The session as a new animal: coupled by so many trials, axes and decoder are of the others. NaN where it has
        fewer trials.
    left_out : dict of str to str
        Sessions that could not be used, and why.
    """

    sessions: tuple[str, ...]
    against: str
    unit: str
    decoding: dict[str, CrossDecoding]
    pca: dict[str, Float[np.ndarray, " session"]]
    n_trials: tuple[int, ...]
    new: dict[str, Float[np.ndarray, "session count"]]
    left_out: dict[str, str]

    def to_dict(self) -> dict[str, object]:
        """Return the figures as a JSON-able dict."""
        return {
            "sessions": list(self.sessions),
            "against": self.against,
            "unit": self.unit,
            "n_trials": list(self.n_trials),
            "rule": f"one trial in {HELD_OUT} of each condition is held out of axes, couplings and decoders",
            "methods": {
                method: {
                    "pairs": found.pairs.tolist(),
                    "others": found.others.tolist(),
                    "within": found.within.tolist(),
                    "pca": self.pca[method].tolist(),
                    "ratio": found.ratio,
                    "new": self.new[method].tolist(),
                }
                for method, found in self.decoding.items()
            },
            "left_out": self.left_out,
        }


@dataclass(frozen=True)
class _Animal:
    """Frames of one session with the behaviour at each, and which trials are learned from."""

    frames: AlignedFrames
    behavior: Floats
    training: NDArray[np.bool_]

    @property
    def learned(self) -> AlignedFrames:
        return self.frames.select_trials(np.unique(self.frames.trial[self.training]))


def evaluate_cohort(
    cohort_file: str | Path,
    *,
    against: str,
    sessions: str | Path | None = None,
    seed: int = 0,
    progress: Callable[[Progress], None] | None = None,
) -> CohortEvaluation:
    """Decode behaviour in each session of a stored cohort by a decoder trained on the others.

    Axes, couplings and decoders are fitted anew without the held-out trials; the cohort stays as it is.

    Parameters
    ----------
    cohort_file : str or Path
    against : str
        A series that the sessions have, as ``"behavior/hand_velocity"``.
    sessions : str or Path, optional
        Folder of the sessions' files, see `nwb_dcf.cohort.list_cohort`.
    seed : int
        Of the trials held out and of those drawn.
    progress : callable, optional
        Called with a `nwb_dcf.config.progress.Progress` for every session.

    Returns
    -------
    CohortEvaluation

    Raises
    ------
    DCFError
        If the series is in fewer than two sessions.
    """
    record = read_cohort(cohort_file)
    if record.config["align_on"] == NO_LABELS or "behavior" in record.config:
        raise DataError("this cohort has no labels to hold trials out by", fix="decode each session's fit by itself")
    rng = make_generator(seed)
    animals: dict[str, _Animal] = {}
    left_out: dict[str, str] = {}
    unit = ""
    names = [str(session) for session in record.dataset["session"].values]
    for i, name in enumerate(names):
        try:
            animals[name], unit = _read_animal(
                require_session(cohort_file, record, name, sessions), record, against, rng
            )
        except DCFError as error:
            left_out[name] = str(error)
        if progress is not None:
            progress(Progress("reading", i + 1, len(names), unit="session"))
    if len(animals) < 2:
        why = next(iter(left_out.values()), "")
        raise DataError(f"{len(animals)} of {len(names)} sessions can be decoded ({why})", fix="two are needed")
    widths = {name: animal.behavior.shape[1] for name, animal in animals.items()}
    if len(set(widths.values())) > 1:
        listed = ", ".join(f"{name} {width}" for name, width in list(widths.items())[:4])
        raise DataError(f"{against} has another number of columns in some sessions: {listed}")
    found = list(animals.values())
    decoded = _decode_all(found, record.dim)
    methods: tuple[Method, ...] = get_args(Method)
    pca = [_read_principal_components(animal, record.dim) for animal in found]
    new: dict[str, list[Floats]] = {method: [] for method in methods}
    for i, animal in enumerate(found):
        others = [other for j, other in enumerate(found) if j != i]
        for method, scores in _couple_new(animal, others, record.dim, methods, rng).items():
            new[method].append(scores)
        if progress is not None:
            progress(Progress("decoding", i + 1, len(found), unit="session"))
    return CohortEvaluation(
        sessions=tuple(animals),
        against=against,
        unit=unit,
        decoding={method: decode_across(decoded, method) for method in methods},
        pca={method: np.array([decode_within(one, method) for one in pca]) for method in methods},
        n_trials=CURVE_TRIALS,
        new={method: np.array(scores) for method, scores in new.items()},
        left_out=left_out,
    )


def _read_animal(path: Path, record: CohortRecord, against: str, rng: np.random.Generator) -> tuple[_Animal, str]:
    read = ReadConfig.make(**{key: value for key, value in record.config["read"].items() if value is not None})
    recording = read_recording(path, **dataclasses.asdict(read))
    labels = read_labels(recording, str(record.config["align_on"]))
    clock = TrialClock(**record.config["clock"])
    conditions = [str(label) for label in record.dataset["condition"].values]
    frames = align_frames(
        recording, labels, conditions, clock, fit_session_preprocessor(recording, clock), name=path.name
    )
    series = read_behavior(path, against, recording["time"].values)
    behavior = np.asarray(series.values, np.float64).reshape(len(frames.values), -1)
    # behaviour may begin a bin after the trial: its frames are no less anchors, and decoders skip them
    kept = frames.is_anchor
    n_known = int(np.isfinite(behavior[kept]).all(axis=1).sum())
    if n_known < LEAST_BINS:
        raise DataError(f"{against} is known in {n_known} bins of its trials", where=str(path))
    frames = AlignedFrames(
        frames.values[kept], frames.trial[kept], frames.condition[kept], frames.bin[kept], frames.n_conditions,
        frames.n_bins, frames.name,
    )  # fmt: skip
    training = _hold_out(frames, rng)
    if not compute_condition_means(frames.select_trials(np.unique(frames.trial[training]))).seen.any():
        raise DataError("no condition has two trials or more", where=str(path))
    return _Animal(frames, behavior[kept], training), str(series.attrs.get("units", ""))


def _hold_out(frames: AlignedFrames, rng: np.random.Generator) -> Bool[np.ndarray, " frame"]:
    """Mark the frames of the trials that are learned from; of each condition with two trials some are held out."""
    held: list[int] = []
    for condition in range(frames.n_conditions):
        trials = rng.permutation(np.unique(frames.trial[frames.condition == condition]))
        held += trials[: max(len(trials) // HELD_OUT, int(len(trials) > 1))].tolist()
    return np.asarray(~np.isin(frames.trial, held))


def _find_anchors(animals: list[_Animal], dim: int) -> Floats:
    frames = animals[0].frames
    grams = [compute_gram(scale_means(compute_condition_means(animal.learned))) for animal in animals]
    return fit_axes(GramSum(frames.n_conditions, frames.n_bins, grams), dim).anchors


def _decode_all(animals: list[_Animal], dim: int) -> list[DecodedSession]:
    anchors = _find_anchors(animals, dim)
    sessions = []
    for animal in animals:
        latents = fit_coupling(animal.learned, anchors).transform(animal.frames.values, animal.frames.trial)
        sessions.append(DecodedSession.select_known(latents, animal.behavior, animal.training))
    return sessions


def _read_principal_components(animal: _Animal, dim: int) -> DecodedSession:
    values = np.asarray(animal.frames.values, np.float64)
    centre = values[animal.training].mean(axis=0)
    axes = np.linalg.svd(values[animal.training] - centre, full_matrices=False)[2][:dim]
    return DecodedSession.select_known((values - centre) @ axes.T, animal.behavior, animal.training)


def _couple_new(
    animal: _Animal, others: list[_Animal], dim: int, methods: tuple[Method, ...], rng: np.random.Generator
) -> Mapping[str, Floats]:
    """Decode a session as if it were new, averaged over draws of its trials."""
    try:
        anchors, decoded = _find_anchors(others, dim), _decode_all(others, dim)
    except DataError:  # a condition that no other session has
        return {method: np.full(len(CURVE_TRIALS), np.nan) for method in methods}
    scores = {}
    for method in methods:
        draws = [
            decode_new_session(
                animal.frames, animal.behavior, animal.training, anchors, decoded, rng=rng, method=method
            )
            for _ in range(DRAWS)
        ]
        scores[str(method)] = np.mean(draws, axis=0)
    return scores

"""Whether channels have anything in common: left-out channels predicted from the others, and channels shifted apart.

Both take a second or less, on some of the frames, and need no further fit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, NotRequired, TypedDict, cast

import numpy as np

from ..data.chunks import compute_moments
from ..estimator.fitted import FittedModel, PreparedFrames
from ..metrics import bootstrap_over_segments, rank_in_null, score_reconstruction
from ..metrics.decoding import RIDGE, decode_linearly
from ..metrics.null_distribution import shift_channels
from ..metrics.ridge import RidgeReadout
from ..metrics.segment_sums import divide_frames
from .decoding_verdict import Chance, measure_chance
from .encoded import EncodedRecording, iterate_frames

if TYPE_CHECKING:
    from jaxtyping import Float, Int

FEWEST_CHANNELS = 4
N_FOLDS = 5  # of the channels
TRAINING_FRAMES, UNSEEN_FRAMES = 4_000, 4_000  # that are encoded
N_PIECES = 20  # of which those frames are taken, where there are more
MOST_CHANNELS = 300  # that are predicted, drawn
N_NULLS = 39  # one in 40 is the least p
N_TOGETHER = 9  # rotations of all channels together, which differ by their seams alone
NULL_NUMBERS, NULL_CHANNELS = 500_000, 100  # frames times channels of a null set
FEWEST_NULL_FRAMES = 40


class LeftOut(TypedDict, total=False):
    """How well channels are predicted that the latents were computed without.

    Attributes
    ----------
    value, low, high, level, n, over
        R2 pooled over channels of unit variance, see `nwb_dcf.metrics.Interval`.
    channels : int
        That were predicted.
    chance : Chance
        The same of channels rotated in time.
    not_measured : str
        The reason, and nothing else, where it was not measured.
    """

    value: float
    low: float
    high: float
    level: float
    n: int
    over: str
    channels: int
    chance: Chance
    not_measured: str


class ShiftedApart(TypedDict, total=False):
    """R2 of principal axes on unseen frames, and on channels that were shifted apart in time.

    Attributes
    ----------
    value : float
        The median over rotations of all channels together.
    nulls : list of float
        One for each rotation of every channel by itself.
    p : float
        See `nwb_dcf.metrics.rank_in_null`.
    over : {"segments", "blocks"}
        Within which channels were rotated.
    not_measured : str
        The reason, and nothing else, where it was not measured.
    """

    value: float
    nulls: list[float]
    p: float
    over: str
    not_measured: NotRequired[str]


def measure_shared_signal(
    fitted: FittedModel, training: EncodedRecording, unseen: EncodedRecording
) -> tuple[LeftOut, ShiftedApart]:
    """Measure both, or say why one cannot be measured: a trained fit must not be lost for it."""
    found: list[LeftOut | ShiftedApart] = []
    for measure in (measure_left_out, measure_shifted_apart):
        try:
            found.append(measure(fitted, training, unseen))
        except ValueError as error:  # DataError is one, and so are those of scikit-learn and numpy.linalg
            found.append({"not_measured": str(error)})
    return cast("tuple[LeftOut, ShiftedApart]", tuple(found))


def measure_left_out(fitted: FittedModel, training: EncodedRecording, unseen: EncodedRecording) -> LeftOut:
    """Predict each channel from latents that were computed without it, on unseen frames (co-smoothing).

    Channels are hidden a fifth at a time: the encoder sees their mean in their place, and a linear readout that was
    learned on training frames predicts them. The encoder was trained with them, but it knows nothing of their values
    on unseen frames, so that only what channels have in common predicts them. A fit without them, as
    `nwb_dcf.compare.measure.score_left_out` makes, gives a little less.

    Parameters
    ----------
    fitted : FittedModel
    training, unseen : EncodedRecording

    Returns
    -------
    LeftOut

    References
    ----------
    Pei et al., "Neural Latents Benchmark '21", NeurIPS 2021 Datasets and Benchmarks, section 3.
    """
    if fitted.pixels is not None:
        return {"not_measured": "pixels are no channels: neighbours are alike"}
    return predict_hidden_channels(
        training.frames, unseen.frames, fitted.encode, fitted.mean, seed=fitted.config.train.seed
    )


def predict_hidden_channels(
    training: PreparedFrames,
    unseen: PreparedFrames,
    encode: Callable[[PreparedFrames], Float[np.ndarray, "frame dim"]],
    mean: Float[np.ndarray, " channel"],
    *,
    seed: int,
) -> LeftOut:
    """Predict each channel from latents of any method that sees its mean in its place, see `measure_left_out`."""
    hidden = hide_channels(training, unseen, seed=seed)
    if isinstance(hidden, str):
        return {"not_measured": hidden}
    folds, sampled, targets = hidden.folds, hidden.sampled, hidden.targets
    latents = [[encode(part.hide(fold, mean)) for part in sampled] for fold in folds]
    predicted = np.concatenate(folds)
    # in order of time, so that rotations keep the autocorrelation across what is held out
    order = np.argsort(np.concatenate([part.time for part in sampled]), kind="stable")
    place = np.argsort(order, kind="stable")
    n_learned = len(targets[0])
    guess = [decode_linearly(z, targets[0][:, fold], test) for (z, test), fold in zip(latents, folds, strict=True)]
    sums = score_reconstruction(targets[1][:, predicted], np.concatenate(guess, axis=1), sampled[1].segment)
    readouts = [RidgeReadout.of(z, test, RIDGE) for z, test in latents]
    ordered = [np.concatenate([target[:, fold] for target in targets])[order] for fold in folds]

    def score(moved: Int[np.ndarray, "frame 1"]) -> float:
        """R2 where the targets of each frame are those of another."""
        learned, tested = np.split(moved[place, 0], [n_learned])
        errors, total = 0.0, 0.0
        for readout, target in zip(readouts, ordered, strict=True):
            truth = target[tested]
            errors += readout.sum_errors(target[learned], truth)
            total += np.square(truth - truth.mean(axis=0)).sum()
        return 1 - errors / total if total > 0 else float("nan")

    # frame numbers are rotated in place of all targets
    chance = measure_chance(score, np.arange(len(order))[:, None], sums.value, seed=seed)
    return {**asdict(bootstrap_over_segments(sums)), "channels": len(predicted), "chance": chance}  # type: ignore[typeddict-item]


@dataclass(frozen=True)
class HiddenChannels:
    """Channels that are hidden a fifth at a time, and the frames that they are predicted on.

    Attributes
    ----------
    folds : list of array of int
        Channels of each fifth.
    sampled : (SampledFrames, SampledFrames)
        Of training and of unseen frames.
    targets : (array, array)
        Their values, shape (frame, channel), each channel over its standard deviation in training.
    """

    folds: list[Int[np.ndarray, " _hidden"]]
    sampled: tuple[SampledFrames, SampledFrames]
    targets: tuple[Float[np.ndarray, "_frame channel"], Float[np.ndarray, "_frame channel"]]


def hide_channels(training: PreparedFrames, unseen: PreparedFrames, *, seed: int) -> HiddenChannels | str:
    """Draw the frames and the fifths of the channels; the reason where there are too few channels."""
    x = training.values
    deviation = compute_moments(iterate_frames(training)).sd
    varying = np.flatnonzero(deviation > 0)
    if len(varying) < FEWEST_CHANNELS:
        return f"{len(varying)} channels are too few to leave any out"
    rng = np.random.default_rng([seed, x.shape[1]])
    folds = np.array_split(rng.permutation(varying)[:MOST_CHANNELS], min(N_FOLDS, len(varying)))
    sampled = SampledFrames.of(training, TRAINING_FRAMES), SampledFrames.of(unseen, UNSEEN_FRAMES)
    # each channel counts alike: a loud one would stand for all of them
    first, second = (part.values / np.where(deviation > 0, deviation, 1) for part in sampled)
    return HiddenChannels(folds, sampled, (first, second))


class SampledFrames:
    """Some frames of a recording in pieces, evenly spaced, so that each is encoded once and not with its window."""

    def __init__(
        self,
        values: Float[np.ndarray, "frame channel"],
        piece: Int[np.ndarray, " frame"],
        segment: Int[np.ndarray, " frame"],
        time: Float[np.ndarray, " frame"],
    ) -> None:
        self.values, self.piece, self.segment, self.time = values, piece, segment, time

    @classmethod
    def of(cls, frames: PreparedFrames, n_frames: int) -> SampledFrames:
        length = n_frames // N_PIECES
        rows = np.arange(len(frames))
        if len(frames) > n_frames:
            starts = np.linspace(0, len(frames) - length, N_PIECES).round().astype(int)
            rows = np.unique(starts[:, None] + np.arange(length))
        # a piece ends with its segment too, as the encoder's window does
        ends = (np.diff(rows) > 1) | (np.diff(frames.segment[rows]) != 0)
        piece = np.concatenate([[0], np.cumsum(ends)])
        return cls(frames.values[rows], piece, frames.segment[rows], frames.time[rows])

    def as_frames(self) -> PreparedFrames:
        """Return them as frames whose segments are the pieces."""
        return PreparedFrames(self.values, self.piece, self.time)

    def hide(self, hidden: Int[np.ndarray, " hidden"], mean: Float[np.ndarray, " channel"]) -> PreparedFrames:
        values = self.values.copy()
        values[:, hidden] = mean[hidden]
        return PreparedFrames(values, self.piece, self.time)


def measure_shifted_apart(fitted: FittedModel, training: EncodedRecording, unseen: EncodedRecording) -> ShiftedApart:
    """Compare what principal axes reconstruct of unseen frames with what they do of channels shifted apart in time.

    Channels are rotated within each segment, or within twentieths of a recording that has few: what varies only from
    segment to segment, as trial means and slow drift do, survives the rotation and is not counted. The score itself is
    of all channels rotated together, so that both have the same seams.

    Parameters
    ----------
    fitted : FittedModel
    training, unseen : EncodedRecording

    Returns
    -------
    ShiftedApart

    Notes
    -----
    It asks whether channels are coordinated from moment to moment, which needs no fit. `measure_null` asks the same of
    the fit's own score, by fits to shifted channels.
    """
    if fitted.pixels is not None:
        return {"not_measured": "pixels are no channels: neighbours are alike"}
    varying = np.flatnonzero(compute_moments(iterate_frames(training.frames)).sd > 0)
    if len(varying) < 2:
        return {"not_measured": "one channel has nothing to be coordinated with"}
    rng = np.random.default_rng([fitted.config.train.seed, 2])
    chosen = np.sort(rng.permutation(varying)[:NULL_CHANNELS])
    parts = [_take_groups(part, chosen, rng) for part in (training, unseen)]
    if min(len(part[0]) for part in parts) < FEWEST_NULL_FRAMES:
        return {"not_measured": "there are too few frames to shift channels in"}
    # as many axes as channels would reconstruct everything, coordinated or not
    dim = max(1, min(fitted.dim, len(chosen) // 2))
    mean = parts[0][0].mean(axis=0, dtype=np.float64)
    centred = [(values - mean).astype(np.float32) for values, _ in parts]
    # sums over all frames are those of rotated channels too
    square = np.square(centred[1], dtype=np.float64).sum()
    total = np.square(centred[1] - centred[1].mean(axis=0, dtype=np.float64)).sum()
    if not total > 0:
        return {"not_measured": "the channels do not vary on held-out frames"}
    seeds = np.random.SeedSequence([fitted.config.train.seed, 3]).generate_state(4 * N_NULLS).reshape(N_NULLS, 2, 2)

    def score(seed: Int[np.ndarray, " part"], *, together: bool) -> float:
        learned, tested = (
            _rotate(values, group, int(one), together)
            for values, (_, group), one in zip(centred, parts, seed, strict=True)
        )
        # Not `compute_pca_axes`: rotated channels keep their mean of 0, and its copies take four times as long.
        x = learned.astype(np.float64)
        axes = np.linalg.eigh(x.T @ x)[1][:, -dim:]
        # R2 of the projection on the axes, as `r2_score` gives it
        return float(1 - (square - np.square(tested @ axes).sum(dtype=np.float64)) / total)

    nulls = [score(seed[0], together=False) for seed in seeds]
    value = float(np.median([score(seed[1], together=True) for seed in seeds[:N_TOGETHER]]))
    over = divide_frames(unseen.frames.segment).over
    return {"value": value, "nulls": nulls, "p": rank_in_null(value, nulls), "over": over}


def _take_groups(
    encoded: EncodedRecording, channels: Int[np.ndarray, " channel"], rng: np.random.Generator
) -> tuple[Float[np.ndarray, "time channel"], Int[np.ndarray, " time"]]:
    """Whole segments or blocks, drawn up to so many numbers, and the label of each frame's."""
    groups = divide_frames(encoded.frames.segment)
    sizes, order = np.bincount(groups.index, minlength=groups.n), rng.permutation(groups.n)
    within = np.cumsum(sizes[order]) <= max(NULL_NUMBERS // len(channels), sizes[order[0]])
    kept = np.isin(groups.index, order[within])
    return encoded.frames.values[np.ix_(kept, channels)], groups.index[kept]


def _rotate(
    values: Float[np.ndarray, "time channel"], group: Int[np.ndarray, " time"], seed: int, together: bool
) -> Float[np.ndarray, "time channel"]:
    if not together:
        return np.asarray(shift_channels(values, group, seed=seed))
    # frames are rotated, and every channel with them
    rows = shift_channels(np.arange(len(values))[:, None], group, seed=seed)[:, 0]
    return np.asarray(values[rows])

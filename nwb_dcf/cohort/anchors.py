"""Anchors: the mean of each condition in each bin, which sessions without a common unit have in common.

A session's frames are labelled by `condition` and `bin` (-1 where a frame belongs to no anchor). Arrays over anchors
have the shape (condition, bin, ...); flattened, a row for each, condition after condition.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class AlignedFrames:
    """Frames of one session, prepared and labelled.

    Attributes
    ----------
    values : array, shape (frame, unit)
        Prepared values: square roots of counts, smoothed, one scale.
    trial : array of int, shape (frame,)
        Trial of each frame; a trial's frames are contiguous and in order of time.
    condition, bin : array of int, shape (frame,)
        Row and column of the anchor that a frame belongs to; -1 where it belongs to none.
    n_conditions, n_bins : int
        Of the cohort; a session need not have them all.
    name : str
        For messages.

    Raises
    ------
    DataError
        If the lengths differ, or a trial's frames are not contiguous.
    """

    values: Float[np.ndarray, "frame unit"]
    trial: Int[np.ndarray, " frame"]
    condition: Int[np.ndarray, " frame"]
    bin: Int[np.ndarray, " frame"]
    n_conditions: int
    n_bins: int
    name: str = ""

    def __post_init__(self) -> None:
        n = len(self.values)
        if not len(self.trial) == len(self.condition) == len(self.bin) == n:
            raise DataError(
                f"{n} frames, but {len(self.trial)} trials, {len(self.condition)} conditions and {len(self.bin)} bins",
                where=self.name or None,
            )
        starts = np.flatnonzero(np.diff(self.trial)) + 1
        if len(np.unique(self.trial)) != len(starts) + (n > 0):
            raise DataError("the frames of a trial are not contiguous", where=self.name or None)

    @property
    def is_anchor(self) -> Bool[np.ndarray, " frame"]:
        """Whether a frame belongs to an anchor, shape (frame,)."""
        return np.asarray((self.condition >= 0) & (self.bin >= 0))

    @property
    def n_trials(self) -> int:
        """Number of trials that have a condition."""
        return len(np.unique(self.trial[self.is_anchor]))

    @property
    def trials_per_condition(self) -> Int[np.ndarray, " condition"]:
        """Number of trials of each condition, shape (condition,)."""
        labelled = self.is_anchor
        pairs = np.unique(np.stack([self.condition[labelled], self.trial[labelled]]), axis=1)
        return np.bincount(pairs[0], minlength=self.n_conditions)

    def select_trials(self, trials: NDArray[np.integer]) -> AlignedFrames:
        """Keep the frames of some trials, in their order of time."""
        kept = np.isin(self.trial, trials)
        return AlignedFrames(
            self.values[kept],
            self.trial[kept],
            self.condition[kept],
            self.bin[kept],
            self.n_conditions,
            self.n_bins,
            self.name,
        )

    def with_values(self, values: Float[np.ndarray, "frame column"]) -> AlignedFrames:
        """Put other values, such as latents, into the same frames."""
        return AlignedFrames(values, self.trial, self.condition, self.bin, self.n_conditions, self.n_bins, self.name)


@dataclass(frozen=True)
class ConditionMeans:
    """Mean values of each condition in each bin.

    Attributes
    ----------
    means : array, shape (condition, bin, unit)
        NaN where no trial of the condition reaches the bin.
    counts : array of int, shape (condition, bin)
        Trials in each mean.
    """

    means: Float[np.ndarray, "condition bin unit"]
    counts: Int[np.ndarray, "condition bin"]

    @property
    def seen(self) -> Bool[np.ndarray, " condition"]:
        """Conditions that have every bin, shape (condition,)."""
        return np.asarray((self.counts > 0).all(axis=1))


def compute_condition_means(frames: AlignedFrames) -> ConditionMeans:
    """Average the trials of each condition, bin by bin, over the trials that reach the bin.

    Parameters
    ----------
    frames : AlignedFrames

    Returns
    -------
    ConditionMeans

    Examples
    --------
    >>> zeros = np.zeros(2, np.int64)
    >>> frames = AlignedFrames(np.array([[1.0], [3.0]]), np.array([0, 1]), zeros, zeros, 1, 1)
    >>> float(compute_condition_means(frames).means[0, 0, 0])
    2.0
    """
    shape = (frames.n_conditions, frames.n_bins)
    labelled = frames.is_anchor
    row = frames.condition[labelled] * frames.n_bins + frames.bin[labelled]
    counts = np.bincount(row, minlength=shape[0] * shape[1])
    sums = np.zeros((len(counts), frames.values.shape[1]))
    # unbuffered: several trials have the same anchor
    np.add.at(sums, row, frames.values[labelled])
    with np.errstate(invalid="ignore", divide="ignore"):
        means = sums / counts[:, None]
    return ConditionMeans(means.reshape(*shape, -1), counts.reshape(shape))


def scale_means(means: ConditionMeans) -> Float[np.ndarray, "condition bin unit"]:
    """Centre the means over the conditions seen and give their rows an energy of 1 in the mean.

    Returns
    -------
    array, shape (condition, bin, unit)
        NaN in conditions that are not seen.

    Raises
    ------
    DataError
        If no condition is seen, or the means do not vary.
    """
    seen = means.seen
    if not seen.any():
        raise DataError("no condition has a trial in every bin", fix="choose a shorter window or wider bins")
    scaled = np.full_like(means.means, np.nan)
    # over the conditions seen: those of another session may be others
    centred = means.means[seen] - means.means[seen].mean(axis=(0, 1))
    energy = np.square(centred).sum(axis=2).mean()
    if not energy > 0:
        raise DataError("the means of the conditions do not vary")
    # one energy for all: a session with many units or spikes has no more votes in the sum of Grams
    scaled[seen] = centred / np.sqrt(energy)
    return scaled


def compute_gram(scaled: Floats) -> Floats:
    """Compute the products of the anchors of one session with each other, shape (condition * bin, condition * bin).

    Rows and columns of conditions not seen are NaN. Shared axes are found in sums of these matrices, whose size
    does not depend on the number of units.
    """
    # (condition * bin, unit): the units are summed over, and with them what sessions do not have in common
    flat = scaled.reshape(-1, scaled.shape[2])
    return flat @ flat.T


def compute_cross_trial_gram(frames: AlignedFrames) -> tuple[Floats, NDArray[np.bool_]]:
    """Compute products of anchors whose factors come from different trials, so that noise has a mean of zero.

    Returns
    -------
    gram : array, shape (condition, bin, condition, bin)
        0 where a condition is not usable.
    usable : array of bool, shape (condition,)
        Conditions with two trials or more in every pair of bins.

    Notes
    -----
    Between conditions the trials differ anyway. Within one, the sum over pairs of trials is the product of the sums
    less the sum of the products. A mean over few trials would otherwise have its noise in the diagonal blocks.
    """
    means = compute_condition_means(frames)
    n_conditions, n_bins, n_units = means.means.shape
    # missing means weigh nothing in sums; conditions that are not usable are set to 0 below
    filled = np.nan_to_num(means.means)
    centre = filled.sum(axis=(0, 1)) / max(1, int((means.counts > 0).sum()))
    flat = (filled - centre).reshape(-1, n_units)
    gram = (flat @ flat.T).reshape(n_conditions, n_bins, n_conditions, n_bins)
    usable = np.zeros(n_conditions, bool)
    for condition in range(n_conditions):
        sums, products, both = _sum_trials(frames, condition, centre)
        # ordered pairs of different trials that reach both bins
        pairs = np.outer(means.counts[condition], means.counts[condition]) - both
        usable[condition] = bool((pairs > 0).all())
        if usable[condition]:
            gram[condition, :, condition, :] = (sums @ sums.T - products) / pairs
    # rows and columns alike, so that the matrix stays symmetric
    gram[~usable] = 0
    gram[:, :, ~usable] = 0
    return gram, usable


def _sum_trials(frames: AlignedFrames, condition: int, centre: Floats) -> tuple[Floats, Floats, Floats]:
    """Sum values, and products within trials, over the trials of a condition; count the trials with both bins."""
    sums = np.zeros((frames.n_bins, frames.values.shape[1]))
    products, both = np.zeros((frames.n_bins, frames.n_bins)), np.zeros((frames.n_bins, frames.n_bins))
    chosen = np.flatnonzero((frames.condition == condition) & (frames.bin >= 0))
    if not len(chosen):
        return sums, products, both
    # trial by trial, which are contiguous: memory is that of one trial
    for rows in np.split(chosen, np.flatnonzero(np.diff(frames.trial[chosen])) + 1):
        values, at = frames.values[rows] - centre, frames.bin[rows]
        sums[at] += values
        products[np.ix_(at, at)] += values @ values.T
        both[np.ix_(at, at)] += 1
    return sums, products, both

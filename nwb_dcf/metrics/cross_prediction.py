"""How well each smoothing and scale lets one half of the channels predict the other half, now and later.

No behaviour is needed. Principal axes of one half of the channels are computed from smoothed and scaled values. Their
score is how well they predict the *unsmoothed* values of the other half's channels, at once and some time later.
Targets stay unsmoothed, since smooth targets are predicted the better the smoother they are. Other channels are
predicted, so that private modulation of one channel explains nothing. Each channel is compared with its own best
score, so that a fast unit has one vote. Later values count, since latents are to be states, which last: with values of
the same moment alone, brief events of the whole network would win. Within short trials a lag asks for little but the
mean of the trial, which the smoothest predict best: it counts where segments are eight times as long.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import joblib
import numpy as np

from .segment_smoothing import smooth_rows

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Float32, Int, Real

# fast systems need the first ones and finer steps among them, place cells on a track the last
SIGMAS_S = (0.025, 0.035, 0.05, 0.07, 0.1, 0.2, 0.4, 0.8, 1.6)
SCALES = ("soft", "zscore")  # z-scores alone blow up units that hardly fire; soft beside them guards against it
LAGS_S = (0.0, 0.5, 2.0)  # 0 keeps fast systems unsmoothed; without a long one, theta and network events win
LAG_FRACTION = 0.125  # of the segment that the median frame is in: the end of a trial is predicted by its mean at best
PENALTIES = (1e-3, 1e-2, 1e-1)  # of the ridge, for each training frame
N_SPLITS, MOST_SPLITS = 3, 9  # of channels in halves; of few units three are noise
SPLIT_CHANNELS = 180  # over splits, where there are few
N_BLOCKS = 20
TEST_FRACTION = 0.4
N_AXES = 3  # as many as fits have by default
N_BUMPS = 48
MAX_ROWS = 40_000  # frames of a regression, evenly spaced where there are more; fewer where there are more splits
FEWEST_CHANNELS = 4  # two in each half
MAX_CHANNELS = 300  # drawn at random where there are more: halves of 150 suffice for the axes of thousands
MOST_AT_ONCE = 4  # smoothings, each with features of its own in memory
MOST_NUMBERS = 2**24  # of all frames of some channels that are worked on at once
LEAST_ROWS = 50  # frames of a lag in training and in test; a lag with fewer is left out
LEAST_R2 = 1e-3  # a channel that no setting predicts better has no vote
LEAST_OF_MEDIAN = 0.1  # of the median channel's best score: nor has one that is predicted worse than this
ROUNDING = 1e-5  # of a sum of squares in single precision


@dataclass(frozen=True)
class SettingScores:
    """Smoothing and scale, point by point, and how well each predicts channels that it was not computed from.

    Attributes
    ----------
    sigma_s : array, shape (point,)
        Standard deviation of the Gaussian in seconds; 0 for none.
    scale : tuple of str
        Of each point, ``"soft"``, ``"zscore"`` or ``"global"``.
    score : array, shape (point,)
        Mean over `kept` channels of the variance explained, each over its own best: 1 where every channel is at its
        best. NaN where no channel is kept.
    r2 : array, shape (point, channel)
        Variance that is explained of each channel on test blocks, mean over lags and splits; NaN for channels that
        took no part.
    kept : array of bool, shape (channel,)
        Which channels have a vote: those that some setting predicts.
    lags_s : tuple of float
        Lags that the segments are long enough for, in seconds: eight times as long.
    n_blocks : int
        Blocks or groups of trials that time was cut in.
    """

    sigma_s: Float[np.ndarray, " point"]
    scale: tuple[str, ...]
    score: Float[np.ndarray, " point"]
    r2: Float[np.ndarray, "point channel"]
    kept: Bool[np.ndarray, " channel"]
    lags_s: tuple[float, ...]
    n_blocks: int

    @property
    def median_r2(self) -> Float[np.ndarray, " point"]:
        """Median over all channels that took part of the variance explained; NaN where none did."""
        took_part = np.isfinite(self.r2[0]) if len(self.r2) else self.kept
        if not took_part.any():
            return np.full(len(self.score), np.nan)
        return np.asarray(np.median(self.r2[:, took_part], axis=1))

    @property
    def relative(self) -> Float[np.ndarray, "point kept"]:
        """Variance explained over each kept channel's own best: the terms whose mean is `score`."""
        r2 = self.r2[:, self.kept]
        return np.asarray(np.maximum(r2 / r2.max(axis=0, initial=LEAST_R2), -1.0))


class Table(Protocol):
    """Values (time, channel) of which ``[:, channels]`` gives some as an array."""

    shape: tuple[int, int]

    def __getitem__(self, key: tuple[slice, Any], /) -> Real[np.ndarray, "time channel"]: ...


def list_sigmas(step_s: float, sigmas_s: Sequence[float] = SIGMAS_S) -> tuple[float, ...]:
    """List standard deviations to try for frames `step_s` seconds apart: 0 in place of those that smooth nothing.

    Examples
    --------
    >>> list_sigmas(0.5)
    (0.0, 0.2, 0.4, 0.8, 1.6)
    """
    # below 0.4 of a step each neighbour has less than 5 % of the weight: nothing is smoothed
    return tuple(sorted({sigma if sigma >= step_s / 2.5 else 0.0 for sigma in sigmas_s}))


def count_splits(n_channels: int) -> int:
    """Count the splits of so many channels in halves: more of few channels, of which each half is another population.

    Examples
    --------
    >>> count_splits(10), count_splits(30), count_splits(100)
    (9, 6, 3)
    """
    return min(max(N_SPLITS, round(SPLIT_CHANNELS / max(n_channels, 1))), MOST_SPLITS)


def score_settings(
    values: Real[np.ndarray, "time channel"] | Table,
    segment: Int[np.ndarray, " time"],
    step_s: float,
    *,
    root: bool = True,
    least_total: float | None = None,
    sigmas_s: Sequence[float] | None = None,
    scales: Sequence[str] = SCALES,
    seed: int = 0,
    report: Callable[[int, int], None] | None = None,
) -> SettingScores:
    """Score every smoothing with every scale by the prediction of other channels.

    Parameters
    ----------
    values : array or `Table`, shape (time, channel)
        Counts, or other values as they were recorded; of a table some channels are asked for at a time.
    segment : array of int, shape (time,)
        Segment of each frame, 0, 1, 2, ...; frames of a segment are contiguous and `step_s` apart.
    step_s : float
        Seconds between frames.
    root : bool
        Whether square roots are taken, as of counts.
    least_total : float, optional
        Channels whose values have a smaller sum take no part: units with few spikes.
    sigmas_s : sequence of float, optional
        `list_sigmas` of the step by default.
    scales : sequence of {"soft", "zscore", "global"}
        Smoothed values are divided by standard deviation + median standard deviation, by standard deviation, or
        by one number for all channels.
    seed : int
        Of halves, blocks and bumps.
    report : callable, optional
        Called with how many halves of the channels have been done, and of how many.

    Returns
    -------
    SettingScores
        Points in the order of `sigmas_s`, scale by scale within each. No channel is kept where there are fewer
        than four that can take part.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> state = np.cumsum(rng.normal(size=4000)) / 20
    >>> values = np.outer(state, np.ones(12)) + 3 * rng.normal(size=(4000, 12))
    >>> scores = score_settings(values, np.zeros(4000, int), 0.1, root=False)
    >>> float(scores.sigma_s[scores.score.argmax()])
    1.6
    """
    rng = np.random.default_rng(seed)
    frames = np.asarray(segment, np.int64)
    sigmas = list_sigmas(step_s) if sigmas_s is None else tuple(sigmas_s)
    points = [(sigma, scale) for sigma in sigmas for scale in scales]
    block = _cut_blocks(frames, rng)
    usable = _find_usable(values, least_total)
    if len(usable) > MAX_CHANNELS:
        usable = np.sort(rng.choice(usable, MAX_CHANNELS, replace=False))
    length = float(np.median(np.bincount(frames)[frames])) if len(frames) else 0.0
    # with a tolerance: eight steps of 0.25 s may be 1.9999 s
    most_s = LAG_FRACTION * length * step_s * (1 + 1e-6)
    lags = [lag for lag in LAGS_S if lag <= most_s and _is_long_enough(frames, block, round(lag / step_s))]
    r2 = np.full((len(PENALTIES), len(points), values.shape[1]), np.nan)
    n_blocks = int(block.max()) + 1 if len(block) else 0
    if len(usable) >= FEWEST_CHANNELS and lags:
        raw = np.asarray(values[:, usable], np.float32)
        # values may lie far from 0, where sums of products lose digits; roots of counts do not
        raw = np.sqrt(raw, out=raw) if root else raw - raw.mean(axis=0)
        # thinned after smoothing: a lag leads from a kept row to any frame, since targets are taken from all of them
        n_splits = count_splits(len(usable))
        rows = np.unique(np.linspace(0, len(raw) - 1, MAX_ROWS * N_SPLITS // n_splits).round().astype(np.int64))
        position = np.zeros(len(raw), np.int64)
        position[rows] = np.arange(len(rows))
        widths, at_once = [sigma / step_s for sigma in sigmas], max(1, MOST_NUMBERS // len(raw))
        smoothed = [np.empty((len(rows), raw.shape[1]), np.float32) for _ in widths]
        # few channels at a time: spectra of all frames take several times their memory
        for start in range(0, raw.shape[1], at_once):
            group = slice(start, start + at_once)
            for into, values_of_group in zip(smoothed, smooth_rows(raw[:, group], frames, widths, rows), strict=True):
                into[:, group] = values_of_group
        found = np.zeros((len(PENALTIES), len(points), len(usable)))
        for number in range(n_splits):
            if report:
                report(number, n_splits)
            split = _Split.draw(raw, frames, block, rows, [round(lag / step_s) for lag in lags], rng)
            found += split.score(smoothed, position, scales, rng) / n_splits
        r2[:, :, usable] = found
    return _vote(points, r2, tuple(lags), n_blocks)


def _vote(
    points: list[tuple[float, str]],
    r2: Float[np.ndarray, "penalty point channel"],
    lags_s: tuple[float, ...],
    n_blocks: int,
) -> SettingScores:
    """Keep the channels that some setting predicts, and average their scores over each one's own best."""
    took_part = np.isfinite(r2[0, 0])
    most = np.where(took_part, np.nan_to_num(r2, nan=-np.inf).max(axis=(0, 1)), -np.inf)
    least = max(LEAST_R2, LEAST_OF_MEDIAN * float(np.median(most[took_part])) if took_part.any() else 0.0)
    kept = most > least
    sigma_s = np.array([sigma for sigma, _ in points])
    scale = tuple(name for _, name in points)
    if not kept.any():
        return SettingScores(sigma_s, scale, np.full(len(points), np.nan), r2[0], kept, lags_s, n_blocks)
    # cut at -1: one channel that is predicted badly must not outweigh all others
    by_penalty = np.maximum(r2[:, :, kept] / most[kept], -1.0).mean(axis=2)
    # a penalty for each point, common to its channels, so that smooth and rough latents are compared each at its best
    best = by_penalty.argmax(axis=0)
    at = np.arange(len(points))
    return SettingScores(sigma_s, scale, by_penalty[best, at], r2[best, at], kept, lags_s, n_blocks)


# -- frames ------------------------------------------------------------------------------------------


def _cut_blocks(segment: Int[np.ndarray, " time"], rng: np.random.Generator) -> Int[np.ndarray, " time"]:
    """Block of each frame: twenty groups of trials drawn at random, or twenty equal intervals of time."""
    n_segments = int(segment[-1]) + 1 if len(segment) else 0
    if n_segments >= N_BLOCKS:
        return np.asarray((rng.permutation(n_segments) % N_BLOCKS)[segment])
    return np.arange(len(segment)) * N_BLOCKS // max(len(segment), 1)


def _find_usable(
    values: Real[np.ndarray, "time channel"] | Table, least_total: float | None
) -> Int[np.ndarray, " usable"]:
    n_frames, n_channels = values.shape
    usable = np.zeros(n_channels, bool)
    at_once = max(1, MOST_NUMBERS // max(n_frames, 1))
    for start in range(0, n_channels if n_frames else 0, at_once):
        some = slice(start, start + at_once)
        part = values[:, some]
        usable[some] = np.ptp(part, axis=0) > 0
        if least_total is not None:
            usable[some] &= part.sum(axis=0) >= least_total
    return np.flatnonzero(usable)


def _is_long_enough(segment: Int[np.ndarray, " time"], block: Int[np.ndarray, " time"], lag: int) -> bool:
    """Whether enough pairs of frames `lag` apart lie in one segment and one block to be split."""
    if len(segment) <= lag:
        return False
    n = len(segment) - lag
    inside = (segment[:n] == segment[lag:]) & (block[:n] == block[lag:])
    return int(inside.sum()) * TEST_FRACTION >= 2 * LEAST_ROWS and len(np.unique(block[:n][inside])) >= 4


# -- one split of channels and blocks ----------------------------------------------------------------


@dataclass(frozen=True)
class _Part:
    """Training or test frames of a split.

    Attributes
    ----------
    frames : slice
        Among the rows of the split.
    targets : (array, array)
        For each half of the channels their values at every lag, minus the mean of training, shape
        (frame, lag x channel); 0 where the lag leads out of the segment or the part.
    lost : list of array of int
        For each lag, those frames.
    square : (array, array)
        Sums of squares of the targets, shape (lag, channel).
    total : (array, array)
        Sums of the targets.
    """

    frames: slice
    targets: tuple[Float32[np.ndarray, "frame _target"], Float32[np.ndarray, "frame _target"]]
    lost: list[Int[np.ndarray, " _lost"]]
    square: tuple[Float[np.ndarray, "lag _channel"], Float[np.ndarray, "lag _channel"]]
    total: tuple[Float[np.ndarray, "lag _channel"], Float[np.ndarray, "lag _channel"]]


@dataclass(frozen=True)
class _Split:
    """Channels in halves, blocks in training and test.

    Attributes
    ----------
    halves : (array of int, array of int)
    rows : array of int
        Frames that are used, those of training first.
    training, test : _Part
    n_lags : int
    """

    halves: tuple[Int[np.ndarray, " _channel"], Int[np.ndarray, " _channel"]]
    rows: Int[np.ndarray, " row"]
    training: _Part
    test: _Part
    n_lags: int

    @classmethod
    def draw(
        cls,
        raw: Float32[np.ndarray, "time channel"],
        segment: Int[np.ndarray, " time"],
        block: Int[np.ndarray, " time"],
        rows: Int[np.ndarray, " row"],
        lags: list[int],
        rng: np.random.Generator,
    ) -> _Split:
        first, second = np.array_split(rng.permutation(raw.shape[1]), 2)
        n_blocks = int(block.max()) + 1
        # blocks and not frames: neighbours in time would let a smooth latent predict what it has seen
        is_test = np.isin(block, rng.permutation(n_blocks)[: max(1, round(TEST_FRACTION * n_blocks))])
        order = np.argsort(is_test[rows], kind="stable")
        rows, n_training = rows[order], int((~is_test[rows]).sum())
        later = [np.minimum(rows + lag, len(raw) - 1) for lag in lags]
        inside = [
            (rows + lag < len(raw)) & (segment[then] == segment[rows]) & (is_test[then] == is_test[rows])
            for lag, then in zip(lags, later, strict=True)
        ]
        parts = []
        for half in (first, second):
            values, own = np.zeros((len(rows), len(lags), len(half)), np.float32), raw.take(half, axis=1)
            for i, (then, good) in enumerate(zip(later, inside, strict=True)):
                seen = own.take(then[good], axis=0)
                # rows of training stand first; what is left is explained against their mean, not the test's
                mean = seen[: int(good[:n_training].sum())].mean(axis=0, dtype=np.float64)
                values[good, i] = seen - mean.astype(np.float32)
            parts.append(values)
        training, test = (
            _gather_part(frames, parts, inside) for frames in (slice(0, n_training), slice(n_training, len(rows)))
        )
        return cls((first, second), rows, training, test, len(lags))

    def score(
        self,
        smoothed: list[Float32[np.ndarray, "row channel"]],
        position: Int[np.ndarray, " time"],
        scales: Sequence[str],
        rng: np.random.Generator,
    ) -> Float[np.ndarray, "penalty point channel"]:
        """Compute the variance explained of each channel from the other half, mean over lags."""
        r2 = np.zeros((len(PENALTIES), len(smoothed) * len(scales), smoothed[0].shape[1]))
        at = position[self.rows]
        centres = rng.permutation(self.training.frames.stop)[:N_BUMPS]

        def score_smoothing(number: int) -> None:
            x = smoothed[number].take(at, axis=0)  # four times as fast as an index, of columns above all
            # of each half by itself: covariances across halves are half of the work and not needed
            parts, covariances, deviation = [x.take(half, axis=1) for half in self.halves], [], np.empty(x.shape[1])
            for part, half in zip(parts, self.halves, strict=True):
                seen = part[self.training.frames]
                seen = seen - seen.mean(axis=0, dtype=np.float64).astype(np.float32)
                covariances.append((seen.T @ seen).astype(np.float64) / len(seen))
                deviation[half] = np.sqrt(covariances[-1].diagonal())
            for point, scale in enumerate(scales, start=number * len(scales)):
                factor = _compute_factor(deviation, scale)
                for which in (1, 0):
                    # which half is predicted, by the other
                    half, other = self.halves[1 - which], self.halves[which]
                    z = _compute_latents(parts[1 - which], factor[half], covariances[1 - which])
                    features = _expand(z, self.training.frames, centres)
                    r2[:, point, other] = self._explain(features, which)

        # NumPy lets go of Python's lock within its operations; each smoothing has places of its own in the result
        with ThreadPoolExecutor(min(MOST_AT_ONCE, joblib.cpu_count()), "smoothing") as pool:
            list(pool.map(score_smoothing, range(len(smoothed))))
        return r2

    def _explain(self, features: Float32[np.ndarray, "row feature"], which: int) -> Float[np.ndarray, "penalty half"]:
        """Variance explained of one half's channels on test rows by ridge regression.

        Not `predict_by_ridge`: sums of products are shared between lags and penalties, and no prediction is formed.
        With it a scan of 24 points takes seconds.
        """
        learned, tested = (_Products.of(features, part, which, self.n_lags) for part in (self.training, self.test))
        explained: list[Float[np.ndarray, "penalty half"]] = []
        for i in range(self.n_lags):
            n = learned.gram[i][0, 0]
            mean = learned.gram[i][0, 1:] / n
            gram = learned.gram[i][1:, 1:] / n - np.outer(mean, mean)
            # a bump whose frames all lack a partner at this lag is left with rounding, and is not blown up to a weight
            known = gram.diagonal() * n > ROUNDING * learned.square[1:]
            deviation = np.sqrt(gram.diagonal(), out=np.full(len(gram), np.inf), where=known)
            # features of unit variance: one penalty then suits all of them
            scaled = gram / np.outer(deviation, deviation)
            ridge = scaled + np.multiply.outer(PENALTIES, np.eye(len(scaled)))
            weights = np.linalg.solve(ridge, learned.cross[i][1:] / n / deviation[:, None])
            weights = weights / deviation[:, None]
            total, m = tested.gram[i][0, 1:], tested.gram[i][0, 0]
            about = tested.gram[i][1:, 1:] - np.outer(mean, total) - np.outer(total, mean) + m * np.outer(mean, mean)
            shared = tested.cross[i][1:] - np.outer(mean, self.test.total[which][i])
            # SST - SSE = 2 w'c - w'Gw, from sums of products alone
            gain = 2 * (weights * shared).sum(axis=1) - (weights * (about @ weights)).sum(axis=1)
            explained.append(gain / np.maximum(self.test.square[which][i], np.finfo(float).tiny))
        # weighted by pairs: in short trials few frames have a partner at a long lag
        pairs = [len(features) - self.training.frames.stop - len(lost) for lost in self.test.lost]
        return np.asarray(np.average(explained, axis=0, weights=pairs))


def _gather_part(
    frames: slice, values: list[Float32[np.ndarray, "row lag _channel"]], inside: list[Bool[np.ndarray, " row"]]
) -> _Part:
    halves = [half[frames] for half in values]
    first, second = (half.reshape(len(half), -1) for half in halves)
    square = [np.einsum("tlc,tlc->lc", half, half, dtype=np.float64) for half in halves]
    total = [half.sum(axis=0, dtype=np.float64) for half in halves]
    lost = [np.flatnonzero(~good[frames]) for good in inside]
    return _Part(frames, (first, second), lost, (square[0], square[1]), (total[0], total[1]))


@dataclass(frozen=True)
class _Products:
    """Sums over frames of one part, lag by lag: features with features, features with targets.

    `square` are sums of squares of features over all frames, whatever the lag.
    """

    gram: list[Float[np.ndarray, "feature feature"]]
    cross: list[Float[np.ndarray, "feature channel"]]
    square: Float[np.ndarray, " feature"]

    @classmethod
    def of(cls, features: Float32[np.ndarray, "row feature"], part: _Part, which: int, n_lags: int) -> _Products:
        f = features[part.frames]
        whole = (f.T @ f).astype(np.float64)
        cross = (f.T @ part.targets[which]).astype(np.float64).reshape(len(whole), n_lags, -1)
        # subtracting the few frames without a partner at this lag is cheaper than one product of all frames a lag
        gram = [whole - (f[lost].T @ f[lost]).astype(np.float64) for lost in part.lost]
        return cls(gram, [cross[:, i] for i in range(n_lags)], whole.diagonal())


def _compute_factor(deviation: Float[np.ndarray, " channel"], scale: str) -> Float[np.ndarray, " channel"]:
    """Factor of each channel's smoothed values."""
    known = np.where(deviation > 0, deviation, 1.0)
    if scale == "soft":
        return np.asarray(1 / (known + np.median(known)))
    return np.ones_like(known) if scale == "global" else np.asarray(1 / known)


def _compute_latents(
    x: Float32[np.ndarray, "row half"], factor: Float[np.ndarray, " half"], covariance: Float[np.ndarray, "half half"]
) -> Float32[np.ndarray, "row axis"]:
    """Scores on the first principal axes of scaled values, about unit variance each.

    Not `compute_pca_axes`: the covariance of the unscaled values serves every scale, and both halves.
    """
    size, axes = np.linalg.eigh(covariance * np.outer(factor, factor))
    n = min(N_AXES, len(size))
    size, axes = size[: -n - 1 : -1], axes[:, : -n - 1 : -1]
    # an axis of rounding errors is not blown up to unit variance
    weights = factor[:, None] * axes / np.sqrt(np.maximum(size, size[0] * 1e-12 + np.finfo(float).tiny))
    z = x @ weights.astype(np.float32)
    return np.asarray(z - z.mean(axis=0, dtype=np.float64).astype(np.float32))


def _expand(
    z: Float32[np.ndarray, "row axis"], training: slice, centres: Int[np.ndarray, " centre"]
) -> Float32[np.ndarray, "row feature"]:
    """A constant, latents, and Gaussian bumps about some of them: a place field is no linear function of latents."""
    middle = z[centres]
    some = z[training][:: max(1, training.stop // 500)]
    distance = np.square(some).sum(axis=1)[:, None] + np.square(middle).sum(axis=1) - 2 * (some @ middle.T)
    twice_width = max(float(np.median(distance)), 1e-12)  # the width is half the median squared distance
    n_axes = z.shape[1]
    features = np.empty((len(z), 1 + n_axes + len(middle)), np.float32)
    features[:, 0] = 1
    features[:, 1 : 1 + n_axes] = z
    bumps = features[:, 1 + n_axes :]
    reach = np.column_stack([z, np.square(z).sum(axis=1), features[:, 0]])
    map_ = np.vstack([2 * middle.T, -np.ones(len(middle)), -np.square(middle).sum(axis=1)]) / twice_width
    np.exp(np.minimum(reach @ map_.astype(np.float32), 0), out=bumps)
    return features

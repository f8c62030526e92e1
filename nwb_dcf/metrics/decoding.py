"""What can be read from latents: ridge regression and nearest neighbours, cross-validated by segment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from ..errors import DataError, ParameterError
from .reconstruction import score_reconstruction
from .ridge import predict_by_ridge
from .segment_sums import FrameGroups, SegmentSums, divide_frames, require_count, require_frames, require_labels

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int, Real, Shaped

RIDGE = 1e-3  # of one readout, in units of a latent's mean square
RIDGES = tuple(10.0 ** np.arange(-6, 3))  # in units of a latent's mean square
NEIGHBOURS = (5, 10, 20, 40, 80)  # fewer where latents hold much, more where noise has to be averaged away

Method = Literal["ridge", "neighbours"]


def decode_linearly(
    training: Real[np.ndarray, "frame latent"],
    target: Real[np.ndarray, "frame variable"],
    test: Real[np.ndarray, "time latent"],
    *,
    ridge: float = RIDGE,
) -> Float[np.ndarray, "time variable"]:
    """Predict `target` from latents by ridge regression.

    Parameters
    ----------
    training, target : array, shapes (frame, latent), (frame, variable)
    test : array, shape (time, latent)
    ridge : float
        Penalty in units of a latent's mean square.

    Returns
    -------
    array, shape (time, variable)
    """
    return predict_by_ridge(training, target, test, (ridge,))[0]


def decode_by_neighbours(
    training: Real[np.ndarray, "frame latent"],
    target: Real[np.ndarray, "frame variable"],
    test: Real[np.ndarray, "time latent"],
    *,
    n_neighbours: int = 20,
) -> Float[np.ndarray, "time variable"]:
    """Predict `target` as its mean over the nearest training frames.

    Parameters
    ----------
    training, target : array, shapes (frame, latent), (frame, variable)
    test : array, shape (time, latent)
    n_neighbours : int
        All training frames where there are fewer.

    Returns
    -------
    array, shape (time, variable)

    Notes
    -----
    Distances are Euclidean in the latents as given, so their scale matters: DCF's latents have unit variance each,
    PCA's scores have not. Compare methods on one scaling, and report it.

    Examples
    --------
    >>> import numpy as np
    >>> z = np.array([[0.0], [1.0], [9.0]])
    >>> decode_by_neighbours(z, z * 2, np.array([[0.4]]), n_neighbours=2)
    array([[1.]])
    """
    require_count("n_neighbours", n_neighbours, 1)
    return _decode_by_neighbours(training, target, test, (n_neighbours,))[0]


def score_decoding(
    latents: Real[np.ndarray, "time latent"],
    target: Real[np.ndarray, "time variable"],
    segment: Shaped[np.ndarray, " time"],
    *,
    method: Method = "ridge",
    n_folds: int = 5,
    gap: int = 0,
    seed: int = 0,
) -> SegmentSums:
    """Score how well `target` is decoded from latents, cross-validated by segment.

    Parameters
    ----------
    latents, target : array, shapes (time, latent), (time, variable)
    segment : array, shape (time,)
        Label of each frame's segment. Whole segments are held out, or blocks of them where there are fewer than
        five (see `divide_frames`).
    method : {"ridge", "neighbours"}
        Its penalty or number of neighbours is chosen inside each fold, again by segment: no held-out segment
        contributes to that choice.
    n_folds : int
        Outer and inner; fewer where there are fewer segments.
    gap : int
        Frames of the same segment left out of training on either side of a held-out block: at least the reach of
        smoothing. It matters for blocks alone.
    seed : int
        Which segments make a fold.

    Returns
    -------
    SegmentSums
        R2 pooled over variables: those of larger variance count more.

    Raises
    ------
    DataError
        If shapes differ, values are not finite, or there are too few frames to hold any out.
    ParameterError
        If `method` is unknown or a number is invalid.

    References
    ----------
    Cawley and Talbot, "On over-fitting in model selection and subsequent selection bias in performance evaluation",
    JMLR 2010, on why the choice is nested.

    Examples
    --------
    >>> import numpy as np
    >>> z = np.random.default_rng(0).normal(size=(200, 2))
    >>> round(score_decoding(z, z @ [[1.0], [2.0]], np.arange(200) // 20).value, 3)
    1.0
    """
    _check_request(method, n_folds, gap)
    require_frames(latents=latents, target=target)
    require_labels(segment, len(latents))
    # frames of one segment are not independent: folds by frame would score memory of the segment
    folds = _Folds(segment, n_folds, gap)
    rng, estimate = np.random.default_rng(seed), np.empty(np.shape(target))
    for training, test in folds.draw(np.arange(len(latents)), rng):
        estimate[test] = _decode_nested(latents, target, training, latents[test], method, folds, rng)
    return score_reconstruction(target, estimate, segment)


def score_decoding_on(
    latents: Real[np.ndarray, "frame latent"],
    target: Real[np.ndarray, "frame variable"],
    segment: Shaped[np.ndarray, " frame"],
    test: Real[np.ndarray, "time latent"],
    test_target: Real[np.ndarray, "time variable"],
    test_segment: Shaped[np.ndarray, " time"],
    *,
    method: Method = "ridge",
    n_folds: int = 5,
    gap: int = 0,
    seed: int = 0,
) -> SegmentSums:
    """Score how well `target` is decoded on given test frames, as `score_decoding` does within one set.

    Parameters
    ----------
    latents, target, segment : array, shapes (frame, latent), (frame, variable), (frame,)
        Training frames; the penalty or number of neighbours is chosen on them, cross-validated by segment.
    test, test_target, test_segment : array, shapes (time, latent), (time, variable), (time,)
    method, n_folds, gap, seed
        As in `score_decoding`.

    Returns
    -------
    SegmentSums
        R2 over the test segments, pooled over variables, about the means of the test frames.

    Raises
    ------
    DataError
        If shapes differ or values are not finite.
    """
    _check_request(method, n_folds, gap)
    require_frames(latents=latents, target=target)
    require_frames(test=test, test_target=test_target)
    require_labels(segment, len(latents))
    folds, every = _Folds(segment, n_folds, gap), np.arange(len(latents))
    estimate = _decode_nested(latents, target, every, test, method, folds, np.random.default_rng(seed))
    return score_reconstruction(test_target, estimate, test_segment)


class _Folds:
    """Folds of whole segments, or of blocks with gaps."""

    def __init__(self, segment: Shaped[np.ndarray, " time"], n_folds: int, gap: int) -> None:
        self.groups: FrameGroups = divide_frames(segment)
        self.segment, self.n_folds, self.gap = np.asarray(segment), n_folds, gap

    def draw(
        self, frames: Int[np.ndarray, " frame"], rng: np.random.Generator
    ) -> Iterator[tuple[Int[np.ndarray, " training"], Int[np.ndarray, " test"]]]:
        """Yield training and test frames of each fold of `frames`, positions in order."""
        part = self.groups.index[frames]
        parts = rng.permutation(np.unique(part))
        n_folds = min(self.n_folds, len(parts))
        if n_folds < 2:
            raise DataError("there is one segment too short to cut", fix="give more frames or more segments")
        # groups in random order, dealt in turn: folds of equal size
        fold = np.empty(self.groups.n, np.int64)
        fold[parts] = np.arange(len(parts)) % n_folds
        for k in range(n_folds):
            held_out = fold[part] == k
            test, training = frames[held_out], frames[~held_out]
            yield training[~self._is_near(training, test)], test

    def _is_near(
        self, frames: Int[np.ndarray, " training"], test: Int[np.ndarray, " test"]
    ) -> Bool[np.ndarray, " training"]:
        """Whether each of `frames` lies within the gap of a test frame of its own segment."""
        after = np.searchsorted(test, frames)
        # the nearest test frame on either side decides: frames are positions in order
        near = np.zeros(len(frames), bool)
        for neighbour in (test[np.minimum(after, len(test) - 1)], test[np.maximum(after - 1, 0)]):
            close = np.abs(neighbour - frames) <= self.gap
            near |= close & (self.segment[neighbour] == self.segment[frames])
        return near


def _decode_nested(
    latents: Real[np.ndarray, "frame latent"],
    target: Real[np.ndarray, "frame variable"],
    training: Int[np.ndarray, " training"],
    test: Real[np.ndarray, "time latent"],
    method: Method,
    folds: _Folds,
    rng: np.random.Generator,
) -> Float[np.ndarray, "time variable"]:
    """Choose the decoder's setting on folds of the training frames, then decode `test` from all of them."""
    decode = predict_by_ridge if method == "ridge" else _decode_by_neighbours
    choices: tuple[float, ...] | tuple[int, ...] = RIDGES if method == "ridge" else NEIGHBOURS
    error = np.zeros(len(choices))
    # the setting is chosen inside the training frames (Cawley and Talbot 2010)
    for inner, held_out in folds.draw(training, rng):
        estimates = decode(latents[inner], target[inner], latents[held_out], choices)
        error += [np.square(estimate - target[held_out]).sum() for estimate in estimates]
    best = choices[int(np.argmin(error))]
    return next(iter(decode(latents[training], target[training], test, (best,))))


def _decode_by_neighbours(
    training: Real[np.ndarray, "frame latent"],
    target: Real[np.ndarray, "frame variable"],
    test: Real[np.ndarray, "time latent"],
    numbers: Sequence[float],
) -> list[Float[np.ndarray, "time variable"]]:
    """Mean over the nearest frames for each number of them, by one search for the largest."""
    from sklearn.neighbors import NearestNeighbors  # half a second that the command line need not wait for

    counts = [min(int(n), len(training)) for n in numbers]
    nearest = NearestNeighbors(n_neighbors=max(counts)).fit(training).kneighbors(test, return_distance=False)
    # neighbours are sorted by distance, so that one search serves every number of them
    running = np.cumsum(np.asarray(target, np.float64)[nearest], axis=1)
    return [running[:, n - 1] / n for n in counts]


def _check_request(method: str, n_folds: int, gap: int) -> None:
    if method not in ("ridge", "neighbours"):
        raise ParameterError(f"method is {method!r}", fix="choose ridge or neighbours")
    require_count("n_folds", n_folds, 2)
    require_count("gap", gap, 0)

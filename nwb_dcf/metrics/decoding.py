"""What can be read from latents: ridge regression and nearest neighbours, cross-validated by segment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
from scipy.spatial import cKDTree

from ..errors import DataError, ParameterError
from .reconstruction import score_reconstruction
from .segment_sums import FrameGroups, SegmentSums, divide_frames, require_count, require_frames, require_labels

RIDGES = tuple(10.0 ** np.arange(-6, 3))  # in units of a latent's mean square
NEIGHBOURS = (5, 10, 20, 40, 80)

Method = Literal["ridge", "neighbours"]


def decode_linearly(training: np.ndarray, target: np.ndarray, test: np.ndarray, *, ridge: float = 1e-3) -> np.ndarray:
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
    return _decode_by_ridges(training, target, test, (ridge,))[0]


def decode_by_neighbours(
    training: np.ndarray, target: np.ndarray, test: np.ndarray, *, n_neighbours: int = 20
) -> np.ndarray:
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
    PCA's scores have not. Compare methods on one scaling, and name it.

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
    latents: np.ndarray,
    target: np.ndarray,
    segment: np.ndarray,
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
        Its penalty or number of neighbours is chosen inside each fold, again by segment, so that no held-out
        segment has a say in how it is decoded.
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
        If `method` is unknown or a number cannot be meant.

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
    folds = _Folds(segment, n_folds, gap)
    rng, estimate = np.random.default_rng(seed), np.empty(np.shape(target))
    for training, test in folds.draw(np.arange(len(latents)), rng):
        estimate[test] = _decode_nested(latents, target, training, latents[test], method, folds, rng)
    return score_reconstruction(target, estimate, segment)


def score_decoding_on(
    latents: np.ndarray,
    target: np.ndarray,
    segment: np.ndarray,
    test: np.ndarray,
    test_target: np.ndarray,
    test_segment: np.ndarray,
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

    def __init__(self, segment: np.ndarray, n_folds: int, gap: int) -> None:
        self.division: FrameGroups = divide_frames(segment)
        self.segment, self.n_folds, self.gap = np.asarray(segment), n_folds, gap

    def draw(self, frames: np.ndarray, rng: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield training and test frames of each fold of `frames`, positions in order."""
        part = self.division.index[frames]
        parts = rng.permutation(np.unique(part))
        n_folds = min(self.n_folds, len(parts))
        if n_folds < 2:
            raise DataError("there is one segment too short to cut", fix="give more frames or more segments")
        fold = np.empty(self.division.n, np.int64)
        fold[parts] = np.arange(len(parts)) % n_folds
        for k in range(n_folds):
            held_out = fold[part] == k
            test, training = frames[held_out], frames[~held_out]
            yield training[~self._is_near(training, test)], test

    def _is_near(self, frames: np.ndarray, test: np.ndarray) -> np.ndarray:
        """Whether each of `frames` lies within the gap of a test frame of its own segment."""
        after = np.searchsorted(test, frames)
        near = np.zeros(len(frames), bool)
        for neighbour in (test[np.minimum(after, len(test) - 1)], test[np.maximum(after - 1, 0)]):
            close = np.abs(neighbour - frames) <= self.gap
            near |= close & (self.segment[neighbour] == self.segment[frames])
        return near


def _decode_nested(
    latents: np.ndarray,
    target: np.ndarray,
    training: np.ndarray,
    test: np.ndarray,
    method: Method,
    folds: _Folds,
    rng: np.random.Generator,
) -> np.ndarray:
    """Choose the decoder's setting on folds of the training frames, then decode `test` from all of them."""
    decode, choices = (_decode_by_ridges, RIDGES) if method == "ridge" else (_decode_by_neighbours, NEIGHBOURS)
    error = np.zeros(len(choices))
    for inner, held_out in folds.draw(training, rng):
        estimates = decode(latents[inner], target[inner], latents[held_out], choices)
        error += [np.square(estimate - target[held_out]).sum() for estimate in estimates]
    best = choices[int(np.argmin(error))]
    return next(iter(decode(latents[training], target[training], test, (best,))))


def _decode_by_ridges(
    training: np.ndarray, target: np.ndarray, test: np.ndarray, ridges: tuple[float, ...]
) -> list[np.ndarray]:
    """Ridge regression for each penalty, by one eigendecomposition of the Gram matrix."""
    centre, level = training.mean(axis=0), target.mean(axis=0)
    z = np.asarray(training, np.float64) - centre
    values, axes = np.linalg.eigh(z.T @ z)
    size = values.mean()
    # directions that training frames do not span get no weight, even where nothing is penalised
    spanned = values > values[-1] * len(values) * np.finfo(np.float64).eps
    values, axes = values[spanned], axes[:, spanned]
    projected, rotated = axes.T @ (z.T @ (target - level)), (test - centre) @ axes
    return [np.asarray(level + rotated @ (projected / (values + ridge * size)[:, None])) for ridge in ridges]


def _decode_by_neighbours(
    training: np.ndarray, target: np.ndarray, test: np.ndarray, numbers: tuple[int, ...]
) -> list[np.ndarray]:
    """Mean over the nearest frames for each number of them, by one search for the largest."""
    most = min(max(numbers), len(training))
    nearest = cKDTree(training).query(test, k=np.arange(1, most + 1))[1]
    running = np.cumsum(np.asarray(target, np.float64)[nearest], axis=1)
    return [running[:, min(n, most) - 1] / min(n, most) for n in numbers]


def _check_request(method: str, n_folds: int, gap: int) -> None:
    if method not in ("ridge", "neighbours"):
        raise ParameterError(f"method is {method!r}", fix="choose ridge or neighbours")
    require_count("n_folds", n_folds, 2)
    require_count("gap", gap, 0)

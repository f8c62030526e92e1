"""Whether two runs find the same latents: axis by axis, and by plane where axes may turn into each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from ..errors import DataError, ParameterError
from .decoding import decode_linearly
from .reconstruction import score_reconstruction
from .segment_sums import SegmentSums, require_same_shape

if TYPE_CHECKING:
    from jaxtyping import Float, Real, Shaped


@dataclass(frozen=True)
class Consistency:
    """Agreement of the latents of two runs on the same frames.

    Attributes
    ----------
    axes : array, shape (latent,)
        Absolute correlation of each latent with the latent of the same number; 0 where either is constant.
    groups : tuple of tuple of int
        Latents whose variances are close, counted from 0; most are alone.
    planes : array, shape (group,)
        Smallest cosine between the spans of each group's latents: for a latent that is alone its value in `axes`,
        for others the cosine in the worst direction of their plane.
    """

    axes: Float[np.ndarray, " latent"]
    groups: tuple[tuple[int, ...], ...]
    planes: Float[np.ndarray, " group"]

    @property
    def worst(self) -> float:
        """The smallest agreement of any group: 1 when every axis and plane is found again."""
        return float(self.planes.min())


def measure_consistency(
    a: Real[np.ndarray, "time latent"],
    b: Real[np.ndarray, "time latent"],
    spectrum: Real[np.ndarray, " latent"] | None = None,
) -> Consistency:
    """Compare the latents of two runs axis by axis: signs are fixed, but nothing is mapped or permuted.

    Parameters
    ----------
    a, b : array, shape (time, latent)
        Latents of the same frames, ordered as each run orders them: from random starts, or fitted to resampled
        trials and read on common ones.
    spectrum : array, shape (latent,), optional
        Variances of the latents, largest first. Neighbours that differ by less than 10 % are also compared by the
        plane they span, as their own directions are not determined; by default each latent is alone.

    Returns
    -------
    Consistency

    Raises
    ------
    DataError
        If shapes differ, values are not finite or there is a single frame.

    Notes
    -----
    Stricter than the linear map or the permutation that is usual in comparisons of embeddings: only the sign of each
    axis, which the model leaves open (paper 3.1), is disregarded. Two runs from the same deterministic start agree by
    construction, which is no evidence.

    References
    ----------
    Björck and Golub, "Numerical methods for computing angles between linear subspaces", 1973.

    Examples
    --------
    >>> import numpy as np
    >>> z = np.random.default_rng(0).normal(size=(100, 3))
    >>> round(measure_consistency(z, z * [1, -1, 1]).worst, 6)
    1.0
    """
    require_same_shape(a=a, b=b)
    if len(a) < 2:
        raise DataError("there is one frame", fix="compare latents of two frames or more")
    first, second = (np.asarray(z, np.float64) - np.mean(z, axis=0, dtype=np.float64) for z in (a, b))
    norms = np.linalg.norm(first, axis=0), np.linalg.norm(second, axis=0)
    size = norms[0] * norms[1]
    # absolute correlation: the sign of each axis is arbitrary (paper 3.1)
    axes = np.minimum(1, np.abs(np.divide((first * second).sum(axis=0), size, where=size > 0, out=np.zeros_like(size))))
    groups = group_close_axes(np.arange(a.shape[1], 0, -1.0) ** 4 if spectrum is None else spectrum)
    if sum(map(len, groups)) != a.shape[1]:
        raise DataError(f"spectrum has {sum(map(len, groups))} variances", fix=f"give {a.shape[1]}, one a latent")
    planes = [axes[g[0]] if len(g) == 1 else _compare_spans(first[:, g], second[:, g]) for g in groups]
    return Consistency(axes, groups, np.array(planes))


def score_cross_decoding(
    training: Real[np.ndarray, "frame latent"],
    target: Real[np.ndarray, "frame other"],
    test: Real[np.ndarray, "time latent"],
    test_target: Real[np.ndarray, "time other"],
    test_segment: Shaped[np.ndarray, " time"],
) -> list[SegmentSums]:
    """Score how well each latent of one run is predicted linearly from all latents of another (cross-decoding).

    Parameters
    ----------
    training, target : array, shapes (frame, latent), (frame, other)
        Latents of the two runs on the same training frames: what is predicted from, and what is predicted.
    test, test_target : array, shapes (time, latent), (time, other)
        The same on other frames.
    test_segment : array, shape (time,)
        Label of each test frame's segment.

    Returns
    -------
    list of SegmentSums
        R2 of each latent of the other run on the test frames.

    Notes
    -----
    Latents that turned, or changed order or sign, are predicted all the same. What one run invented the others cannot
    predict, while that run predicts all that they hold.

    References
    ----------
    Dabholkar and Barak, "When predict can also explain: few-shot prediction to select better neural latents", PLOS
    Computational Biology 2025, pcbi.1013789.

    Examples
    --------
    >>> import numpy as np
    >>> z, trial = np.random.default_rng(0).normal(size=(100, 2)), np.arange(100) // 10
    >>> turned = z @ [[0, 2], [1, 0]]
    >>> [round(score.value, 3) for score in score_cross_decoding(z, turned, z, turned, trial)]
    [1.0, 1.0]
    """
    predicted = decode_linearly(training, target, test, ridge=0.0)
    columns = range(predicted.shape[1])
    return [score_reconstruction(test_target[:, [i]], predicted[:, [i]], test_segment) for i in columns]


def compare_runs(
    runs: Sequence[Real[np.ndarray, "time latent"]], spectrum: Real[np.ndarray, " latent"] | None = None
) -> list[Consistency]:
    """Compare every pair of runs by `measure_consistency`: (0, 1), (0, 2), ..., (1, 2), ..."""
    if len(runs) < 2:
        raise DataError(f"there are {len(runs)} runs", fix="give the latents of two or more")
    return [measure_consistency(a, b, spectrum) for a, b in combinations(runs, 2)]


def group_close_axes(spectrum: Real[np.ndarray, " latent"], tolerance: float = 0.1) -> tuple[tuple[int, ...], ...]:
    """Group neighbouring axes whose variances lie so close that only their common span is determined.

    Parameters
    ----------
    spectrum : array, shape (latent,)
        Variances, largest first.
    tolerance : float
        An axis joins the group of the one before it where its variance is less by under this fraction.

    Returns
    -------
    tuple of tuple of int
        Every axis once, in order.

    Raises
    ------
    DataError
        If a variance is negative or not finite, or `spectrum` is empty.
    ParameterError
        If `tolerance` is not between 0 and 1.

    Examples
    --------
    >>> import numpy as np
    >>> group_close_axes(np.array([3.0, 2.8, 1.0]))
    ((0, 1), (2,))
    """
    spectrum = np.asarray(spectrum, np.float64)
    if spectrum.ndim != 1 or len(spectrum) == 0 or not np.isfinite(spectrum).all() or spectrum.min() < 0:
        raise DataError(f"the spectrum is {spectrum}", fix="give variances, one a latent")
    if not 0 <= tolerance < 1:
        raise ParameterError(f"tolerance is {tolerance!r}", fix="give a fraction, such as 0.1")
    larger = np.maximum(spectrum[:-1], spectrum[1:])
    # eigenvectors of close eigenvalues rotate freely under resampling (Davis and Kahan 1970)
    apart = np.abs(np.diff(spectrum)) > tolerance * (1 - 1e-9) * larger  # 1 - 0.9 is a little under 0.1
    return tuple(tuple(g.tolist()) for g in np.split(np.arange(len(spectrum)), np.flatnonzero(apart) + 1))


def _compare_spans(a: Float[np.ndarray, "time latent"], b: Float[np.ndarray, "time latent"]) -> float:
    """Cosine of the largest principal angle between column spans; 0 where one has fewer dimensions than columns."""
    from scipy.linalg import subspace_angles  # needed by repeats alone

    # subspace_angles of rank-deficient columns are those of a smaller span
    if min(np.linalg.matrix_rank(a), np.linalg.matrix_rank(b)) < a.shape[1]:
        return 0.0
    return float(np.cos(subspace_angles(a, b)).min())

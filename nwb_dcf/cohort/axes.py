"""Shared axes: the subspace that anchors of all sessions span, and a reproducible order of axes in it.

Axes ordered by shared variance do not reproduce between two sets of sessions, since the plane with more variance
depends on the units that were recorded. In the same subspace, axes ordered by timescale do. So the variance gives the
subspace, and the timescale the axes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from ..errors import DataError, ParameterError
from .anchors import Floats

if TYPE_CHECKING:
    from jaxtyping import Float

FILL_ROUNDS = 30  # of filling the anchors of conditions that a session lacks


@dataclass(frozen=True)
class SharedAxes:
    """Axes of the shared space, with the position of each condition in each bin.

    Attributes
    ----------
    anchors : array, shape (condition, bin, latent)
        G. Its columns are orthogonal; the mean square of column i is ``variance[i]``.
    variance : array, shape (latent,)
        Fraction of the anchors' energy in an axis, averaged over sessions.
    persistence : array, shape (latent,)
        By which axes are ordered: the mean autocorrelation of an axis at lags of 1, T/8 and T/4 bins within conditions.
    """

    anchors: Float[np.ndarray, "condition bin latent"]
    variance: Float[np.ndarray, " latent"]
    persistence: Float[np.ndarray, " latent"]

    @property
    def dim(self) -> int:
        """Number of latents."""
        return int(self.anchors.shape[2])


class GramSum:
    """Gram matrices of many sessions as one sum, so that memory does not grow with their number.

    Those of sessions that lack a condition are kept one by one, since what is missing has to be filled first.

    Parameters
    ----------
    n_conditions, n_bins : int
    grams : iterable of array, shape (condition * bin, condition * bin)
        As `nwb_dcf.cohort.anchors.compute_gram` gives them, NaN where a session lacks a condition.
    """

    def __init__(self, n_conditions: int, n_bins: int, grams: Iterable[NDArray[np.floating]] = ()) -> None:
        self.n_conditions, self.n_bins = n_conditions, n_bins
        self.total = np.zeros((n_conditions * n_bins, n_conditions * n_bins))
        self.partial: list[NDArray[np.floating]] = []
        self.count = 0
        self.seen_by = np.zeros(n_conditions, np.int64)
        for gram in grams:
            self.add(gram)

    def add(self, gram: NDArray[np.floating]) -> None:
        """Add the Gram matrix of one session."""
        # NaN marks the rows of conditions that the session lacks, see `compute_gram`
        known = np.isfinite(np.diag(gram))
        self.count += 1
        self.seen_by += known.reshape(self.n_conditions, self.n_bins).all(axis=1)
        if known.all():
            self.total += gram
        else:
            self.partial.append(gram)


def fit_axes(
    grams: GramSum, dim: int, *, fill_rounds: int = FILL_ROUNDS, transitions: Floats | None = None
) -> SharedAxes:
    """Find the shared axes from the Gram matrices of all sessions.

    Parameters
    ----------
    grams : GramSum
    dim : int
        Number of latents.
    fill_rounds : int
        Rounds of filling what is missing.
    transitions : array, shape (anchor, anchor), optional
        How often one anchor follows another, sum 1, where anchors have no order in time of their own.

    Returns
    -------
    SharedAxes

    Raises
    ------
    ParameterError
        If `dim` is above what the anchors can hold.
    DataError
        If a condition is in no session.

    Notes
    -----
    The leading eigenvectors of the mean Gram are those of an SVD of all sessions' units side by side. What a session
    lacks is filled by a least-squares fit of its anchors on the shared axes; by linearity its Gram is enough for that.

    References
    ----------
    Tong et al., "Indeterminacy and identifiability of blind identification" (AMUSE), IEEE Transactions on Circuits and
    Systems 1991, for axes by lagged covariances.

    Examples
    --------
    >>> anchors = np.random.default_rng(0).normal(size=(40, 6))
    >>> axes = fit_axes(GramSum(4, 10, [anchors @ anchors.T]), 2)
    >>> axes.anchors.shape
    (4, 10, 2)
    """
    n_conditions, n_bins = grams.n_conditions, grams.n_bins
    rows = n_conditions * n_bins
    if not 1 <= dim < rows:
        raise ParameterError(
            f"dim is {dim}; {n_conditions} conditions of {n_bins} bins hold up to {rows - 1}", fix="give less"
        )
    basis, mean = _compute_subspace(grams, dim, fill_rounds)
    # unit variance in the span, whatever units were recorded: variance has done its part with the span
    white = np.sqrt(rows) * basis
    if transitions is None:
        lagged, n_lags = _sum_lagged(white, n_conditions, n_bins), len(list_lags(n_bins))
    else:
        lagged, n_lags = white.T @ transitions @ white, 1
    # AMUSE: of white coordinates, the eigenvectors of the symmetric lagged covariance separate timescales
    values, vectors = np.linalg.eigh(lagged + lagged.T)
    order = np.argsort(values)[::-1]
    columns = white @ vectors[:, order]
    # a sign is arbitrary, and skewness fixes it for all sets of sessions alike
    third = np.sum(columns**3, axis=0)
    columns *= np.where(third < 0, -1.0, 1.0)
    # scaled back by shared variance: of white axes the weak ones carry as much noise as the strong carry signal
    variance = np.einsum("ai,ab,bi->i", columns, mean, columns) / rows**2
    anchors = (columns * np.sqrt(variance)).reshape(n_conditions, n_bins, dim)
    return SharedAxes(anchors, variance, values[order] / (2 * n_lags))


def list_lags(n_bins: int) -> list[int]:
    """List the lags by which axes are ordered: 1, T/8 and T/4 bins, each once."""
    # one bin alone sees noise of smoothing; half a trial leaves too few pairs
    return sorted({max(1, round(lag)) for lag in (1, n_bins / 8, n_bins / 4)} & set(range(1, max(2, n_bins))))


def _sum_lagged(white: Floats, n_conditions: int, n_bins: int) -> Floats:
    """Compute the lagged covariance of the white basis within conditions, summed over the lags."""
    paths = white.reshape(n_conditions, n_bins, -1)
    total = np.zeros((paths.shape[2], paths.shape[2]))
    for lag in list_lags(n_bins):
        early, late = paths[:, : n_bins - lag], paths[:, lag:]
        total += np.einsum("cti,ctj->ij", early, late) / (n_conditions * (n_bins - lag))
    return total


def _compute_subspace(grams: GramSum, dim: int, fill_rounds: int) -> tuple[Floats, Floats]:
    """Compute the leading eigenvectors of the mean Gram, and that Gram with missing conditions filled in."""
    if not (grams.seen_by > 0).all():
        raise DataError("a condition is in no session", fix="leave that condition out")
    seen = [np.isfinite(np.diag(gram)) for gram in grams.partial]
    filled = [np.where(known[:, None] & known[None], gram, 0) for gram, known in zip(grams.partial, seen, strict=True)]
    for _ in range(fill_rounds if filled else 0):
        values, basis = _decompose(grams, filled, dim)[:2]
        # with a constant, since a session's anchors are centred over the conditions that it has, not over all
        design = np.column_stack([basis * np.sqrt(np.maximum(values, 0)), np.ones(len(basis))])
        for known, gram in zip(seen, filled, strict=True):
            # what is missing as a linear function W of what is there: by linearity its blocks of G are W G and W G W'
            lacking = design[~known] @ np.linalg.pinv(design[known])
            between = lacking @ gram[np.ix_(known, known)]
            gram[np.ix_(~known, known)], gram[np.ix_(known, ~known)] = between, between.T
            gram[np.ix_(~known, ~known)] = between @ lacking.T
    _, basis, mean = _decompose(grams, filled, dim)
    return basis, mean


def _decompose(grams: GramSum, filled: Sequence[NDArray[np.floating]], dim: int) -> tuple[Floats, Floats, Floats]:
    # one vote for each session: their Grams have unit energy
    mean = (grams.total + sum(filled)) / grams.count
    values, vectors = scipy.linalg.eigh(mean, subset_by_index=(len(mean) - dim, len(mean) - 1))
    return values[::-1], vectors[:, ::-1], mean


def compare_axes(one: SharedAxes, other: SharedAxes) -> Float[np.ndarray, " latent"]:
    """Compute the absolute correlation of each axis with the one of the same rank, shape (latent,)."""
    pair = [axes.anchors.reshape(-1, axes.dim) for axes in (one, other)]
    pair = [columns - columns.mean(axis=0) for columns in pair]
    norms = [np.linalg.norm(columns, axis=0) for columns in pair]
    return np.asarray(np.abs((pair[0] * pair[1]).sum(axis=0)) / (norms[0] * norms[1]))

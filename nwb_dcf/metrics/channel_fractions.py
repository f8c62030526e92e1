"""What a latent is made of: the fraction of it from each channel, and its effective number of channels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from ..errors import DataError

if TYPE_CHECKING:
    from jaxtyping import Float

MOST_OF_ONE = 0.5
"""A latent with a larger fraction from one channel follows that channel, not the population."""


def compute_loading_fractions(loadings: ArrayLike) -> Float[np.ndarray, "channel latent"]:
    """Compute each channel's fraction of the squared loading of each latent.

    Parameters
    ----------
    loadings : array, shape (channel, latent)
        Of any length; a latent without loading has no fractions (NaN).

    Returns
    -------
    array, shape (channel, latent)
        Columns sum to 1.

    Raises
    ------
    DataError
        If loadings are not finite or no matrix.

    Examples
    --------
    >>> compute_loading_fractions([[0.6], [0.8]]).round(2).tolist()
    [[0.36], [0.64]]
    """
    return _normalise(np.square(_require_matrix(loadings)))


def compute_effect_fractions(effects: ArrayLike) -> Float[np.ndarray, "channel latent"]:
    """Compute each channel's fraction of the variance that each latent explains.

    Parameters
    ----------
    effects : array, shape (channel, latent)
        Mean square by which a channel's reconstruction changes where the latent is set to its mean, 0 or more.

    Returns
    -------
    array, shape (channel, latent)
        Columns sum to 1; NaN where a latent explains nothing.

    Raises
    ------
    DataError
        If effects are not finite, negative, or no matrix.
    """
    values = _require_matrix(effects)
    if values.size and values.min() < 0:
        raise DataError(f"the smallest effect is {values.min():.4g}", fix="give mean squares")
    return _normalise(values)


def count_effective_channels(fractions: ArrayLike) -> Float[np.ndarray, " latent"]:
    """Compute the effective number of channels of each latent: 1 / sum of squared fractions.

    Parameters
    ----------
    fractions : array, shape (channel, latent)
        Fractions, whose columns sum to 1.

    Returns
    -------
    array, shape (latent,)
        1 where one channel has everything, the number of channels where all are equal.

    Examples
    --------
    >>> count_effective_channels([[0.5, 1.0], [0.5, 0.0]]).tolist()
    [2.0, 1.0]
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        # the inverse participation ratio
        return np.asarray(1 / np.square(_require_matrix(fractions, finite=False)).sum(axis=0))


@dataclass(frozen=True)
class TopChannel:
    """A channel with a large fraction of a latent.

    Attributes
    ----------
    channel : int
        Position of the channel.
    loading_fraction : float
        Its fraction of the squared loading.
    effect_fraction : float
        Its fraction of the variance that the latent explains through the decoder; NaN where that was not measured.
    """

    channel: int
    loading_fraction: float
    effect_fraction: float


def list_top_channels(
    loading_fractions: ArrayLike, effect_fractions: ArrayLike | None = None, *, n: int = 3
) -> list[list[TopChannel]]:
    """List for each latent the `n` channels with the largest fraction, by loading or by effect, whichever is larger.

    Parameters
    ----------
    loading_fractions, effect_fractions : array, shape (channel, latent)
        See `compute_loading_fractions` and `compute_effect_fractions`.
    n : int
        Channels of each latent at most.

    Returns
    -------
    list of list of TopChannel
        Largest first.

    Examples
    --------
    >>> list_top_channels([[0.1], [0.7], [0.2]], n=1)[0][0].channel
    1
    """
    by_loading = _require_matrix(loading_fractions, finite=False)
    by_effect = np.full_like(by_loading, np.nan) if effect_fractions is None else np.asarray(effect_fractions, float)
    if by_effect.shape != by_loading.shape:
        raise DataError(
            f"effects have shape {by_effect.shape} and loadings {by_loading.shape}", fix="give those of the same fit"
        )
    # fmax ignores NaN: fits stored without effects are ranked by loadings
    larger = np.fmax(by_loading, by_effect)
    # stable: channels of equal fractions keep their order, whatever the platform
    order = np.argsort(-np.nan_to_num(larger, nan=-1.0), axis=0, kind="stable")[:n]
    return [
        [TopChannel(int(c), float(by_loading[c, k]), float(by_effect[c, k])) for c in order[:, k]]
        for k in range(by_loading.shape[1])
    ]


def _require_matrix(values: ArrayLike, *, finite: bool = True) -> Float[np.ndarray, "channel latent"]:
    matrix = np.asarray(values, np.float64)
    if matrix.ndim != 2:
        raise DataError(f"loadings have shape {matrix.shape}", fix="give (channel, latent)")
    if finite and not np.isfinite(matrix).all():
        raise DataError("loadings hold NaN or infinite values", fix="fit again")
    return matrix


def _normalise(values: Float[np.ndarray, "channel latent"]) -> Float[np.ndarray, "channel latent"]:
    total = values.sum(axis=0)
    # NaN and not 0: of a latent that does nothing no channel has a fraction
    return np.asarray(np.divide(values, total, out=np.full_like(values, np.nan), where=total > 0))

"""What a latent is made of: the fraction of it that each channel has, and how many channels that comes to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import DataError

MOST_OF_ONE = 0.5
"""A latent of which one channel has more is that channel's, not the population's."""


def share_loadings(loadings: ArrayLike) -> NDArray[np.float64]:
    """Fraction of the squared loading of each latent that each channel has.

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
    >>> share_loadings([[0.6], [0.8]]).round(2).tolist()
    [[0.36], [0.64]]
    """
    return _normalise(np.square(_require_matrix(loadings)))


def share_effects(effects: ArrayLike) -> NDArray[np.float64]:
    """Fraction of what each latent explains that it explains of each channel.

    Parameters
    ----------
    effects : array, shape (channel, latent)
        Mean square by which a channel's reconstruction changes where the latent is taken out, 0 or more.

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


def count_effective_channels(shares: ArrayLike) -> NDArray[np.float64]:
    """Number of channels that each latent comes to, were they equal: 1 / sum of squared fractions.

    Parameters
    ----------
    shares : array, shape (channel, latent)
        Fractions, whose columns sum to 1.

    Returns
    -------
    array, shape (latent,)
        1 where one channel has everything, the number of channels where all have the same.

    Examples
    --------
    >>> count_effective_channels([[0.5, 1.0], [0.5, 0.0]]).tolist()
    [2.0, 1.0]
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(1 / np.square(_require_matrix(shares, finite=False)).sum(axis=0))


@dataclass(frozen=True)
class TopChannel:
    """A channel that has much of a latent.

    Attributes
    ----------
    channel : int
        Position of the channel.
    share : float
        Its fraction of the squared loading.
    effect_share : float
        Its fraction of what the latent explains through the decoder; NaN where that was not measured.
    """

    channel: int
    share: float
    effect_share: float


def list_top_channels(
    shares: ArrayLike, effect_shares: ArrayLike | None = None, *, n: int = 3
) -> list[list[TopChannel]]:
    """For each latent the `n` channels with the largest fraction, by loading or by effect whichever is larger.

    Parameters
    ----------
    shares, effect_shares : array, shape (channel, latent)
        As `share_loadings` and `share_effects` give them.
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
    by_loading = _require_matrix(shares, finite=False)
    by_effect = np.full_like(by_loading, np.nan) if effect_shares is None else np.asarray(effect_shares, np.float64)
    if by_effect.shape != by_loading.shape:
        raise DataError(
            f"effects have shape {by_effect.shape} and loadings {by_loading.shape}", fix="give those of the same fit"
        )
    larger = np.fmax(by_loading, by_effect)
    order = np.argsort(-np.nan_to_num(larger, nan=-1.0), axis=0, kind="stable")[:n]
    return [
        [TopChannel(int(c), float(by_loading[c, k]), float(by_effect[c, k])) for c in order[:, k]]
        for k in range(by_loading.shape[1])
    ]


def _require_matrix(values: ArrayLike, *, finite: bool = True) -> NDArray[np.float64]:
    matrix = np.asarray(values, np.float64)
    if matrix.ndim != 2:
        raise DataError(f"loadings have shape {matrix.shape}", fix="give (channel, latent)")
    if finite and not np.isfinite(matrix).all():
        raise DataError("loadings hold NaN or infinite values", fix="fit again")
    return matrix


def _normalise(values: NDArray[np.float64]) -> NDArray[np.float64]:
    total = values.sum(axis=0)
    return np.asarray(np.divide(values, total, out=np.full_like(values, np.nan), where=total > 0))

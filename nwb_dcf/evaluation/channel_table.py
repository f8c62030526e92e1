"""What each latent is made of: the channels that have most of its loading, and of what it explains."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..data.recording import CHANNEL_DIMS
from ..data.result import DCFResult
from ..errors import DataError
from ..metrics.channel_shares import (
    MOST_OF_ONE,
    count_effective_channels,
    list_top_channels,
    share_effects,
    share_loadings,
)

MOST_FRAMES = 1_000  # that effects are measured on, evenly spaced
N_TOP = 3

Rebuild = Callable[[NDArray[np.floating]], NDArray[np.floating]]


def measure_decoder_shares(rebuild: Rebuild, latents: NDArray[np.floating]) -> NDArray[np.float64]:
    """Fraction of what each latent explains, through the decoder, that it explains of each channel.

    Parameters
    ----------
    rebuild : callable
        Maps latents (time, dim) to prepared frames (time, channel).
    latents : array, shape (time, dim)

    Returns
    -------
    array, shape (channel, dim)
        Mean square by which a channel's reconstruction changes where the latent is set to 0, its mean. Columns sum to
        1; NaN where nothing changes.

    Notes
    -----
    Loadings alone do not say it: the decoder bends, and adds on every channel what goes with the latents.
    """
    frames = np.unique(np.linspace(0, len(latents) - 1, MOST_FRAMES).round().astype(int))
    codes = np.asarray(latents)[frames]
    whole = np.asarray(rebuild(codes), np.float64)
    effects = []
    for k in range(codes.shape[1]):
        without = codes.copy()
        without[:, k] = 0
        effects.append(np.square(whole - rebuild(without)).mean(axis=0))
    return share_effects(np.stack(effects, axis=1))


def summarise_channels(
    ids: NDArray[Any], loadings: NDArray[np.floating], decoder_shares: NDArray[np.floating]
) -> list[dict[str, Any]]:
    """List for each latent its effective number of channels and those with the largest fractions; JSON-able.

    Returns
    -------
    list of dict
        ``latent`` from 1, ``effective_channels``, ``one_channel``, whether a single one has more than half of the
        loading or of what is explained, and ``top``: ``channel``, ``loading_share`` and ``decoder_share``.
    """
    shares = share_loadings(loadings)
    effective = count_effective_channels(shares)
    found = []
    for k, top in enumerate(list_top_channels(shares, decoder_shares, n=N_TOP)):
        rows = [
            {
                "channel": np.asarray(ids)[one.channel].item(),
                "loading_share": one.share,
                "decoder_share": one.effect_share if np.isfinite(one.effect_share) else None,
            }
            for one in top
        ]
        alone = bool(max(shares[:, k].max(), np.nan_to_num(decoder_shares[:, k]).max()) > MOST_OF_ONE)
        found.append({"latent": k + 1, "effective_channels": float(effective[k]), "one_channel": alone, "top": rows})
    return found


def tabulate_channels(result: DCFResult) -> pd.DataFrame:
    """Tabulate what each channel has to do with the latents.

    Parameters
    ----------
    result : DCFResult
        Of a fit of channels.

    Returns
    -------
    pandas.DataFrame
        A row for each channel, by its id.

        ==================== ===============================================================================
        column               meaning
        ==================== ===============================================================================
        ``loading_K``        the channel's entry in axis K, -1 to 1; the squares of an axis sum to 1
        ``share_K``          that square: the channel's fraction of latent K
        ``decoder_share_K``  fraction of what latent K explains through the decoder that it explains of the
                             channel; NaN in fits made before it was measured
        ``axis``             axis that moves the channel most: the largest loading times its standard deviation
        ==================== ===============================================================================

    Raises
    ------
    DataError
        If the fit is one of images.

    Examples
    --------
    >>> tabulate_channels(nwb_dcf.read_result("session.nwb")).nlargest(5, "share_1")  # doctest: +SKIP
    """
    data, dim = result.dataset, result.dim
    dims = [str(one) for one in data["mean"].dims]
    if len(dims) != 1 or dims[0] not in CHANNEL_DIMS:
        raise DataError("the fit is one of images, whose pixels are no channels", fix="look at its examples")
    loadings = data["loadings"].values[:, :dim].astype(np.float64)
    shares = share_loadings(loadings)
    by_decoder = data["decoder_share"].values if "decoder_share" in data else np.full_like(shares, np.nan)
    moved = np.abs(loadings) * np.sqrt(data["spectrum"].values[:dim])
    columns: dict[str, Any] = {}
    for name, values in (("loading", loadings), ("share", shares), ("decoder_share", by_decoder)):
        columns |= {f"{name}_{k + 1}": values[:, k] for k in range(dim)}
    table = pd.DataFrame({**columns, "axis": moved.argmax(axis=1) + 1}, index=data[dims[0]].values)
    return table.rename_axis(dims[0])

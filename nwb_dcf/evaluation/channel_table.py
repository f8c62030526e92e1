"""What each latent is made of: the channels with most of its loading, and of the variance that it explains."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ..data.recording import CHANNEL_DIMS
from ..data.records import LatentRecord, TopChannelRecord
from ..data.result import DCFResult
from ..errors import DataError
from ..metrics.channel_fractions import (
    MOST_OF_ONE,
    compute_effect_fractions,
    compute_loading_fractions,
    count_effective_channels,
    list_top_channels,
)

MOST_FRAMES = 1_000  # that effects are measured on, evenly spaced
N_TOP = 3

if TYPE_CHECKING:
    from jaxtyping import Float, Real, Shaped

    Reconstruct = Callable[[Float[np.ndarray, "time latent"]], Float[np.ndarray, "time channel"]]


def measure_decoder_fractions(
    reconstruct: Reconstruct, latents: Real[np.ndarray, "time latent"]
) -> Float[np.ndarray, "channel latent"]:
    """Compute each channel's fraction of the variance that each latent explains through the decoder.

    Parameters
    ----------
    reconstruct : callable
        Maps latents (time, dim) to prepared frames (time, channel).
    latents : array, shape (time, dim)

    Returns
    -------
    array, shape (channel, dim)
        Mean square by which a channel's reconstruction changes where the latent is set to 0, its mean. Columns sum to
        1; NaN where nothing changes.

    Notes
    -----
    Loadings alone are not enough: the decoder is nonlinear, and adds to every channel its conditional mean given the
    latents.
    """
    frames = np.unique(np.linspace(0, len(latents) - 1, MOST_FRAMES).round().astype(int))
    some = np.asarray(latents)[frames]
    whole = np.asarray(reconstruct(some), np.float64)
    effects = []
    for k in range(some.shape[1]):
        without = some.copy()
        # 0 is the latent's mean in training
        without[:, k] = 0
        effects.append(np.square(whole - reconstruct(without)).mean(axis=0))
    return compute_effect_fractions(np.stack(effects, axis=1))


def summarise_channels(
    ids: Shaped[np.ndarray, " channel"],
    loadings: Float[np.ndarray, "channel latent"],
    decoder_fractions: Float[np.ndarray, "channel latent"],
) -> list[LatentRecord]:
    """List for each latent its effective number of channels and those with the largest fractions; JSON-able."""
    fractions = compute_loading_fractions(loadings)
    effective = count_effective_channels(fractions)
    found: list[LatentRecord] = []
    for k, top in enumerate(list_top_channels(fractions, decoder_fractions, n=N_TOP)):
        rows: list[TopChannelRecord] = [
            {
                "channel": np.asarray(ids)[one.channel].item(),
                "loading_share": one.loading_fraction,
                "decoder_share": one.effect_fraction if np.isfinite(one.effect_fraction) else None,
            }
            for one in top
        ]
        # by loading or by decoder: a single fast unit may dominate either
        alone = bool(max(fractions[:, k].max(), np.nan_to_num(decoder_fractions[:, k]).max()) > MOST_OF_ONE)
        found.append({"latent": k + 1, "effective_channels": float(effective[k]), "one_channel": alone, "top": rows})
    return found


def tabulate_channels(result: DCFResult) -> pd.DataFrame:
    """Tabulate how much each channel contributes to the latents.

    Parameters
    ----------
    result : DCFResult
        Of a fit of channels.

    Returns
    -------
    pandas.DataFrame
        A row for each channel, by its id.

        ======================= ============================================================================
        column                  meaning
        ======================= ============================================================================
        ``loading_K``           the channel's entry in axis K, -1 to 1; the squares of an axis sum to 1
        ``fraction_K``          that square: the channel's fraction of latent K
        ``decoder_fraction_K``  the channel's fraction of the variance that latent K explains through the decoder; NaN
                                in fits stored without it
        ``axis``                axis with the largest effect on the channel: loading times its standard deviation
        ======================= ============================================================================

    Raises
    ------
    DataError
        If the fit is one of images.

    Examples
    --------
    >>> tabulate_channels(nwb_dcf.read_result("session.nwb")).nlargest(5, "fraction_1")  # doctest: +SKIP
    """
    data, dim = result.dataset, result.dim
    dims = [str(one) for one in data["mean"].dims]
    if len(dims) != 1 or dims[0] not in CHANNEL_DIMS:
        raise DataError("the fit is one of images, whose pixels are no channels", fix="look at its examples")
    loadings = data["loadings"].values[:, :dim].astype(np.float64)
    fractions = compute_loading_fractions(loadings)
    by_decoder = data["decoder_share"].values if "decoder_share" in data else np.full_like(fractions, np.nan)
    # loadings are of unit length; the axis' standard deviation makes effects comparable between axes
    moved = np.abs(loadings) * np.sqrt(data["spectrum"].values[:dim])
    columns: dict[str, Float[np.ndarray, " channel"]] = {}
    for name, values in (("loading", loadings), ("fraction", fractions), ("decoder_fraction", by_decoder)):
        columns |= {f"{name}_{k + 1}": values[:, k] for k in range(dim)}
    table = pd.DataFrame({**columns, "axis": moved.argmax(axis=1) + 1}, index=data[dims[0]].values)
    return table.rename_axis(dims[0])

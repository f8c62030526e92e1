"""The loading of each latent on every channel, and the channels with the largest fraction of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from ..data.result import DCFResult
from ..errors import DataError
from ..metrics.channel_fractions import compute_loading_fractions, count_effective_channels
from .color import PALETTE

if TYPE_CHECKING:
    from jaxtyping import Float, Shaped
    from matplotlib.figure import FigureBase

MARKED = PALETTE[5]
NAMED = 3  # channels of each latent that are named


@dataclass(frozen=True)
class Loadings:
    """What is shown of the loadings of a fit.

    Attributes
    ----------
    dim : str
        Of the channels, as ``unit``.
    ids : array, shape (channel,)
    loadings, fraction : array, shape (channel, latent)
        Loadings, and the fraction that each channel has of the squared ones of a latent.
    effective : array, shape (latent,)
        Number of effective channels.
    """

    dim: str
    ids: Shaped[np.ndarray, " channel"]
    loadings: Float[np.ndarray, "channel latent"]
    fraction: Float[np.ndarray, "channel latent"]
    effective: Float[np.ndarray, " latent"]

    @classmethod
    def of(cls, result: DCFResult) -> Self:
        """Take them from a fit.

        Raises
        ------
        DataError
            If the fit is one of images.
        """
        data = result.dataset
        dims = [str(dim) for dim in data["mean"].dims]
        if len(dims) != 1:
            raise DataError("loadings of images are pictures themselves", fix="look at the bottleneck examples")
        # of k_max axes the first: the latents of the fit
        loadings = data["loadings"].values[:, : result.dim].astype(np.float64)
        fraction = compute_loading_fractions(loadings)
        return cls(dims[0], data[dims[0]].values, loadings, fraction, np.asarray(count_effective_channels(fraction)))


def draw_loadings(figure: FigureBase, result: DCFResult) -> None:
    """Draw the loadings of each latent as stems, channel by channel; those with the largest fraction are named.

    Raises
    ------
    DataError
        If the fit is one of images.
    """
    shown = Loadings.of(result)
    dim, ids, loadings, fraction, effective = shown.dim, shown.ids, shown.loadings, shown.fraction, shown.effective
    panels = figure.subplots(result.dim, 1, sharex=True, squeeze=False)[:, 0]
    place = np.arange(len(ids))
    for k, axes in enumerate(panels):
        axes.vlines(place, 0, loadings[:, k], color=PALETTE[0], linewidth=1)
        axes.plot(place, loadings[:, k], "o", color=PALETTE[0], markersize=2.5)
        axes.axhline(0, color="#999999", linewidth=0.6)
        most = np.argsort(-fraction[:, k])[:NAMED]
        axes.plot(most, loadings[most, k], "o", color=MARKED, markersize=5)
        # named above and not beside the dots: neighbours in the file are often neighbours here
        axes.set_title(name_largest(ids, fraction[:, k], dim), fontsize=8, loc="left", color=MARKED)
        axes.set(ylabel=f"latent {k + 1}")
        axes.set_title(f"{effective[k]:.1f} effective {dim}s", fontsize=8, loc="right")
    panels[-1].set_xlabel(f"{dim}, in the order of the fit")
    figure.suptitle("Loadings")


def name_largest(ids: np.ndarray, fraction: np.ndarray, kind: str) -> str:
    """Name the channels with the largest fraction of a latent's loading.

    Examples
    --------
    >>> name_largest(np.array([7, 8]), np.array([0.25, 0.75]), "unit")
    'most: unit 8 (75%), 7 (25%)'
    """
    most = np.argsort(-fraction)[:NAMED]
    return f"most: {kind} " + ", ".join(f"{ids[channel]} ({fraction[channel]:.0%})" for channel in most)

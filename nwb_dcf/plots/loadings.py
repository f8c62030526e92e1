"""The loading of each latent on every channel, and the channels with the largest fraction of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..data.result import DCFResult
from ..errors import DataError
from ..metrics.channel_fractions import compute_loading_fractions, count_effective_channels
from .color import PALETTE

if TYPE_CHECKING:
    from matplotlib.figure import FigureBase

MARKED = PALETTE[5]
NAMED = 3  # channels of each latent that are named


def draw_loadings(figure: FigureBase, result: DCFResult) -> None:
    """Draw the loadings of each latent as stems, channel by channel; those with the largest fraction are named.

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
    loadings, ids = data["loadings"].values[:, : result.dim].astype(np.float64), data[dims[0]].values
    fraction = compute_loading_fractions(loadings)
    effective = count_effective_channels(fraction)
    panels = figure.subplots(result.dim, 1, sharex=True, squeeze=False)[:, 0]
    place = np.arange(len(ids))
    for k, axes in enumerate(panels):
        axes.vlines(place, 0, loadings[:, k], color=PALETTE[0], linewidth=1)
        axes.plot(place, loadings[:, k], "o", color=PALETTE[0], markersize=2.5)
        axes.axhline(0, color="#999999", linewidth=0.6)
        most = np.argsort(-fraction[:, k])[:NAMED]
        axes.plot(most, loadings[most, k], "o", color=MARKED, markersize=5)
        # named above and not beside the dots: neighbours in the file are often neighbours here
        axes.set_title(name_largest(ids, fraction[:, k], dims[0]), fontsize=8, loc="left", color=MARKED)
        axes.set(ylabel=f"latent {k + 1}")
        axes.set_title(f"{effective[k]:.1f} effective {dims[0]}s", fontsize=8, loc="right")
    panels[-1].set_xlabel(f"{dims[0]}, in the order of the fit")
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

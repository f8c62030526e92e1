"""How well one half of the units predicts the other at each smoothing and scale."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .color import PALETTE

if TYPE_CHECKING:
    from matplotlib.figure import FigureBase

NAMES = {"soft": "soft scale", "zscore": "z-scores", "global": "one scale for all"}


def draw_smoothing(figure: FigureBase, choice: Mapping[str, Any]) -> None:
    """Draw the score of every smoothing, a line for each scale, and mark the one that was chosen.

    Parameters
    ----------
    figure : matplotlib.figure.FigureBase
    choice : mapping
        ``provenance["smoothing"]`` of a fit whose smoothing or scale was chosen from the data.
    """
    table = choice["table"]
    sigma = np.array(table["smooth_s"], np.float64)
    score = np.array([np.nan if value is None else value for value in table["score"]], np.float64)
    scale = np.array(table["scale"])
    # by rank, as the widths are doubled from one to the next and the first is 0
    place = {value: i for i, value in enumerate(np.unique(sigma))}
    at = np.array([place[value] for value in sigma])
    axes = figure.add_subplot()
    for i, name in enumerate(dict.fromkeys(scale.tolist())):
        mine = scale == name
        axes.plot(
            at[mine], score[mine], "o-", color=PALETTE[3 * i], markersize=4, linewidth=1, label=NAMES.get(name, name)
        )
    # equal floats: both were written from one number
    taken = (sigma == choice["smooth_s"]) & (scale == choice["scale"])
    if choice.get("chosen") and taken.any():
        axes.plot(at[taken], score[taken], "D", color="black", markersize=7, fillstyle="none", label="chosen")
    axes.set_xticks(range(len(place)), ["none" if value == 0 else f"{value:g}" for value in place])
    axes.set(xlabel="standard deviation of the Gaussian (s)", ylabel="prediction of left-out units, of each one's best")
    axes.set_title("Smoothing and scale" if choice.get("chosen") else "Smoothing and scale: the data did not choose")
    axes.legend(frameon=False)

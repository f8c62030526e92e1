"""How well one half of the units predicts the other at each smoothing and scale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .color import PALETTE

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from matplotlib.figure import FigureBase

NAMES = {"soft": "soft scale", "zscore": "z-scores", "global": "one scale for all"}


@dataclass(frozen=True)
class SmoothingPicture:
    """What a picture of the choice of smoothing shows.

    Attributes
    ----------
    lines : dict of str to (array, array)
        By scale, in words: places along the axis, and scores.
    ticks : list of str
        The width at each place.
    chosen : (int, float) or None
        Place and score of what was chosen.
    title, x_label, y_label : str
    """

    lines: dict[str, tuple[Int[np.ndarray, " width"], Float[np.ndarray, " width"]]]
    ticks: list[str]
    chosen: tuple[int, float] | None
    title: str
    x_label: str = "standard deviation of the Gaussian (s)"
    y_label: str = "prediction of left-out units, of each one's best"


def describe_smoothing(choice: Mapping[str, Any]) -> SmoothingPicture:
    """Return the score of every smoothing, by scale, and which was chosen.

    Parameters
    ----------
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
    # equal floats: both were written from one number
    taken = np.flatnonzero((sigma == choice["smooth_s"]) & (scale == choice["scale"]))
    chosen = bool(choice.get("chosen"))
    return SmoothingPicture(
        lines={NAMES.get(one, one): (at[scale == one], score[scale == one]) for one in dict.fromkeys(scale.tolist())},
        ticks=["none" if value == 0 else f"{value:g}" for value in place],
        chosen=(int(at[taken[0]]), float(score[taken[0]])) if chosen and len(taken) else None,
        title="Smoothing and scale" if chosen else "Smoothing and scale: the data did not choose",
    )


def draw_smoothing(figure: FigureBase, choice: Mapping[str, Any]) -> None:
    """Draw the score of every smoothing, a line for each scale, and mark the one that was chosen.

    Parameters
    ----------
    figure : matplotlib.figure.FigureBase
    choice : mapping
        As `describe_smoothing` takes it.
    """
    shown = describe_smoothing(choice)
    axes = figure.add_subplot()
    for i, (name, (at, score)) in enumerate(shown.lines.items()):
        axes.plot(at, score, "o-", color=PALETTE[3 * i], markersize=4, linewidth=1, label=name)
    if shown.chosen is not None:
        axes.plot(*shown.chosen, "D", color="black", markersize=7, fillstyle="none", label="chosen")
    axes.set_xticks(range(len(shown.ticks)), shown.ticks)
    axes.set(xlabel=shown.x_label, ylabel=shown.y_label, title=shown.title)
    axes.legend(frameon=False)

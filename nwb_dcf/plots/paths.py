"""Paths that the model predicts from held-out frames, over those that came."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.predicted_paths import PredictedPaths
from .color import PALETTE

if TYPE_CHECKING:
    from matplotlib.figure import FigureBase

MOST_LATENTS = 3
CAME, PREDICTED, STAYED = "#222222", PALETTE[1], "#999999"


def draw_paths(figure: FigureBase, paths: PredictedPaths) -> None:
    """Draw a column for each start and a row for each latent: what came, what was predicted, and persistence."""
    n_starts, n = len(paths.start_s), min(MOST_LATENTS, paths.came.shape[2])
    panels: Any = figure.subplots(n, n_starts, sharex=True, sharey="row", squeeze=False)
    at_start = int(np.flatnonzero(paths.ahead_s >= 0)[0])
    for column in range(n_starts):
        for latent in range(n):
            axes = panels[latent, column]
            axes.axvspan(0, paths.overlap_s, color="#eeeeee", linewidth=0)
            axes.axvline(0, color=STAYED, linewidth=0.6)
            axes.plot(paths.ahead_s, paths.came[column, :, latent], color=CAME, linewidth=1.4, label="what came")
            known = float(paths.predicted[column, at_start, latent])
            axes.plot([0, paths.ahead_s[-1]], [known, known], color=STAYED, linestyle=":", label="nothing changes")
            axes.plot(
                paths.ahead_s, paths.predicted[column, :, latent], color=PREDICTED, linestyle="--", linewidth=1.6,
                label="predicted",
            )  # fmt: skip
            if column == 0:
                axes.set_ylabel(f"latent {latent + 1}")
        held_out = ", held out" if paths.held_out[column] else ""
        panels[0, column].set_title(f"from {paths.start_s[column]:.2f} s{held_out}")
        panels[-1, column].set_xlabel("seconds from the start")
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", frameon=False)

"""Variance of each axis, and R2 of the reconstruction by number of latents."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..data.result import DCFResult
from ..metrics import VARIANCE_FRACTION
from .color import PALETTE

if TYPE_CHECKING:
    from matplotlib.figure import FigureBase

OURS, THEIRS = PALETTE[0], PALETTE[6]


def draw_spectrum(figure: FigureBase, result: DCFResult) -> None:
    """Draw the variance of each axis, and name how many axes hold 95 % of the total, noise included."""
    data = result.dataset
    variance, component = data["spectrum"].values, data["component"].values
    axes = figure.add_subplot()
    axes.plot(component, variance, "o-", color=OURS, markersize=4, linewidth=1)
    axes.axvspan(0.5, result.dim + 0.5, color=OURS, alpha=0.12, linewidth=0, label=f"the {result.dim} latents")
    if (variance > 0).all():
        axes.set_yscale("log")
    axes.set(xlabel="component", ylabel="variance d (prepared units²)", xlim=(0.5, component[-1] + 0.5))
    total, k_eff = data.attrs.get("total_variance"), data.attrs.get("k_eff")
    held = f"{result.dim} axes hold {variance[: result.dim].sum() / total:.0%} of the variance; " if total else ""
    axes.set_title(f"{held}{VARIANCE_FRACTION:.0%} takes {k_eff}, noise included")
    axes.legend(frameon=False)
    _use_whole_ticks(axes)


def draw_curve(figure: FigureBase, result: DCFResult) -> None:
    """Draw R2 of the reconstruction against the number of latents K, with PCA and the interval at the fit's dim."""
    data, scores = result.dataset, result.dataset.attrs.get("scores", {})
    component = data["component"].values
    axes = figure.add_subplot()
    axes.plot(component, data["bottleneck_r2"], "o-", color=OURS, markersize=4, linewidth=1.2, label="DCF")
    if np.isfinite(data["pca_r2"]).any():
        axes.plot(component, data["pca_r2"], "s--", color=THEIRS, markersize=3.5, linewidth=1, label="PCA")
    interval = (scores.get("intervals") or {}).get("bottleneck_r2")
    value = scores.get("bottleneck_r2")
    if interval and value is not None and None not in interval:
        # matplotlib takes lengths, and a percentile interval need not hold the value itself
        reach = [[max(0.0, value - interval[0])], [max(0.0, interval[1] - value)]]
        level = scores["intervals"].get("level", 0.95)
        axes.errorbar(
            [result.dim], [value], yerr=reach, fmt="D", color="black", markersize=4, capsize=3,
            label=f"the fit, {level:.0%} interval",
        )  # fmt: skip
    null = [one for one in (scores.get("null") or {}).get("bottleneck_r2", []) if one is not None]
    if null:
        axes.plot(
            np.full(len(null), result.dim), null, "x", color="#777777", markersize=5, label="channels shifted apart"
        )
    axes.set(xlabel="number of latents K", ylabel="R² of the reconstruction", xlim=(0.5, component[-1] + 0.5))
    axes.set_title(f"On {scores.get('on', 'the data')}")
    axes.legend(frameon=False, loc="lower right")
    _use_whole_ticks(axes)


def _use_whole_ticks(axes: object) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True))  # type: ignore[attr-defined]

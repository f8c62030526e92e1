"""Variance of each axis, and R2 of the reconstruction by number of latents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.result import DCFResult
from ..metrics import VARIANCE_FRACTION
from .color import PALETTE

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from matplotlib.figure import FigureBase

OURS, THEIRS = PALETTE[0], PALETTE[6]
LEAST_SCALE = 0.01  # of the difference: rounding would else fill a panel
OTHER_AXES = "#c3cbd3"  # axes that are no latents


def draw_spectrum(figure: FigureBase, result: DCFResult) -> None:
    """Draw how much of the variance each axis holds, and name how many hold 95 % of it, noise included."""
    shown = describe_spectrum(result)
    axes = figure.add_subplot()
    axes.bar(shown.component, shown.height, color=OTHER_AXES, width=0.7, label="axes beyond")
    kept = shown.component <= result.dim
    axes.bar(shown.component[kept], shown.height[kept], color=OURS, width=0.7, label=f"the {result.dim} latents")
    axes.set(xlabel="axis", ylabel=shown.label, xlim=(0.4, shown.component[-1] + 0.6), title=shown.title)
    axes.legend(frameon=False)
    _use_whole_ticks(axes)


@dataclass(frozen=True)
class SpectrumPicture:
    """What a picture of the spectrum shows.

    Attributes
    ----------
    component : array, shape (component,)
        1, 2, ...
    height : array, shape (component,)
        Percent of the variance; variance where the total is not known.
    label, title : str
    """

    component: Int[np.ndarray, " component"]
    height: Float[np.ndarray, " component"]
    label: str
    title: str


def describe_spectrum(result: DCFResult) -> SpectrumPicture:
    """Return each axis's percent of the variance, with words."""
    data = result.dataset
    variance, component = data["spectrum"].values, data["component"].values
    total, k_eff = data.attrs.get("total_variance"), data.attrs.get("k_eff")
    takes = f"{VARIANCE_FRACTION:.0%} takes {k_eff}, noise included"
    if not total:
        return SpectrumPicture(component, variance, "variance of the axis (prepared units²)", takes)
    held = f"{result.dim} axes hold {variance[: result.dim].sum() / total:.0%} of the variance; {takes}"
    return SpectrumPicture(component, 100 * variance / total, "percent of the variance", held)


def draw_curve(figure: FigureBase, result: DCFResult) -> None:
    """Draw R2 of the reconstruction against the number of latents K, and below it how far DCF leads PCA.

    The interval at the fit's dim is of the paired difference: intervals of both scores may overlap where one leads in
    every resample.
    """
    shown = describe_curve(result)
    upper: Any
    lower: Any
    if shown.difference is None:
        upper, lower = figure.add_subplot(), None
    else:
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[1.0, 0.6])
    upper.plot(shown.component, shown.ours, "o-", color=OURS, markersize=4, linewidth=1.2, label="DCF")
    if shown.difference is not None:
        upper.plot(shown.component, shown.theirs, "s--", color=THEIRS, markersize=3.5, linewidth=1, label="PCA")
    if len(shown.null):
        upper.plot(
            np.full(len(shown.null), result.dim), shown.null, "x", color="#777777", markersize=5,
            label="channels shifted apart",
        )  # fmt: skip
    upper.set(ylabel="R² of the reconstruction", xlim=(0.5, shown.component[-1] + 0.5), title=shown.title)
    upper.legend(frameon=False, loc="lower right")
    last = upper
    if lower is not None and shown.difference is not None:
        lower.axhline(0, color="#999999", linewidth=0.8)
        lower.plot(shown.component, shown.difference, "o-", color=OURS, markersize=3, linewidth=1)
        if shown.interval is not None:
            low, high = shown.interval
            # matplotlib takes lengths, and a percentile interval need not hold the value itself
            reach = [[max(0.0, shown.at_dim - low)], [max(0.0, high - shown.at_dim)]]
            lower.errorbar(
                [result.dim], [shown.at_dim], yerr=reach, fmt="D", color="black", markersize=4, capsize=3,
                label=f"the fit, {shown.level:.0%} interval of the paired difference",
            )  # fmt: skip
            lower.legend(frameon=False, loc="upper right", fontsize=8)
        lower.set_ylabel("DCF - PCA")
        lower.margins(y=0.35)
        low, high = lower.get_ylim()
        lower.set_ylim(min(low, -LEAST_SCALE), max(high, LEAST_SCALE))
        last = lower
    last.set_xlabel("number of latents K")
    _use_whole_ticks(last)


@dataclass(frozen=True)
class CurvePicture:
    """What a picture of the curve over K shows.

    Attributes
    ----------
    component : array, shape (component,)
        K: 1, 2, ...
    ours, theirs : array, shape (component,)
        R2 of the reconstruction by DCF and by PCA.
    difference : array, shape (component,), or None
        `ours` - `theirs`; None where PCA has no scores.
    at_dim : float
        The difference at the fit's dim.
    interval : (float, float) or None
        Of that difference, paired over resampled segments.
    level : float
        Of `interval`.
    null : list of float
        R2 of fits to channels that were shifted apart.
    title : str
    """

    component: Int[np.ndarray, " component"]
    ours: Float[np.ndarray, " component"]
    theirs: Float[np.ndarray, " component"]
    difference: Float[np.ndarray, " component"] | None
    at_dim: float
    interval: tuple[float, float] | None
    level: float
    null: list[float]
    title: str


def describe_curve(result: DCFResult) -> CurvePicture:
    """Return the scores over K beside PCA's, with the paired interval at the fit's dim."""
    data, scores = result.dataset, result.dataset.attrs.get("scores", {})
    ours, theirs = data["bottleneck_r2"].values, data["pca_r2"].values
    intervals = scores.get("intervals") or {}
    interval, at_dim = intervals.get("difference_r2"), scores.get("difference_r2")
    known = bool(np.isfinite(theirs).any())
    paired: tuple[float, float] | None = None
    if known and at_dim is not None and interval and None not in interval:
        paired = (float(interval[0]), float(interval[1]))
    null = [one for one in (scores.get("null") or {}).get("bottleneck_r2", []) if one is not None]
    return CurvePicture(
        component=data["component"].values,
        ours=ours,
        theirs=theirs,
        difference=ours - theirs if known else None,
        at_dim=float(at_dim) if at_dim is not None else np.nan,
        interval=paired,
        level=intervals.get("level", 0.95),
        null=null,
        title=f"On {scores.get('on', 'the data')}",
    )


def _use_whole_ticks(axes: object) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True))  # type: ignore[attr-defined]

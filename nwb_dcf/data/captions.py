"""What each picture of a fit says, and what it does not: one or two sentences each, with the fit's own numbers."""

from __future__ import annotations

import numpy as np
import xarray as xr

from .records import Scores

STEP = 0.6  # of the axis before: a fall that a picture shows
NEGLIGIBLE_R2 = 0.005  # half a percent of the variance: nobody sees it in a picture


def describe_pictures(data: xr.Dataset) -> dict[str, str]:
    """Return a caption for each picture of a fit, by the picture's name.

    Parameters
    ----------
    data : xarray.Dataset
        Of a `nwb_dcf.DCFResult`.

    Returns
    -------
    dict of str to str
        ``latents``, ``trajectories``, ``conditions``, ``loadings``, ``smoothing``, ``spectrum``, ``curve``,
        ``examples``, ``paths``, ``field`` and ``clusters``.
    """
    scores: Scores = data.attrs.get("scores", {})
    dim = data.sizes["latent"]
    numbers = f"{dim} number{'s' if dim > 1 else ''}"
    held_out = "held" in str(scores.get("on", ""))
    seen = "Shaded spans were held out: if they look like the others, the latents describe frames not trained on."
    captions = {
        "latents": f"{seen if held_out else 'Every frame was trained on.'} The sign and the unit of a latent mean "
        "nothing; that it changes together with something does.",
        "trajectories": "Paths that repeat mean activity that repeats. Points that lie together are alike in "
        f"{numbers}; whether the animal did the same, a picture of latents cannot tell.",
        "conditions": "Means over trials with 95 % intervals over trials. Where intervals part, the latents tell the "
        "conditions apart; each moment is drawn for itself, so a single short gap may be chance.",
        "loadings": "Which channels make a latent: the named ones have most of it. A latent of about one effective "
        "channel is that channel and says nothing of the population.",
        "smoothing": "How well half of the units predicts the other half on held-out blocks, now and later. Where "
        "lines are flat the choice hardly matters; what is over sooner than the smoothing is not in the latents.",
        "field": "Where states go, drawn only where frames were (grey), all arrows on one scale. They are means over "
        "the axes not shown: arrows that cancel look like rest, and a loop of arrows is no proof of a rhythm.",
        "clusters": "K-means returns as many clusters as it is asked for: that there are four is no finding. Numbered "
        "frames lie farthest from their cluster or move fastest; look at them before you name them.",
    }
    return captions | {
        "spectrum": _describe_spectrum(data, dim),
        "curve": _describe_curve(scores, dim),
        "examples": _describe_examples(scores, numbers, held_out),
        "paths": _describe_paths(scores),
    }


def _describe_spectrum(data: xr.Dataset, dim: int) -> str:
    total, variance = data.attrs.get("total_variance"), data["spectrum"].values
    held = ""
    if total:
        fraction = variance[:dim].sum() / total
        held = f"The first {dim} axes hold {fraction:.0%} of the variance, noise included. "
    if len(variance) > dim and variance[dim - 1] > 0 and variance[dim] < STEP * variance[dim - 1]:
        return (
            f"{held}Axis {dim + 1} holds {variance[dim] / variance[dim - 1]:.0%} of what axis {dim} does: a step. "
            "Whether it is one of the animal or of this fit, other data must show; axes beyond it may be no mere noise."
        )
    return f"{held}A slow fall without a step says that the number of latents is a choice and no finding."


def _describe_curve(scores: Scores, dim: int) -> str:
    interval, difference = (scores.get("intervals") or {}).get("difference_r2"), scores.get("difference_r2")
    about = "How much of the data K numbers a frame bring back. "
    if difference is None or not interval or None in interval:
        return f"{about}Whether DCF leads PCA is not known here: there is no interval of the difference."
    low, high = interval
    verdict = "these data do not distinguish the two"
    # a tiny difference is significant where frames are many, and of no use
    if max(abs(low), abs(high)) < NEGLIGIBLE_R2:
        verdict = "the two are alike in practice"
    elif low > 0 or high < 0:
        verdict = "DCF leads PCA" if low > 0 else "PCA leads DCF"
    return f"{about}At K = {dim} the difference is {difference:+.3f}, interval [{low:+.3f}, {high:+.3f}]: {verdict}."


def _describe_examples(scores: Scores, numbers: str, held_out: bool) -> str:
    value = scores.get("bottleneck_r2")
    held = (
        f" Over all such frames they hold {value:.0%} of the variance."
        if value is not None and np.isfinite(value) and value > 0
        else ""
    )
    kind = "Data that the model never saw" if held_out else "Data"
    return (
        f"{kind}, above what {numbers} a frame bring back.{held} What is missing is noise or more dimensions; "
        "this picture cannot tell which."
    )


def _describe_paths(scores: Scores) -> str:
    horizon = ((scores.get("rollout") or {}).get("horizon") or {}).get("rollout")
    step_s = (scores.get("rollout") or {}).get("step_s")
    far = ""
    if horizon is not None and step_s:
        far = f" Over all held-out starts they are nearer than that until {horizon * step_s:.2g} s ahead."
        if horizon == 0:
            far = " Over all held-out starts they are no nearer, not even one frame ahead."
    return (
        "Dashed: how the model goes on from what is known at 0, without seeing what came (black). Dotted: nothing "
        f"changes; a path that is no nearer is no forecast.{far} In the grey span smoothing gives the answer away."
    )

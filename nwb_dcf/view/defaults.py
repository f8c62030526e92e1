"""What a page shows before anything is chosen, and its texts."""

from __future__ import annotations

import html

import xarray as xr

from .data import ViewData
from .player import KEYS
from .state import Choices, ViewState

FIRST_S, FIRST_FRAMES = 20.0, 400  # what the window shows at the start, the longer of both


def choose_start(view: ViewData, choices: Choices) -> ViewState:
    """Choose what a page shows at first: trials or clusters as colours, a position below, a video beside."""
    last = min(view.time[-1], view.time[0] + max(FIRST_S, FIRST_FRAMES * view.step_s))
    axes = (1, 2) if view.latents.shape[1] > 1 else (1,)
    # where an animal was explains more of its latents than their speed does
    places = [name for name in view.behaviors if view.is_position(name)]
    traces = ("speed", *places[:1])
    columns = [name for name in choices.colors if f"trial_{name}" in view.result.dataset]
    # a column of the trials first: whether conditions part is what most look for
    color = columns[0] if columns else ("cluster" if "cluster" in choices.colors else "time")
    pictures = list(choices.pictures)
    return ViewState(
        float(view.time[0]), (float(view.time[0]), float(last)), axes, color=color, traces=traces,
        picture=pictures[0] if pictures else "",
    )  # fmt: skip


def list_axes(dim: int) -> list[tuple[int, ...]]:
    """List pairs and triples of latents that are offered as axes, from 1."""
    most = min(dim, 6)
    # beyond six, a menu of pairs is longer than a screen
    pairs: list[tuple[int, ...]] = [(i, j) for i in range(1, most + 1) for j in range(i + 1, most + 1)]
    solid: list[tuple[int, ...]] = [(1, 2, 3)] if dim >= 3 else []
    solid += [(i, i + 1, i + 2) for i in range(2, most - 1)]
    return [*pairs, *solid] or [(1,)]


def name_axes(axes: tuple[int, ...]) -> str:
    """Name axes for a menu."""
    return " · ".join(map(str, axes)) + (" (3-D)" if len(axes) == 3 else "")


def describe_fit(view: ViewData) -> str:
    """Describe the fit in one line of HTML."""
    data, scores = view.result.dataset, view.result.dataset.attrs.get("scores", {})
    parts = [f"<b>{html.escape(view.result.name or 'fit')}</b> of {html.escape(view.file or 'arrays')}"]
    kind = " x ".join(map(str, data["mean"].shape)) + " pixels"
    channels = kind if data["mean"].ndim > 1 else f"{data['mean'].size} {name_rows(data)}"
    parts.append(f"{data.sizes['latent']} latents of {channels}")
    parts.append(f"{len(view.time):,} frames, {view.time[-1] - view.time[0]:.0f} s")
    r2, pca = scores.get("bottleneck_r2"), scores.get("pca_r2")
    if r2 is not None and pca is not None:
        parts.append(f"reconstruction R² of {html.escape(str(scores.get('on', 'frames')))}: {r2:.2f} (PCA {pca:.2f})")
    return ", ".join(parts)


def name_rows(data: xr.Dataset) -> str:
    """Return what the channels of a fit are, in the plural."""
    return {"unit": "units", "roi": "ROIs"}.get(str(data["mean"].dims[0]), "channels")


def describe_keys() -> str:
    """Describe keys and mouse in HTML."""
    keys = " · ".join(f"<b>{html.escape(key)}</b> {what}" for key, what in KEYS.items())
    mouse = "drag in the trajectory to enclose frames, click to go there, shift-click to add; wheel to zoom"
    shade = "sand-coloured spans were held out from training"
    return f'<div style="font:12px sans-serif;color:#555">Keys: {keys}<br>Mouse: {mouse}. {shade}.</div>'

"""Widgets of a page: what can be chosen, and what is chosen at first."""

from __future__ import annotations

from typing import Any

import panel as pn

from .data import ViewData
from .defaults import list_axes, name_axes
from .state import SPEEDS, Choices, ViewState

# panel 1.9 renames two parameters and warns of the old names, which 2.0 removes; 1.7 knows no others
LABEL = "label" if "label" in pn.widgets.Widget.param else "name"
COLOR = "color" if "color" in pn.widgets.Button.param else "button_type"
BELOW_LABELS = (18, 5)  # margin that brings a button, which has no label above it, in line with the menus


def set_label(widget: Any, text: str) -> None:
    """Change the label of a widget."""
    setattr(widget, LABEL, text)


def make_controls(view: ViewData, state: ViewState, choices: Choices) -> dict[str, Any]:
    """Make the widgets of a page.

    Parameters
    ----------
    view : ViewData
    state : ViewState
        What they show at first.
    choices : Choices

    Returns
    -------
    dict of str to panel widget
        ``play``, ``speed``, ``color``, ``axes``, ``sort``, ``picture``, ``pick``, ``predict``, ``clear``, ``traces``.
    """
    axes = {name_axes(pair): pair for pair in list_axes(view.latents.shape[1])}
    axes.setdefault(name_axes(state.axes), state.axes)  # a link may bring axes that the menu does not offer
    picks = ["frames to compare", "farthest from their cluster", "fastest"]
    if view.clusters is not None:
        picks += [f"along cluster {k + 1}" for k in range(len(view.clusters.centre))]
    rows = [f"latent {k + 1}" for k in range(view.latents.shape[1])]
    pictures = list(choices.pictures) or ["nothing"]

    def make(kind: Any, label: str, **options: Any) -> Any:
        return kind(**{LABEL: label}, **options)

    menu, button = pn.widgets.Select, pn.widgets.Button
    return {
        "play": make(button, "▶ play", **{COLOR: "primary"}, width=90, margin=BELOW_LABELS),
        "speed": make(menu, "speed", options={f"{s:g}x": s for s in SPEEDS}, value=state.speed, width=80),
        "color": make(menu, "colour by", options=list(choices.colors), value=state.color, width=150),
        "axes": make(menu, "axes", options=axes, value=state.axes, width=130),
        "sort": make(menu, "rows sorted by", options=rows, value=rows[state.sort - 1], width=110),
        "picture": make(menu, "beside it", options=pictures, value=state.picture or pictures[0], width=190),
        "pick": make(menu, "compare", options=picks, value=picks[0], width=190),
        "predict": make(button, "predict from here", width=130, margin=BELOW_LABELS),
        "clear": make(button, "clear", width=60, margin=BELOW_LABELS),
        # not a MultiChoice: that one takes labels, which come from the file, for HTML
        "traces": make(
            pn.widgets.CheckBoxGroup, "below the latents", options=list(choices.traces), value=list(state.traces),
            inline=True,
        ),
    }  # fmt: skip


def make_angles(state: ViewState) -> Any:
    """Make the two sliders of the angle from which three latents are seen, as a panel row."""
    turn = {LABEL: "turn", "start": -180, "end": 180, "value": round(state.azimuth)}
    tilt = {LABEL: "tilt", "start": -90, "end": 90, "value": round(state.elevation)}
    return pn.Row(*(pn.widgets.IntSlider(width=190, **options) for options in (turn, tilt)))

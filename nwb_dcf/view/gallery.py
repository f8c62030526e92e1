"""Chosen frames side by side: pictures of the video, or the rows around each."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

import numpy as np
import panel as pn

from .coloring import Paint
from .data import ViewData
from .pictures import FrameServer, picture_rows

if TYPE_CHECKING:
    from jaxtyping import Int

WIDTH_PX = 1400
CELL = "display:inline-block;width:160px;margin:0 8px 8px 0;vertical-align:top;font:11px sans-serif"


class Gallery:
    """Chosen frames with their time, speed, cluster and colour value.

    Parameters
    ----------
    view : ViewData
    frames : FrameServer
    """

    def __init__(self, view: ViewData, frames: FrameServer) -> None:
        self.view, self.frames = view, frames
        self.pane = pn.pane.HTML("", width=WIDTH_PX)
        self._note = ""
        self._cells = ""
        self._draw()

    def show(self, chosen: Int[np.ndarray, " frame"], paint: Paint, sort: int) -> None:
        """Show the frames `chosen`, in their order; `sort`: the latent whose loadings sort rows, from 0."""
        self._cells = "".join(self._make_cell(k + 1, int(frame), paint, sort) for k, frame in enumerate(chosen))
        # a note on how earlier frames were chosen is no longer true
        self._note = ""
        self._draw()

    def set_note(self, text: str) -> None:
        """Show above the frames how they were chosen."""
        self._note = text
        self._draw()

    def _draw(self) -> None:
        if not self._cells:
            hint = self._note or "Enclose points in the trajectory, or choose at “compare”: their frames appear here."
            self.pane.object = f'<div class="gallery" style="font:12px sans-serif;color:#777">{html.escape(hint)}</div>'
            return
        note = f"<div style='font:12px sans-serif;margin-bottom:6px'>{html.escape(self._note)}</div>"
        self.pane.object = f'<div class="gallery">{note}{self._cells}</div>'

    def _make_cell(self, number: int, frame: int, paint: Paint, sort: int) -> str:
        view, t = self.view, float(self.view.time[frame])
        source, _ = self.frames.read(t)
        alt = f"video frame at {t:.2f} s"
        # without a video the rows around the moment are the picture
        if not source:
            source, alt = picture_rows(view, t, sort), f"rows around {t:.2f} s"
        lines = [f"<b>{number}</b> · {t:.2f} s", f"speed {view.speed[frame]:.3g}/s"]
        if view.clusters is not None:
            lines.append(f"cluster {view.clusters.band[frame] + 1}, distance {view.clusters.distance[frame]:.2f}")
        if paint.coloring.name not in ("time", "speed", "cluster", "distance"):
            lines.append(html.escape(f"{paint.coloring.name} {paint.name_value(frame)}"))
        picture = f'<img alt="{alt}" src="{source}" style="max-width:160px;max-height:150px">' if source else ""
        return f'<div style="{CELL}">{picture}<br>{"<br>".join(lines)}</div>'

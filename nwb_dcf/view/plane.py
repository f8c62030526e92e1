"""Frames as points on a plane: the trajectory of the latents, or a map of where the animal was."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from bokeh.events import RangesUpdate, SelectionGeometry, Tap
from bokeh.models import ColumnDataSource, LassoSelectTool, PanTool, Range1d, ResetTool, WheelZoomTool
from bokeh.plotting import figure

from .decimate import paint_points
from .projection import Projection, compute_limits, find_inside
from .timeline import MARK

if TYPE_CHECKING:
    from jaxtyping import Float, Int, UInt8

WIDTH_PX, HEIGHT_PX = 420, 390
MOST_DOTS = 6_000  # frames that are drawn one by one; more are painted as one picture
MOST_TRAIL = 200  # points of the path behind the moment


class PlaneView:
    """A figure of points that shows the moment, its path, and the frames that were chosen.

    Parameters
    ----------
    title : str
    on_tap : callable
        Called with the number of the frame that was clicked, and whether shift was held.
    on_lasso : callable
        Called with the numbers of the frames that were enclosed.
    """

    def __init__(
        self, title: str, on_tap: Callable[[int, bool], None], on_lasso: Callable[[Int[np.ndarray, " frame"]], None]
    ) -> None:
        self._on_tap, self._on_lasso = on_tap, on_lasso
        self.points = np.empty((0, 2))
        self.colors = np.empty((0, 3), np.uint8)
        self._segment = np.empty(0, int)
        # once, at the end of the drag: each step of it would choose frames and draw them
        lasso = LassoSelectTool(continuous=False)
        wheel, pan = WheelZoomTool(), PanTool()
        fig = figure(
            width=WIDTH_PX, height=HEIGHT_PX, title=title, x_range=Range1d(0, 1), y_range=Range1d(0, 1),
            tools=[lasso, pan, wheel, ResetTool()], active_drag=lasso, active_scroll=wheel, name="plane",
        )  # fmt: skip
        fig.toolbar.logo = None
        fig.toolbar_location = "above"
        self.picture = ColumnDataSource({"image": [], "x": [], "y": [], "dw": [], "dh": []})
        self.paths = ColumnDataSource({"xs": [], "ys": []})
        self.dots = ColumnDataSource({"x": [], "y": [], "color": []})
        self.chosen = ColumnDataSource({"x": [], "y": [], "number": []})
        self.trail = ColumnDataSource({"x": [], "y": []})
        self.mark = ColumnDataSource({"x": [], "y": []})
        self.predicted = ColumnDataSource({"x": [], "y": []})
        self.triad = ColumnDataSource({"x0": [], "y0": [], "x": [], "y": [], "text": []})
        fig.image_rgba("image", x="x", y="y", dw="dw", dh="dh", source=self.picture)
        fig.multi_line("xs", "ys", source=self.paths, color="#999999", alpha=0.35, line_width=1)
        fig.scatter("x", "y", source=self.dots, color="color", size=4, alpha=0.85, line_color=None)
        fig.segment("x0", "y0", "x", "y", source=self.triad, color="#444444", line_width=2)
        fig.text("x", "y", text="text", source=self.triad, text_font_size="11px", text_color="#444444")
        # what moves with the moment is an overlay: the points below it are not painted again
        fig.line("x", "y", source=self.trail, color="#111111", line_width=2, alpha=0.8, level="overlay")
        fig.line("x", "y", source=self.predicted, color="#7a4f9a", line_width=2.5, line_dash="dashed")
        fig.scatter("x", "y", source=self.chosen, size=13, fill_color=None, line_color="#111111", line_width=1.5)
        fig.text("x", "y", text="number", source=self.chosen, x_offset=8, y_offset=-4, text_font_size="11px")
        fig.scatter(
            "x", "y", source=self.mark, size=13, fill_color=MARK, line_color="white", line_width=1.5, level="overlay"
        )
        fig.on_event(Tap, self._tap)
        fig.on_event(SelectionGeometry, self._lasso)
        fig.on_event(RangesUpdate, self._zoom)
        self.figure = fig

    def set_points(
        self,
        points: Float[np.ndarray, "frame 2"],
        segment: Int[np.ndarray, " frame"],
        labels: tuple[str, str],
        *,
        fit: bool,
    ) -> None:
        """Show `points`, shape (frame, 2), which may hold NaN; `fit`: let them fill the figure."""
        self.points, self._segment = points, segment
        self.figure.xaxis.axis_label, self.figure.yaxis.axis_label = labels
        if fit:
            x, y = compute_limits(points)
            # `reset` of bokeh goes back to what a range began with
            for axis, (low, high) in ((self.figure.x_range, x), (self.figure.y_range, y)):
                axis.update(start=low, end=high, reset_start=low, reset_end=high)

    def set_colors(self, colors: UInt8[np.ndarray, "frame 3"]) -> None:
        """Colour the points, array of uint8, shape (frame, 3)."""
        self.colors = colors

    def draw(self) -> None:
        """Draw the points anew."""
        if len(self.points) > MOST_DOTS:
            self._paint()
            return
        at = np.flatnonzero(np.diff(self._segment)) + 1
        pieces = np.split(self.points, at)
        self.paths.data = {"xs": [piece[:, 0] for piece in pieces], "ys": [piece[:, 1] for piece in pieces]}
        colors = ["#{:02x}{:02x}{:02x}".format(*color) for color in self.colors.tolist()]
        self.dots.data = {"x": self.points[:, 0], "y": self.points[:, 1], "color": colors}

    def _paint(self) -> None:
        axes = self.figure.x_range, self.figure.y_range
        (x0, x1), (y0, y1) = [(float(axis.start), float(axis.end)) for axis in axes]
        # few frames in sight are painted larger, as dots are
        side = WIDTH_PX - 60
        x, y = self.points.T
        # NaN is in no range: unknown places are not counted
        n = np.count_nonzero((x >= x0) & (x <= x1) & (y >= y0) & (y <= y1))
        side = int(np.clip(side * np.sqrt(n / 60_000), side / 3, side))
        image = paint_points(self.points, self.colors, (x0, x1), (y0, y1), (side, side))
        self.picture.data = {"image": [image], "x": [x0], "y": [y0], "dw": [x1 - x0], "dh": [y1 - y0]}

    def move(self, frame: int | None, back: int) -> None:
        """Mark a frame, with the path of the `back` frames before it; None for a moment without a frame."""
        if frame is None:
            self.mark.data = self.trail.data = {"x": [], "y": []}
            return
        # the path begins in its own segment
        others = np.flatnonzero(self._segment[max(0, frame - back) : frame + 1] != self._segment[frame])
        first = max(0, frame - back) + (int(others[-1]) + 1 if len(others) else 0)
        path = self.points[first : frame + 1 : max(1, back // MOST_TRAIL)]
        self.trail.data = {"x": path[:, 0], "y": path[:, 1]}
        self.mark.data = {"x": [self.points[frame, 0]], "y": [self.points[frame, 1]]}

    def mark_chosen(self, frames: Int[np.ndarray, " chosen"]) -> None:
        """Mark and number the frames that are compared."""
        numbers = [str(k + 1) for k in range(len(frames))]
        self.chosen.data = {"x": self.points[frames, 0], "y": self.points[frames, 1], "number": numbers}

    def show_predicted(self, path: Float[np.ndarray, "frame 2"]) -> None:
        """Draw a predicted path, shape (frame, 2); empty for none."""
        self.predicted.data = {"x": path[:, 0], "y": path[:, 1]} if len(path) else {"x": [], "y": []}

    def show_triad(self, projection: Projection) -> None:
        """Draw where the three axes point, in a corner; nothing where two are shown."""
        fig = self.figure
        fig.xaxis.visible = fig.yaxis.visible = not projection.is_solid
        if not projection.is_solid:
            self.triad.data = {key: [] for key in self.triad.data}
            return
        (x0, x1), (y0, y1) = [(float(axis.start), float(axis.end)) for axis in (fig.x_range, fig.y_range)]
        length = 0.09 * min(x1 - x0, y1 - y0)
        corner = np.array([x0 + 0.13 * (x1 - x0), y0 + 0.13 * (y1 - y0)])
        ends = corner + projection.matrix() * length
        self.triad.data = {
            "x0": [corner[0]] * 3, "y0": [corner[1]] * 3, "x": ends[:, 0], "y": ends[:, 1],
            "text": [f"latent {axis + 1}" for axis in projection.axes],
        }  # fmt: skip

    def _tap(self, event: Any) -> None:
        if event.x is None or not len(self.points):
            return
        axes = self.figure.x_range, self.figure.y_range
        scale = np.array([float(axis.end) - float(axis.start) for axis in axes])
        # nearest on the screen, whose two axes have different units
        away = np.square((self.points - [event.x, event.y]) / scale).sum(axis=1)
        if np.isfinite(away).any():
            shift = bool(getattr(event, "modifiers", None) and event.modifiers.get("shift"))
            self._on_tap(int(np.nanargmin(away)), shift)

    def _lasso(self, event: Any) -> None:
        geometry = event.geometry
        if geometry.get("type") == "poly" and event.final and len(geometry["x"]) > 2:
            found = find_inside(self.points, np.asarray(geometry["x"]), np.asarray(geometry["y"]))
            self._on_lasso(found)

    def _zoom(self, event: Any) -> None:
        if len(self.points) > MOST_DOTS:
            self._paint()

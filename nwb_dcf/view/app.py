"""The page: what it holds, and what happens when something is played, clicked, chosen or typed."""

from __future__ import annotations

import dataclasses
import html
import time as clock
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import panel as pn
from bokeh.events import Tap
from bokeh.models import ColumnDataSource, Range1d

from ..data.outliers import compute_spacing
from ..errors import DCFError
from ..metrics.clusters import pick_outliers
from .coloring import Paint, describe_moment, explain_failure, paint_frames
from .controls import make_angles, make_controls, set_label
from .data import ViewData
from .defaults import choose_start, describe_fit, describe_keys
from .gallery import Gallery
from .pictures import FrameServer
from .plane import WIDTH_PX, PlaneView
from .player import Player
from .prediction import Predictor
from .projection import Projection, take_evenly
from .state import MOST_CHOSEN, SPEEDS, Choices, read_state
from .timeline import Timeline

if TYPE_CHECKING:
    from jaxtyping import Int

PERIOD_MS = 25  # between two looks at the clock: no screen shows more than 40 pictures a second of this page
MOST_PENDING = 2  # pictures on their way to the browser: more would only queue up
PATIENCE_S = 5.0  # after which a picture that was not reported counts as shown
TRAIL_S = 1.0  # of path behind the moment
N_OUTLIERS = 6
HEADER = "font:14px sans-serif;line-height:1.5"


class App:
    """One page of a fit; every browser tab has its own.

    Parameters
    ----------
    view : ViewData
    query : dict of str to str
        Of a link, see `nwb_dcf.view.state.read_state`.
    on_change : callable, optional
        Called with the query that brings the page back, whenever it changes.
    """

    def __init__(
        self,
        view: ViewData,
        query: dict[str, str] | None = None,
        on_change: Callable[[dict[str, str]], None] | None = None,
    ) -> None:
        self.view, self._on_change = view, on_change
        span = float(view.time[0]), float(view.time[-1])
        choices = Choices(span, view.latents.shape[1], view.list_colors(), view.list_traces(), view.list_pictures())
        self.choices = choices
        self.state, self.notes = read_state(query or {}, choose_start(view, choices), choices)
        self.playing = False
        self.shown = 0  # pictures that the browser has reported
        self._pending: list[float] = []
        self._played = (0.0, 0.0)  # wall clock and moment when playing began
        self._rates: list[float] = []
        self._setting = self._waiting = False

        # first what all views have in common: the moment, the marks and the range of time
        self.now = ColumnDataSource({"x": [self.state.t]})
        self.marks = ColumnDataSource({"x": []})
        pad = 0.5 * view.step_s
        self.x_range = Range1d(*self.state.window, bounds=(span[0] - pad - 1, span[1] + pad + 1))
        self.frames = FrameServer(view)
        self.predictor = Predictor(view)
        self.player = Player(width=WIDTH_PX, margin=(0, 0, 0, 10))
        self.player.on_msg(self._hear)
        self.gallery = Gallery(view, self.frames)
        self.trajectory = PlaneView("Latents", self._tap, self._choose_inside)
        self.map = PlaneView("Behaviour", self._tap, self._choose_inside)
        self.paint: Paint = paint_frames(view, "time")
        self.timeline = Timeline(view, self.x_range, self.now, self.marks)
        self.timeline.sort_rows(self.state.sort - 1)
        self.legend, self.note = pn.pane.HTML(""), pn.pane.HTML("")
        self.rate = pn.pane.HTML("", width=90)
        self.below = pn.Column(margin=0)
        self.side = pn.Column(margin=0)
        self._make_controls()
        self._set_traces(self.state.traces)
        self._set_axes(fit=True)
        self._set_color(self.state.color)
        self._set_picture(self.state.picture)
        self._choose([view.find_frame(t) for t in self.state.chosen], seek=False)
        self.timeline.reload()
        self.seek(self.state.t)
        for name in ("start", "end"):  # whatever moves the window: a wheel, a drag, the frame in the overview
            self.x_range.on_change(name, self._window_changed)
        for fig in (self.timeline.overview, *self.timeline.list_figures()):
            if fig is not self.timeline.traces:
                fig.on_event(Tap, self._tap_time)
        self._timer: Any = None

    def make_page(self) -> Any:
        """Return the page as a panel object."""
        controls = self.controls
        top = pn.Row(
            controls["play"], controls["speed"], controls["color"], controls["axes"], controls["sort"],
            controls["picture"], controls["pick"], controls["predict"], controls["clear"], self.rate, margin=0,
        )  # fmt: skip
        left = pn.Column(self.player, self.trajectory.figure, self.angles, self.side, margin=0)
        right = pn.Column(self.timeline.overview, self.below, self.controls["traces"], margin=0)
        return pn.Column(
            pn.pane.HTML(f'<div style="{HEADER}">{describe_fit(self.view)}</div>', margin=(4, 10)),
            top,
            self.legend,
            self.note,
            pn.Row(left, right, margin=0),
            self.gallery.pane,
            pn.pane.HTML(describe_keys(), margin=(8, 10)),
        )

    # what the page does

    def play(self, on: bool) -> None:
        """Play, or pause."""
        if on == self.playing:
            return
        self.playing = on
        set_label(self.controls["play"], "❚❚ pause" if on else "▶ play")
        if on:
            # at the end playing begins anew, as video players do
            if self.state.t >= self.choices.span[1] - self.view.step_s:
                self.seek(self.choices.span[0])
            self._played, self._rates, self._pending = (clock.monotonic(), self.state.t), [], []
            self._timer = pn.state.add_periodic_callback(self._tick, period=PERIOD_MS)
        else:
            if self._timer is not None:
                self._timer.stop()
                self._timer = None
            self._report()

    def seek(self, t: float) -> None:
        """Go to the moment `t`, seconds on the session clock, in every view."""
        t = min(max(t, self.choices.span[0]), self.choices.span[1])
        self.state = dataclasses.replace(self.state, t=t)
        view, frame = self.view, self.view.find_frame(t)
        # between segments there is no state to mark
        known = abs(view.time[frame] - t) <= 2.5 * view.step_s
        back = max(1, round(TRAIL_S / view.step_s))
        # all in one message: the views would else show different moments for a picture or two
        with pn.io.hold():
            self.now.data = {"x": [t]}
            self.trajectory.move(frame if known else None, back)
            if self.state.picture.startswith("map"):
                self.map.move(frame if known else None, back)
            source, caption = self.frames.read(t) if self.state.picture == "video" else ("", "")
            moment = describe_moment(view, self.paint, t)
            self.player.param.update(source=source, caption=caption, moment=moment, tick=self.player.tick + 1)
            self._keep_in_sight(t)
        # reported or not, it is sent: the browser answers with `shown`
        self._pending.append(clock.monotonic())
        if not self.playing:
            self._report()

    def _tick(self) -> None:
        # the moment follows the wall clock and not the number of ticks: a slow browser skips frames, and stays in time
        now = clock.monotonic()
        self._pending = [sent for sent in self._pending if now - sent < PATIENCE_S]
        if len(self._pending) >= MOST_PENDING or not self.playing:
            return
        began, start = self._played
        t = start + (now - began) * self.state.speed
        self.seek(t)
        if t >= self.choices.span[1]:
            self.play(False)

    def _hear(self, event: Any) -> None:
        message = event.data
        if "shown" in message:
            self.shown += 1
            self._pending = self._pending[1:]
            now = clock.monotonic()
            self._rates = [*(then for then in self._rates if now - then < 2.0), now]
            # every tenth: the text of the rate is itself a message to the browser
            if self.playing and len(self._rates) > 2 and self.shown % 10 == 0:
                rate = (len(self._rates) - 1) / (self._rates[-1] - self._rates[0])
                self.rate.object = f'<span class="rate">{rate:.0f} frames/s</span>'
            return
        self._press(str(message.get("key", "")), bool(message.get("shift")))

    def _press(self, key: str, shift: bool) -> None:
        view, state = self.view, self.state
        middle, half = state.t, (self.x_range.end - self.x_range.start) / 2
        match key:
            case " ":
                self.play(not self.playing)
            case "ArrowRight" | "ArrowLeft":
                ahead = 1 if key == "ArrowRight" else -1
                self.play(False)
                if shift:
                    self.seek(state.t + ahead)
                else:
                    frame = view.find_frame(state.t) + ahead
                    self.seek(float(view.time[np.clip(frame, 0, len(view.time) - 1)]))
            case "n" | "p":
                self._go_to_trial(1 if key == "n" else -1)
            case "ArrowUp" | "ArrowDown":
                place = SPEEDS.index(state.speed) + (1 if key == "ArrowUp" else -1)
                self.controls["speed"].value = SPEEDS[int(np.clip(place, 0, len(SPEEDS) - 1))]
            case "c":
                self._next(self.controls["color"])
            case "a":
                self._next(self.controls["axes"])
            # shift makes the key a capital letter, except where caps lock is on
            case "o" | "O":
                self.controls["pick"].value = "fastest" if shift or key == "O" else "farthest from their cluster"
            case "f":
                self._predict()
            case "+" | "=":
                self._set_window(middle - half / 2, middle + half / 2)
            case "-":
                self._set_window(middle - 2 * half, middle + 2 * half)
            case "0":
                self._set_window(*self.choices.span)
            case "Escape":
                self._clear()

    def _next(self, widget: Any) -> None:
        options = list(widget.options.values()) if isinstance(widget.options, dict) else list(widget.options)
        widget.value = options[(options.index(widget.value) + 1) % len(options)]

    def _go_to_trial(self, ahead: int) -> None:
        starts = np.unique(self.view.result.dataset["segment_start"].values)
        # backwards from within a trial to its own start, and from its start to the one before
        later = starts[starts > self.state.t + 1e-6] if ahead > 0 else starts[starts < self.state.t - self.view.step_s]
        if len(later):
            self.seek(float(later[0] if ahead > 0 else later[-1]))
            # the clock of playing starts anew: moments are counted from here
            self._played = clock.monotonic(), self.state.t

    # what is shown

    def _make_controls(self) -> None:
        self.controls = make_controls(self.view, self.state, self.choices)
        self.angles = make_angles(self.state)
        watch: dict[str, Callable[[Any], None]] = {
            "speed": self._set_speed,
            "color": lambda name: self._set_color(name),
            "axes": self._change_axes,
            "sort": self._set_sort,
            "picture": self._change_picture,
            "pick": self._pick,
            "traces": lambda names: self._set_traces(tuple(names)),
        }
        for name, act in watch.items():
            self.controls[name].param.watch(lambda event, act=act: self._guard(act, event.new), "value")
        self.controls["play"].on_click(lambda _: self.play(not self.playing))
        self.controls["predict"].on_click(lambda _: self._predict())
        self.controls["clear"].on_click(lambda _: self._clear())
        for slider in self.angles:
            slider.param.watch(lambda _: self._turn(), "value")

    def _guard(self, act: Callable[[Any], None], value: Any) -> None:
        """Do what a control asks for; an error is shown on the page."""
        try:
            with pn.io.hold():
                act(value)
        except DCFError as error:
            self._show_note(explain_failure(error))
        self._report()

    def _show_note(self, *lines: str) -> None:
        shown = [*self.view.missing, *self.notes, *lines]
        text = "<br>".join(html.escape(line) for line in shown)
        self.note.object = f'<div class="note" style="color:#8a4b08;font:12px sans-serif">{text}</div>' if shown else ""

    def _set_speed(self, speed: float) -> None:
        self.state = dataclasses.replace(self.state, speed=speed)
        self._played = clock.monotonic(), self.state.t

    def _set_color(self, name: str) -> None:
        self.paint = paint_frames(self.view, name)
        self.state = dataclasses.replace(self.state, color=name)
        self.legend.object = f'<div style="font:12px sans-serif;padding-left:20px">{self.paint.to_html()}</div>'
        # both: the map is coloured by the same values, so that a colour is a place in either
        for plane in (self.trajectory, self.map):
            plane.set_colors(self.paint.colors)
            if len(plane.points):
                plane.draw()
        self.timeline.color_trials(self.paint)
        self.timeline.reload()
        self._show_note()

    def _change_axes(self, axes: tuple[int, ...]) -> None:
        self.state = dataclasses.replace(self.state, axes=axes)
        self._set_axes(fit=True)
        self.trajectory.draw()
        self._refresh_marks()

    def _turn(self) -> None:
        turn, tilt = (float(slider.value) for slider in self.angles)
        self.state = dataclasses.replace(self.state, azimuth=turn, elevation=tilt)
        with pn.io.hold():
            self._set_axes(fit=False)
            self.trajectory.draw()
            self._refresh_marks()
        self._report()

    def _project(self) -> Projection:
        state = self.state
        return Projection(tuple(axis - 1 for axis in state.axes), state.azimuth, state.elevation)

    def _set_axes(self, *, fit: bool) -> None:
        projection = self._project()
        labels = [f"latent {axis}" for axis in self.state.axes]
        across, up = (labels[0], labels[1]) if len(labels) > 1 else (labels[0], "")
        points = projection.project(self.view.latents)
        self.trajectory.set_points(points, self.view.segment, (across, up), fit=fit)
        self.trajectory.show_triad(projection)
        self.angles.visible = projection.is_solid

    def _refresh_marks(self) -> None:
        frames = np.array([self.view.find_frame(t) for t in self.state.chosen], int)
        self.trajectory.mark_chosen(frames)
        self._show_predicted()
        self.seek(self.state.t)

    def _set_sort(self, name: str) -> None:
        latent = int(name.rsplit(" ", 1)[-1])
        self.state = dataclasses.replace(self.state, sort=latent)
        self.timeline.sort_rows(latent - 1)
        self.timeline.reload()
        self._show_chosen()

    def _set_traces(self, names: tuple[str, ...]) -> None:
        problems = self.timeline.set_traces(names)
        self.state = dataclasses.replace(self.state, traces=self.timeline.trace_names)
        self.timeline.reload()
        # other rows are other figures: one has as many lines as there were rows when it was made
        self.below[:] = [pn.pane.Bokeh(fig, margin=0) for fig in self.timeline.list_figures()]
        if self.timeline.traces is not None:
            self.timeline.traces.on_event(Tap, self._tap_time)
        self._show_note(*problems)

    def _change_picture(self, name: str) -> None:
        self._set_picture(name)
        self.seek(self.state.t)

    def _set_picture(self, name: str) -> None:
        self.state = dataclasses.replace(self.state, picture=name if name in self.choices.pictures else "")
        if not self.state.picture.startswith("map"):
            self.side[:] = []
            return
        behavior = name.removeprefix("map of ")
        try:
            series = self.view.read_behavior(behavior)
        except DCFError as error:
            self.side[:] = [pn.pane.HTML(html.escape(explain_failure(error)))]
            return
        unit = series.attrs.get("units", "")
        self.map.figure.title.text = f"{behavior}: where, by the same colours"
        self.map.set_points(series.values, self.view.segment, (f"x ({unit})", f"y ({unit})"), fit=True)
        self.map.set_colors(self.paint.colors)
        self.map.draw()
        self.map.mark_chosen(np.array([self.view.find_frame(t) for t in self.state.chosen], int))
        self.side[:] = [pn.pane.Bokeh(self.map.figure, margin=0)]

    # frames that are compared

    def _tap(self, frame: int, add: bool) -> None:
        before = [self.view.find_frame(t) for t in self.state.chosen] if add else []
        with pn.io.hold():
            self._choose([*before, frame][-MOST_CHOSEN:], seek=True)

    def _tap_time(self, event: Any) -> None:
        if event.x is not None:
            self.seek(float(event.x))
            self._played = clock.monotonic(), self.state.t

    def _choose_inside(self, frames: Int[np.ndarray, " frame"]) -> None:
        with pn.io.hold():
            self._choose(take_evenly(frames, MOST_CHOSEN).tolist(), seek=False)
        count = f"{len(frames)} frames enclosed"
        of = f", {MOST_CHOSEN} of them, at even distances, are shown" if len(frames) > MOST_CHOSEN else ""
        self.gallery.set_note(count + of if len(frames) else "no frame was enclosed")

    def _pick(self, how: str) -> None:
        view, clusters = self.view, self.view.clusters
        apart_s = compute_spacing(view.result.dataset, view.result.provenance)
        if how == "fastest":
            frames = pick_outliers(view.speed, view.time, N_OUTLIERS, apart_s=apart_s)
        elif clusters is not None and how.startswith("farthest"):
            frames = pick_outliers(clusters.distance, view.time, N_OUTLIERS, apart_s=apart_s)
        elif clusters is not None and how.startswith("along"):
            frames = clusters.pick_along(view.latents, int(how.rsplit(" ", 1)[-1]) - 1, MOST_CHOSEN // 2)
        else:
            return
        self._choose(frames.tolist(), seek=False)
        self.gallery.set_note(
            f"{how}: {len(frames)} frames, at least {apart_s:g} s apart" if "along" not in how else how
        )

    def _choose(self, frames: list[int], *, seek: bool) -> None:
        times = tuple(float(self.view.time[frame]) for frame in frames)
        self.state = dataclasses.replace(self.state, chosen=times)
        self._show_chosen()
        if seek and times:
            self.seek(times[-1])
            self._played = clock.monotonic(), self.state.t
        else:
            self._report()

    def _show_chosen(self) -> None:
        frames = np.array([self.view.find_frame(t) for t in self.state.chosen], int)
        self.marks.data = {"x": list(self.state.chosen)}
        self.trajectory.mark_chosen(frames)
        if self.state.picture.startswith("map"):
            self.map.mark_chosen(frames)
        self.gallery.show(frames, self.paint, self.state.sort - 1)

    def _clear(self) -> None:
        self.predictor.clear()
        self._show_predicted()
        self.controls["pick"].value = self.controls["pick"].options[0]
        self._choose([], seek=False)

    # what the model would do

    def _predict(self) -> None:
        try:
            self._show_note("predicting")
            self.predictor.predict(self.view.find_frame(self.state.t))
            self._show_note()
        except DCFError as error:
            self._show_note(explain_failure(error))
        self._show_predicted()

    def _show_predicted(self) -> None:
        time, latents = self.predictor.time, self.predictor.latents
        self.timeline.show_predicted(time, latents)
        points = self._project().project(latents) if len(latents) else np.empty((0, 2))
        self.trajectory.show_predicted(points)

    # what is in sight

    def _set_window(self, start: float, stop: float) -> None:
        low, high = self.choices.span
        # never less than a few frames, never beyond the session
        width = min(max(stop - start, 5 * self.view.step_s), high - low)
        start = min(max(start, low), high - width)
        self.state = dataclasses.replace(self.state, window=(start, start + width))
        self._setting = True
        with pn.io.hold():
            self.x_range.update(start=start, end=start + width)
            self.timeline.reload()
        self._setting = False
        self._report()

    def _window_changed(self, attr: str, old: float, new: float) -> None:
        """Draw what came into sight; `start` and `end` change one after the other, and are waited for."""
        if self._setting or self._waiting:
            return
        # none in a notebook's kernel and in tests, where there is no tick to wait for
        document = pn.state.curdoc
        if document is None:
            self._reload_window()
        else:
            self._waiting = True
            document.add_next_tick_callback(self._reload_window)

    def _reload_window(self) -> None:
        self._waiting = False
        self.state = dataclasses.replace(self.state, window=(float(self.x_range.start), float(self.x_range.end)))
        self.timeline.reload()
        self._report()

    def _keep_in_sight(self, t: float) -> None:
        start, stop = float(self.x_range.start), float(self.x_range.end)
        if start <= t <= stop:
            return
        width = stop - start
        # the next page while playing, else the moment in the middle
        self._set_window(*((t, t + width) if self.playing else (t - width / 2, t + width / 2)))

    def _report(self) -> None:
        # not while playing: browsers slow pages down that change their address many times a second
        if self._on_change is not None and not self.playing:
            self._on_change(self.state.to_query())

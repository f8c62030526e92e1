"""What the page does, without a browser: moments, frames that are compared, colours, links."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from nwb_dcf.view.app import App
from nwb_dcf.view.controls import LABEL, set_label

from .conftest import EVIL, STEP_S


@pytest.fixture
def told() -> list[dict[str, str]]:
    return []


@pytest.fixture
def app(make_known_view: Callable[..., Any], told: list[dict[str, str]]) -> App:
    return App(make_known_view(), on_change=told.append)


def press(app: App, key: str, shift: bool = False) -> None:
    app._hear(SimpleNamespace(data={"key": key, "shift": shift}))


def test_a_moment_is_marked_in_every_view(app: App) -> None:
    frame = 120
    app.seek(float(app.view.time[frame]))
    assert app.now.data["x"] == [app.view.time[frame]]
    np.testing.assert_allclose(
        [app.trajectory.mark.data["x"][0], app.trajectory.mark.data["y"][0]], app.view.latents[frame, :2]
    )
    assert app.player.source.startswith("data:image/jpeg;base64,")
    assert "trial 1" in app.player.moment
    assert "held out" in app.player.moment
    start, stop = app.x_range.start, app.x_range.end
    assert start <= app.view.time[frame] <= stop


def test_between_trials_there_is_no_frame_and_no_mark(app: App) -> None:
    gap = (app.view.time[99] + app.view.time[100]) / 2
    app.seek(float(gap))
    assert app.trajectory.mark.data["x"] == []
    assert "no frame of the fit" in app.player.moment


def test_the_trail_begins_with_the_trial(app: App) -> None:
    app.seek(float(app.view.time[103]))
    assert len(app.trajectory.trail.data["x"]) == 4


def test_enclosed_frames_stand_side_by_side(app: App) -> None:
    inside = np.flatnonzero(app.view.latents[:, 0] > 0.5)
    square = {"type": "poly", "x": [0.5, 2, 2, 0.5], "y": [-2, -2, 2, 2]}
    app.trajectory._lasso(SimpleNamespace(geometry=square, final=True))
    assert len(app.state.chosen) == 12
    assert set(np.round(app.state.chosen, 6)) <= set(np.round(app.view.time[inside], 6))
    assert app.gallery.pane.object.count("<img") == 12
    assert f"{len(inside)} frames enclosed" in app.gallery.pane.object
    assert app.marks.data["x"] == list(app.state.chosen)
    press(app, "Escape")
    assert app.state.chosen == ()


def test_a_click_goes_there_and_shift_adds(app: App) -> None:
    z = app.view.latents
    app.trajectory._tap(SimpleNamespace(x=z[40, 0], y=z[40, 1], modifiers={}))
    first = app.state.t
    assert app.state.chosen == (first,)
    app.trajectory._tap(SimpleNamespace(x=z[10, 0], y=z[10, 1], modifiers={"shift": True}))
    assert len(app.state.chosen) == 2
    assert app.state.t == app.state.chosen[-1]


def test_frames_that_stand_out_are_found(app: App) -> None:
    app.view.speed[77] = 1e3
    press(app, "o", shift=True)
    assert app.state.chosen[0] == app.view.time[77]
    press(app, "Escape")
    press(app, "o")
    farthest = int(np.argmax(app.view.clusters.distance))
    assert app.state.chosen[0] == app.view.time[farthest]


@pytest.mark.parametrize("color", ["time", "trial", "side", "speed", "cluster", "distance", "latent 2", EVIL])
def test_frames_are_coloured_by_anything_and_names_do_no_harm(app: App, color: str) -> None:
    app.controls["color"].value = color
    assert app.state.color == color
    assert app.paint.colors.shape == (300, 3)
    assert "<img src=x" not in app.legend.object
    assert "<img src=x" not in app.gallery.pane.object


def test_groups_are_one_colour_each(app: App) -> None:
    app.controls["color"].value = "side"
    colors = app.paint.colors
    assert (colors[:100] == colors[0]).all()
    assert (colors[100:200] == colors[100]).all()
    assert (colors[0] != colors[100]).any()


def test_axes_change_the_trajectory_and_three_can_be_turned(app: App) -> None:
    app.controls["axes"].value = (2, 3)
    np.testing.assert_allclose(app.trajectory.points, app.view.latents[:, 1:3])
    app.controls["axes"].value = (1, 2, 3)
    before = app.trajectory.points.copy()
    app.angles[0].value = 90
    assert not np.allclose(before, app.trajectory.points)
    assert app.trajectory.triad.data["text"] == ["latent 1", "latent 2", "latent 3"]


def test_keys_step_through_frames_trials_and_speeds(app: App) -> None:
    app.seek(float(app.view.time[10]))
    press(app, "ArrowRight")
    assert app.state.t == app.view.time[11]
    press(app, "n")
    assert app.state.t == app.view.time[100]
    press(app, "p")
    assert app.state.t == app.view.time[0]
    press(app, "ArrowUp")
    assert app.state.speed == 2.0
    width = app.x_range.end - app.x_range.start
    press(app, "+")
    assert app.x_range.end - app.x_range.start == pytest.approx(width / 2)
    press(app, "0")
    assert (app.x_range.start, app.x_range.end) == app.choices.span


def test_a_link_brings_the_page_back(app: App, told: list[dict[str, str]], make_known_view: Callable[..., Any]) -> None:
    app.controls["axes"].value = (1, 2, 3)
    app.controls["color"].value = "speed"
    app.controls["sort"].value = "latent 2"
    press(app, "o")
    app.seek(3.0)
    again = App(make_known_view(), told[-1])
    assert again.state.to_query() == app.state.to_query()
    np.testing.assert_allclose(again.trajectory.points, app.trajectory.points)
    assert again.gallery.pane.object.count("<img") == app.gallery.pane.object.count("<img")


def test_what_is_invalid_in_a_link_is_named_on_the_page(make_known_view: Callable[..., Any]) -> None:
    app = App(make_known_view(), {"color": "<b>nothing", "t": "2"})
    assert "&lt;b&gt;nothing" in app.note.object
    assert app.state.t == 2.0


def test_playing_follows_the_clock_and_waits_for_the_browser(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    from nwb_dcf.view import app as module

    now = [100.0]
    monkeypatch.setattr(module.clock, "monotonic", lambda: now[0])
    monkeypatch.setattr(module.pn.state, "add_periodic_callback", lambda *_, **__: SimpleNamespace(stop=lambda: None))
    app.seek(0.0)
    press(app, " ")
    app._pending = []
    now[0] += 1.5
    app._tick()
    assert app.state.t == pytest.approx(1.5)
    app._tick()
    sent = app.player.tick
    now[0] += 0.1
    app._tick()  # two pictures are on their way
    assert app.player.tick == sent
    app._hear(SimpleNamespace(data={"shown": sent}))
    app._tick()
    assert app.player.tick == sent + 1
    now[0] += 1e4
    app._pending = []
    app._tick()
    assert not app.playing
    assert app.state.t == app.choices.span[1]


def test_the_fit_alone_says_what_is_missing(make_known_view: Callable[..., Any]) -> None:
    result = make_known_view().result
    page = result.view()
    text = str([getattr(pane, "object", "") for pane in page.select()])
    assert "no file was named" in text
    assert "known_fit" in text


def test_a_prediction_needs_what_was_fitted_and_says_so(make_known_view: Callable[..., Any]) -> None:
    view = make_known_view()
    view.recording = None
    app = App(view)
    press(app, "f")
    assert "a prediction begins with what was fitted" in app.note.object


@pytest.mark.parametrize("dim", [1, 2])
def test_fits_of_one_and_two_latents_have_a_page(make_known_view: Callable[..., Any], dim: int) -> None:
    app = App(make_known_view(dim=dim))
    app.seek(app.view.time[5] + STEP_S / 3)
    app.make_page()
    for _ in range(4):
        press(app, "a")


def test_a_million_frames_are_few_on_the_page() -> None:
    from .conftest import make_view

    app = App(make_view(n_frames=1_000_000, n_channels=4, video=False))
    press(app, "0")
    assert len(app.timeline.latents_source.data["x"]) < 5000
    assert len(app.trajectory.dots.data["x"]) == 0
    assert app.trajectory.picture.data["image"][0].size < 200_000
    assert app.timeline.raster_source.data["image"][0].shape[1] <= 1000


def test_widgets_are_labelled_without_a_warning(make_known_view: Callable[..., Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", PendingDeprecationWarning)
        app = App(make_known_view())
        set_label(app.controls["play"], "pause")
    assert getattr(app.controls["play"], LABEL) == "pause"
    assert getattr(app.controls["color"], LABEL) == "colour by"
    assert [getattr(slider, LABEL) for slider in app.angles] == ["turn", "tilt"]

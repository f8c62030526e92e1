"""The page in a real browser: playing moves the moment in every view, a lasso chooses frames, and axes change."""

from __future__ import annotations

import io
import os
import shutil
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from .conftest import make_view
from .test_server import start_server

webdriver = pytest.importorskip("selenium.webdriver", reason="could not import selenium")

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        shutil.which("chromium") is None or shutil.which("chromedriver") is None,
        reason="there is no Chromium with its driver",
    ),
]

PLANE = """
const plane = Bokeh.documents[0].get_model_by_name('plane');
const view = Bokeh.index.find_one(plane);
"""
PATIENCE_S = 60


class Page:
    """A page in a browser."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def ask(self, script: str) -> Any:
        """Run a script that knows the trajectory's figure as `plane`, and where it is on the screen as `view`."""
        return self.driver.execute_script(PLANE + script)

    def wait_for(self, script: str) -> Any:
        """Return what `script` returns, once that is true."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            found = self.ask(f"return {script}")
            if found:
                return found
            time.sleep(0.1)
        raise AssertionError(f"never true: {script}")

    def find_mark(self) -> np.ndarray:
        """Return where the red dot of the moment is in the picture of the trajectory, (x, y) in pixels."""
        from PIL import Image

        box = self.ask("const b = view.el.getBoundingClientRect(); return [b.left, b.top, b.right, b.bottom]")
        picture = Image.open(io.BytesIO(self.driver.get_screenshot_as_png())).convert("RGB").crop(tuple(box))
        red, green, blue = np.moveaxis(np.asarray(picture).astype(int), -1, 0)
        y, x = np.nonzero((red > 180) & (green < 90) & (blue < 90))
        assert len(x) > 20, "there is no red dot"
        return np.array([np.median(x), np.median(y)])

    def press(self, key: str) -> None:
        self.driver.find_element("tag name", "body").send_keys(key)


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    address, stop = start_server(make_view(n_frames=300))
    options = Options()
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--window-size=1500,1400",
    ):
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        driver.get(address)
        end = time.monotonic() + PATIENCE_S
        ready = "return !!(window.Bokeh && Bokeh.documents.length && Bokeh.documents[0].get_model_by_name('plane'))"
        while not driver.execute_script(ready) and time.monotonic() < end:
            time.sleep(0.2)
        one = Page(driver)
        one.wait_for("view && view.el.getBoundingClientRect().width > 100")
        time.sleep(1.0)
        yield one
    finally:
        shot = os.environ.get("NWB_DCF_SCREENSHOT")
        if shot:
            driver.get_screenshot_as_file(shot)
        driver.quit()
        stop()


def test_playing_moves_the_marked_moment(page: Page) -> None:
    before = page.find_mark()
    caption = page.driver.current_url
    page.press(" ")
    time.sleep(2.0)
    page.press(" ")
    time.sleep(0.7)
    after = page.find_mark()
    # the line in the views against time, and the video, are at the same moment as the dot
    moment = page.ask(
        "const all = Bokeh.documents[0]._all_models ?? Bokeh.documents[0].all_models;"
        "return [...all.values()].filter(m => m.type === 'ColumnDataSource' && Object.keys(m.data).join() === 'x')"
        ".map(m => Array.from(m.data.x)).filter(x => x.length === 1)[0][0]"
    )
    assert moment > 1.0
    assert np.hypot(*(after - before)) > 20
    assert page.driver.current_url != caption  # the link names the moment


def test_a_lasso_chooses_frames_that_stand_side_by_side(page: Page) -> None:
    from selenium.webdriver import ActionChains

    chosen = "plane.renderers.filter(r => r.data_source && 'number' in r.data_source.data)[0].data_source.get_length()"
    assert page.ask(f"return {chosen}") == 0
    left, top, width, height = page.ask(
        "const b = view.el.getBoundingClientRect(), f = view.frame.bbox;"
        "return [b.left + f.x, b.top + f.y, f.width, f.height]"
    )
    # round the right half of the circle
    corners = [(0.55, 0.05), (0.98, 0.05), (0.98, 0.95), (0.55, 0.95), (0.55, 0.1)]
    places = [(int(left + x * width), int(top + y * height)) for x, y in corners]
    chain = ActionChains(page.driver, duration=50)
    chain.w3c_actions.pointer_action.move_to_location(*places[0])
    chain.w3c_actions.pointer_action.pointer_down()
    for place in places[1:]:
        chain.w3c_actions.pointer_action.move_to_location(*place)
    chain.w3c_actions.pointer_action.pointer_up()
    chain.perform()
    page.wait_for(f"{chosen} === 12")
    x = page.ask("return plane.renderers.filter(r => 'number' in r.data_source.data)[0].data_source.data.x")
    assert min(x.values() if isinstance(x, dict) else x) > -0.1


def test_another_axis_is_drawn(page: Page) -> None:
    labels = "[plane.below[0].axis_label, plane.left[0].axis_label].join()"
    first = page.ask(f"return {labels}")
    page.press("a")
    second = page.wait_for(f"({labels} !== '{first}') && {labels}")
    assert "latent" in second
    assert page.find_mark().shape == (2,)

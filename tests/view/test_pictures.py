"""Which frame is shown at which moment, and rows around a moment."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from typing import Any

import numpy as np

from nwb_dcf.view.pictures import AROUND, FrameServer, color_rows, picture_rows


def decode(address: str) -> Any:
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))).convert("RGB"))


def test_the_frame_of_a_moment_is_the_last_one_taken_by_then(make_known_view: Callable[..., Any]) -> None:
    frames = FrameServer(make_known_view())
    for t, number in ((0.0, 0), (1 / 30, 1), (0.99 / 30, 0), (5.02, 150)):
        assert frames.find(t) == number
        picture = decode(frames.read(t)[0])
        assert abs(int(picture[5, 3, 0]) - number % 256) < 6
    assert frames.find(-1.0) is None
    assert frames.read(1e6) == ("", "the video has no frame at 1000000.000 s")


def test_without_a_video_there_is_no_picture(make_known_view: Callable[..., Any]) -> None:
    assert FrameServer(make_known_view(video=False)).read(1.0) == ("", "")


def test_rows_around_a_moment_are_sorted_by_loading(make_known_view: Callable[..., Any]) -> None:
    view = make_known_view()
    picture = decode(picture_rows(view, float(view.time[50]), 0))
    order = view.sort_rows(0)[::-1]
    values = view.recording["data"].values[50]
    middle = picture.shape[1] // 2
    tall = picture.shape[0] // len(order)
    expected = color_rows((values[order] - view.raster.mean[order]) / view.raster.deviation[order])
    for row in range(1, len(order) - 1):
        shown = picture[row * tall + tall // 2, middle].astype(int)
        assert np.abs(shown - expected[row].astype(int)).max() <= 3


def test_rows_around_a_moment_have_no_holes_and_end_where_the_segment_does(make_known_view: Callable[..., Any]) -> None:
    view = make_known_view()
    # an irregular clock, whose steps agree with no grid
    time = view.result.dataset["time"].values
    jitter = 0.03 * np.sin(np.arange(len(time)))
    view.result.dataset.coords["time"] = ("time", time + jitter)
    first = int(np.flatnonzero(view.segment == 1)[0])
    for frame, empty in ((50, 0), (first, AROUND), (first + 4, AROUND - 4), (len(time) - 1, AROUND)):
        picture = decode(picture_rows(view, float(view.time[frame]), 0))
        columns = picture.reshape(picture.shape[0], 2 * AROUND + 1, -1, 3)[6, :, 1]
        assert np.count_nonzero((columns == 225).all(axis=-1)) == empty, frame

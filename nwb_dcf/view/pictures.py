"""Pictures for the browser: frames of a video, and rows of a raster around a moment, as data addresses."""

from __future__ import annotations

import base64
import io
from collections import OrderedDict
from typing import TYPE_CHECKING

import numpy as np

from ..errors import DCFError
from .data import ViewData

if TYPE_CHECKING:
    from jaxtyping import Float, UInt8

QUALITY = 85  # of JPEG: higher ones double the bytes of a frame, and playing is bound by them
KEPT = 400  # encoded frames: some seconds, to go back and forth in
NEAR = 2.5  # steps of the video: a moment farther from its frames has none
AROUND = 12  # frames before and after a moment
NEAREST = 0.75  # steps: a column without a frame as near is empty, as in a pause or beyond an end
LIMIT = 2.5  # standard deviations at the ends of a raster's scale


class FrameServer:
    """Frames of a video at moments of the session, encoded once.

    Parameters
    ----------
    view : ViewData
    """

    def __init__(self, view: ViewData) -> None:
        self.frames = view.frames
        self._kept: OrderedDict[int, str] = OrderedDict()
        self._order = np.empty(0, int)
        self._time = np.empty(0)
        self._near_s = 0.0
        if self.frames is not None:
            # frames before the first or after the last pulse of a camera may have no time
            timed = np.flatnonzero(np.isfinite(self.frames.time))
            self._order = timed[np.argsort(self.frames.time[timed], kind="stable")]
            self._time = self.frames.time[self._order]
            self._near_s = NEAR * float(np.median(np.diff(self._time))) if len(self._time) > 1 else 1.0

    def find(self, t: float) -> int | None:
        """Return the number of the frame that was seen at the moment `t`; None where the video has none.

        That is the last frame taken by then: a frame stays until the next.
        """
        if len(self._time) == 0:
            return None
        # a microsecond: the time of a frame, written into a link and read again, is to find that frame
        place = int(np.clip(np.searchsorted(self._time, t + 1e-6, side="right") - 1, 0, len(self._time) - 1))
        return int(self._order[place]) if abs(self._time[place] - t) <= self._near_s else None

    def read(self, t: float) -> tuple[str, str]:
        """Read the frame at the moment `t`.

        Returns
        -------
        source : str
            Address that holds the picture; empty where there is none.
        caption : str
            Which frame it is, or why there is none.
        """
        number = self.find(t)
        if self.frames is None or number is None:
            return "", "" if self.frames is None else f"the video has no frame at {t:.3f} s"
        if number not in self._kept:
            try:
                self._kept[number] = encode_picture(self.frames.read(number), "JPEG")
            except DCFError as error:
                return "", f"frame {number} cannot be shown: {error}"
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(number)
        return self._kept[number], f"frame {number} of {len(self.frames.time)}, {self.frames.time[number]:.3f} s"


def encode_picture(pixels: UInt8[np.ndarray, " y x *color"], kind: str) -> str:
    """Encode pixels (y, x) or (y, x, 3) of uint8 as a ``data:`` address, by ``"JPEG"`` or ``"PNG"``."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, kind, quality=QUALITY)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def picture_rows(view: ViewData, t: float, sort: int, height: int = 150) -> str:
    """Draw the rows of the raster around the moment `t`, in the middle; without a raster return ""."""
    raster = view.raster
    if raster is None:
        return ""
    n = 2 * AROUND + 1
    # frame by frame: bins of equal time would leave every other column empty where clocks and steps do not agree
    wanted = view.time[view.find_frame(t)] + (np.arange(n) - AROUND) * view.step_s
    frames = np.array([view.find_frame(moment) for moment in wanted])
    shown = raster.take(frames)
    shown[:, np.abs(view.time[frames] - wanted) > NEAREST * view.step_s] = np.nan
    colors = color_rows(shown[view.sort_rows(sort)[::-1]])
    tall, wide = max(1, height // len(colors)), max(1, 150 // n)
    colors = np.repeat(np.repeat(colors, tall, axis=0), wide, axis=1)
    if len(colors) > 2 * height:
        colors = colors[:: len(colors) // height]
    middle = colors.shape[1] // 2
    colors[:4, middle - 1 : middle + 2] = colors[-4:, middle - 1 : middle + 2] = (220, 30, 30)
    return encode_picture(colors, "PNG")


def color_rows(values: Float[np.ndarray, "*value"]) -> UInt8[np.ndarray, "*value 3"]:
    """Return colours of standard deviations from a row's mean, uint8, shape (..., 3): blue below, white, orange above.

    Examples
    --------
    >>> color_rows(np.array([0.0, np.nan])).tolist()
    [[255, 255, 255], [225, 225, 225]]
    """
    level = np.clip(np.nan_to_num(values) / LIMIT, -1, 1)[..., None]
    above, below = np.array([179, 88, 6.0]), np.array([33, 78, 140.0])
    colors = 255 + np.where(level > 0, level * (above - 255), -level * (below - 255))
    return np.where(np.isfinite(values)[..., None], colors, 225).astype(np.uint8)

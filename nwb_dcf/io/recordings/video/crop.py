"""Which part of each frame is read, and at what size."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ....config import ReadConfig
from ....errors import ParameterError
from ...backends.session import Session
from .decode import decode_image

GRAY = "gray level (0 to 255)"
"""Unit of frames of 8 bits as stored; deeper video files are given on the same scale."""

MASKED = 0
"""What masked pixels are set to in every frame: they hold no variance then, so that no axis sees them."""

WHOLE = 1 - 1e-6


@dataclass(frozen=True)
class FrameCrop:
    """A part of the frames and the size at which it is read.

    Attributes
    ----------
    full : (int, int)
        Width and height of the whole frames, pixels.
    crop : (int, int, int, int)
        x and y of the upper left corner of the part, its width and height.
    size : (int, int)
        Width and height that it is read at; no more than it has.
    masked : array of bool, shape (y, x), or None
        Pixels, of those read, that are set to `MASKED`.
    mask_sha256 : str
        Of the mask's file; empty without one.
    """

    full: tuple[int, int]
    crop: tuple[int, int, int, int]
    size: tuple[int, int]
    masked: np.ndarray | None = None
    mask_sha256: str = ""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of a frame as read."""
        return self.size[1], self.size[0]

    def apply_mask(self, frames: np.ndarray) -> np.ndarray:
        """Set the masked pixels of `frames`, shape (time, y, x), in place; return them."""
        if self.masked is not None:
            frames[:, self.masked] = MASKED
        return frames

    def describe(self) -> str:
        """Say what is read of a frame."""
        x, y, width, height = self.crop
        part = "" if (width, height) == self.full else f" from the {width} x {height} pixels at x {x}, y {y}"
        size = f"frames of {self.full[0]} x {self.full[1]} pixels read at {self.size[0]} x {self.size[1]}{part}"
        if self.masked is None:
            return size
        return f"{size}, {int(self.masked.sum())} of {self.masked.size} pixels masked (set to {MASKED})"


def plan_view(config: ReadConfig, full: tuple[int, int], session: Session, where: str) -> FrameCrop:
    """Plan how frames of `full` (width, height) pixels are read.

    Raises
    ------
    ParameterError
        If the crop reaches beyond the frames, or the mask cannot be read, has another size or leaves nothing.
    """
    x, y, width, height = config.crop or (0, 0, *full)
    if x + width > full[0] or y + height > full[1]:
        raise ParameterError(
            f"the crop reaches to x {x + width}, y {y + height}, and frames have {full[0]} x {full[1]} pixels",
            where=where,
            fix="give --crop X Y WIDTH HEIGHT within the frames",
        )
    most = config.size if isinstance(config.size, tuple) else (config.size, config.size)
    size = min(most[0], width), min(most[1], height)
    if config.mask is None:
        return FrameCrop(full, (x, y, width, height), size)
    path = _find_mask(config.mask, session)
    kept = read_mask(path, full)[y : y + height, x : x + width]
    masked = shrink_frames(kept[None].astype(np.float32), size)[0] < WHOLE
    if masked.all():
        raise ParameterError(
            "the mask leaves no whole pixel of the frames as read",
            where=config.mask,
            fix="give a mask that is black only where frames are to be hidden, or a larger --size",
        )
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return FrameCrop(full, (x, y, width, height), size, masked, digest)


def _find_mask(name: str, session: Session) -> Path:
    beside = session.path.parent / name if isinstance(session.path, Path) else Path(name)
    return beside if beside.is_file() and not Path(name).is_file() else Path(name)


def read_mask(path: Path, full: tuple[int, int]) -> np.ndarray:
    """Read which pixels of the whole frames are kept: those that are not black.

    Returns
    -------
    array of bool, shape (y, x)

    Raises
    ------
    ParameterError
        If there is no such image, or it has not the `full` (width, height) of the frames.
    """
    where = str(path)
    if not path.is_file():
        raise ParameterError("there is no such mask", where=where, fix="check the path given as --mask")
    if path.suffix.lower() == ".npy":
        try:
            mask = np.load(path, allow_pickle=False)
        except (OSError, ValueError) as error:
            raise ParameterError(f"this is no array: {error}", where=where, fix="save it with numpy.save") from error
    else:
        mask = decode_image(path)
    if mask.shape != (full[1], full[0]):
        given = " x ".join(map(str, mask.shape[::-1]))
        raise ParameterError(
            f"the mask has {given} pixels and the frames {full[0]} x {full[1]}",
            where=where,
            fix="give a mask as large as the whole frames, before cropping",
        )
    return np.asarray(mask != 0)


def shrink_frames(frames: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Shrink frames to `size` (width, height): each pixel is the mean of the area that it stands for.

    Parameters
    ----------
    frames : array of float32, shape (time, y, x)
    size : (int, int)
        No more than the frames have.

    Returns
    -------
    array of float32, shape (time, height, width)

    Examples
    --------
    >>> shrink_frames(np.float32([[[0, 3, 6]]]), (2, 1))
    array([[[1., 5.]]], dtype=float32)
    """
    if frames.shape[1:] == (size[1], size[0]):
        return frames
    down, across = _area_weights(frames.shape[1], size[1]), _area_weights(frames.shape[2], size[0])
    return np.asarray(down @ frames @ across.T, np.float32)


def _area_weights(n_in: int, n_out: int) -> np.ndarray:
    """Share of each of `n_in` pixels in the mean of each of `n_out`, shape (n_out, n_in)."""
    left = np.arange(n_out)[:, None] * (n_in / n_out)
    pixel = np.arange(n_in)[None]
    overlap = np.minimum(left + n_in / n_out, pixel + 1) - np.maximum(left, pixel)
    weights: np.ndarray = np.maximum(overlap, 0) * (n_out / n_in)
    return weights.astype(np.float32)

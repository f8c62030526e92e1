"""Plan which part of each frame is read, and at what size."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ....config import ReadConfig
from ....errors import ParameterError
from ...backends.session import Session
from .decode import decode_image

if TYPE_CHECKING:
    from jaxtyping import Bool, Float32, Real

GRAY = "gray level (0 to 255)"
"""Unit of frames of 8 bits as stored; deeper video files are given on the same scale."""

MASKED = 0
"""Value of masked pixels in every frame: a constant has no variance, so that no latent axis depends on it."""

WHOLE = 1 - 1e-6
"""Fraction of a pixel as read that must not be masked; rounding is allowed for."""


@dataclass(frozen=True)
class FrameCrop:
    """The part of the frames that is read, and its size as read.

    Attributes
    ----------
    full : (int, int)
        Width and height of the whole frames, pixels.
    crop : (int, int, int, int)
        x and y of the upper left corner of the part, its width and height, pixels.
    size : (int, int)
        Width and height of the part as read; no more than it has.
    masked : array of bool, shape (y, x), or None
        Pixels, of those read, that are set to `MASKED`.
    mask_sha256 : str
        Hash of the file of the mask; empty without one.
    """

    full: tuple[int, int]
    crop: tuple[int, int, int, int]
    size: tuple[int, int]
    masked: Bool[np.ndarray, "y x"] | None = None
    mask_sha256: str = ""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of a frame as read."""
        return self.size[1], self.size[0]

    def apply_mask(self, frames: Real[np.ndarray, "time y x"]) -> Real[np.ndarray, "time y x"]:
        """Set the masked pixels of `frames` in place; return them."""
        if self.masked is not None:
            frames[:, self.masked] = MASKED
        return frames

    def describe(self) -> str:
        """Describe what is read of a frame, for the notes."""
        x, y, width, height = self.crop
        part = "" if (width, height) == self.full else f" from the {width} x {height} pixels at x {x}, y {y}"
        size = f"frames of {self.full[0]} x {self.full[1]} pixels read at {self.size[0]} x {self.size[1]}{part}"
        if self.masked is None:
            return size
        return f"{size}, {int(self.masked.sum())} of {self.masked.size} pixels masked (set to {MASKED})"


def plan_crop(config: ReadConfig, full: tuple[int, int], session: Session, where: str) -> FrameCrop:
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
    # Frames are never enlarged: pixels between pixels would be invented.
    most = config.size if isinstance(config.size, tuple) else (config.size, config.size)
    size = min(most[0], width), min(most[1], height)
    if config.mask is None:
        return FrameCrop(full, (x, y, width, height), size)
    path = _find_mask(config.mask, session)
    kept = read_mask(path, full)[y : y + height, x : x + width]
    # A pixel as read is masked where any part of it is: no masked light may leak in.
    masked = shrink_frames(kept[None].astype(np.float32), size)[0] < WHOLE
    if masked.all():
        raise ParameterError(
            "the mask leaves no whole pixel of the frames as read",
            where=config.mask,
            fix="give a mask that is black only where frames are to be hidden, or a larger --size",
        )
    # The mask is no part of the NWB file: its hash shows whether it is still the same.
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return FrameCrop(full, (x, y, width, height), size, masked, digest)


def _find_mask(name: str, session: Session) -> Path:
    """Return the path of a mask: as given, else beside the NWB file."""
    beside = session.path.parent / name if isinstance(session.path, Path) else Path(name)
    return beside if beside.is_file() and not Path(name).is_file() else Path(name)


def read_mask(path: Path, full: tuple[int, int]) -> Bool[np.ndarray, "y x"]:
    """Read the pixels of the whole frames that are kept: those that are not black in the mask.

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
            # A pickle in an array would run code of whoever sent the mask.
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


def shrink_frames(
    frames: Float32[np.ndarray, "time y x"], size: tuple[int, int]
) -> Float32[np.ndarray, "time height width"]:
    """Shrink frames to `size` (width, height): each pixel is the mean of the area that it covers.

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
    # Rows and columns are separable: two small products in place of one sum over all pixels of an area.
    down, across = _area_weights(frames.shape[1], size[1]), _area_weights(frames.shape[2], size[0])
    return np.asarray(down @ frames @ across.T, np.float32)


def _area_weights(n_in: int, n_out: int) -> Float32[np.ndarray, "pixel_out pixel_in"]:
    """Compute the weight of each of `n_in` pixels in the mean of each of `n_out`."""
    left = np.arange(n_out)[:, None] * (n_in / n_out)
    pixel = np.arange(n_in)[None]
    overlap = np.minimum(left + n_in / n_out, pixel + 1) - np.maximum(left, pixel)
    return np.asarray(np.maximum(overlap, 0) * (n_out / n_in), np.float32)

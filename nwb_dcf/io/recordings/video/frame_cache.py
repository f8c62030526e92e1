"""Frames as read, kept in a file beside their video when asked."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ....errors import SourceError

if TYPE_CHECKING:
    from jaxtyping import Real

SUFFIX = ".dcf-frames.npy"


def name_cache(video: Path, identity: Any) -> Path:
    """Name the file that keeps frames beside `video`.

    Parameters
    ----------
    video : Path
    identity : JSON-able
        All that the frames depend on: hashes of the videos, crop and size.
    """
    # A change of anything gives another name, so that old frames are never taken for new ones.
    key = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:12]
    return video.with_name(f"{video.stem}.{key}{SUFFIX}")


def open_cache(path: Path, shape: tuple[int, ...]) -> Real[np.ndarray, "frame y x"] | None:
    """Map the frames kept at `path`; None where there are none of that shape."""
    if not path.is_file():
        return None
    # A cache may be damaged: then frames are decoded again, and it is replaced.
    with contextlib.suppress(OSError, ValueError, EOFError):
        frames = np.load(path, mmap_mode="r", allow_pickle=False)
        if frames.shape == shape:
            return np.asarray(frames)
    return None


def write_cache(
    path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], fill: Callable[[Real[np.ndarray, "frame y x"]], None]
) -> Real[np.ndarray, "frame y x"]:
    """Let `fill` write frames of `shape` to `path` and map them; an unfinished file is removed.

    Raises
    ------
    SourceError
        If the folder cannot be written to.
    """
    with _beside(path) as unfinished:
        try:
            frames = np.lib.format.open_memmap(unfinished, mode="w+", dtype=dtype, shape=shape)
            fill(frames)
            frames.flush()
            del frames
            os.replace(unfinished, path)
        except OSError as error:
            raise SourceError(
                f"frames cannot be kept beside the video: {error.strerror or error}",
                where=str(path.parent),
                fix="leave --keep-frames out, or make the folder writable",
            ) from error
    return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))


@contextlib.contextmanager
def _beside(path: Path) -> Iterator[Path]:
    # With the id of the process: two fits may write the same frames at once.
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield unfinished
    finally:
        unfinished.unlink(missing_ok=True)

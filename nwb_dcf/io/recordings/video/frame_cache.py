"""Frames as read, kept in a file beside their video when asked.

Behind the array, where NumPy does not look, stand what it was made from and its own hash: a file that lacks them, or
differs from them, is not trusted, and the frames are decoded again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ....errors import SourceError

if TYPE_CHECKING:
    from jaxtyping import Real

SUFFIX = ".dcf-frames.npy"
_MARK = b"nwb_dcf frames "
_TRAILER = len(_MARK) + 2 * 64  # and two hashes in hexadecimal
_PIECE = 2**24


@dataclass(frozen=True)
class CachePlace:
    """Where frames are kept, and what they are.

    Attributes
    ----------
    path : Path
        The file.
    key : str
        SHA-256 of all that the frames depend on.
    """

    path: Path
    key: str


def name_cache(video: Path, identity: Any) -> CachePlace:
    """Name the file that keeps frames beside `video`.

    Parameters
    ----------
    video : Path
    identity : JSON-able
        All that the frames depend on: hashes of the videos, crop and size.
    """
    # A change of anything gives another name, so that old frames are never taken for new ones.
    key = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
    return CachePlace(video.with_name(f"{video.stem}.{key[:12]}{SUFFIX}"), key)


def open_cache(place: CachePlace, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Real[np.ndarray, "frame y x"] | None:
    """Map the frames kept at `place`; None where there are none of that shape and type, or they have changed since."""
    if not place.path.is_file():
        return None
    # A cache may be damaged: then frames are decoded again, and it is replaced.
    with contextlib.suppress(OSError, ValueError, EOFError):
        with place.path.open("rb") as file:
            size = file.seek(-_TRAILER, os.SEEK_END)
            if file.read() != _MARK + place.key.encode() + _hash_file(place.path, size).encode():
                return None
        frames = np.load(place.path, mmap_mode="r", allow_pickle=False)
        if frames.shape == shape and frames.dtype == dtype:
            return np.asarray(frames)
    return None


def write_cache(
    place: CachePlace,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    fill: Callable[[Real[np.ndarray, "frame y x"]], None],
) -> Real[np.ndarray, "frame y x"]:
    """Let `fill` write frames of `shape` to `place` and map them; an unfinished file is removed.

    Raises
    ------
    SourceError
        If the folder cannot be written to.
    """
    path = place.path
    try:
        with _beside(path) as unfinished:
            frames = np.lib.format.open_memmap(unfinished, mode="w+", dtype=dtype, shape=shape)
            fill(frames)
            frames.flush()
            del frames
            digest = _hash_file(unfinished, unfinished.stat().st_size)
            with unfinished.open("ab") as file:
                file.write(_MARK + place.key.encode() + digest.encode())
            os.replace(unfinished, path)
    except OSError as error:
        raise SourceError(
            f"frames cannot be kept beside the video: {error.strerror or error}",
            where=str(path.parent),
            fix="leave --keep-frames out, or make the folder writable",
        ) from error
    return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))


def _hash_file(path: Path, n_bytes: int) -> str:
    """SHA-256 of the first bytes of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while n_bytes > 0 and (piece := file.read(min(n_bytes, _PIECE))):
            digest.update(piece)
            n_bytes -= len(piece)
    return digest.hexdigest()


@contextlib.contextmanager
def _beside(path: Path) -> Iterator[Path]:
    # A name that nobody can foresee, made where nothing is: two fits may write the same frames at once, and a link in
    # its place would be followed.
    unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    os.close(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    try:
        yield unfinished
    finally:
        unfinished.unlink(missing_ok=True)

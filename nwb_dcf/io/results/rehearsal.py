"""Try the append before training, on a skeleton: a copy of the file without its large arrays.

What pynwb cannot append to is refused then, and not after hours. The skeleton has every object, attribute, link and
reference of the file at its place; where bytes of large plain arrays are, it has a hole that takes no space.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import h5py
import numpy as np

from ... import __version__
from ...errors import StoreError
from .atomic import make_private
from .atomic_folder import copy_folder
from .clean_process import run_forked
from .payload import PARTS, FitAttributes, Payload
from .read import SCHEMA_VERSION
from .safetensors_bytes import write_tensors

LARGE = 2**16
"""Bytes of an array from which on it is left out."""
PIECE = 2**24


@contextmanager
def rehearse_append(
    original: Path, *, name: str, kind: str, dim: int, source_id: str | None, where: str
) -> Iterator[None]:
    """Add a fit of two frames to a skeleton of `original`, which is not changed, beside what the block does.

    Parameters
    ----------
    original : Path
        A file in HDF5, or a folder of Zarr.
    name, kind : str
        Of the fit.
    dim : int
        Number of latents.
    source_id : str or None
        Object id of what is fitted.
    where : str
        Names the file in errors.

    Raises
    ------
    StoreError
        At the end of the block, if pynwb cannot append to the file.
    """
    with tempfile.TemporaryDirectory(prefix="nwb-dcf-") as folder:
        skeleton = Path(folder) / f"skeleton{original.suffix}"
        payload = make_private(Path(folder) / "payload.npz")
        payload.write_bytes(_make_payload(kind, dim).to_bytes())
        try:
            if original.is_dir():
                copy_folder(original, skeleton, linked=False)
            else:
                copy_skeleton(original, skeleton)
        except OSError:  # no space for it here: the write itself says what is wrong
            yield
            return
        request = {"copy": str(skeleton), "payload": str(payload), "name": name, "source_id": source_id}
        try:
            with run_forked("append.py", request, folder=original.parent, where=where):
                yield
        except StoreError as error:
            what = error.what.removeprefix("writing failed: ")
            raise StoreError(
                f"a fit cannot be added to this file: {what}",
                where=where,
                fix="write the fit into a file of its own with -o RESULT.nwb --results-only",
            ) from error


def copy_skeleton(original: Path, skeleton: Path) -> None:
    """Copy an HDF5 file with holes where the bytes of large plain arrays are.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    with h5py.File(original, "r") as file:
        holes = _merge(sorted(_list_extents(file)))
        with original.open("rb") as source, skeleton.open("wb") as copy:
            size, at = os.fstat(source.fileno()).st_size, 0
            for start, stop in [*holes, (size, size)]:
                source.seek(at)
                copy.seek(at)
                _copy_bytes(source, copy, min(start, size) - at)
                at = stop
            copy.truncate(size)


def _list_extents(file: h5py.File) -> Iterator[tuple[int, int]]:
    """Where in the file the bytes of large arrays of numbers lie; texts and references are kept, pynwb reads them."""
    found: list[h5py.Dataset] = []
    file.visititems(lambda _, item: found.append(item) if _is_large(item) else None)
    for dataset in found:
        if dataset.chunks is None:
            start = dataset.id.get_offset()
            if start is not None and not dataset.external:
                yield start, start + dataset.id.get_storage_size()
            continue
        for i in range(dataset.id.get_num_chunks()):
            chunk = dataset.id.get_chunk_info(i)
            yield chunk.byte_offset, chunk.byte_offset + chunk.size


def _is_large(item: object) -> bool:
    if not isinstance(item, h5py.Dataset) or item.is_virtual or item.dtype.kind not in "biufc":
        return False
    return bool(item.id.get_storage_size() > LARGE)


def _merge(extents: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, stop in extents:
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(stop, merged[-1][1])
        else:
            merged.append((start, stop))
    return merged


def _copy_bytes(source: BinaryIO, copy: BinaryIO, n_bytes: int) -> None:
    while n_bytes > 0:
        piece = source.read(min(n_bytes, PIECE))
        if not piece:
            return
        copy.write(piece)
        n_bytes -= len(piece)


def _make_payload(kind: str, dim: int) -> Payload:
    """The least that a fit has: two frames, and channels and axes as many as latents."""
    n = np.arange(dim)
    weights = np.frombuffer(write_tensors({"v.x": np.zeros(1)}), np.uint8)
    arrays = {
        "latents/data": np.zeros((2, dim), np.float32),
        "latents/timestamps": np.array([0.0, 1.0]),
        "segments/start_time": np.array([0.0]),
        "segments/stop_time": np.array([2.0]),
        "segments/start_index": np.array([0]),
        "segments/count": np.array([2]),
        "axes/component": n + 1,
        "axes/variance": np.ones(dim),
        "training/step": np.array([0]),
        "loadings": np.eye(dim),
        "mean": np.zeros(dim),
        "channels": n,
        **{f"{part}/weights": weights for part in PARTS.values()},
    }
    texts = dict.fromkeys(
        ["config", "provenance", "summary", *(f"{part}/architecture" for part in PARTS.values())], "{}"
    )
    attributes: FitAttributes = {
        "schema_version": SCHEMA_VERSION,
        "package_version": __version__,
        "kind": kind,
        "dim": dim,
        "k_eff": dim,
    }
    return Payload(arrays, texts, attributes, {"latents": "1"})

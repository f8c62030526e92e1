"""A folder of Zarr seen as zarr 2 shows it, where zarr 3 is installed: groups and arrays of both formats.

zarr 3 opens no array of format 2 that holds objects, such as texts, and its groups are no mappings. Here groups are
read from their folders, and those arrays are decoded by numcodecs; every other array is zarr's own.
Clean processes run this file by its path, so it imports nothing of the package.
"""

from __future__ import annotations

import math
import runpy
from collections.abc import Iterator
from functools import cached_property
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Shaped

_FORMAT = runpy.run_path(str(Path(__file__).with_name("zarr_format.py")))


def open_group(folder: Path) -> Any:
    """Open the Zarr folder at `folder` for reading, as what is installed can.

    Returns
    -------
    zarr.Group or FolderGroup
    """
    import zarr

    if zarr.__version__.startswith("2."):
        return zarr.open_group(str(folder), mode="r")
    return FolderGroup(Path(folder), "")


class FolderGroup:
    """A group of Zarr, read from its folder.

    Parameters
    ----------
    root : Path
        Folder of the whole session.
    path : str
        Path of the group below it, without a slash at the beginning; empty for the root.
    """

    def __init__(self, root: Path, path: str) -> None:
        self.path, self.name = path, f"/{path}"
        self.store = SimpleNamespace(path=str(root), close=lambda: None)
        self._root = root
        self.attrs: dict[str, Any] = _FORMAT["read_metadata"](root / path)[0]

    @property
    def root(self) -> FolderGroup:
        """Group of the whole session."""
        return FolderGroup(self._root, "")

    def keys(self) -> list[str]:
        """Names of the groups and arrays in it."""
        found: list[str] = _FORMAT["list_members"](self._root / self.path)
        return found

    def items(self) -> Iterator[tuple[str, Any]]:
        """Yield names and what they name."""
        return ((name, self[name]) for name in self)

    def get(self, path: str, default: Any = None) -> Any:
        """Return what is at `path` below it, `default` if nothing."""
        try:
            return self[path]
        except KeyError:
            return default

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self.keys())

    def _place(self, path: str) -> str:
        return path.strip("/") if path.startswith("/") else f"{self.path}/{path}".strip("/")

    def __contains__(self, path: str) -> bool:
        try:
            _FORMAT["read_metadata"](self._root / self._place(path))
        except FileNotFoundError:
            return False
        return True

    def __getitem__(self, path: str) -> Any:
        place = self._place(path)
        try:
            _, described = _FORMAT["read_metadata"](self._root / place)
        except FileNotFoundError:
            raise KeyError(path) from None
        return FolderGroup(self._root, place) if described is None else FolderArray(self._root, place)

    def close(self) -> None:
        """Do nothing: no file stays open."""

    def __enter__(self) -> FolderGroup:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class FolderArray:
    """An array of Zarr; texts of either format are objects, as in zarr 2.

    Parameters
    ----------
    root, path
        See `FolderGroup`.
    """

    def __init__(self, root: Path, path: str) -> None:
        self.path, self.name = path, f"/{path}"
        self._root, self._folder = root, root / path
        self.attrs, self._described = _FORMAT["read_metadata"](self._folder)
        self.shape = tuple(int(n) for n in self._described["shape"])

    @cached_property
    def _array(self) -> Any:
        """What is sliced: zarr's array, or all values of one that zarr cannot open."""
        import zarr

        if not self._holds_objects:
            return zarr.open_array(str(self._folder), mode="r")
        return _decode_objects(self._folder, self._described)

    @property
    def _holds_objects(self) -> bool:
        if self._described["zarr_format"] == 3:
            return False
        dtype = self._described["dtype"]
        return any(field[1] == "|O" for field in dtype) if isinstance(dtype, list) else dtype == "|O"

    @property
    def dtype(self) -> np.dtype:
        """Type of the values."""
        dtype = self._array.dtype
        return np.dtype(object) if dtype.kind == "T" else np.dtype(dtype)

    @property
    def fill_value(self) -> Any:
        """Value of a chunk that is not there."""
        return self._described.get("fill_value")

    @property
    def nchunks(self) -> int:
        """Number of chunks, or of shards, that the array has."""
        if self._described["zarr_format"] == 3:
            chunks = self._described["chunk_grid"]["configuration"]["chunk_shape"]
        else:
            chunks = self._described["chunks"]
        return math.prod(-(-n // c) for n, c in zip(self.shape, chunks, strict=True))

    def _list_chunks(self) -> list[Path]:
        return [file for file in self._folder.rglob("*") if file.is_file() and not _FORMAT["is_metadata"](file.name)]

    @property
    def nchunks_initialized(self) -> int:
        """Number of chunks that are there."""
        return len(self._list_chunks())

    @property
    def nbytes_stored(self) -> int:
        """Bytes of the chunks that are there."""
        return sum(file.stat().st_size for file in self._list_chunks())

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> Any:
        values = self._array[key]
        return values.astype(object) if getattr(getattr(values, "dtype", None), "kind", "") == "T" else values


def _decode_objects(folder: Path, described: dict[str, Any]) -> Shaped[np.ndarray, "*_"]:
    """Decode an array of format 2 that holds objects; of pickles, references alone."""
    import numcodecs

    dtype = described["dtype"]
    fields = np.dtype([tuple(field) for field in dtype] if isinstance(dtype, list) else object)
    shape, chunks = tuple(described["shape"]), tuple(described["chunks"])
    values = np.full(shape, described["fill_value"] if fields.names is None else 0, dtype=fields)
    restrict = runpy.run_path(str(Path(__file__).with_name("restricted_pickle.py")))["restrict_pickles"]
    with restrict():
        codecs = [described["compressor"], *reversed(described.get("filters") or [])]
        decoders = [numcodecs.get_codec(codec) for codec in codecs if codec]
    separator = described.get("dimension_separator", ".")
    for place in product(*(range(-(-n // c)) for n, c in zip(shape, chunks, strict=True))):
        file = folder / (separator.join(map(str, place)) or "0")
        if not file.exists():
            continue
        chunk: Any = file.read_bytes()
        for decoder in decoders:
            chunk = decoder.decode(chunk)
        chunk = np.asarray(chunk, dtype=fields).reshape(chunks, order=described.get("order", "C"))
        inside = tuple(slice(i * c, min((i + 1) * c, n)) for i, c, n in zip(place, chunks, shape, strict=True))
        values[inside] = chunk[tuple(slice(0, part.stop - part.start) for part in inside)]
    return values

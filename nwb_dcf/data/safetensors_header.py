"""The header of safetensors bytes, checked against the bytes that follow it before anything is allocated.

The format is eight bytes of length, a JSON header, and the arrays' bytes one after the other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from .stored_json import StoredJSONError, parse_json

METADATA = "__metadata__"
BYTES = {
    "F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2, "U16": 2,
    "I8": 1, "U8": 1, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1,
}  # fmt: skip
_FLOATS = {"F64": "<f8", "F32": "<f4", "F16": "<f2"}
MOST_DIMS = 8  # kernels of images have four


@dataclass(frozen=True)
class TensorEntry:
    """One array: its type by safetensors' name, its shape, and its bytes as a slice of the body."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int


@dataclass(frozen=True)
class TensorsHeader:
    """What safetensors bytes hold.

    Attributes
    ----------
    entries : dict of str to TensorEntry
    metadata : dict of str to str
    body : int
        Where the arrays' bytes begin.
    """

    entries: dict[str, TensorEntry]
    metadata: dict[str, str]
    body: int


def read_header(data: bytes, what: str = "weights") -> TensorsHeader:
    """Read the header of safetensors bytes.

    Parameters
    ----------
    data : bytes
    what : str
        Their name for errors.

    Raises
    ------
    StoredJSONError
        If the header claims more than there is, an array's shape disagrees with its bytes, or bytes are left over.
    """
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > len(data) - 8:
        raise StoredJSONError(f"{what} have {len(data)} bytes, and their header claims {length}")
    header = parse_json(data[8 : 8 + length], f"header of {what}")
    metadata = header.pop(METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise StoredJSONError(f"metadata of {what} are no texts")
    entries = {name: _read_entry(entry, f"{name} of {what}") for name, entry in header.items()}
    # neither gaps nor overlaps: empty arrays begin where the next one does, and sort before it by their end
    reached = 0
    for name, entry in sorted(entries.items(), key=lambda item: (item[1].start, item[1].stop)):
        if entry.start != reached:
            raise StoredJSONError(f"{name} of {what} begins at byte {entry.start}, and {reached} are taken before it")
        reached = entry.stop
    if reached != len(data) - 8 - length:
        raise StoredJSONError(f"arrays of {what} claim {reached} bytes, and {len(data) - 8 - length} are there")
    return TensorsHeader(entries, metadata, 8 + length)


def _read_entry(entry: Any, name: str) -> TensorEntry:
    if not isinstance(entry, dict):
        raise StoredJSONError(f"{name} is no description of an array")
    dtype, shape, places = entry.get("dtype"), entry.get("shape"), entry.get("data_offsets")
    if not isinstance(dtype, str) or dtype not in BYTES:
        raise StoredJSONError(f"{name} is of type {str(dtype)[:40]!r}, which is not known")
    if not isinstance(shape, list) or len(shape) > MOST_DIMS or not all(map(_is_count, shape)):
        raise StoredJSONError(f"{name} has the shape {str(shape)[:80]}")
    if not isinstance(places, list) or len(places) != 2 or not all(map(_is_count, places)):
        raise StoredJSONError(f"{name} has the offsets {str(places)[:80]}")
    needed, (start, stop) = math.prod(shape) * BYTES[dtype], places
    if stop - start != needed:
        raise StoredJSONError(f"{name} has the shape {shape}, which takes {needed} bytes, and {stop - start} are its")
    return TensorEntry(dtype, tuple(shape), start, stop)


def _is_count(value: Any) -> bool:
    # a bool is an int to Python, and JSON has true and false
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53


def refuse_not_finite(data: bytes, header: TensorsHeader, what: str = "weights") -> None:
    """Raise if an array of numbers with a point holds NaN or infinity.

    Raises
    ------
    StoredJSONError
        That names the array.
    """
    body = memoryview(data)[header.body :]
    for name, entry in header.entries.items():
        part = body[entry.start : entry.stop]
        if entry.dtype == "BF16":  # the upper half of a float32
            values = (np.frombuffer(part, "<u2").astype(np.uint32) << 16).view(np.float32)
        elif entry.dtype in _FLOATS:
            values = np.frombuffer(part, _FLOATS[entry.dtype])
        else:
            continue
        if not np.isfinite(values).all():
            raise StoredJSONError(f"{name} of {what} holds NaN or infinite values")

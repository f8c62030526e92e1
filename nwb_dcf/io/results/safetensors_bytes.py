"""Arrays as safetensors bytes and back, with NumPy alone.

The format is eight bytes of length, a JSON header, and the arrays' bytes; see `payload` for its source. The library
writes arrays that are not C-contiguous scrambled, in silence, and needs torch beside it for nothing here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Shaped

_DTYPES: dict[str, np.dtype[Any]] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "I64": np.dtype("<i8"),
    "U8": np.dtype("u1"),
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}


def write_tensors(tensors: Mapping[str, Shaped[np.ndarray, "*_"]], metadata: Mapping[str, str] | None = None) -> bytes:
    """Return arrays as safetensors bytes.

    Examples
    --------
    >>> read_tensors(write_tensors({"a": np.arange(6.0).reshape(2, 3).T}))["a"].tolist()
    [[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]]
    """
    header: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    bodies, offset = [], 0
    # wide dtypes first, so that every array is aligned
    for name in sorted(tensors, key=lambda key: (-tensors[key].dtype.itemsize, key)):
        values = np.ascontiguousarray(tensors[name])
        body = values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes()
        places = [offset, offset := offset + len(body)]
        header[name] = {
            "dtype": _NAMES[values.dtype.newbyteorder("<")],
            "shape": list(values.shape),
            "data_offsets": places,
        }
        bodies.append(body)
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # the values begin at a multiple of eight bytes
    return len(text).to_bytes(8, "little") + text + b"".join(bodies)


def read_tensors(data: bytes) -> dict[str, Shaped[np.ndarray, "*_"]]:
    """Return the arrays in safetensors bytes; metadata are left out."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    body = data[8 + length :]
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__":
            start, stop = entry["data_offsets"]
            dtype: np.dtype[Any] = _DTYPES[entry["dtype"]]
            tensors[name] = np.frombuffer(body[start:stop], dtype=dtype).reshape(entry["shape"])
    return tensors

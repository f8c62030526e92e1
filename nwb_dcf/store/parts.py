"""The model's safetensors bytes, cut into the parts that a file keeps apart, and joined again.

The format is simple enough to be read with plain Python: eight bytes of length, a JSON header that says for each
tensor its dtype, shape and place, and the tensors' bytes (https://github.com/huggingface/safetensors).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..errors import StoreError

PARTS = {"u": "compressive_flow", "v": "dynamical_flow", "coupling": "coupling"}  # by symbol
_METADATA = "__metadata__"
_OWN = "nwb_dcf"  # our entry in the metadata: a JSON document
_BYTES = {"64": 8, "32": 4, "16": 2, "8": 1}


def split_weights(data: bytes) -> tuple[dict[str, bytes], dict[str, str]]:
    """Cut a model into its parts.

    Parameters
    ----------
    data : bytes
        As `nwb_dcf.DCF.to_bytes` gives it.

    Returns
    -------
    parts : dict of str to bytes
        safetensors bytes of ``compressive_flow`` (tensors ``u.*``), ``dynamical_flow`` (``v.*``) and ``coupling`` (all
        others, with the model's settings and statistics in its metadata).
    architectures : dict of str to str
        For each of them what it computes, as JSON.

    Raises
    ------
    StoreError
        If `data` are no safetensors bytes.
    """
    try:
        header, tensors = _parse(data)
        about = json.loads(header.get(_METADATA, {}).get(_OWN, "{}"))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        what = f"the weights are no safetensors bytes ({error})"
        raise StoreError(what, fix="write results as DCF.fit made them") from error
    described = about.get("architecture", {}) if isinstance(about, dict) else {}
    parts, architectures = {}, {}
    for symbol, part in PARTS.items():
        own = {name: tensor for name, tensor in tensors.items() if _part_of(name) == part}
        parts[part] = _assemble(own, header.get(_METADATA, {}) if part == "coupling" else {})
        shapes = {name: {"dtype": entry["dtype"], "shape": entry["shape"]} for name, (entry, _) in own.items()}
        architectures[part] = json.dumps({"symbol": symbol, **described.get(symbol, {}), "tensors": shapes})
    return parts, architectures


def join_weights(parts: Mapping[str, bytes]) -> bytes:
    """Join what `split_weights` cut: the same bytes again."""
    tensors: dict[str, tuple[dict[str, Any], bytes]] = {}
    metadata: dict[str, str] = {}
    for part in PARTS.values():
        header, own = _parse(parts[part])
        tensors |= own
        metadata |= header.get(_METADATA, {})
    return _assemble(tensors, metadata)


def have_equal_tensors(one: bytes, other: bytes) -> bool:
    """Whether two models hold the same tensors to the bit, whatever their metadata say."""
    return _parse(one)[1] == _parse(other)[1]


def _part_of(tensor: str) -> str:
    return PARTS.get(tensor.partition(".")[0], "coupling")


def _parse(data: bytes) -> tuple[dict[str, Any], dict[str, tuple[dict[str, Any], bytes]]]:
    length = int.from_bytes(data[:8], "little")
    header: dict[str, Any] = json.loads(data[8 : 8 + length])
    body = memoryview(data)[8 + length :]
    tensors = {}
    for name, entry in header.items():
        if name != _METADATA:
            start, stop = entry["data_offsets"]
            tensors[name] = ({key: entry[key] for key in ("dtype", "shape")}, bytes(body[start:stop]))
    return header, tensors


def _assemble(tensors: Mapping[str, tuple[dict[str, Any], bytes]], metadata: Mapping[str, str]) -> bytes:
    """Lay tensors out as the safetensors library does: wide dtypes first, then by name, the header padded to 8."""
    order = sorted(tensors, key=lambda name: (-_count_bytes(tensors[name][0]["dtype"]), name))
    header: dict[str, Any] = {_METADATA: dict(metadata)} if metadata else {}
    offset = 0
    for name in order:
        entry, content = tensors[name]
        places = [offset, offset := offset + len(content)]
        header[name] = {"dtype": entry["dtype"], "shape": entry["shape"], "data_offsets": places}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + b"".join(tensors[name][1] for name in order)


def _count_bytes(dtype: str) -> int:
    return next((n for digits, n in _BYTES.items() if dtype.endswith(digits)), 1)

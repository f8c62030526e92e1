"""Hashes of a stored fit by its parts: whether it still is what was written.

What a stranger's file must not hold is refused in `fit_layout` and `data.fit_schema`. The hashes lie in the provenance.
Whoever edits a fit on purpose can write new ones: they show accidents and edits, and are no signature.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Shaped

KEY = "hashes"
"""Where the provenance keeps them."""
_UNREAD = "sources"  # repeats the provenance


def hash_parts(
    arrays: Mapping[str, Shaped[np.ndarray, "*_"]], texts: Mapping[str, str], attributes: Mapping[str, object]
) -> dict[str, str]:
    """Return the SHA-256 of each part of a fit: an array, a group of them, a document, the attributes.

    Parameters
    ----------
    arrays : mapping of str to array
        By their path inside the container.
    texts : mapping of str to str
        Documents, JSON; of the provenance its hashes do not count.
    attributes : mapping
        ``kind``, ``dim``, ``k_eff``.
    """
    digests: dict[str, Any] = {}
    for path in sorted(arrays):
        if (part := path.partition("/")[0]) != _UNREAD:
            _add_array(digests.setdefault(part, hashlib.sha256()), path, arrays[path])
    for path in sorted(texts):
        text = _without_hashes(texts[path]) if path == "provenance" else texts[path]
        digests.setdefault(path.partition("/")[0], hashlib.sha256()).update(f"{path}\0{text}\0".encode())
    # HDF5 and Zarr give numbers of their own types.
    about = json.dumps({key: str(attributes.get(key)) for key in ("kind", "dim", "k_eff")}, sort_keys=True)
    digests["attributes"] = hashlib.sha256(about.encode())
    return {part: digest.hexdigest() for part, digest in sorted(digests.items())}


def find_altered(known: Mapping[str, str] | None, now: Mapping[str, str]) -> list[str] | None:
    """Name the parts that differ from what was written; None for fits from before there were hashes."""
    if not known:
        return None
    return sorted(part for part in {*known, *now} if known.get(part) != now.get(part))


def _without_hashes(provenance: str) -> str:
    document = {key: value for key, value in json.loads(provenance).items() if key != KEY}
    return json.dumps(document, sort_keys=True)


def _add_array(digest: Any, path: str, values: Shaped[np.ndarray, "*_"]) -> None:
    values = np.asarray(values)
    digest.update(f"{path} {values.shape} ".encode())
    if values.dtype.kind == "U":  # its width is that of the longest text, which HDF5 does not keep
        digest.update("\0".join(values.ravel().tolist()).encode("utf-8", "surrogatepass"))
        return
    plain = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
    digest.update(plain.dtype.str.encode())
    digest.update(plain.tobytes())

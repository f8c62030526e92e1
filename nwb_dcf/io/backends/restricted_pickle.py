"""Let numcodecs unpickle arrays of object references and nothing else: a pickle may run any code.

hdmf-zarr pickles arrays of references, such as the groups of electrodes, and a file from an archive is not to be
trusted that far. Clean processes run this file by its path, so it imports nothing of the package.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# All that a pickled array of references needs.
_ALLOWED = {
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("hdmf_zarr.utils", "ZarrReference"),
}


@contextmanager
def restrict_pickles() -> Iterator[None]:
    """Restrict the codec ``pickle`` of numcodecs inside the block; arrays opened there stay restricted."""
    from numcodecs.pickles import Pickle
    from numcodecs.registry import register_codec

    class PickledReferences(Pickle):  # type: ignore[misc]
        codec_id = "pickle"

        def decode(self, buf: Any, out: Any = None) -> Any:
            values = _RestrictedUnpickler(io.BytesIO(bytes(memoryview(buf)))).load()
            if out is None:
                return values
            out[...] = values
            return out

    # Zarr looks a codec up by its name when it opens an array, and keeps it.
    register_codec(PickledReferences)
    try:
        yield
    finally:
        register_codec(Pickle)


class _RestrictedUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        # Every call that a pickle makes goes by a name that is looked up here.
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"a pickle in it asks for {module}.{name}, which is not allowed")
        return super().find_class(module, name)

"""Read what h5py and zarr store alike: groups, arrays, texts and attributes.

Clean processes run this file by its path, so it imports nothing of the package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Shaped


def is_group(item: Any) -> bool:
    """Whether `item` is a group of h5py or zarr, and neither an array nor None."""
    return item is not None and hasattr(item, "keys") and not hasattr(item, "dtype")


def read_values(array: Any) -> Shaped[np.ndarray, "*_"]:
    """Return the values of an array; texts as dtype U."""
    if isinstance(array, h5py.Dataset):
        if h5py.check_string_dtype(array.dtype):
            return np.array(array.asstr()[()], dtype=np.str_)
        return np.asarray(array[()])
    values = np.asarray(array[()])
    if array.attrs.get("zarr_dtype") == "scalar":  # hdmf-zarr stores a scalar as an array of one
        values = values.reshape(())
    return np.array(values, dtype=np.str_) if values.dtype.kind == "O" else np.asarray(values)


def read_text(group: Any, name: str) -> str:
    """Return the text in the scalar dataset `name` of a group."""
    return str(read_values(group[name])[()])


def read_attribute(item: Any, key: str) -> Any:
    """Return an attribute, texts decoded; an empty text where there is none."""
    value = item.attrs.get(key, "")
    return value.decode() if isinstance(value, bytes) else value


def follow(group: Any, path: str) -> Any:
    """Return what lies at `path` below a group, None if nothing; links of hdmf-zarr are followed, zarr has none."""
    if path in group or isinstance(group, h5py.Group):
        return group.get(path)
    # hdmf-zarr keeps links as attributes of the group that holds them, under another name in format 3; "." is the
    # same folder.
    parent, _, name = path.rpartition("/")
    attributes = (group[parent] if parent else group).attrs
    links = attributes.get("_LINKS", attributes.get("zarr_link", []))
    target = next((link["path"] for link in links if link["name"] == name and link["source"] == "."), None)
    if target is None:
        return None
    if hasattr(group, "root"):
        return group.root[target]
    import zarr

    return zarr.open_group(group.store, mode="r")[target]

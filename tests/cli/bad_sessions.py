"""A sound session changed in one place each: every dataset and every attribute, in every way of a list.

What comes of it may still be read, as where a description is gone: then the command ends with 0, else with 2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

Change = Callable[[h5py.File], None]
HUGE = 10**12


def _swap(path: str, make: Callable[[h5py.Dataset], Any]) -> Change:
    """Put something else in the place of a dataset, with its attributes."""

    def change(file: h5py.File) -> None:
        old = file[path]
        attributes, value = dict(old.attrs), make(old)
        del file[path]
        if isinstance(value, tuple) and value and value[0] == "claim":
            file.create_dataset(path, shape=value[1], dtype=value[2], chunks=(1000, *value[1][1:]))
        else:
            file[path] = value
        if isinstance(file.get(path), h5py.Dataset):
            for key, attribute in attributes.items():
                file[path].attrs[key] = attribute

    return change


def _is_number(dataset: h5py.Dataset) -> bool:
    return dataset.dtype.kind in "iuf"


DATASETS: dict[str, Callable[[h5py.Dataset], Any]] = {
    "text": lambda d: np.array([b"hello"] * (len(d) if d.shape else 1)),
    "nothing": lambda d: np.zeros(0),
    "a scalar": lambda d: np.float64(3.0),
    "two axes": lambda d: np.zeros((3, 4)),
    "NaN": lambda d: np.full(d.shape, np.nan),
    "infinity": lambda d: np.full(d.shape, np.inf),
    "huge numbers": lambda d: np.full(d.shape, 2**63 - 1, np.int64),
    "negative numbers": lambda d: np.full(d.shape, -1, np.int64),
    "1e308": lambda d: np.full(d.shape, 1e308),
    "a claim of a size": lambda d: ("claim", (HUGE,), d.dtype if _is_number(d) else "f8"),
    "a link to nothing": lambda d: h5py.SoftLink("/nowhere"),
    "a link to itself": lambda d: h5py.SoftLink(d.name),
    "a link into no file": lambda d: h5py.ExternalLink("nowhere.h5", "/x"),
    "a reference": lambda d: np.array([d.parent.ref] * 3, dtype=h5py.ref_dtype),
    "bytes that are no UTF-8": lambda d: np.array([b"\xff\xfe\x1b[31m"] * (len(d) if d.shape else 1)),
    "booleans": lambda d: np.ones(d.shape, bool),
    "half the values": lambda d: d[: max(1, len(d) // 2)] if d.shape else d[()],
    "a complex": lambda d: np.full(d.shape, 1j),
}
ATTRIBUTES: dict[str, Any] = {
    "gone": None,
    "a number": 7,
    "bytes that are no UTF-8": np.bytes_(b"\xff\xfe\x1b[31m"),
    "long": "x" * 60_000,
    "an array": np.arange(3),
    "of another type": "Nothing",
}


def list_changes(path: Path) -> Iterator[tuple[str, Change]]:
    """Every change of the session at `path`, its specifications aside, with its name."""
    with h5py.File(path, "r") as file:
        datasets: list[str] = []
        attributes: list[tuple[str, str]] = [("/", key) for key in file.attrs]

        def visit(name: str, item: Any) -> None:
            if name.startswith("specifications"):
                return
            attributes.extend((f"/{name}", key) for key in item.attrs)
            if isinstance(item, h5py.Dataset):
                datasets.append(f"/{name}")

        file.visititems(visit)
    for name in datasets:
        yield f"{name} is gone", lambda file, name=name: file.__delitem__(name)
        for what, make in DATASETS.items():
            yield f"{name} is {what}", _swap(name, make)
    for name, key in attributes:
        for what, value in ATTRIBUTES.items():
            yield f"{name}@{key} is {what}", _set_attribute(name, key, value)


def _set_attribute(name: str, key: str, value: Any) -> Change:
    def change(file: h5py.File) -> None:
        del file[name].attrs[key]
        if value is not None:
            file[name].attrs[key] = value

    return change

"""A stored fit changed in one place each, as a damaged file or a stranger's may have it.

Everything here is a harmless stand-in: a wrong type, a claim, a link that leads to a marked file of the test's own.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np

Change = Callable[[h5py.Group], None]
PARTS = ("coupling", "compressive_flow", "dynamical_flow")
DOCUMENTS = ("config", "provenance", "summary", *(f"{part}/architecture" for part in PARTS))
FORMS = {
    "a list": "[1, 2]",
    "a number": "3",
    "null": "null",
    "text": '"hello"',
    "nothing": "",
    "unfinished": '{"a": [1, 2',
    "nested": '{"a": ' + "[" * 100_000 + "]" * 100_000 + "}",
    "nested a little too deep": '{"a": ' + "[" * 60 + "]" * 60 + "}",
    "NaN": '{"a": NaN}',
    "infinity": '{"a": -Infinity}',
    "beyond every number": '{"a": 1e999}',
    "5000 digits": '{"a": ' + "9" * 5000 + "}",
}
LONG = "x" * 100_000
PROVENANCE: dict[str, list[Any]] = {
    "source": [
        "/units",
        [],
        7,
        {"path": 5},
        {"path": LONG},
        {"members": "all"},
        {"channel_rows": ["a"]},
        {"values": -1},
    ],
    "split": [[], {"training": -1}, {"share": 2}, {"share": "most"}, {"held_out_intervals_s": [[1, 2, 3]]}],
    "notes": ["text", [1], {"a": 1}, [LONG]],
    "left_out": ["all", [1]],
    "channels": [3, [None], {"y": 3}],
    "preparation": [
        [],
        {},
        {"transform": "log", "smooth_s": 0.1, "scale": "none", "factor": [1.0], "offset": [0.0]},
        {"transform": "sqrt", "smooth_s": -1, "scale": "none", "factor": [1.0], "offset": [0.0]},
        {"transform": "sqrt", "smooth_s": 0, "scale": "none", "factor": [1.0, 2.0], "offset": [0.0]},
        {"transform": "sqrt", "smooth_s": 0, "scale": "none", "factor": [[1.0], [1.0, 2.0]], "offset": [[0.0], [0.0]]},
        {"transform": "sqrt", "smooth_s": 0, "scale": "none", "factor": ["1"], "offset": [0.0]},
    ],
    "support": [1, {}, {"causal": "no"}],
    "model": [1, {"name": 5}],
    "matching": ["id", {"by": "id"}, {"by": ["id"], "model": [1, 2], "here": [1]}],
    "dimension": [3, {"dim": "three"}, {"dim": 3, "rule": "r", "curve": {"shared": ["a"]}}],
    "smoothing": [0.1, {"smooth_s": 0.1}],
    "interrupted": ["no"],
    "created": [20260101, LONG],
    "seconds": ["long"],
    "hashes": [1, {"latents": 5}],
}
SUMMARY: dict[str, list[Any]] = {
    "scores": [
        1,
        {"bottleneck_r2": "high"},
        {"rollout": {"horizon": 1}},
        {"rollout": {"horizon": {"rollout": 1, "ar3": 1}}},
        {"null": {"fits": -1}},
        {"agreement": {"fits": 2, "axes": [], "pca_axes": [], "pca_planes": [1.0]}},
        {"channels": [{}]},
        {"intervals": {"bottleneck_r2": 3}},
        {"smoothness": 1.0},
    ],
    "channel_dim": [5, "", "a b", LONG],
    "pixels": [5, {"y": [0]}, {"y": list(range(9)), "x": list(range(9))}],
    "latent": [3, [1], [{}]],
    "source": ["one", [1]],
    "source_channels": [[-1], ["a"], [2**40], [1]],
    "units": [[], {"latents": 5}],
    "k_eff": ["all", -1],
}
CONFIG: dict[str, Any] = {
    "no mapping of a stage": {"model": 5},
    "an unknown stage": {"mode": {}},
    "an unknown setting": {"model": {"dims": 3}},
    "a setting of another type": {"model": {"dim": "3"}},
    "a setting out of bounds": {"train": {"held_out": 7}},
    "settings that contradict": {"model": {"dim": 5, "k_max": 2}},
    "what to read as a list": {"read": []},
    "an unknown setting of reading": {"read": {"shell": "true"}},
    "a time scale that is none": {"read": {"time_scale": "1/0"}},
}


def _set_text(group: h5py.Group, path: str, text: str) -> None:
    del group[path]
    group.create_dataset(path, data=text, dtype=h5py.string_dtype())


def _edit(path: str, **values: Any) -> Change:
    def change(group: h5py.Group) -> None:
        _set_text(group, path, json.dumps({**json.loads(group[path][()]), **values}))

    return change


def _replace(path: str, make: Callable[[Any], Any]) -> Change:
    """Put another array in the place of one; `make` gets its values."""

    def change(group: h5py.Group) -> None:
        values, attributes = group[path][()], dict(group[path].attrs)
        del group[path]
        group[path] = make(values)
        for key, value in attributes.items():
            group[path].attrs[key] = value

    return change


def _claim(path: str, shape: tuple[int, ...], dtype: str = "f4") -> Change:
    """Claim a size of which nothing is stored."""

    def change(group: h5py.Group) -> None:
        del group[path]
        group.create_dataset(path, shape=shape, dtype=dtype, chunks=tuple(min(n, 1000) for n in shape))

    return change


def _link(path: str, link: Any) -> Change:
    def change(group: h5py.Group) -> None:
        del group[path]
        group[path] = link

    return change


def _store_outside(group: h5py.Group) -> None:
    n = len(group["mean"])
    del group["mean"]
    group.create_dataset("mean", shape=(n,), dtype="f4", external=[("mark.bin", 0, 4 * n)])


def _make_virtual(group: h5py.Group) -> None:
    shape = group["loadings"].shape
    del group["loadings"]
    layout = h5py.VirtualLayout(shape, "f4")
    layout[:] = h5py.VirtualSource("other.h5", "loadings", shape)
    group.create_virtual_dataset("loadings", layout)


def _set_attribute(key: str, value: Any) -> Change:
    def change(group: h5py.Group) -> None:
        group.attrs[key] = value

    return change


def _with_nan(values: np.ndarray) -> np.ndarray:
    values = values.copy()
    values.flat[0] = np.nan
    return values


def _change_header(change: Callable[[dict[str, Any]], Any]) -> Callable[[np.ndarray], np.ndarray]:
    """Weights with another header before the same bytes."""

    def make(values: np.ndarray) -> np.ndarray:
        data = values.tobytes()
        length = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + length])
        text = json.dumps(change(header) or header).encode()
        return np.frombuffer(len(text).to_bytes(8, "little") + text + data[8 + length :], np.uint8)

    return make


def _first(header: dict[str, Any]) -> dict[str, Any]:
    return next(entry for name, entry in header.items() if name != "__metadata__")


def _put_nan_in_weights(values: np.ndarray) -> np.ndarray:
    data = values.copy()
    data[-4:] = np.frombuffer(np.float32(np.inf).tobytes(), np.uint8)
    return data


HEADERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "a shape that is larger": lambda h: _first(h).update(shape=[10**6, 10**6]),
    "a shape below 0": lambda h: _first(h).update(shape=[-1]),
    "a shape of text": lambda h: _first(h).update(shape="big"),
    "offsets beyond the end": lambda h: _first(h).update(data_offsets=[0, 10**12]),
    "offsets that go back": lambda h: _first(h).update(data_offsets=[8, 0]),
    "no offsets": lambda h: _first(h).pop("data_offsets") and None,
    "an unknown type": lambda h: _first(h).update(dtype="C128"),
    "metadata that are no texts": lambda h: h.update(__metadata__={"nwb_dcf": {}}),
    "an entry that is none": lambda h: h.update(extra=5),
    "a list": lambda h: [1],
}
ARRAYS: dict[str, Change] = {
    "latents of three axes": _replace("latents/data", lambda v: v[None]),
    "latents of text": _replace("latents/data", lambda v: v.astype("S8")),
    "latents that are NaN": _replace("latents/data", _with_nan),
    "latents of another number than flowed": _replace("latents/data", lambda v: v[:-1]),
    "more latents than axes": _replace("latents/data", lambda v: np.tile(v, 20)),
    "latents that are complex": _replace("latents/data", lambda v: v.astype(complex)),
    "loadings of one axis": _replace("loadings", lambda v: v.ravel()),
    "loadings with infinity": _replace("loadings", lambda v: v * np.inf),
    "loadings of fewer channels": _replace("loadings", lambda v: v[:-1]),
    "a mean of another size": _replace("mean", lambda v: np.tile(v, 2)),
    "channels of another number": _replace("channels", lambda v: v[:-1]),
    "counts that are less": _replace("segments/count", lambda v: v * 0),
    "counts that are more": _replace("segments/count", lambda v: v + 10**12),
    "counts below 0": _replace("segments/count", lambda v: -v),
    "counts that overflow": _replace("segments/count", lambda v: v.astype("u8") * 0 + 2**63),
    "counts with a point": _replace("segments/count", lambda v: v + 0.5),
    "starts that are NaN": _replace("segments/start_time", lambda v: v * np.nan),
    "a column that is shorter": _replace("segments/stop_time", lambda v: np.append(v, 1.0)),
    "variances that are negative infinity": _replace("axes/variance", lambda v: -np.inf * v),
    "a field of another grid": _replace("velocity_field/frames", lambda v: v[:-1]),
    "weights of two axes": _replace("coupling/weights", lambda v: v[None]),
    "weights that are cut": _replace("coupling/weights", lambda v: v[:-5]),
    "weights of nothing": _replace("coupling/weights", lambda v: v[:0]),
    "weights whose header is longer than they are": _replace(
        "coupling/weights", lambda v: np.append(np.frombuffer((10**9).to_bytes(8, "little"), np.uint8), v[8:])
    ),
    "weights with infinity": _replace("dynamical_flow/weights", _put_nan_in_weights),
    "a claim of latents": _claim("latents/data", (10**12, 2)),
    "a claim of loadings": _claim("loadings", (10**9, 10**6)),
    "a claim of segments": _claim("segments/count", (10**12,), "i8"),
    "a claim of weights": _claim("coupling/weights", (10**13,), "u1"),
    "a number for a document": _replace("provenance", lambda v: [1]),
    "a mean in another file": _link("mean", h5py.ExternalLink("mark.h5", "/values")),
    "latents in another file": _link("latents/data", h5py.ExternalLink("mark.h5", "/values")),
    "a document in another file": _link("summary", h5py.ExternalLink("mark.h5", "/values")),
    "timestamps in another file": _link("velocity/data", h5py.ExternalLink("mark.h5", "/values")),
    "a link to another object": _link("mean", h5py.SoftLink("/units/id")),
    "a link to itself": _link("mean", h5py.SoftLink("mean")),
    "a link to nothing": _link("latents/data", h5py.SoftLink("/nowhere")),
    "values in a raw file": _store_outside,
    "values of a virtual dataset": _make_virtual,
    "a group for an array": lambda group: group["axes"].create_group("inner") and None,
    "dim as text": _set_attribute("dim", "three"),
    "dim below 0": _set_attribute("dim", -1),
    "dim of another number": _set_attribute("dim", 1),
    "no whole number of axes": _set_attribute("k_eff", 2.5),
}


REASONS: dict[str, str] = {
    "a mean in another file": "mean is an external link, to mark.h5",
    "latents in another file": "latents/data is an external link",
    "a link to another object": "mean is a link, to /units/id",
    "values in a raw file": "(external storage)",
    "values of a virtual dataset": "(a virtual dataset)",
    "a claim of latents": "8e+12 bytes, of which 0 are stored",
    "a claim of weights": "1e+13 bytes, of which 0 are stored",
    "counts that are more": "segments/count is not a division of the 15 rows",
    "counts that are less": "segments/count is not a division of the 15 rows",
    "counts that overflow": "segments/count is not a division of the 15 rows",
    "weights whose header is longer than they are": "their header claims 1000000000",
    "weights that are cut": "claim 2240 bytes, and 2235 are there",
}
"""What is said of some: where one guard were gone another might refuse them, later, and after more work."""


def list_changes() -> dict[str, Change]:
    """Every change by its name."""
    found: dict[str, Change] = {}
    for path in DOCUMENTS:
        for form, text in FORMS.items():
            found[f"{path} is {form}"] = lambda group, path=path, text=text: _set_text(group, path, text)
    for name, table in (("provenance", PROVENANCE), ("summary", SUMMARY)):
        for key, values in table.items():
            found |= {
                f"{name}.{key} is {str(value)[:40]} ({i})": _edit(name, **{key: value})
                for i, value in enumerate(values)
            }
    found |= {f"config has {what}": _edit("config", **values) for what, values in CONFIG.items()}
    found |= {f"weights have {what}": _replace("coupling/weights", _change_header(of)) for what, of in HEADERS.items()}
    return {**found, **ARRAYS}

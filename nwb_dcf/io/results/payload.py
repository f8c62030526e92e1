"""Lay out a result as the arrays and texts of its container, keyed by their path inside it, and read it back.

The place of a variable follows from its dims, so a new one needs no change here:

=================== ============================================
dims                place
=================== ============================================
(time, latent)      a ``LatentSeries`` of that name
(segment,)          a column of ``segments``
(component,)        a column of ``axes``
(step,)             a column of ``training``
(grid_1, ...)       a dataset of ``velocity_field``
loadings, mean      datasets of those names, a row for each channel or pixel (row by row of the image)
fractions that the  a column of ``channel_table``, beside the loadings and their fractions
decoder explains
=================== ============================================

A table's column may have a second dim: (component, source) is a column of ``axes``. The weights are cut into
``coupling``, ``compressive_flow`` and ``dynamical_flow``; ``sources`` lists what was fitted, and ``certificate``
repeats that of the summary for readers of tables.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping, Sized
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict, cast

import numpy as np
import xarray as xr

from ...data.recording import CHANNEL_SOURCE
from ...data.records import Provenance
from ...data.result import DCFResult
from ...data.safetensors_header import METADATA as _METADATA
from ...data.safetensors_header import read_header, refuse_not_finite
from ...data.stored_json import StoredJSONError, dump_json, parse_json
from ...errors import StoreError
from .derived_tables import (
    CERTIFICATE,
    CERTIFICATE_DOCS,
    CHANNEL_TABLE,
    LOADING_FRACTION,
    tabulate_certificate,
    tabulate_channels,
)

if TYPE_CHECKING:
    from jaxtyping import Float, Int, Shaped

PARTS = {"u": "compressive_flow", "v": "dynamical_flow", "coupling": "coupling"}  # by symbol
_OWN = "nwb_dcf"  # our entry in the metadata: a JSON document
_BYTES = {"64": 8, "32": 4, "16": 2, "8": 1}


class _Tensor(NamedTuple):
    """A tensor of safetensors: its dtype in that format's words, and its values row by row, little-endian."""

    dtype: str
    shape: list[int]
    data: bytes

    @property
    def described(self) -> dict[str, object]:
        return {"dtype": self.dtype, "shape": self.shape}


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
        metadata, tensors = _parse(data)
        about = json.loads(metadata.get(_OWN, "{}"))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        what = f"the weights are no safetensors bytes ({error})"
        raise StoreError(what, fix="write results as DCF.fit made them") from error
    described = about.get("architecture", {}) if isinstance(about, dict) else {}
    parts, architectures = {}, {}
    for symbol, part in PARTS.items():
        own = {name: tensor for name, tensor in tensors.items() if _part_of(name) == part}
        parts[part] = _assemble(own, metadata if part == "coupling" else {})
        shapes = {name: tensor.described for name, tensor in own.items()}
        architectures[part] = json.dumps({"symbol": symbol, **described.get(symbol, {}), "tensors": shapes})
    return parts, architectures


def join_weights(parts: Mapping[str, bytes]) -> bytes:
    """Join what `split_weights` cut into the same bytes again."""
    tensors: dict[str, _Tensor] = {}
    metadata: dict[str, str] = {}
    for part in PARTS.values():
        about, own = _parse(parts[part], f"{part}/weights")
        tensors |= own
        metadata |= about
    return _assemble(tensors, metadata)


def have_equal_tensors(one: bytes, other: bytes) -> bool:
    """Whether two models hold the same tensors to the bit, metadata aside."""
    return _parse(one)[1] == _parse(other)[1]


def _part_of(tensor: str) -> str:
    return PARTS.get(tensor.partition(".")[0], "coupling")


def _parse(data: bytes, what: str = "weights") -> tuple[dict[str, str], dict[str, _Tensor]]:
    """Return metadata and tensors of safetensors bytes; `what` names these in errors."""
    header = read_header(data, what)
    body = memoryview(data)[header.body :]
    tensors = {
        name: _Tensor(entry.dtype, list(entry.shape), bytes(body[entry.start : entry.stop]))
        for name, entry in header.entries.items()
    }
    return header.metadata, tensors


def check_weights(payload: Payload) -> None:
    """Check every part of a stored model against its architecture, the arrays beside it, and for numbers.

    Raises
    ------
    StoredJSONError
        If a tensor has another shape than the architecture says, holds NaN or infinity, or the model has another
        number of channels or axes than the loadings.
    """
    about: dict[str, object] = {}
    for part in (f"{part}/weights" for part in PARTS.values()):  # schema 0.1.0 kept them in one piece
        if part not in payload.arrays:
            continue
        data = payload.arrays[part].tobytes()
        header = read_header(data, part)
        refuse_not_finite(data, header, part)
        stored = {name: (entry.dtype, list(entry.shape)) for name, entry in header.entries.items()}
        architecture = parse_json(payload.texts.get(part.replace("weights", "architecture"), "{}"), "architecture")
        expected = {name: (one["dtype"], one["shape"]) for name, one in architecture.get("tensors", {}).items()}
        if expected and expected != stored:
            differs = sorted(name for name in {*expected, *stored} if expected.get(name) != stored.get(name))
            raise StoredJSONError(f"{differs[0]} of {part} is not as its architecture says")
        about |= parse_json(header.metadata.get(_OWN, "{}"), f"metadata of {part}", allow_nan=True)
    sizes = {"n_channels": len(payload.arrays["mean"]), "k_max": payload.arrays["loadings"].shape[1]}
    for key, size in sizes.items():
        if about.get(key, size) != size:
            raise StoredJSONError(f"the model's {key} is {str(about[key])[:40]}, and the loadings say {size}")


def _assemble(tensors: Mapping[str, _Tensor], metadata: Mapping[str, str]) -> bytes:
    # The library lays tensors out so too, wide dtypes first: parts that are joined again give the bytes of the model.
    order = sorted(tensors, key=lambda name: (-_count_bytes(tensors[name].dtype), name))
    header: dict[str, object] = {_METADATA: dict(metadata)} if metadata else {}
    offset = 0
    for name in order:
        places = [offset, offset := offset + len(tensors[name].data)]
        header[name] = {**tensors[name].described, "data_offsets": places}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    # Readers map the values as they lie in memory, which must begin at a multiple of eight bytes.
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + b"".join(tensors[name].data for name in order)


def _count_bytes(dtype: str) -> int:
    return next((n for digits, n in _BYTES.items() if dtype.endswith(digits)), 1)


REQUIRED = ("latents", "time", "segment_index", "segment_start", "segment_stop", "spectrum", "loadings", "mean")
TABLES = {"segment": "segments", "component": "axes", "step": "training"}
RENAMED = {
    "segment_start": "start_time",
    "segment_stop": "stop_time",
    "segment_row": "row",
    "segment_held_out": "held_out",
    "spectrum": "variance",
}
FIELD = "velocity_field"
# Names in files of schema 1.1.0 and before.
SOURCE_FRACTION = "source_share"
DECODER_FRACTION = "decoder_share"
_GRID = ("grid_1", "grid_2", "grid_3")
DOCS = {
    "latents": "the encoder's latents: what the model turns back into data",
    "flowed": "each frame integrated along the compressive flow to tau = 0",
    "velocity": "the dynamical flow at the latents, at the start of each step",
    "start_time": "start of the segment in seconds",
    "stop_time": "stop of the segment in seconds",
    "row": "id of the segment in the interval table it came from, -1 for none",
    "held_out": "whether the whole segment was kept out of fitting; blocks held out of one are in the provenance",
    "start_index": "first row of the segment in the series",
    "count": "rows of the segment in the series",
    "component": "number of the axis, and number of latents K of the two curves",
    "variance": "d, variance of the axis, in prepared units squared",
    SOURCE_FRACTION: "fraction of the axis that each source has, in the order of the table sources",
    "channel": "id of the channel, in the order of the model",
    "loading": "entry of the channel in the axis of each latent",
    LOADING_FRACTION: "fraction of each latent's squared loading that the channel has",
    DECODER_FRACTION: "fraction of what each latent explains, through the decoder, that it explains of the channel",
    "bottleneck_r2": "R2 of the data reconstructed from the first K latents, on held-out data where there are",
    "pca_r2": "the same for the first K principal components of the training data",
    "step": "optimiser step",
}


class FitAttributes(TypedDict, total=False):
    """Attributes of the container of a fit."""

    schema_version: str
    package_version: str
    kind: str
    dim: int
    k_eff: int


@dataclass(frozen=True)
class Payload:
    """A fit as plain arrays and texts, keyed by their path inside the container.

    Attributes
    ----------
    arrays : dict of str to array
        As stored: ``"latents/data"``, ``"segments/start_time"``, ``"loadings"``, ...
    texts : dict of str to str
        ``config``, ``provenance``, ``summary`` and ``coupling/architecture`` ..., each JSON.
    attributes : FitAttributes
        Of the container; empty when it was read.
    units : dict of str to str
        Physical unit of each series.
    history : str
        Which past of the state the velocity field is shown.
    """

    arrays: dict[str, Shaped[np.ndarray, "*_"]]
    texts: dict[str, str]
    attributes: FitAttributes
    units: dict[str, str] = field(default_factory=dict)
    history: str = ""

    def to_bytes(self) -> bytes:
        """Return the payload as an npz file that needs no pickle."""
        document = {
            "texts": self.texts,
            "attributes": self.attributes,
            "units": self.units,
            "history": self.history,
            "docs": DOCS | CERTIFICATE_DOCS,
        }
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, __document__=np.array(json.dumps(document)), **self.arrays)
        return buffer.getvalue()


def to_payload(result: DCFResult, *, schema_version: str, package_version: str) -> Payload:
    """Turn `result` into plain arrays and JSON.

    Raises
    ------
    StoreError
        If a variable has no place in the container, or something cannot be written as JSON.
    """
    dataset = result.dataset
    missing = [name for name in REQUIRED if name not in dataset]
    if missing or not result.weights:
        lacks = ", ".join(missing) or "its weights"
        raise StoreError(f"the result lacks {lacks}", fix="write results as DCF.fit made them")
    arrays: dict[str, Shaped[np.ndarray, "*_"]] = {}
    units: dict[str, str] = {}
    # NWB wants a clock for each series, and all of ours have one.
    clock = _describe_clock(dataset["time"].values)
    frame_dims = [str(dim) for dim in dataset["mean"].dims]  # the channels, or y and x of images
    for key, variable in dataset.variables.items():
        name, dims, values = str(key), variable.dims, _to_plain(str(key), variable.values)
        if name in ("time", "segment_index", "segment", "latent"):
            continue  # they follow from the clock, the table of segments and the summary
        if dims == ("time", "latent"):
            arrays[f"{name}/data"] = values
            arrays.update({f"{name}/{part}": value for part, value in clock.items()})
            units[name] = str(variable.attrs.get("units", "a.u."))
        elif dims and str(dims[0]) in TABLES and (len(dims) == 1 or dims[1:] == ("source",)):
            arrays[f"{TABLES[str(dims[0])]}/{RENAMED.get(name, name)}"] = values
        elif (dims and str(dims[0]) == "grid_1") or name.startswith("grid_"):
            arrays[f"{FIELD}/{name.removeprefix('field_')}"] = values
        elif name == DECODER_FRACTION:
            arrays[f"{CHANNEL_TABLE}/{name}"] = values
        elif name in ("loadings", "mean"):
            # A row for each pixel, so that an axis of images and one of channels are read alike.
            arrays[name] = values.reshape(-1, *values.shape[len(frame_dims) :])
        elif [name] == frame_dims:
            arrays["channels"] = values
        elif name in frame_dims:
            continue  # rows and columns of images are in the summary
        elif name in ("source", CHANNEL_SOURCE):
            continue  # labels of the table of sources, and how many channels each has, are in the summary
        else:
            raise StoreError(f"variable {name!r} with dims {dims} has no place in a stored fit", fix="drop it first")
    # Pixels have no ids; the schema asks for a number for each.
    arrays.setdefault("channels", np.arange(len(arrays["mean"])))
    if len(frame_dims) == 1:
        arrays |= tabulate_channels(arrays, result.dim)
    if result.certificate:
        arrays |= {f"{CERTIFICATE}/{n}": values for n, values in tabulate_certificate(result.certificate).items()}
    # A reader of tables finds the frames of a segment without searching its times.
    starts, counts = _count_frames(dataset["segment_index"].values, dataset.sizes["segment"])
    arrays |= {"segments/start_index": starts, "segments/count": counts}
    parts, architectures = split_weights(result.weights)
    arrays |= {f"{part}/weights": np.frombuffer(weights, dtype=np.uint8) for part, weights in parts.items()}
    arrays |= {f"sources/{column}": np.array(values) for column, values in _list_sources(result.provenance).items()}
    attrs = dict(dataset.attrs)
    # What is neither an array nor an attribute of a single type: JSON, in one document.
    summary = {
        **attrs,
        "channel_dim": frame_dims[0] if len(frame_dims) == 1 else "pixel",
        **({"pixels": {dim: dataset[dim].values for dim in frame_dims}} if len(frame_dims) > 1 else {}),
        "latent": _labels(dataset, "latent"),
        "source": _labels(dataset, "source"),
        **({"source_channels": _count_channels(dataset)} if CHANNEL_SOURCE in dataset.coords else {}),
        "units": {str(n): str(v.attrs["units"]) for n, v in dataset.variables.items() if "units" in v.attrs},
    }
    return Payload(
        arrays,
        {
            "config": dump_json("config", result.config),
            "provenance": dump_json("provenance", result.provenance),
            "summary": dump_json("attrs", summary),
            **{f"{part}/architecture": text for part, text in architectures.items()},
        },
        {
            "schema_version": schema_version,
            "package_version": package_version,
            "kind": str(attrs.get("kind", "array")),
            "dim": result.dim,
            "k_eff": int(attrs.get("k_eff", 0)),
        },
        units,
        str(dataset["field_velocity"].attrs.get("history", "")) if "field_velocity" in dataset else "",
    )


def to_result(payload: Payload, *, name: str) -> DCFResult:
    """Turn the arrays and texts of a stored fit back into a result: the inverse of `to_payload`.

    Raises
    ------
    StoredJSONError
        If documents, model and arrays disagree.
    """
    arrays = payload.arrays
    # Before anything is built on it: the model goes to torch, which would take any shape.
    check_weights(payload)
    texts = {key: parse_json(payload.texts[key], key) for key in ("config", "provenance", "summary")}
    summary = texts["summary"]
    # What only describes the layout is taken out, the rest are attributes of the dataset.
    channel_dim, pixels = summary.pop("channel_dim", "channel"), summary.pop("pixels", None)
    frame_ids: Mapping[str, Sized] = pixels or {channel_dim: arrays["channels"]}
    shape = [len(ids) for ids in frame_ids.values()]
    if math.prod(shape) != len(arrays["mean"]):
        raise StoredJSONError(f"frames of {shape} have not the {len(arrays['mean'])} channels of the loadings")
    labels = {dim: summary.pop(dim, None) for dim in ("latent", "source")}
    units: dict[str, str] = summary.pop("units", {})
    source_channels = summary.pop("source_channels", None)
    original = {stored: name for name, stored in RENAMED.items()}
    dims_of = {table: dim for dim, table in TABLES.items()}
    variables: dict[str, object] = {}
    for path, values in arrays.items():
        head, _, tail = path.partition("/")
        if tail == "data":
            variables[head] = (("time", "latent"), values)
        # pynwb gives each table a column of ids.
        elif head in dims_of and tail not in ("start_index", "count", "id"):
            variables[original.get(tail, tail)] = ((dims_of[head], *(["source"] if values.ndim > 1 else [])), values)
        elif path == f"{CHANNEL_TABLE}/{DECODER_FRACTION}":
            variables[tail] = ((*frame_ids, "latent"), values)
        elif head == FIELD:
            variables |= _name_field(tail, values, arrays)
    counts = arrays["segments/count"]
    time = read_clock({k.partition("/")[2]: v for k, v in arrays.items() if k.startswith("latents/")})
    coords: dict[str, object] = {
        "time": ("time", time),
        "segment_index": ("time", np.repeat(np.arange(len(counts)), counts)),
        "segment": ("segment", np.arange(len(counts))),
        **{dim: (dim, np.asarray(ids)) for dim, ids in frame_ids.items()},
        **{dim: variables.pop(dim) for dim in ("component", "step", *_GRID) if dim in variables},
        **{dim: (dim, np.asarray(ids)) for dim, ids in labels.items() if ids is not None},
    }
    if source_channels:
        if sum(source_channels) != shape[0] or len(source_channels) != len(labels["source"] or ()):
            raise StoredJSONError(f"source_channels do not divide the {shape[0]} channels among the sources")
        coords[CHANNEL_SOURCE] = (channel_dim, np.repeat(np.asarray(labels["source"], np.str_), source_channels))
    # Images have their loadings as pictures again.
    variables["loadings"] = ((*frame_ids, "component"), arrays["loadings"].reshape(*shape, -1))
    variables["mean"] = (tuple(frame_ids), arrays["mean"].reshape(shape))
    dataset = xr.Dataset(variables, coords=coords, attrs=summary)
    for variable, unit in units.items():
        dataset[variable].attrs["units"] = unit
    if payload.history:
        dataset["field_velocity"].attrs["history"] = payload.history
    # Schema 0.1.0 kept the model in one piece.
    whole = arrays["weights"].tobytes() if "weights" in arrays else None
    weights = whole or join_weights({part: arrays[f"{part}/weights"].tobytes() for part in PARTS.values()})
    return DCFResult(dataset, texts["config"], cast("Provenance", texts["provenance"]), weights, name)


def read_clock(clock: Mapping[str, Shaped[np.ndarray, "*_"]]) -> Float[np.ndarray, " time"]:
    """Return the time of each frame, float64 seconds, from timestamps or from starting time and rate."""
    if "timestamps" in clock:
        return np.asarray(clock["timestamps"], dtype=np.float64)
    return np.float64(clock["starting_time"]) + np.arange(len(clock["data"])) / np.float64(clock["rate"])


def _name_field(
    name: str, values: Shaped[np.ndarray, "*_"], arrays: Mapping[str, Shaped[np.ndarray, "*_"]]
) -> dict[str, tuple[object, Shaped[np.ndarray, "*_"]]]:
    """Return a dataset of the velocity field as a variable with its dims."""
    dims = [dim for dim in _GRID if f"{FIELD}/{dim}" in arrays]
    if name in _GRID:
        return {name: (name, values)}
    return {f"field_{name}": ((*dims, "latent") if values.ndim > len(dims) else dims, values)}


def _list_sources(provenance: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the columns of the table of sources: one row, or one for each of the ``members`` of a source."""
    source = provenance.get("source") or {}
    # Joined sources have no path of their own.
    rows = source.get("members") or ([source] if source else [])
    names = {"file": "file", "path": "path", "type": "type", "source_object_id": "object_id", "sha256": "sha256"}
    return {column: [str(row.get(key) or "") for row in rows] for column, key in names.items()} if rows else {}


def _describe_clock(time: Float[np.ndarray, " time"]) -> dict[str, Shaped[np.ndarray, "*_"]]:
    """Return starting time and rate where they give every time to a nanosecond, else timestamps."""
    time = np.asarray(time, dtype=np.float64)
    if len(time) > 1:
        # A rate that a person has chosen comes back whole only if it is rounded.
        exact = (len(time) - 1) / (time[-1] - time[0])
        for rate in (round(exact, 6), exact):
            regular = {"starting_time": np.asarray(time[0]), "rate": np.asarray(rate), "data": time}
            # Times far from zero are no finer than their own rounding.
            tolerance = 1e-9 + 4 * np.spacing(np.abs(time).max())
            if rate > 0 and np.abs(read_clock(regular) - time).max() <= tolerance:
                return {"starting_time": regular["starting_time"], "rate": regular["rate"]}
    return {"timestamps": time}


def _count_frames(
    index: Int[np.ndarray, " time"], n_segments: int
) -> tuple[Int[np.ndarray, " segment"], Int[np.ndarray, " segment"]]:
    """Return the first frame of each segment, and their number."""
    edges = np.searchsorted(index, np.arange(n_segments + 1))
    return edges[:-1], np.diff(edges)


def _count_channels(dataset: xr.Dataset) -> list[int]:
    """Count the channels of each source, which stand together."""
    label = dataset[CHANNEL_SOURCE].values
    return [int((label == name).sum()) for name in dataset["source"].values]


def _labels(dataset: xr.Dataset, dim: str) -> list[Any] | None:
    return dataset[dim].values.tolist() if dim in dataset.coords else None


def _to_plain(name: str, values: Shaped[np.ndarray, "*shape"]) -> Shaped[np.ndarray, "*shape"]:
    """Return numbers and booleans as they are, and everything else as text, so that nothing needs a pickle."""
    values = np.asarray(values)
    if values.dtype.kind in "biuf":
        return values
    if values.dtype.kind == "c":
        raise StoreError(f"variable {name!r} is complex", fix="store its parts")
    if values.dtype.kind == "O" and all(isinstance(v, (bool, np.bool_)) for v in values.flat):
        return values.astype(bool)
    return np.array([_to_text(v) for v in values.flat], dtype=np.str_).reshape(values.shape)


def _to_text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)

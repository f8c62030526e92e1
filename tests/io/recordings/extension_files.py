"""Files that use extensions, as others write them: the specification is in the file, no package here knows it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

Spec = dict[str, Any]


def add_specification(
    path: Path, name: str, version: str, groups: Sequence[Spec], datasets: Sequence[Spec] = ()
) -> Path:
    """Put the specification of an extension into the cache of a file, as pynwb does when it writes."""
    namespace = {
        "namespaces": [
            {
                "doc": name,
                "name": name,
                "version": version,
                "author": ["nobody"],
                "contact": ["nobody"],
                "schema": [{"namespace": "core"}, {"source": f"{name}.extensions"}],
            }
        ]
    }
    with h5py.File(path, "r+") as file:
        group = file.require_group(f"specifications/{name}/{version}")
        group["namespace"] = json.dumps(namespace)
        group[f"{name}.extensions"] = json.dumps({"groups": list(groups)})
    return path


def set_type(node: Any, kind: str, namespace: str, **attributes: Any) -> None:
    """Say what a group or a dataset is."""
    node.attrs.update({"neurodata_type": kind, "namespace": namespace, "object_id": str(uuid.uuid4()), **attributes})


def add_module(file: h5py.File, name: str) -> h5py.Group:
    """Return the processing module of that name, made if need be."""
    if f"processing/{name}" not in file:
        set_type(file.create_group(f"processing/{name}"), "ProcessingModule", "core", description=name)
    return file[f"processing/{name}"]


def add_table(
    parent: h5py.Group, name: str, kind: str, namespace: str, columns: Mapping[str, Any], **types: str
) -> h5py.Group:
    """Add a DynamicTable of columns; `types` has the type of a column that is no plain VectorData."""
    table = parent.create_group(name)
    set_type(table, kind, namespace, description=name, colnames=list(columns))
    n = len(next(iter(columns.values())))
    table["id"] = np.arange(n)
    set_type(table["id"], "ElementIdentifiers", "hdmf-common")
    for column, values in columns.items():
        data = np.asarray(values)
        table[column] = data.astype(h5py.string_dtype()) if data.dtype.kind == "U" else data
        kind_of, space = types.get(column, "VectorData:hdmf-common").split(":")
        set_type(table[column], kind_of, space, description=column)
    return table


_TIMES: Spec = {
    "neurodata_type_def": "Events",
    "neurodata_type_inc": "NWBDataInterface",
    "doc": "times",
    "attributes": [{"name": "description", "dtype": "text", "doc": "d"}],
    "datasets": [{"name": "timestamps", "dtype": "float32", "dims": ["n"], "shape": [None], "doc": "t"}],
}
_LABELS: Spec = {
    "neurodata_type_def": "LabeledEvents",
    "neurodata_type_inc": "Events",
    "doc": "times with labels",
    "datasets": [
        {
            "name": "data",
            "dtype": "uint8",
            "dims": ["n"],
            "shape": [None],
            "doc": "d",
            "attributes": [{"name": "labels", "dtype": "text", "dims": ["k"], "shape": [None], "doc": "l"}],
        }
    ],
}
_ANNOTATED: Spec = {
    "neurodata_type_def": "AnnotatedEventsTable",
    "neurodata_type_inc": "DynamicTable",
    "doc": "a row for each kind of event",
    "datasets": [
        {"name": "event_times_index", "neurodata_type_inc": "VectorIndex", "doc": "i"},
        {"name": "event_times", "neurodata_type_inc": "VectorData", "dtype": "float32", "doc": "t"},
        {"name": "label", "neurodata_type_inc": "VectorData", "dtype": "text", "doc": "l"},
        {"name": "event_description", "neurodata_type_inc": "VectorData", "dtype": "text", "doc": "d"},
    ],
}


def add_labeled_events(path: Path, times: Any, values: Any, labels: Sequence[str]) -> Path:
    """Add LabeledEvents of ndx-events 0.2 called ``licks`` to the module ``behavior``."""
    add_specification(path, "ndx-events", "0.2.1", [_TIMES, _LABELS, _ANNOTATED])
    with h5py.File(path, "r+") as file:
        group = add_module(file, "behavior").create_group("licks")
        set_type(group, "LabeledEvents", "ndx-events", description="licks")
        group["timestamps"] = np.asarray(times, "f4")
        group["timestamps"].attrs["unit"] = "seconds"
        group["data"] = np.asarray(values, "u1")
        group["data"].attrs["labels"] = list(labels)
    return path


def add_annotated_events(path: Path, times: Mapping[str, Any]) -> Path:
    """Add an AnnotatedEventsTable of ndx-events 0.2 called ``annotated`` to the module ``behavior``."""
    add_specification(path, "ndx-events", "0.2.1", [_TIMES, _LABELS, _ANNOTATED])
    with h5py.File(path, "r+") as file:
        names = list(times)
        columns = {"label": names, "event_description": names}
        table = add_table(add_module(file, "behavior"), "annotated", "AnnotatedEventsTable", "ndx-events", columns)
        table["event_times"] = np.concatenate([np.asarray(times[name], "f4") for name in names])
        set_type(table["event_times"], "VectorData", "hdmf-common", description="t")
        table["event_times_index"] = np.cumsum([len(times[name]) for name in names])
        set_type(
            table["event_times_index"], "VectorIndex", "hdmf-common", description="i", target=table["event_times"].ref
        )
        table.attrs["colnames"] = ["event_times", "label", "event_description"]
    return path


_PERIODS: Spec = {
    "neurodata_type_def": "ValidUnitPeriods",
    "neurodata_type_inc": "TimeIntervals",
    "default_name": "valid_unit_periods",
    "doc": "periods",
    "datasets": [{"name": "unit", "neurodata_type_inc": "DynamicTableRegion", "doc": "u"}],
}


def add_valid_periods(path: Path, periods: Sequence[tuple[int, float, float]]) -> Path:
    """Add ValidUnitPeriods of ndx-spikesorting, (row of the unit, start, stop) each, to the module ``ecephys``."""
    add_specification(path, "ndx-spikesorting", "0.1.0", [_PERIODS])
    with h5py.File(path, "r+") as file:
        unit, start, stop = (np.array(column) for column in zip(*periods, strict=True))
        table = add_table(
            add_module(file, "ecephys"),
            "valid_unit_periods",
            "ValidUnitPeriods",
            "ndx-spikesorting",
            {"start_time": start.astype(float), "stop_time": stop.astype(float), "unit": unit.astype(np.int64)},
            unit="DynamicTableRegion:hdmf-common",
        )
        table["unit"].attrs["table"] = file["units"].ref
    return path


_RESPONSES: Spec = {
    "neurodata_type_def": "MicroscopyResponseSeries",
    "neurodata_type_inc": "TimeSeries",
    "doc": "responses",
    "datasets": [
        {"name": "data", "dtype": "numeric", "dims": ["t", "r"], "shape": [None, None], "doc": "d"},
        {"name": "rois", "neurodata_type_inc": "DynamicTableRegion", "doc": "r"},
    ],
}
_RESPONSE_BOX: Spec = {
    "neurodata_type_def": "MicroscopyResponseSeriesContainer",
    "neurodata_type_inc": "NWBDataInterface",
    "default_name": "MicroscopyResponseSeriesContainer",
    "doc": "box",
    "groups": [{"neurodata_type_inc": "MicroscopyResponseSeries", "doc": "s", "quantity": "+"}],
}


def add_microscopy_responses(path: Path, data: Any, rate: float) -> Path:
    """Add a MicroscopyResponseSeries of ndx-microscopy called ``responses`` to the module ``ophys``."""
    add_specification(path, "ndx-microscopy", "0.4.0", [_RESPONSES, _RESPONSE_BOX])
    with h5py.File(path, "r+") as file:
        module = add_module(file, "ophys")
        table = add_table(module, "segmentation", "DynamicTable", "hdmf-common", {"quality": np.ones(data.shape[1])})
        box = module.create_group("MicroscopyResponseSeriesContainer")
        set_type(box, "MicroscopyResponseSeriesContainer", "ndx-microscopy")
        series = box.create_group("responses")
        set_type(series, "MicroscopyResponseSeries", "ndx-microscopy", description="d", comments="no comments")
        series["data"] = data
        series["data"].attrs.update({"unit": "n.a.", "conversion": 1.0, "offset": 0.0, "resolution": -1.0})
        series["starting_time"] = 0.0
        series["starting_time"].attrs.update({"rate": rate, "unit": "seconds"})
        series["rois"] = np.arange(data.shape[1])
        set_type(series["rois"], "DynamicTableRegion", "hdmf-common", description="r", table=table.ref)
    return path


_BINNED: Spec = {
    "neurodata_type_def": "BinnedSpikes",
    "neurodata_type_inc": "NWBDataInterface",
    "default_name": "BinnedSpikes",
    "doc": "counts",
    "attributes": [
        {"name": "bin_width_in_ms", "dtype": "float64", "doc": "w"},
        {"name": "start_time_in_ms", "dtype": "float64", "doc": "s", "default_value": 0.0, "required": False},
    ],
    "datasets": [
        {"name": "data", "dtype": "numeric", "dims": ["u", "b"], "shape": [None, None], "doc": "d"},
        {"name": "units_region", "neurodata_type_inc": "DynamicTableRegion", "doc": "u", "quantity": "?"},
    ],
}


def add_binned_spikes(path: Path, counts: Any, *, bin_width_ms: float, start_ms: float = 0.0) -> Path:
    """Add BinnedSpikes of ndx-binned-spikes, counts of shape (unit, bin), to the module ``ecephys``."""
    add_specification(path, "ndx-binned-spikes", "0.3.1", [_BINNED])
    with h5py.File(path, "r+") as file:
        group = add_module(file, "ecephys").create_group("BinnedSpikes")
        set_type(group, "BinnedSpikes", "ndx-binned-spikes", bin_width_in_ms=bin_width_ms, start_time_in_ms=start_ms)
        group["data"] = counts
    return path

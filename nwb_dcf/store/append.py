"""A script for a clean process: add a payload as a new fit to a copy of an NWB file.

It imports pynwb and the extension alone: whatever other extension were imported here, pynwb would write its
specification into the user's file.
"""

from __future__ import annotations

import json
from typing import Any

import h5py
import numpy as np
from hdmf.common import DynamicTable, DynamicTableRegion, VectorData
from pynwb import NWBHDF5IO, H5DataIO, NWBFile, TimeSeries
from pynwb.epoch import TimeIntervals
from pynwb.misc import Units

from nwb_dcf.ndx import DynamicCompressionFlow, LatentSeries

MODULE = "dcf"
DESCRIPTION = "Dynamic Compression Flows: low-dimensional latents of this session, one container for each fit."


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Add ``request["payload"]`` to ``request["copy"]`` under ``request["name"]``; return what was linked."""
    name, copy = request["name"], request["copy"]
    with np.load(request["payload"], allow_pickle=False) as stored:
        document = json.loads(str(stored["__document__"]))
        arrays = {key: stored[key] for key in stored.files if key != "__document__"}
    with h5py.File(copy, "r+") as file:
        if name in file.get(f"processing/{MODULE}", {}):
            del file[f"processing/{MODULE}/{name}"]
    with NWBHDF5IO(copy, "r+") as io:
        nwbfile = io.read()
        source = nwbfile.objects.get(request["source_id"])
        links = _link_source(source, arrays["channels"])
        flow = _build_flow(name, arrays, document, links)
        # An empty module is falsy: ask by name.
        if MODULE in nwbfile.processing:
            module = nwbfile.processing[MODULE]
        else:
            module = nwbfile.create_processing_module(MODULE, DESCRIPTION)
        module.add(flow)
        io.write(nwbfile)
    return {"linked": sorted(links)}


def _link_source(source: NWBFile | None, channels: np.ndarray) -> dict[str, Any]:
    if isinstance(source, Units):
        row_of = {int(unit): row for row, unit in enumerate(source.id[:])}
        links: dict[str, Any] = {"source_units": source}
        if channels.dtype.kind in "iu" and all(int(unit) in row_of for unit in channels):
            rows = [row_of[int(unit)] for unit in channels]
            description = "units of the fit, in the order of the model"
            links["units"] = DynamicTableRegion(name="units", data=rows, description=description, table=source)
        return links
    return {"source_series": source} if isinstance(source, TimeSeries) else {}


def _build_flow(name: str, arrays: dict[str, np.ndarray], document: dict[str, Any], links: dict[str, Any]) -> Any:
    docs = document["docs"]
    latents = _build_series("latents", arrays, document)
    others = [s for s in document["units"] if s != "latents"]
    return DynamicCompressionFlow(
        name=name,
        time_series=[latents, *(_build_series(s, arrays, document, clock=latents) for s in others)],
        segments=_build_table(TimeIntervals, "segments", "Stretches of the recording, such as trials.", arrays, docs),
        axes=_build_table(DynamicTable, "axes", "Latent axes in order of importance.", arrays, docs),
        training=_build_table(DynamicTable, "training", "Losses over training.", arrays, docs),
        loadings=arrays["loadings"],
        mean=arrays["mean"],
        channels=_to_writable(arrays["channels"]),
        weights=H5DataIO(arrays["weights"], compression="gzip"),
        **document["texts"],
        **document["attributes"],
        **links,
    )


def _build_series(name: str, arrays: dict[str, np.ndarray], document: dict[str, Any], clock: Any = None) -> Any:
    if f"{name}/timestamps" in arrays:
        # The other series link to the timestamps of the latents instead of repeating them.
        time: dict[str, Any] = {"timestamps": arrays[f"{name}/timestamps"] if clock is None else clock}
    else:
        time = {part: float(arrays[f"{name}/{part}"]) for part in ("starting_time", "rate")}
    return LatentSeries(
        name=name,
        data=H5DataIO(arrays[f"{name}/data"], compression="gzip", shuffle=True),
        unit=document["units"][name],
        description=document["docs"].get(name, name),
        **time,
    )


def _build_table(
    table: type[DynamicTable], name: str, description: str, arrays: dict[str, np.ndarray], docs: dict[str, str]
) -> DynamicTable:
    columns = {path.partition("/")[2]: values for path, values in arrays.items() if path.startswith(f"{name}/")}
    vectors = [
        VectorData(name=column, description=docs.get(column, column.replace("_", " ")), data=_to_writable(values))
        for column, values in columns.items()
    ]
    return table(name=name, description=description, columns=vectors)


def _to_writable(values: np.ndarray) -> Any:
    return values.tolist() if values.dtype.kind == "U" else values

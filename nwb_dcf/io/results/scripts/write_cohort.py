"""A script for a clean process: make an NWB file that holds one cohort and nothing else."""

from __future__ import annotations

import datetime
import json
from typing import TYPE_CHECKING

import numpy as np
from hdmf.common import DynamicTable, VectorData
from pynwb import NWBHDF5IO, H5DataIO, NWBFile

from nwb_dcf.io.ndx import CohortSpace, FlowField

if TYPE_CHECKING:
    from jaxtyping import Shaped

MODULE = "dcf"


def run(request: dict[str, str]) -> dict[str, str]:
    """Write ``request["payload"]`` to the new file ``request["copy"]`` under ``request["name"]``."""
    with np.load(request["payload"], allow_pickle=False) as stored:
        document = json.loads(str(stored["__document__"]))
        arrays = {key: stored[key] for key in stored.files if key != "__document__"}
    attributes = document["attributes"]
    # NWB asks for the start of a session, and a cohort has none.
    now = datetime.datetime.now(datetime.UTC)
    nwbfile = NWBFile(
        session_description="Sessions in one latent space: results only, the sessions are files of their own.",
        identifier=request["identifier"],
        session_start_time=now,
        source_script=f"results of nwb_dcf {attributes['package_version']}",
        source_script_file_name="nwb_dcf",
        was_generated_by=[["nwb_dcf", attributes["package_version"]]],
    )
    module = nwbfile.create_processing_module(MODULE, "Dynamic Compression Flows: a latent space of many sessions.")
    flow = FlowField(
        name="dynamical_flow",
        symbol="v",
        architecture=document["architecture"],
        weights=arrays["dynamical_flow/weights"],
    )
    module.add(
        CohortSpace(
            name=request["name"],
            anchors=arrays["anchors"],
            bins=arrays["bins"],
            variance=arrays["variance"],
            persistence=arrays["persistence"],
            means=H5DataIO(arrays["means"], compression="gzip", shuffle=True),
            conditions=_build_table("conditions", "The conditions.", arrays),
            sessions=_build_table("sessions", "The sessions.", arrays),
            dynamical_flow=flow,
            **document["texts"],
            **attributes,
        )
    )
    with NWBHDF5IO(request["copy"], "w") as io:
        io.write(nwbfile)
    return {}


def _build_table(name: str, description: str, arrays: dict[str, Shaped[np.ndarray, "*_"]]) -> DynamicTable:
    columns = []
    for path, values in arrays.items():
        table, _, column = path.partition("/")
        if table == name:
            # h5py writes no arrays of dtype U.
            data = values.tolist() if values.dtype.kind == "U" else values
            columns.append(VectorData(name=column, description=column.replace("_", " "), data=data))
    return DynamicTable(name=name, description=description, columns=columns)

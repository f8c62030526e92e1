"""A script for a clean process without nwb_dcf: check that plain pynwb reads a cohort's file, and what was meant."""

from __future__ import annotations

import json
import sys
from typing import Any

import h5py
import numpy as np
from pynwb import NWBHDF5IO


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Compare ``request["copy"]`` with ``request["payload"]``."""
    place = f"/processing/dcf/{request['name']}"
    with np.load(request["payload"], allow_pickle=False) as stored, h5py.File(request["copy"], "r") as file:
        document = json.loads(str(stored["__document__"]))
        for key in stored.files:
            if key != "__document__" and not _is_equal(file[place][key], stored[key]):
                raise RuntimeError(f"{place}/{key} is not what was meant")
        for key, text in document["texts"].items():
            if file[place][key].asstr()[()] != text:
                raise RuntimeError(f"{place}/{key} is not what was meant")
    with NWBHDF5IO(request["copy"], "r") as io:
        nwbfile = io.read()
        for neurodata in nwbfile.objects.values():
            for field in list(getattr(neurodata, "fields", {})):
                getattr(neurodata, field)
        cohort = nwbfile.processing["dcf"][request["name"]]
        if len(cohort.sessions.to_dataframe()) != len(cohort.means):
            raise RuntimeError("sessions and their means differ in number")
    imported = sorted(m for m in sys.modules if m.partition(".")[0] == "nwb_dcf" or m.startswith("ndx_"))
    if imported:
        raise RuntimeError(f"the process that verifies is not clean: it imported {', '.join(imported)}")
    return {}


def _is_equal(dataset: h5py.Dataset, meant: np.ndarray) -> bool:
    if h5py.check_string_dtype(dataset.dtype):
        return bool(np.array_equal(np.asarray(dataset.asstr()[()], np.str_), meant))
    return bool(np.array_equal(dataset[()], meant, equal_nan=meant.dtype.kind == "f"))

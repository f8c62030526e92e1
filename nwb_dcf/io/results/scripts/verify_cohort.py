"""A script for a clean process without nwb_dcf: check that plain pynwb reads a cohort's file as it was to be."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import h5py
import numpy as np
from pynwb import NWBHDF5IO

if TYPE_CHECKING:
    from jaxtyping import Shaped


def run(request: dict[str, str]) -> dict[str, str]:
    """Compare ``request["copy"]`` with ``request["payload"]``."""
    place = f"/processing/dcf/{request['name']}"
    with np.load(request["payload"], allow_pickle=False) as stored, h5py.File(request["copy"], "r") as file:
        document = json.loads(str(stored["__document__"]))
        for key in stored.files:
            if key != "__document__" and not _is_equal(file[place][key], stored[key]):
                raise RuntimeError(f"{place}/{key} is not that of the payload")
        for key, text in document["texts"].items():
            if file[place][key].asstr()[()] != text:
                raise RuntimeError(f"{place}/{key} is not that of the payload")
    with NWBHDF5IO(request["copy"], "r") as io:
        nwbfile = io.read()
        # Fields are read when they are asked for, so a damaged one shows only then.
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


def _is_equal(dataset: h5py.Dataset, expected: Shaped[np.ndarray, "*_"]) -> bool:
    if h5py.check_string_dtype(dataset.dtype):
        return bool(np.array_equal(np.asarray(dataset.asstr()[()], np.str_), expected))
    return bool(np.array_equal(dataset[()], expected, equal_nan=expected.dtype.kind == "f"))

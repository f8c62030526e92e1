"""A file of thousands of objects is listed quickly."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter

import numpy as np
import pytest
from pynwb import NWBHDF5IO, TimeSeries

from nwb_dcf import list_sources
from nwb_dcf.io.backends import light_series
from nwb_dcf.io.backends.session import Session
from tests.nwb_files import add_intervals, new_nwbfile, simulate_spike_times, write_nwbfile


def write_many(path, n):
    nwbfile = new_nwbfile()
    for times in simulate_spike_times(5, 20.0):
        nwbfile.add_unit(spike_times=times)
    module = nwbfile.create_processing_module("behavior", "b")
    for i in range(n):
        place = (nwbfile.add_acquisition, module.add)[i % 2]
        shape = (50, 1 + i % 3)
        place(
            TimeSeries(
                name=f"s{'abcdefgh'[i % 8]}x{i}y",
                data=np.random.default_rng(i).normal(size=shape),
                rate=10.0 + i,
                unit="a.u.",
            )
        )
    add_intervals(nwbfile, "runs", [(k * 2.0, k * 2.0 + 1) for k in range(8)])
    return write_nwbfile(nwbfile, path)


@pytest.mark.slow
def test_two_thousand_objects_are_listed_in_half_the_time_that_pynwb_takes_to_build_them(tmp_path):
    """pynwb builds every object, 3 ms and more for each; plain series are listed without it."""
    path = write_many(tmp_path / "s.nwb", 2000)
    began = time.process_time()
    with NWBHDF5IO(path, "r") as io:
        io.read()
    built = time.process_time()
    catalog = list_sources(path)
    assert time.process_time() - built < (built - began) / 2
    assert len(catalog.sources) == 2001
    assert catalog.default == "/units"


def test_the_path_of_an_object_is_asked_for_a_few_times_however_many_there_are(tmp_path, monkeypatch):
    asked = []
    path_of = Session.path_of
    monkeypatch.setattr(Session, "path_of", lambda self, obj: asked.append(id(obj)) or path_of(self, obj))
    list_sources(write_many(tmp_path / "s.nwb", 60))
    assert max(Counter(asked).values()) <= 5


def test_the_command_too(tmp_path):
    path = write_many(tmp_path / "s.nwb", 300)
    done = subprocess.run([sys.executable, "-m", "nwb_dcf", "info", str(path)], capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stdout.count("TimeSeries") == 300


def test_an_hdmf_without_that_method_lists_the_same(tmp_path, monkeypatch):
    path = write_many(tmp_path / "s.nwb", light_series.FEW + 20)
    assert all(hasattr(NWBHDF5IO, f"_HDF5IO__{name}") for name in light_series._PRIVATE)  # the pinned one has it
    by_h5py = list_sources(path)
    monkeypatch.setattr(light_series, "_PRIVATE", ("gone",))
    assert list_sources(path) == by_h5py

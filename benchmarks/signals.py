"""Sections of the benchmark of reading: spikes beside h5py alone, and voltages that are longer than memory."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import h5py
import numpy as np
from hdmf.common import ElementIdentifiers, VectorData, VectorIndex
from pynwb import NWBHDF5IO, NWBFile
from pynwb.ecephys import ElectricalSeries
from pynwb.misc import Units
from turns import Row, describe_ratio, time_by_turns

from nwb_dcf import read_recording

N_UNITS, N_SPIKES, SESSION_S = 1500, 27_000_000, 3600.0
N_CHANNELS, RATE_HZ, BLOCK_SAMPLES = 32, 30_000.0, 4_000_000

# As in reading.py: what the parent has held does not count.
MEASURE_MEMORY = """
import sys, time
from pathlib import Path
from nwb_dcf import read_recording
import nwb_dcf.io.recordings.reader
Path("/proc/self/clear_refs").write_text("5")
started = time.process_time()
recording = read_recording(sys.argv[1])
peak = next(int(line.split()[1]) / 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(peak, recording["data"].nbytes / 2**20, time.process_time() - started)
"""


def measure_spikes(_: Path) -> list[Row]:
    """1,500 units and 27 million spikes to counts, beside reading both columns with h5py."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = write_spikes(Path(folder) / "spikes.nwb")
        trains = read_trains(path)
        for width_s in (0.1, 0.02):
            ours, alone, checks = time_by_turns(
                lambda width_s=width_s: read_recording(path, bin_width_s=width_s),
                lambda: read_trains(path),
                lambda: check_trains(trains),
                rounds=3,
            )
            what = f"27 M spikes of 1,500 units in bins of {width_s * 1000:g} ms, without the checks of order and NaN:"
            rows.append(describe_ratio(f"{what} seconds", ours[0] - checks[0], alone[0], least=0.1))
            rows.append(describe_ratio(f"{what} CPU seconds", ours[1] - checks[1], alone[1], least=0.1))
    return rows


def measure_band_power(_: Path, gigabytes: int = 20) -> list[Row]:
    """Voltages of 20 GB, which take 256 MB of the disk, to power in bands: memory of the whole process."""
    with tempfile.TemporaryDirectory() as folder:
        path = write_voltages(Path(folder), round(gigabytes * 1e9 / (2 * N_CHANNELS * BLOCK_SAMPLES)))
        command = [sys.executable, "-c", MEASURE_MEMORY, str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    peak, output, seconds = map(float, done.stdout.split())
    what = f"{gigabytes} GB of voltages to power in 5 bands: MB of the process ({seconds:.0f} CPU seconds)"
    return [{"what": what, "reading": peak, "least": output, "ratio": peak / output, "bound": "under 2000 MB"}]


def write_spikes(path: Path) -> Path:
    """Write units whose spikes come at random, some often and some seldom."""
    rng = np.random.default_rng(0)
    counts = rng.multinomial(N_SPIKES, rng.dirichlet(np.full(N_UNITS, 2.0)))
    times = np.concatenate([np.sort(rng.uniform(0, SESSION_S, count)) for count in counts])
    data = VectorData(name="spike_times", description="seconds", data=times)
    index = VectorIndex(name="spike_times_index", data=np.cumsum(counts).astype(np.uint64), target=data)
    nwbfile = NWBFile("benchmark", "spikes", datetime(2026, 1, 1, tzinfo=UTC))
    nwbfile.units = Units(
        name="units", columns=[index, data], id=ElementIdentifiers(name="id", data=np.arange(N_UNITS))
    )
    with NWBHDF5IO(str(path), "w") as io:
        io.write(nwbfile)
    return path


def read_trains(path: Path) -> list[np.ndarray]:
    """Read the spike times of each unit with h5py."""
    with h5py.File(path, "r") as file:
        times, ends = file["units/spike_times"][:], file["units/spike_times_index"][:]
    return np.split(times, ends[:-1].astype(int))


def check_trains(trains: Sequence[np.ndarray]) -> bool:
    """Look whether every time is finite and in order, as a reader must."""
    return all(bool(np.isfinite(times).all()) and not (np.diff(times) < 0).any() for times in trains)


def write_voltages(folder: Path, copies: int) -> Path:
    """Write an ElectricalSeries of `copies` times the same stretch, stored once."""
    rng = np.random.default_rng(0)
    source, path = folder / "stretch.h5", folder / "voltages.nwb"
    with h5py.File(source, "w") as file:
        stretch = file.create_dataset("data", (BLOCK_SAMPLES, N_CHANNELS), "i2")
        for first in range(0, BLOCK_SAMPLES, 200_000):
            time = (np.arange(first, first + 200_000) / RATE_HZ)[:, None]
            tones = np.sin(2 * np.pi * (5 + np.arange(N_CHANNELS) / 4) * time) * (1.5 + np.sin(time))
            stretch[first : first + 200_000] = 200 * tones + rng.normal(0, 30, tones.shape)
    nwbfile = NWBFile("benchmark", "voltages", datetime(2026, 1, 1, tzinfo=UTC))
    group = nwbfile.create_electrode_group("probe", "", "", device=nwbfile.create_device("device"))
    for _ in range(N_CHANNELS):
        nwbfile.add_electrode(location="CA1", group=group)
    region = nwbfile.create_electrode_table_region(list(range(N_CHANNELS)), "all")
    few = np.zeros((2, N_CHANNELS), np.int16)
    nwbfile.add_acquisition(
        ElectricalSeries(name="voltages", data=few, electrodes=region, rate=RATE_HZ, conversion=1e-6)
    )
    with NWBHDF5IO(str(path), "w") as io:
        io.write(nwbfile)
    layout = h5py.VirtualLayout((BLOCK_SAMPLES * copies, N_CHANNELS), "i2")
    for i in range(copies):
        one = h5py.VirtualSource(str(source), "data", (BLOCK_SAMPLES, N_CHANNELS))
        layout[i * BLOCK_SAMPLES : (i + 1) * BLOCK_SAMPLES] = one
    with h5py.File(path, "r+") as file:
        series = file["acquisition/voltages"]
        attributes = dict(series["data"].attrs)
        del series["data"]
        series.create_virtual_dataset("data", layout).attrs.update(attributes)
    return path

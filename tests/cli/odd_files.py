"""Faults that a real recording is given for a test of the command line."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
from pynwb import NWBFile, TimeSeries

from tests.nwb_files import make_series_session, make_spike_session, simulate_series

HOLD_OPEN = "import h5py, sys; file = h5py.File(sys.argv[1], 'r+'); print('open', flush=True); sys.stdin.read()"


def write_text(path: Path) -> Path:
    """Write a file that is no HDF5."""
    path.write_text("unit,time\n1,0.25\n")
    return path


def make_one_unit(path: Path) -> Path:
    """Write a session of one unit."""
    return make_spike_session(path, n_units=1)


def make_infinite(path: Path) -> Path:
    """Write a series with one infinite value."""
    data = simulate_series()
    data[200, 1] = float("inf")
    return make_series_session(path, data)


def break_stop_times(path: Path) -> Path:
    """Write a session whose trials end before they start."""
    return make_spike_session(path, trials=[(3.0, 1.0), (6.0, 4.0)])


def raise_schema_of_fits(path: Path) -> None:
    """Make the fits in a file look as if a later version of the package had written them."""
    with h5py.File(path, "r+") as file:
        for fit in file["processing/dcf"].values():
            fit.attrs["schema_version"] = "9.0.0"


@contextlib.contextmanager
def held_open_for_writing(path: Path) -> Iterator[None]:
    """Let another process have `path` open for writing."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD_OPEN, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline() == "open\n"
        yield
    finally:
        holder.stdin.close()
        holder.wait(timeout=30)
        holder.stdout.close()


@contextlib.contextmanager
def mounted_tmpfs(folder: Path, size_bytes: int) -> Iterator[bool]:
    """Mount a small file system at `folder`; yield whether that is possible here."""
    folder.mkdir()
    mount = shutil.which("mount")
    command = [str(mount), "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", str(folder)]
    if mount is None or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        yield False
        return
    try:
        yield True
    finally:
        subprocess.run(["umount", str(folder)], check=False)


Build = Callable[[Path], Path]


def add_late_series(path: Path) -> Path:
    """Write a session of units with a series that begins long after the last spike."""

    def change(nwbfile: NWBFile) -> None:
        late = TimeSeries(name="late", data=simulate_series(), rate=20.0, starting_time=1000.0, unit="a.u.")
        nwbfile.add_acquisition(late)

    return make_spike_session(path, change=change)

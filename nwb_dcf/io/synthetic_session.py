"""Write a simulated recording of spikes as a small NWB session: what `fit` would find in a laboratory."""

from __future__ import annotations

import datetime
import os
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np
import xarray as xr

from ..data.recording import channel_dim, validate_recording
from ..errors import StoreError
from .results.atomic import lock_work_folder, sync

if TYPE_CHECKING:
    from jaxtyping import Float

_MARK = "nwb-dcf-simulated-"


def write_session(
    recording: xr.Dataset,
    path: str | Path,
    *,
    truth: xr.Dataset | None = None,
    seed: int = 0,
    description: str = "Simulated session with known latents",
    overwrite: bool = False,
) -> Path:
    """Write a recording of spike counts as an NWB file with units, trials and the truth.

    Parameters
    ----------
    recording : xarray.Dataset
        Counts, whole numbers of shape (time, unit), as `nwb_dcf.data.recording` defines it; its segments become trials.
    path : str or Path
        File to make.
    truth : xarray.Dataset, optional
        Variables (time,) or (time, X) on the recording's clock, written as TimeSeries into ``processing/simulation``.
    seed : int
        Seed of the spikes' places inside their bins.
    description : str
        Description of the session.
    overwrite : bool
        Whether a file at `path` may be replaced if this function made it; no other file ever is.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    DataError
        If data are not counts.
    StoreError
        If the file exists and may not be replaced, or cannot be written.
    """
    from ..data.synthetic import draw_spike_times  # scipy is slow to load

    target = Path(path).resolve()
    if not target.parent.is_dir():
        raise StoreError("no such folder", where=str(target.parent), fix="make it first")
    # A recording of days would be lost to a wrong name.
    if target.exists() and not (overwrite and _is_simulated(target)):
        what = "the file exists and is no simulated session" if overwrite else "the file exists"
        raise StoreError(what, where=str(path), fix="choose another folder or file name")
    validate_recording(recording)
    spike_times = draw_spike_times(recording, seed=seed)
    with lock_work_folder(target) as folder:
        draft = folder / target.name
        _write_nwb(recording, spike_times, draft, truth, description, seed)
        sync(draft)
        os.replace(draft, target)  # whole, or not at all
        sync(target.parent)
    return target


def _is_simulated(path: Path) -> bool:
    try:
        with h5py.File(path, "r") as file:
            return str(file["identifier"].asstr()[()]).startswith(_MARK)
    except (OSError, KeyError, TypeError):
        return False


def _write_nwb(
    recording: xr.Dataset,
    spike_times: list[Float[np.ndarray, " _spike"]],
    path: Path,
    truth: xr.Dataset | None,
    description: str,
    seed: int,
) -> None:
    from hdmf.common import ElementIdentifiers, VectorData, VectorIndex
    from pynwb import NWBHDF5IO, NWBFile, TimeSeries
    from pynwb.epoch import TimeIntervals
    from pynwb.misc import Units

    nwbfile = NWBFile(
        session_description=description,
        identifier=f"{_MARK}{seed}",  # by which a later call knows the file for its own
        session_start_time=datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
        session_id=path.stem,
    )
    ids = [int(unit) for unit in recording[channel_dim(recording)].values]
    # Whole columns at once: adding unit by unit is two hundred times slower.
    times = VectorData(name="spike_times", description="spike times in seconds", data=np.concatenate(spike_times))
    ends = VectorIndex(name="spike_times_index", data=np.cumsum([len(t) for t in spike_times]), target=times)
    nwbfile.units = Units(
        name="units", description="simulated units", columns=[times, ends], id=ElementIdentifiers(name="id", data=ids)
    )
    columns = {
        "start_time": recording["segment_start"].values,
        "stop_time": recording["segment_stop"].values,
        **{str(v).removeprefix("trial_"): recording[v].values for v in recording if str(v).startswith("trial_")},
    }
    vectors = [VectorData(name=n, description=n.replace("_", " "), data=np.asarray(v)) for n, v in columns.items()]
    nwbfile.trials = TimeIntervals(name="trials", description="simulated trials", columns=vectors)
    if truth is not None:
        module = nwbfile.create_processing_module("simulation", "What made the spikes.")
        for name, variable in truth.data_vars.items():
            if variable.dims[:1] == ("time",) and variable.ndim <= 2:
                series = TimeSeries(
                    name=str(name),
                    data=variable.values,
                    unit=str(variable.attrs.get("units", "a.u.")),
                    timestamps=truth["time"].values,
                    description=f"true {name}",
                )
                module.add(series)
    with NWBHDF5IO(path, "w") as io:
        io.write(nwbfile)

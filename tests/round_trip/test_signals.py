"""Families, ROIs of several planes, pose and power: fitted, written, read back, applied again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from pynwb import TimeSeries
from pynwb.ophys import DfOverF

from nwb_dcf import DCF, fit_nwb, list_results, read_recording, read_result
from tests.nwb_files import (
    add_plane,
    make_pose_session,
    make_rois,
    make_voltage_session,
    new_nwbfile,
    simulate_series,
    write_nwbfile,
)

QUICK: dict[str, Any] = {"steps": 2, "width": 8, "depth": 1, "batch_size": 32, "solver_steps": 2}


def make_family(path: Path) -> Path:
    nwbfile = new_nwbfile()
    for i, trace in enumerate(simulate_series(300, 5).T):
        nwbfile.add_acquisition(TimeSeries(name=f"cell_{i}", data=trace, unit="a.u.", rate=10.0))
    return write_nwbfile(nwbfile, path)


def make_planes(path: Path) -> Path:
    nwbfile = new_nwbfile()
    tables = [add_plane(nwbfile, f"plane{i}", 3) for i in range(2)]
    series = [make_rois(table, f"plane{i}", simulate_series(300, 3, seed=i)) for i, table in enumerate(tables)]
    nwbfile.processing["ophys"].add(DfOverF(roi_response_series=series))
    return write_nwbfile(nwbfile, path)


KINDS: dict[str, tuple[Callable[[Path], Path], dict[str, Any], str, list[str], str]] = {
    # how it is made, what is asked, name of the fit, first channels, an array whose change makes the fit stale
    "family": (make_family, {}, "series_dim2", ["cell_0", "cell_1"], "acquisition/cell_3/data"),
    "planes": (make_planes, {}, "ophys_dim2", ["plane0:100", "plane0:101"], "processing/ophys/DfOverF/plane1/data"),
    "pose": (make_pose_session, {}, "pose_dim2", ["nose_x", "nose_y"], "processing/behavior/PoseEstimation/tail/data"),
    "power": (make_voltage_session, {"bands": "4-12,12-30"}, "lfp_dim2", ["0:4-12", "0:12-30"], "acquisition/eeg/data"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.long
def test_fits_are_named_read_back_and_applied(kind: str, tmp_path: Path) -> None:
    make, asked, name, channels, array = KINDS[kind]
    path = make(tmp_path / "s.nwb")
    fit_nwb(path, 2, **asked, **QUICK)
    (listed,) = list_results(path)
    assert (listed["name"], listed["stale"]) == (name, False)
    result = read_result(path)
    recording = read_recording(path, **asked)
    (dim,) = (str(dim) for dim in recording["data"].dims if dim != "time")
    assert result.dataset[dim].values.tolist()[:2] == channels
    assert result.dataset[dim].values.tolist() == recording[dim].values.tolist()
    again = DCF.from_result(result).transform(recording)
    np.testing.assert_allclose(again["data"], result.dataset["latents"], atol=1e-5)
    with h5py.File(path, "r+") as file:
        file[array][5] += 1
    (listed,) = list_results(path)
    assert listed["stale"] is True

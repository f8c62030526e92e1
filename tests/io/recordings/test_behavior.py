"""Behaviour at the times of latents, and the names under which it is found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pynwb import NWBFile, TimeSeries
from pynwb.behavior import Position, SpatialSeries

from nwb_dcf.errors import DataError, SourceError
from nwb_dcf.io.recordings.behavior import interpolate, read_behavior
from nwb_dcf.io.recordings.channel_table import read_channels
from tests.nwb_files import make_roi_session, make_series_session, make_spike_session


def add_behavior(nwbfile: NWBFile) -> None:
    module = nwbfile.create_processing_module("behavior", "what it did")
    clock = 100.0 + np.array([0.0, 1.0, 2.0, 3.0, 9.0, 10.0])
    values = np.column_stack([np.arange(6.0), -np.arange(6.0)])
    values[2, 1] = np.nan
    hand = SpatialSeries(
        name="hand", data=values, timestamps=clock, reference_frame="?", unit="m", conversion=100.0, offset=1.0
    )
    module.add(Position(spatial_series=hand))
    for name in ("speed", "speed_smooth"):
        module.add(TimeSeries(name=name, data=np.arange(20.0), rate=2.0, starting_time=100.0, unit="m/s"))
    module.add(TimeSeries(name="state", data=["run", "sit", "run"], rate=1.0, unit="n.a."))


@pytest.fixture
def session(tmp_path: Path) -> Path:
    return make_spike_session(tmp_path / "s.nwb", n_units=3, duration_s=5, change=add_behavior)


def test_samples_are_joined_by_lines_and_gaps_are_not(session: Path) -> None:
    found = read_behavior(session, "hand", np.array([99.0, 100.5, 103.0, 105.0, 109.25, 110.0, 111.0]))
    assert found.attrs == {"units": "m", "path": "/processing/behavior/Position/hand", "notes": []}
    assert found.dims == ("time", "variable")
    expected = np.array([np.nan, 0.5, 3.0, np.nan, 4.25, 5.0, np.nan])
    np.testing.assert_allclose(found[:, 0], 100 * expected + 1)


def test_unknown_samples_stay_unknown_on_both_sides(session: Path) -> None:
    found = read_behavior(session, "hand", np.array([100.5, 101.0, 101.5, 102.0, 102.5, 103.0]))
    np.testing.assert_array_equal(np.isnan(found[:, 1]), [False, False, True, True, True, False])


@pytest.mark.parametrize("name", ["hand", "/processing/behavior/Position/hand", "Position/hand", "behavior/position"])
def test_a_series_goes_by_its_path_its_end_or_the_container_that_holds_it_alone(session: Path, name: str) -> None:
    assert read_behavior(session, name, np.array([101.0])).attrs["path"] == "/processing/behavior/Position/hand"


def test_an_exact_end_comes_before_the_middle_of_a_path(session: Path) -> None:
    assert read_behavior(session, "speed", np.array([101.0])).values.tolist() == [[2.0]]


def test_an_invalid_name_is_refused_with_the_valid_ones(session: Path, tmp_path: Path) -> None:
    with pytest.raises(
        SourceError, match=r"there is no series 'licks'; series are: /processing/behavior/Position/hand, "
    ):
        read_behavior(session, "licks", np.array([101.0]))
    with pytest.raises(SourceError, match=r"4 series are called 'behavior'; give the path of one"):
        read_behavior(session, "behavior", np.array([101.0]))
    with pytest.raises(DataError, match=r"/processing/behavior/state: data are text"):
        read_behavior(session, "state", np.array([101.0]))
    bare = make_spike_session(tmp_path / "bare.nwb", n_units=2, duration_s=5)
    with pytest.raises(SourceError, match="the file holds no TimeSeries"):
        read_behavior(bare, "hand", np.array([1.0]))


def test_interpolation_of_the_last_sample_needs_no_neighbour() -> None:
    clock = np.array([0.0, 1.0, 2.0, 8.0])
    np.testing.assert_array_equal(
        interpolate(clock, np.arange(4.0)[:, None], np.array([0.0, 2.0, 2.5, 8.0])).ravel(), [0, 2, np.nan, 3]
    )


def test_channels_have_the_columns_of_their_tables(tmp_path: Path) -> None:
    units = make_spike_session(
        tmp_path / "u.nwb", n_units=3, duration_s=5, unit_ids=[7, 8, 9], unit_columns={"area": ["M1", "S1", "M1"]}
    )
    table = read_channels(units)
    assert (table.dim, table.ids, table.path) == ("unit", [7, 8, 9], "/units")
    assert table.columns["area"].tolist() == ["M1", "S1", "M1"]
    rois = read_channels(make_roi_session(tmp_path / "r.nwb", names={"DfOverF": ["a"]}, n_rois=3))
    assert (rois.dim, rois.ids) == ("roi", [102, 101, 100])
    series = read_channels(make_series_session(tmp_path / "t.nwb"), "signal")
    assert (series.dim, series.ids, series.columns) == ("channel", [0, 1, 2, 3, 4], {})


def test_units_take_the_columns_of_their_electrode(tmp_path: Path) -> None:
    def add_electrodes(nwbfile: NWBFile) -> None:
        device = nwbfile.create_device("array")
        group = nwbfile.create_electrode_group("g", "a group", location="M1", device=device)
        for i in range(3):
            nwbfile.add_electrode(x=float(i), y=0.0, z=0.0, location=f"M{i}", group=group)
        nwbfile.units.add_column(
            "electrodes", "of each unit", data=[2, 0, 1], index=[1, 2, 3], table=nwbfile.electrodes
        )

    path = make_spike_session(tmp_path / "s.nwb", n_units=3, duration_s=5, change=add_electrodes)
    assert read_channels(path).columns["location"].tolist() == ["M2", "M0", "M1"]
    assert read_channels(path).columns["x"].tolist() == [2.0, 0.0, 1.0]

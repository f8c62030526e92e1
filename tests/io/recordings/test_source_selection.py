"""Many one-column series as one source."""

import h5py
import numpy as np
import pytest
from pynwb import TimeSeries

from nwb_dcf.errors import DataError
from nwb_dcf.io.backends.session import open_session
from nwb_dcf.io.recordings import list_sources, read_recording
from nwb_dcf.io.recordings.members_clock import read_shared_clock
from nwb_dcf.io.recordings.source_kinds import name_members, name_together
from tests.nwb_files import new_nwbfile, simulate_series, write_nwbfile


def make_family(path, names, *, data=None, clocks=None, change=None):
    nwbfile = new_nwbfile()
    data = simulate_series(40, len(names)) if data is None else data
    for i, name in enumerate(names):
        clock = clocks[i] if clocks else {"rate": 5.0, "starting_time": 3.0}
        nwbfile.add_acquisition(TimeSeries(name=name, data=data[:, i], unit="a.u.", **clock))
    if change:
        change(nwbfile)
    return write_nwbfile(nwbfile, path)


def test_members_are_columns_in_the_order_of_their_numbers(tmp_path):
    names = ["cell_10", "cell_9", "cell_1", "cell_200"]
    data = simulate_series(40, 4)
    path = make_family(tmp_path / "s.nwb", names, data=data)
    (source,) = list_sources(path).sources
    assert source.members == tuple(f"/acquisition/{name}" for name in ("cell_1", "cell_9", "cell_10", "cell_200"))
    recording = read_recording(path)
    assert recording["channel"].values.tolist() == ["cell_1", "cell_9", "cell_10", "cell_200"]
    np.testing.assert_array_equal(recording["data"], data[:, [2, 1, 0, 3]])
    np.testing.assert_allclose(recording["time"], 3 + np.arange(40) / 5)
    assert recording.attrs["kind"] == "series"
    for name in ("cell_*", "/acquisition/cell_*"):
        assert read_recording(path, name)["data"].equals(recording["data"])
    assert read_recording(path, "cell_9").sizes["channel"] == 1


def test_source_lists_and_hashes_every_member(tmp_path):
    path = make_family(tmp_path / "s.nwb", [f"cell_{i}" for i in range(5)])
    before = read_recording(path).attrs["source"]
    assert before["path"] == "/acquisition/cell_*"
    assert [item["path"] for item in before["members"]] == [f"/acquisition/cell_{i}" for i in range(5)]
    with h5py.File(path, "r+") as file:
        assert before["members"][3]["object_id"] == file["acquisition/cell_3"].attrs["object_id"]
        file["acquisition/cell_3/data"][7] += 1
    after = read_recording(path).attrs["source"]
    assert after["sha256"] != before["sha256"]
    changed = [
        a["path"] for a, b in zip(after["members"], before["members"], strict=True) if a["sha256"] != b["sha256"]
    ]
    assert changed == ["/acquisition/cell_3"]


def test_series_that_do_not_belong_are_no_members(tmp_path):
    def add(file):
        for i in range(4):  # another clock
            file.add_acquisition(TimeSeries(name=f"cell_1{i}", data=np.arange(40.0), unit="a.u.", rate=6.0))
        file.add_acquisition(TimeSeries(name="cell_20", data=np.arange(40.0), unit="V", rate=5.0, starting_time=3.0))
        file.add_acquisition(TimeSeries(name="cell_21", data=simulate_series(40, 2), unit="a.u.", rate=5.0))
        file.add_acquisition(TimeSeries(name="wheel_1", data=np.arange(40.0), unit="a.u.", rate=5.0, starting_time=3.0))

    path = make_family(tmp_path / "s.nwb", [f"cell_{i}" for i in range(6)], change=add)
    families = [source for source in list_sources(path).sources if source.kind == "family"]
    assert sorted(len(family.members) for family in families) == [4, 6]


def test_three_are_no_family(tmp_path):
    assert list_sources(make_family(tmp_path / "s.nwb", ["x1", "x2", "x3"])).default is None


def test_clocks_are_compared_sample_by_sample(tmp_path):
    times = np.arange(40) / 5
    moved = times.copy()
    moved[20] += 0.05
    clocks = [{"timestamps": times}] * 4 + [{"timestamps": moved}]
    path = make_family(tmp_path / "s.nwb", [f"x{i}" for i in range(5)], clocks=clocks)
    recording = read_recording(path)
    assert recording.sizes == {"time": 40, "channel": 5, "segment": 1}
    assert "up to 0.05 s apart" in " ".join(recording.attrs["notes"])
    middle = np.concatenate([[0], 0.1 + np.arange(1, 39) / 5, [times[-1]]])  # half a step and more from the others
    late = np.concatenate([[0], 0.1 + np.arange(1, 39) / 5 + 50, [times[-1]]])
    clocks = [{"timestamps": late[:-1]}] * 4 + [{"timestamps": middle[:-1]}]
    path = make_family(tmp_path / "t.nwb", [f"x{i}" for i in range(5)], data=simulate_series(39, 5), clocks=clocks)
    with pytest.raises(DataError, match=r"no two samples in common with /acquisition/x0"):
        read_shared_clock_of(path)


def read_shared_clock_of(path):
    with open_session(path) as session:
        members = session.find_members([f"/acquisition/x{i}" for i in range(5)])
        read_shared_clock(session, members)


def test_shifting_every_clock_shifts_time_alone(tmp_path):
    names, data = [f"x{i}" for i in range(4)], simulate_series(40, 4)
    at_zero = read_recording(make_family(tmp_path / "a.nwb", names, data=data, clocks=[{"rate": 5.0}] * 4))
    late = [{"timestamps": 1e6 + np.arange(40) / 5}] * 4
    at_late = read_recording(make_family(tmp_path / "b.nwb", names, data=data, clocks=late))
    np.testing.assert_array_equal(at_late["data"], at_zero["data"])
    np.testing.assert_allclose(at_late["time"] - 1e6, at_zero["time"], atol=1e-9)


def test_the_worm(real_data):
    path = real_data("celegans_moving.nwb")
    recording = read_recording(path)
    assert recording.sizes["channel"] == 59
    assert recording["channel"].values[[0, -1]].tolist() == ["Activity_0000", "Activity_0058"]
    assert recording.sizes["time"] > 3600
    assert recording.sizes["segment"] > 10
    with h5py.File(path, "r") as file:
        stored = file["acquisition/Activity_0007/data"][:]
        times = file["acquisition/Activity_0007/timestamps"][:]
    at = np.searchsorted(times, recording["time"])
    np.testing.assert_array_equal(recording["data"].sel(channel="Activity_0007"), stored[at])
    np.testing.assert_array_equal(times[at], recording["time"])


def test_names():
    assert name_together(["/a/x1y", "/a/x22y"]) == "/a/x*y"
    assert name_together(["/p/left/traces", "/p/right/traces"]) == "/p/*t/traces"
    assert name_members(["/p/plane0/traces", "/p/plane1/traces"]) == ["0", "1"]
    assert name_members(["/p/a/one", "/p/a/two"]) == ["one", "two"]

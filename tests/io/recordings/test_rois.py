"""Calcium: selection of ROIs, planes joined on one clock, dF/F, and data with their axes exchanged."""

import numpy as np
import pytest
from pynwb.ophys import Fluorescence

from nwb_dcf.errors import DataError, ParameterError
from nwb_dcf.io.recordings import list_sources, read_recording
from nwb_dcf.io.recordings.rois import compute_dff
from tests.nwb_files import add_plane, make_roi_session, make_rois, new_nwbfile, simulate_series, write_nwbfile

RAW = {"Fluorescence": ["raw"]}
ISCELL = np.array([[1, 0.9], [0, 0.2], [1, 0.6], [1, 0.8]])


def write_rois(path, data, *, columns=None, n_rois=4, **settings):
    nwbfile = new_nwbfile()
    table = add_plane(nwbfile, n_rois=n_rois, columns=columns)
    series = make_rois(table, "raw", data, **settings)
    nwbfile.processing["ophys"].add(Fluorescence(roi_response_series=[series]))
    return write_nwbfile(nwbfile, path)


@pytest.mark.parametrize(
    ("columns", "ids", "why"),
    [
        ({"Accepted": [1, 0, 1, 1], "Rejected": [0, 1, 0, 0]}, [103, 102, 100], "Accepted is 0"),
        ({"is_cell": [True, False, True, True]}, [103, 102, 100], "is_cell is 0"),
        ({"iscell": ISCELL}, [103, 102, 100], "iscell is 0"),
        ({"rejected": [0, 1, 0, 0]}, [103, 102, 100], "rejected is 1"),
        ({"Accepted": [1.5, 2, 3, 4], "snr": [0, 1, 0, 1]}, [103, 102, 101, 100], None),
        ({"Accepted": [1, 1, 1, 1]}, [103, 102, 101, 100], None),
    ],
)
def test_good_rois_are_read(tmp_path, columns, ids, why):
    path = make_roi_session(tmp_path / "s.nwb", names=RAW, n_rois=4, columns=columns)
    recording = read_recording(path)
    assert recording["roi"].values.tolist() == ids
    assert recording.attrs["left_out"] == ([{"what": "roi", "id": 101, "why": why}] if why else [])
    assert ("`rois='all'`" in " ".join(recording.attrs["notes"])) is bool(why)
    columns_read = [3 - (i - 100) for i in ids]  # the region is in reverse order
    assert recording.attrs["source"]["channel_rows"] == columns_read
    np.testing.assert_allclose(recording["data"], simulate_series(300, 4)[:, columns_read])
    assert read_recording(path, rois="all").sizes["roi"] == 4


def test_rois_are_chosen_by_id_and_condition(tmp_path):
    path = make_roi_session(tmp_path / "s.nwb", names=RAW, n_rois=4, columns={"Accepted": [0] * 4, "snr": [1, 2, 3, 4]})
    assert read_recording(path, rois=(101, 103))["roi"].values.tolist() == [103, 101]
    assert read_recording(path, rois="100,102")["roi"].values.tolist() == [102, 100]
    assert read_recording(path, rois="snr >= 3 and Accepted == 0")["roi"].values.tolist() == [103, 102]
    with pytest.raises(DataError, match=r"none of 4 ROIs is Accepted.*`rois='all'`"):
        read_recording(path)
    with pytest.raises(ParameterError, match=r"no ROI has id 7.*100 to 103"):
        read_recording(path, rois="7")
    with pytest.raises(ParameterError, match=r"column 'snt'.*Accepted, id, snr"):
        read_recording(path, rois="snt > 1")


def test_real_quality_columns(real_data):
    path = real_data("ophys_rois.nwb")
    recording = read_recording(path)
    assert recording["roi"].values.tolist() == [0, 1, 2, 5, 7, 9, 10]
    assert {item["why"] for item in recording.attrs["left_out"]} == {"Accepted is 0"}
    assert read_recording(path, rois="Rejected == 1").sizes["roi"] == 8


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((4, 300), r"\(4, 300\) for 4 ROIs look like \(roi, time\): read them so with `transpose=True`"),
        ((300, 3), r"3 columns \(shape \(300, 3\)\) for 4 ROIs"),
    ],
)
def test_data_of_another_shape_than_the_rois(tmp_path, shape, words):
    path = write_rois(tmp_path / "s.nwb", simulate_series(*shape))
    with pytest.raises(DataError, match=rf"Fluorescence/raw: data .*{words}"):
        read_recording(path, "raw")
    (source,) = list_sources(path).sources
    assert "4 ROIs" in source.problem


def test_planes_are_read_on_one_clock(tmp_path):
    nwbfile = new_nwbfile()
    times = np.arange(50) / 10
    stored = [simulate_series(50, 3, seed=1), simulate_series(49, 2, seed=2)]
    clocks = [{"timestamps": times}, {"rate": 10.0, "starting_time": 0.03}]
    series = [
        make_rois(add_plane(nwbfile, f"plane{i}", data.shape[1]), f"plane{i}", data, **clock)
        for i, (data, clock) in enumerate(zip(stored, clocks, strict=True))
    ]
    nwbfile.processing["ophys"].add(Fluorescence(roi_response_series=series))
    path = write_nwbfile(nwbfile, tmp_path / "s.nwb")
    recording = read_recording(path)
    assert recording.attrs["source"]["path"] == "/processing/ophys/Fluorescence/plane*"
    assert recording["roi"].values.tolist() == ["plane0:100", "plane0:101", "plane0:102", "plane1:100", "plane1:101"]
    # The second plane lacks the last sample: 4.83 s is the nearest to 4.9 s, and not within half a step.
    np.testing.assert_array_equal(recording["time"], times[:49])
    np.testing.assert_array_equal(recording["data"], np.hstack([stored[0][:49], stored[1]]))
    notes = " ".join(recording.attrs["notes"])
    assert "2 series up to 0.03 s apart are taken as one" in notes
    assert "1 samples dropped" in notes
    members = recording.attrs["source"]["members"]
    assert [item["path"].rsplit("/", 1)[-1] for item in members] == ["plane0", "plane1"]
    assert recording.attrs["source"]["channel_rows"] == [0, 1, 2, 0, 1]
    assert read_recording(path, "plane1").sizes["roi"] == 2
    with pytest.raises(ParameterError, match="2 planes"):
        read_recording(path, rois=(100,))
    assert read_recording(path, rois="id == 100").sizes["roi"] == 2


@pytest.mark.parametrize("change", [{"rate": 5.0}, {"unit": "volts"}, {"starting_time": 7.0}])
def test_planes_that_do_not_fit_together_stay_apart(tmp_path, change):
    nwbfile = new_nwbfile()
    series = [
        make_rois(add_plane(nwbfile, f"plane{i}", 2), f"plane{i}", simulate_series(50, 2), **(change if i else {}))
        for i in range(2)
    ]
    nwbfile.processing["ophys"].add(Fluorescence(roi_response_series=series))
    catalog = list_sources(write_nwbfile(nwbfile, tmp_path / "s.nwb"))
    assert catalog.default == "/processing/ophys/Fluorescence/plane0"
    assert "/processing/ophys/Fluorescence/plane1" in catalog.why


def test_dff_by_hand():
    raw = np.array([[10.0, 4.0], [10.0, 4.0], [15.0, np.nan], [10.0, 6.0], [20.0, 4.0]])
    dff = compute_dff(raw, np.arange(5.0) + 1e6, window_s=100, quantile=0)
    np.testing.assert_allclose(dff, [[0, 0], [0, 0], [0.5, np.nan], [0, 0.5], [1, 0]])
    # A window of one second holds the sample alone, so that F0 is F.
    np.testing.assert_allclose(compute_dff(raw[:, :1], np.arange(5.0), 1.0, 0.5), np.zeros((5, 1)))
    assert np.isnan(compute_dff(raw - 4, np.arange(5.0), 100, 0)[:, 1]).all()


def test_dff_of_a_session(tmp_path):
    raw = 100 + 10 * np.abs(simulate_series(300, 4)) * np.linspace(1, 0.5, 300)[:, None]
    path = write_rois(tmp_path / "s.nwb", raw)
    recording = read_recording(path, dff=True, dff_window_s=10)
    np.testing.assert_allclose(recording["data"], compute_dff(raw, np.arange(300) / 10, 10.0, 0.1))
    assert recording["data"].attrs["units"] == "dF/F"
    assert "F0 is the 0.1 quantile of 10 s" in " ".join(recording.attrs["notes"])
    with pytest.raises(DataError, match=r"F0 of 4 of 4 ROIs falls to 0 or below \(100, 101, 102, 103\)"):
        read_recording(write_rois(tmp_path / "t.nwb", raw - 120), dff=True)
    with pytest.raises(ParameterError, match="dff is for fluorescence, and this is /processing/ophys/DfOverF/x"):
        read_recording(make_roi_session(tmp_path / "u.nwb", names={"DfOverF": ["x"]}), dff=True)
    with pytest.raises(ParameterError, match="`dff=True`"):
        read_recording(path, dff_quantile=0.2)


def test_real_fluorescence_as_dff(real_data):
    raw = read_recording(real_data("ophys_rois.nwb"))["data"].values
    dff = read_recording(real_data("ophys_rois.nwb"), dff=True)["data"].values
    assert dff.shape == raw.shape
    # Fluorescence of 365 to 622 with 60 s of window over 25 s of recording: one baseline for each ROI, nearly.
    assert 0 < np.quantile(dff, 0.9) < 0.5
    for a, b in zip(raw.T, dff.T, strict=True):
        assert np.corrcoef(a, b)[0, 1] > 0.95


def test_rois_without_a_value_are_left_out(tmp_path):
    data = simulate_series(100, 4)
    data[:, 1] = np.nan
    data[:60, 2] = np.nan
    recording = read_recording(write_rois(tmp_path / "s.nwb", data))
    assert recording["roi"].values.tolist() == [100, 103]
    whys = [(item["id"], item["why"]) for item in recording.attrs["left_out"]]
    assert whys == [(101, "NaN in every sample read"), (102, "NaN in 60% of the samples read")]
    with pytest.raises(DataError, match="every roi is NaN in more than 50%"):
        read_recording(write_rois(tmp_path / "t.nwb", np.full((100, 4), np.nan)))

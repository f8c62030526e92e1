"""What is fitted by default, by kind of file: the right answer stands beside each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pynwb import TimeSeries
from pynwb.icephys import CurrentClampSeries, CurrentClampStimulusSeries, VoltageClampSeries
from pynwb.ophys import DfOverF, Fluorescence, OpticalChannel

from nwb_dcf import list_sources, read_recording
from tests.nwb_files import add_plane, make_roi_session, make_rois, new_nwbfile, simulate_series, write_nwbfile

N_ROIS = 6


def write_boxes(path: Path, boxes: Mapping[str, tuple[type, Mapping[str, Any]]]) -> Path:
    """Write containers of ROI responses: name -> (class, {name of a series: its data, or None for usual ones})."""
    nwbfile = new_nwbfile()
    table = add_plane(nwbfile, n_rois=N_ROIS)
    for number, (name, (kind, series)) in enumerate(boxes.items()):
        made = []
        for one, values in series.items():
            settings = values if isinstance(values, dict) else {}
            data = settings.pop(
                "data", simulate_series(300, N_ROIS, seed=number) if settings or values is None else values
            )
            made.append(make_rois(table, one, data, **settings))
        nwbfile.processing["ophys"].add(kind(name=name, roi_response_series=made))
    return write_nwbfile(nwbfile, path)


F, D = Fluorescence, DfOverF
LAYOUTS = {
    "suite2p": (
        {n: (F, {"plane0": None}) for n in ("Deconvolved", "Fluorescence", "Neuropil")},
        "/processing/ophys/Fluorescence/plane0",
    ),
    "suite2p, two planes": (
        {n: (F, {"plane0": None, "plane1": None}) for n in ("Deconvolved", "Fluorescence", "Neuropil")},
        "/processing/ophys/Fluorescence/plane",
    ),
    "minian": (
        {"Fluorescence": (F, dict.fromkeys(("Baseline", "Deconvolved", "Denoised", "Neuropil")))},
        "/processing/ophys/Fluorescence/Denoised",
    ),
    "caiman": (
        {
            "Fluorescence": (
                F,
                dict.fromkeys(("Baseline", "Deconvolved", "Denoised", "Neuropil", "RoiResponseSeries")),
            ),
            "DfOverF": (D, {"RoiResponseSeries": None}),
        },
        "/processing/ophys/DfOverF/RoiResponseSeries",
    ),
    "neuroconv, names with planes": (
        {"Fluorescence": (F, {n + "Plane0": None for n in ("Deconvolved", "RoiResponseSeries", "Neuropil")})},
        "/processing/ophys/Fluorescence/RoiResponseSeriesPlane0",
    ),
    "allen": (
        {
            "demixed_traces": (F, {"traces": None}),
            "neuropil_traces": (F, {"traces": None}),
            "dff": (D, {"traces": None}),
        },
        "/processing/ophys/dff/traces",
    ),
    "allen without dF/F": (
        {"neuropil_traces": (F, {"traces": None}), "demixed_traces": (F, {"traces": None})},
        "/processing/ophys/demixed_traces/traces",
    ),
    "raw before denoised": (
        {"Fluorescence": (F, {"Denoised": None, "Raw": None})},
        "/processing/ophys/Fluorescence/Raw",
    ),
    "events alone": ({"event_detection": (F, {"traces": None})}, None),
    "deconvolved alone": ({"Deconvolved": (F, {"plane0": None})}, None),
    "spike probabilities alone": ({"Fluorescence": (F, {"inferred_spikes": None})}, None),
    "baseline alone": ({"Baseline": (F, {"F0": None})}, None),
    "baseline in a box of dF/F": (
        {"DfOverF": (D, {"Baseline": None, "Trace": None})},
        "/processing/ophys/DfOverF/Trace",
    ),
    "named in the description": (
        {
            "Fluorescence": (
                F,
                {
                    "a_traces": {"description": "Deconvolved activity as estimated by OASIS"},
                    "b_traces": {"description": "Neuropil signal around each ROI"},
                    "c_traces": {"description": "Mean fluorescence of each ROI"},
                },
            )
        },
        "/processing/ophys/Fluorescence/c_traces",
    ),
    "corrected for neuropil": (
        {"Fluorescence": (F, {"neuropil_corrected": None, "Neuropil": None})},
        "/processing/ophys/Fluorescence/neuropil_corrected",
    ),
    "the one that varies": (
        {"Fluorescence": (F, {"a": np.ones((300, N_ROIS)), "b": None})},
        "/processing/ophys/Fluorescence/b",
    ),
    "the longer one": (
        {"Fluorescence": (F, {"a": simulate_series(20, N_ROIS), "b": simulate_series(900, N_ROIS)})},
        "/processing/ophys/Fluorescence/b",
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_default_of_roi_responses(tmp_path, layout):
    boxes, expected = LAYOUTS[layout]
    catalog = list_sources(write_boxes(tmp_path / "s.nwb", boxes))
    if expected is None:
        assert catalog.default is None
    elif expected.endswith("/plane"):
        assert str(catalog.default).startswith(expected)
    else:
        assert catalog.default == expected


def test_what_is_not_a_default_can_be_named(tmp_path):
    path = write_boxes(tmp_path / "s.nwb", LAYOUTS["suite2p"][0])
    recording = read_recording(path, "/processing/ophys/Deconvolved/plane0")
    assert recording["data"].sizes == {"time": 300, "roi": N_ROIS}


def write_planes(path: Path, emissions: Mapping[str, float]) -> Path:
    nwbfile, box = new_nwbfile(), Fluorescence(name="Fluorescence")
    for number, (name, emission) in enumerate(emissions.items()):
        table = add_plane(nwbfile, name, n_rois=5)
        channel = OpticalChannel(name="oc", description="d", emission_lambda=emission)
        plane = nwbfile.create_imaging_plane(
            name=f"imaging{name}", optical_channel=channel, description="d", device=nwbfile.devices["microscope"],
            excitation_lambda=920.0, indicator="G", location="V1",
        )  # fmt: skip
        table.fields["imaging_plane"] = plane
        box.add_roi_response_series(make_rois(table, f"RoiResponseSeries{name}", simulate_series(300, 5, seed=number)))
    nwbfile.processing["ophys"].add(box)
    return write_nwbfile(nwbfile, path)


@pytest.mark.parametrize(
    ("emissions", "members"),
    [
        ({"Chan1Plane0": 520.0, "Chan2Plane0": 610.0}, []),
        ({"Green": 513.0, "Red": 620.0, "FarRed": 700.0}, []),
        ({"Plane0": 520.0, "Plane1": 520.0}, ["RoiResponseSeriesPlane*"]),
        (
            {"Chan1Plane0": 520.0, "Chan1Plane1": 520.0, "Chan2Plane0": 610.0, "Chan2Plane1": 610.0},
            ["RoiResponseSeriesChan1Plane*", "RoiResponseSeriesChan2Plane*"],
        ),
    ],
)
def test_two_emission_wavelengths_are_two_sources(tmp_path, emissions, members):
    path = write_planes(tmp_path / "s.nwb", emissions)
    sources = list_sources(path).sources
    families = sorted(one.path.rsplit("/", 1)[1] for one in sources if one.members)
    assert families == members
    if len(emissions) != 4:
        expected = 10 if members else 5
        assert read_recording(path)["data"].sizes["roi"] == expected
    else:
        assert read_recording(path)["data"].sizes["roi"] == 10
        assert "Chan1" in str(list_sources(path).default)
    if not members or len(members) == 2:
        assert "nm" in list_sources(path).why


SWEEPS = {
    "current clamp": (CurrentClampSeries, {"gain": 1.0}),
    "voltage clamp": (VoltageClampSeries, {"gain": 1.0}),
    "stimuli": (CurrentClampStimulusSeries, {"gain": 1.0}),
}


@pytest.mark.parametrize("kind", SWEEPS)
@pytest.mark.parametrize("apart", [False, True])
def test_sweeps_are_trials_and_no_default(tmp_path, kind, apart):
    nwbfile, rng = new_nwbfile(), np.random.default_rng(0)
    electrode = nwbfile.create_icephys_electrode(name="e", description="d", device=nwbfile.create_device("amp"))
    series, settings = SWEEPS[kind]
    for k in range(8):
        one = series(
            name=f"sweep_{k:03d}", data=rng.normal(size=2000).cumsum() * 1e-4, electrode=electrode, rate=10000.0,
            starting_time=10.0 * k if apart else 0.0, sweep_number=np.uint64(k), **settings,
        )  # fmt: skip
        if series is CurrentClampStimulusSeries:
            nwbfile.add_stimulus(one)
        else:
            nwbfile.add_acquisition(one)
    path = write_nwbfile(nwbfile, tmp_path / "s.nwb")
    catalog = list_sources(path)
    assert catalog.default is None
    assert "sweep" in catalog.why
    assert not any(one.kind == "family" for one in catalog.sources)
    assert read_recording(path, "sweep_003")["data"].sizes["time"] == 2000


def test_a_constant_series_is_not_taken_before_one_that_varies(tmp_path):
    nwbfile = new_nwbfile()
    for i in range(6):
        nwbfile.add_acquisition(TimeSeries(name=f"a_{i}", data=np.full(300, 2.0), rate=10.0, unit="a.u."))
        values = simulate_series(300, 1, seed=i)[:, 0]
        nwbfile.add_acquisition(TimeSeries(name=f"b_{i}", data=values, rate=10.0, unit="a.u."))
    assert list_sources(write_nwbfile(nwbfile, tmp_path / "s.nwb")).default == "/acquisition/b_*"


def test_landmarks_come_after_the_animal(tmp_path):
    ndx_pose = pytest.importorskip("ndx_pose")
    nwbfile = new_nwbfile()
    module = nwbfile.create_processing_module("behavior", "b")
    for name, moves in (("ArenaCorners", 0.0), ("Landmarks", 0.01), ("Mouse", 5.0)):
        parts = []
        for number in range(3):
            data = 50 + 20 * number + moves * simulate_series(300, 2, seed=number)
            parts.append(
                ndx_pose.PoseEstimationSeries(
                    name=f"part{number}", data=data, reference_frame="corner", rate=30.0, unit="pixels",
                    confidence=np.ones(300), confidence_definition="p",
                )
            )  # fmt: skip
        module.add(
            ndx_pose.PoseEstimation(name=name, pose_estimation_series=parts, description="d", source_software="x")
        )
    assert list_sources(write_nwbfile(nwbfile, tmp_path / "s.nwb")).default == "/processing/behavior/Mouse"


# column, its values for six ROIs, the ROIs that stay (None: all, and a note that names the column and --rois)
QUALITY = {
    "bool": ("Accepted", [True, False, True, True, True, False], [0, 2, 3, 4]),
    "0/1": ("is_accepted", [1, 0, 1, 1, 1, 0], [0, 2, 3, 4]),
    "0/1 as float": ("accepted", [1.0, 0.0, 1.0, 1.0, 1.0, 0.0], [0, 2, 3, 4]),
    "NaN where nobody looked": ("Accepted", [1.0, 0.0, 1.0, np.nan, 1.0, 0.0], [0, 2, 3, 4]),
    "yes and no": ("Accepted", ["yes", "no", "yes", "yes", "yes", "no"], [0, 2, 3, 4]),
    "words": ("Accepted", ["accepted", "rejected", "accepted", "accepted", "accepted", "rejected"], [0, 2, 3, 4]),
    "capitals": ("iscell", ["True", "False", "TRUE", "True", "true", "FALSE"], [0, 2, 3, 4]),
    "undecided": ("Accepted", ["yes", "no", "yes", "", "yes", "no"], [0, 2, 3, 4]),
    "rejected": ("Rejected", [0, 1, 0, 0, 0, 1], [0, 2, 3, 4]),
    "rejected as bool": ("rejected", [False, True, False, False, False, True], [0, 2, 3, 4]),
    "suite2p": ("iscell", np.array([[1, 0.9], [0, 0.1], [1, 0.8], [1, 0.7], [1, 0.9], [0, 0.2]]), [0, 2, 3, 4]),
    "is_cell": ("is_cell", [1, 0, 1, 1, 1, 0], [0, 2, 3, 4]),
    "-1/0/1": ("Accepted", [1, -1, 0, 1, 1, -1], None),
    "probability": ("Accepted", [0.95, 0.03, 0.7, 0.8, 0.99, 0.2], None),
    "unknown words": ("Accepted", ["alpha", "beta", "alpha", "alpha", "alpha", "beta"], None),
    "codes": ("iscell", [1, 2, 1, 3, 1, 2], None),
}


@pytest.mark.parametrize("form", QUALITY)
def test_quality_of_rois_is_used_or_noted_as_not_understood(tmp_path, form):
    column, values, kept = QUALITY[form]
    nwbfile = new_nwbfile()
    table = add_plane(nwbfile, n_rois=6)
    table.add_column(column, "curation", data=values if isinstance(values, np.ndarray) else list(values))
    box = Fluorescence(name="Fluorescence")
    box.add_roi_response_series(make_rois(table, "raw", simulate_series(300, 6)))
    nwbfile.processing["ophys"].add(box)
    recording = read_recording(write_nwbfile(nwbfile, tmp_path / "s.nwb"))
    notes = " ".join(recording.attrs["notes"])
    assert column in notes
    if kept is None:
        assert recording["data"].sizes["roi"] == 6
        assert "not understood" in notes
        assert "`rois=`" in notes
    else:
        assert recording.roi.values.tolist() == [100 + i for i in kept]


@pytest.mark.parametrize("seed", range(20))
def test_no_ordinary_roi_table_is_doubted(tmp_path, seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(4, 40))
    columns = {"diameter": rng.uniform(5, 15, n).tolist(), "label": [f"cell {i}" for i in range(n)]}
    path = make_roi_session(tmp_path / "s.nwb", names={"Fluorescence": ["raw"]}, n_rois=n, columns=columns)
    notes = " ".join(read_recording(path).attrs["notes"])
    assert "understood" not in notes
    assert read_recording(path)["data"].sizes["roi"] == n

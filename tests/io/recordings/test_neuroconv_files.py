"""Files as NeuroConv 0.10 writes them, built by pynwb alone: names, containers and columns are those of its files.

Each was written once by NeuroConv itself from the output of a segmentation, a sorter, a camera or a tracker, and its
right answer stands here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pynwb import NWBFile
from pynwb.ecephys import ElectricalSeries
from pynwb.image import ImageSeries
from pynwb.ophys import Fluorescence, PlaneSegmentation

from nwb_dcf import list_sources, read_recording
from nwb_dcf.errors import DOUBT
from tests.nwb_files import add_plane, make_rois, new_nwbfile, simulate_series, simulate_spike_times, write_nwbfile
from tests.video_files import simulate_frames, write_video

N_ROIS, N_FRAMES = 8, 300
PROBABLE = np.column_stack([np.arange(N_ROIS) >= 2, np.linspace(0.9, 0.1, N_ROIS)]).astype(float)


@dataclass(frozen=True)
class Segmentation:
    """What is in ``/processing/ophys``, and what is to be fitted of it."""

    planes: Sequence[str]
    series: Sequence[str]
    columns: Mapping[str, Any]
    default: str
    n_channels: int


def per_plane(names: Sequence[str], planes: Sequence[str]) -> list[str]:
    return [f"{name}{plane}" for name in names for plane in planes]


SUITE2P = ("RoiResponseSeries", "Neuropil", "Deconvolved")
SEGMENTATIONS = {
    "suite2p": Segmentation([""], SUITE2P, {"iscell": PROBABLE}, "RoiResponseSeries", N_ROIS - 2),
    "suite2p, two planes": Segmentation(
        ["Chan1Plane0", "Chan1Plane1"], per_plane(SUITE2P, ["Chan1Plane0", "Chan1Plane1"]), {"iscell": PROBABLE},
        "RoiResponseSeriesChan1Plane*", 2 * (N_ROIS - 2),
    ),
    "suite2p, two channels": Segmentation(
        ["Chan1Plane0", "Chan2Plane0"],
        [*per_plane(SUITE2P[:2], ["Chan1Plane0", "Chan2Plane0"]), "DeconvolvedChan1Plane0"],
        {"iscell": PROBABLE}, "RoiResponseSeriesChan1Plane0", N_ROIS - 2,
    ),
    "suite2p, two channels of two planes": Segmentation(
        [f"Chan{c}Plane{p}" for c in (1, 2) for p in (0, 1)],
        per_plane(SUITE2P[:2], [f"Chan{c}Plane{p}" for c in (1, 2) for p in (0, 1)]),
        {}, "RoiResponseSeriesChan1Plane*", 2 * N_ROIS,
    ),
    "caiman": Segmentation(
        [""], ("RoiResponseSeries", "DfOverF", "Denoised", "Deconvolved"),
        {"snr": np.linspace(5, 1, N_ROIS), "is_accepted": np.arange(N_ROIS) >= 3}, "DfOverF", N_ROIS - 3,
    ),
    "minian": Segmentation([""], ("Denoised", "Baseline", "Deconvolved"), {}, "Denoised", N_ROIS),
}  # fmt: skip


def name_plane(series: str, planes: Sequence[str]) -> str:
    return next(plane for plane in planes if series.endswith(plane))


@pytest.mark.parametrize("kind", SEGMENTATIONS)
def test_segmentations(tmp_path: Path, kind: str) -> None:
    case, nwbfile = SEGMENTATIONS[kind], new_nwbfile()
    tables = {plane: add_segmentation(nwbfile, plane, case.columns) for plane in case.planes}
    made = [
        make_rois(tables[name_plane(name, case.planes)], name, simulate_series(N_FRAMES, N_ROIS, seed=seed))
        for seed, name in enumerate(case.series)
    ]
    nwbfile.processing["ophys"].add(Fluorescence(name="Fluorescence", roi_response_series=made))
    path = write_nwbfile(nwbfile, tmp_path / "s.nwb")
    catalog = list_sources(path)
    assert catalog.default == f"/processing/ophys/Fluorescence/{case.default}"
    assert read_recording(path).sizes["roi"] == case.n_channels
    for source in catalog.sources:
        if any(word in source.path for word in ("Neuropil", "Deconvolved", "Baseline")):
            assert source.why.startswith("only by name"), source


def add_segmentation(nwbfile: NWBFile, plane: str, columns: Mapping[str, Any]) -> PlaneSegmentation:
    table = add_plane(nwbfile, f"ImagingPlane{plane}", n_rois=N_ROIS, columns=columns)
    # NeuroConv writes NaN where the segmentation knows no wavelength.
    table.imaging_plane.optical_channel[0].fields["emission_lambda"] = np.nan
    return table


def add_sorting(nwbfile: NWBFile, start_s: float) -> None:
    """Units of a Phy folder."""
    for name in ("original_cluster_id", "KSLabel", "quality", "unit_name"):
        nwbfile.add_unit_column(name, name)
    for unit, times in enumerate(simulate_spike_times(6, 30.0, start_s=start_s)):
        nwbfile.add_unit(
            spike_times=times, original_cluster_id=unit, KSLabel="good", quality="good", unit_name=str(unit)
        )


def add_voltages(nwbfile: NWBFile, start_s: float) -> None:
    device = nwbfile.create_device("DeviceEcephys")
    group = nwbfile.create_electrode_group("0", description="no description", location="unknown", device=device)
    for _ in range(2):
        nwbfile.add_electrode(location="unknown", group=group)
    data = np.random.default_rng(0).integers(-99, 99, (30_000, 2)).astype(np.int16)
    region = nwbfile.create_electrode_table_region([0, 1], "electrode_table_region")
    series = ElectricalSeries("ElectricalSeries", data, region, rate=1000.0, starting_time=start_s, conversion=1e-6)
    nwbfile.add_acquisition(series)


@pytest.mark.parametrize(
    ("spikes_from_s", "recorded_from_s", "is_doubted"),
    [(0.0, None, False), (100.0, 100.0, False), (0.0, 100.0, True)],
    ids=["sorting alone", "recording registered", "recording not registered"],
)
def test_sortings(tmp_path: Path, spikes_from_s: float, recorded_from_s: float | None, is_doubted: bool) -> None:
    nwbfile = new_nwbfile()
    add_sorting(nwbfile, spikes_from_s)
    if recorded_from_s is not None:
        add_voltages(nwbfile, recorded_from_s)
    path = write_nwbfile(nwbfile, tmp_path / "s.nwb")
    catalog = list_sources(path)
    recording = read_recording(path)
    doubts = [note for note in recording.attrs["notes"] if note.startswith(DOUBT)]
    assert catalog.default == "/units"
    assert recording.sizes["unit"] == 6
    assert [bool(catalog.doubts), bool(doubts)] == [is_doubted, is_doubted]
    assert all("sorting.register_recording(recording)" in one for one in (*catalog.doubts, *doubts))


def test_videos(tmp_path: Path) -> None:
    """One outside the file with a rate, num_samples and a name without a folder, and one inside in colour."""
    write_video(tmp_path / "a.mkv", simulate_frames(40))
    nwbfile = new_nwbfile()
    nwbfile.add_acquisition(
        ImageSeries(
            name="outside",
            unit="Frames",
            format="external",
            external_file=["a.mkv"],
            starting_frame=[0],
            rate=25.0,
            num_samples=np.uint32(40),
            device=nwbfile.create_device("camera"),
        )
    )
    data = np.random.default_rng(0).integers(0, 255, (30, 24, 32, 3)).astype(np.uint8)
    nwbfile.add_acquisition(ImageSeries(name="inside", unit="Frames", data=data, rate=25.0))
    path = write_nwbfile(nwbfile, tmp_path / "s.nwb")
    assert {source.path: source.problem for source in list_sources(path).sources} == {
        "/acquisition/outside": "", "/acquisition/inside": ""
    }  # fmt: skip
    assert read_recording(path, "outside").sizes["time"] == 40
    assert read_recording(path, "inside").sizes["time"] == 30


def test_poses(tmp_path: Path) -> None:
    """As of DeepLabCut: each part with its confidence, beside a skeleton and the names of the software."""
    ndx_pose = pytest.importorskip("ndx_pose")
    nwbfile, rng = new_nwbfile(), np.random.default_rng(0)
    parts = []
    for number, part in enumerate(("Nose", "Ear", "Tail")):
        confidence = np.full(200, 0.99)
        confidence[50:80] = 0.1 if part == "Nose" else 0.99
        data = 100 + 20 * simulate_series(200, 2, seed=number) + rng.normal(size=(200, 2))
        parts.append(
            ndx_pose.PoseEstimationSeries(
                name=f"PoseEstimationSeries{part}",
                description=f"Pose estimation series for {part}.",
                data=data,
                unit="pixels",
                reference_frame="(0,0) corresponds to the top left corner",
                confidence=confidence,
                confidence_definition="Softmax output of the deep neural network.",
                rate=25.0,
                starting_time=0.0,
            )
        )
    skeleton = ndx_pose.Skeleton(name="Skeleton_Ind1", nodes=["Nose", "Ear", "Tail"])
    module = nwbfile.create_processing_module("behavior", "processed behavioral data")
    module.add(ndx_pose.Skeletons(skeletons=[skeleton]))
    module.add(
        ndx_pose.PoseEstimation(
            name="PoseEstimationDeepLabCut",
            pose_estimation_series=parts,
            skeleton=skeleton,
            scorer="DLC_net",
            source_software="DeepLabCut",
        )
    )
    path = write_nwbfile(nwbfile, tmp_path / "s.nwb")
    assert list_sources(path).default == "/processing/behavior/PoseEstimationDeepLabCut"
    recording = read_recording(path)
    assert recording.sizes == {"time": 170, "channel": 6, "segment": 2}

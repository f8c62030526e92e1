"""Cells matched by name: the shared space is theirs, and names that mean nothing are refused."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr
from pynwb import NWBHDF5IO, NWBFile
from pynwb.ophys import DfOverF, ImageSegmentation, OpticalChannel, PlaneSegmentation, RoiResponseSeries

from nwb_dcf.cli import main
from nwb_dcf.cohort import Cohort
from nwb_dcf.cohort.matched import find_common, name_cells, take_cells
from nwb_dcf.data.recording import make_recording
from nwb_dcf.errors import DataError, ParameterError

N_CELLS, N_FRAMES = 24, 600


def draw(n: int, *, seed: int = 0) -> tuple[dict[str, xr.Dataset], dict[str, np.ndarray]]:
    """Worms with the same cells: two slow latents, one loading matrix, brightness of their own."""
    rng = np.random.default_rng(seed)
    loadings = rng.normal(size=(2, N_CELLS))
    recordings, truth = {}, {}
    for i in range(n):
        time = np.arange(N_FRAMES) * 0.2
        phase = rng.uniform(0, 6)
        z = np.stack([np.sin(time / 6 + phase), np.sin(time / 1.7 + rng.uniform(0, 6))], axis=1)
        values = (z @ loadings + 0.8 * rng.normal(size=(N_FRAMES, N_CELLS))) * rng.uniform(0.3, 3, N_CELLS)
        recordings[f"worm{i}"] = make_recording(values, time)
        truth[f"worm{i}"] = z
    return recordings, truth


def fit(recordings: dict[str, xr.Dataset], dim: int = 2, **settings: object) -> Cohort:
    return Cohort(dim, n_permutations=39, **settings).fit(recordings, None, matched=True)  # type: ignore[arg-type]


def test_latents_are_the_true_ones_in_every_session_slowest_first() -> None:
    recordings, truth = draw(4)
    cohort = fit(recordings)
    assert cohort.sharing_ is not None
    assert cohort.sharing_.p <= 0.05
    assert not cohort.unshared_
    for name, recording in recordings.items():
        latents = cohort.transform(recording, name)["latents"].values
        for axis in (0, 1):
            assert abs(np.corrcoef(latents[:, axis], truth[name][:, axis])[0, 1]) > 0.9
    assert any("shared space repeats" in finding.sentence for finding in cohort.findings_)


def test_one_sign_and_scale_in_all_sessions() -> None:
    recordings, truth = draw(3)
    cohort = fit(recordings)
    slopes = [
        np.linalg.lstsq(truth[name], cohort.transform(one, name)["latents"].values, rcond=None)[0]
        for name, one in recordings.items()
    ]
    assert np.abs(slopes[0] - slopes[1]).max() < 0.3
    assert np.abs(slopes[0] - slopes[2]).max() < 0.3


def test_names_that_mean_nothing_are_refused() -> None:
    recordings, _ = draw(4)
    rng = np.random.default_rng(1)
    dim = str(recordings["worm0"]["data"].dims[1])
    shuffled = {
        name: one.assign(data=(one["data"].dims, one["data"].values[:, rng.permutation(N_CELLS)], one["data"].attrs))
        for name, one in recordings.items()
    }
    assert shuffled["worm0"].sizes[dim] == N_CELLS
    with pytest.raises(DataError, match="do not go together in a common way"):
        fit(shuffled)
    assert fit(shuffled, force=True).unshared_


def make_table(ids: list[int], names: list[str]) -> SimpleNamespace:
    return SimpleNamespace(where="w.nwb: /F", dim="roi", ids=ids, columns={"roi_id": np.array(names)})


def test_common_cells_are_found_by_name_in_one_order() -> None:
    one = name_cells(make_table(list(range(7)), ["AVA", "AVB", "", "RIM", "SMD", "RIV", "nan"]), "roi_id", range(7))
    other = name_cells(make_table([9, 8, 7, 6, 5], ["RIM", "AVB", "AVA", "RIV", "SMD"]), "roi_id", [9, 8, 7, 6, 5])
    assert len(one) == 5
    common = find_common({"one": one, "other": other}, "roi_id")
    assert [name[0] for name in common] == ["AVA", "AVB", "RIM", "RIV", "SMD"]
    recording = make_recording(np.arange(20.0).reshape(4, 5), np.arange(4.0))
    dim = str(recording["data"].dims[1])
    recording = recording.assign_coords({dim: [9, 8, 7, 6, 5]})
    taken = take_cells(recording, other, common)
    assert taken[dim].values.tolist() == [7, 8, 9, 6, 5]
    np.testing.assert_array_equal(taken["data"].values[0], [2, 1, 0, 3, 4])


def test_what_cannot_be_matched_is_refused() -> None:
    with pytest.raises(DataError, match="2 rois are called AVA"):
        name_cells(make_table([0, 1], ["AVA", "AVA"]), "roi_id", [0, 1])
    with pytest.raises(ParameterError, match="have no column label; columns are: id, roi_id"):
        name_cells(make_table([0, 1], ["AVA", "AVB"]), "label", [0, 1])
    with pytest.raises(DataError, match="0 cells are in every session, matched by roi_id"):
        find_common({"a": {0: ("AVA",)}, "b": {0: ("AVB",)}}, "roi_id")
    recordings, _ = draw(2)
    with pytest.raises(DataError, match="numbers of cells differ"):
        fit({"a": recordings["worm0"], "b": recordings["worm1"].isel({recordings["worm1"]["data"].dims[1]: slice(9)})})


def write_worm(path: Path, values: np.ndarray, order: np.ndarray) -> None:
    file = NWBFile(
        session_description="worm", identifier=path.stem, session_start_time=datetime(2025, 1, 1, tzinfo=UTC)
    )
    channel = OpticalChannel(name="channel", description="d", emission_lambda=500.0)
    plane = file.create_imaging_plane(
        name="plane", optical_channel=channel, description="d", device=file.create_device("microscope"),
        excitation_lambda=488.0, indicator="g", location="head", imaging_rate=5.0,
    )  # fmt: skip
    table = PlaneSegmentation(description="d", imaging_plane=plane, name="cells")
    table.add_column("roi_id", "name of the neuron")
    for cell in order:
        table.add_roi(pixel_mask=[(int(cell), 0, 1.0)], roi_id=f"N{cell:02d}")
    module = file.create_processing_module("ophys", "d")
    module.add(ImageSegmentation(plane_segmentations=[table]))
    region = table.create_roi_table_region("all", region=list(range(len(order))))
    series = RoiResponseSeries(name="dff", data=values[:, order], rois=region, unit="a.u.", rate=5.0)
    module.add(DfOverF(roi_response_series=[series]))
    with NWBHDF5IO(path, "w") as io:
        io.write(file)


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:The linked table")
def test_files_of_worms_with_other_cells_in_other_orders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "w").mkdir()
    rng = np.random.default_rng(0)
    for name, recording in draw(3)[0].items():
        write_worm(tmp_path / "w" / f"{name}.nwb", recording["data"].values, rng.permutation(N_CELLS)[:21])
    fit_files = ["cohort", "fit", "w", "--dim", "2", "--trials", "none", "-o", "c.nwb"]
    assert main([*fit_files, "--match", "roi_id"]) == 0
    assert "cells go together in a common way" in capsys.readouterr().out
    assert main(["transform", "w/worm1.nwb", "--model", "c.nwb#worm0.nwb", "--match", "roi_id"]) == 0
    assert "doubt" not in capsys.readouterr().out
    assert main(["cohort", "plot", "c.nwb", "-o", "c.html"]) == 0
    for arguments, message in (
        (["--match", "pixel"], "its rois have no column pixel"),
        (["--match", "roi_id", "--align-on", "trials.x"], "give --match or --align-on, not both"),
        ([], "give --align-on or --match"),
    ):
        capsys.readouterr()
        assert main([*fit_files, *arguments]) == 2
        assert message in capsys.readouterr().err

"""Results in the formats of others, read back with the tools of others."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.io
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from nwb_dcf import DCFResult
from nwb_dcf.data.recording import make_recording
from nwb_dcf.errors import ParameterError, StoreError
from nwb_dcf.io.export import FORMATS, check_export, export_dataset, export_result, name_for_matlab, tabulate_frames
from tests.io.results.synthetic import make_result


@pytest.fixture(scope="module")
def result() -> DCFResult:
    return make_result(np.array([4, 8, 15, 16, 23]), dim=2)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_table_holds_every_frame_with_the_columns_of_its_trial(
    suffix: str, result: DCFResult, tmp_path: Path
) -> None:
    path = export_result(result, tmp_path / f"fit{suffix}")
    table = pd.read_csv(path, float_precision="round_trip") if suffix == ".csv" else pd.read_parquet(path)
    data = result.dataset
    assert len(table) == data.sizes["time"]
    np.testing.assert_array_equal(table["time"], data["time"])
    np.testing.assert_array_equal(table["segment"], data["segment_index"])
    index = data["segment_index"].values
    for name in ("segment_row", "segment_held_out", "trial_direction", "trial_outcome"):
        np.testing.assert_array_equal(table[name], data[name].values[index], err_msg=name)
    for name in ("latents", "flowed", "velocity"):
        for k in (1, 2):
            np.testing.assert_array_equal(table[f"{name}_{k}"].astype(np.float32), data[name][:, k - 1])
    assert "früh" in set(table["trial_outcome"])


def test_parquet_keeps_types_units_and_provenance(result: DCFResult, tmp_path: Path) -> None:
    table = pd.read_parquet(export_result(result, tmp_path / "fit.parquet"))
    assert table["latents_1"].dtype == np.float32
    assert table["segment_held_out"].dtype == bool
    assert table.attrs["units"]["velocity_2"] == "a.u./s"
    assert table.attrs["provenance"] == result.provenance
    assert table.attrs["config"] == result.config


def test_netcdf_gives_the_dataset_back(result: DCFResult, tmp_path: Path) -> None:
    with xr.open_dataset(export_result(result, tmp_path / "fit.nc")) as stored:
        data = result.dataset
        assert set(stored.variables) == {*data.variables, "frame_held_out"}
        for name, variable in data.variables.items():
            assert stored[name].dims == variable.dims
            np.testing.assert_array_equal(stored[name], variable, err_msg=str(name))
            assert stored[name].attrs.get("units") == variable.attrs.get("units")
        assert set(data.coords) == set(stored.coords)
        assert json.loads(stored.attrs["scores"]) == data.attrs["scores"]
        assert json.loads(stored.attrs["provenance"]) == result.provenance
        assert stored.attrs["k_eff"] == data.attrs["k_eff"]


def test_npz_gives_every_variable_without_a_pickle(result: DCFResult, tmp_path: Path) -> None:
    with np.load(export_result(result, tmp_path / "fit.npz"), allow_pickle=False) as stored:
        about = json.loads(str(stored["attrs"]))
        assert set(stored.files) == {"attrs", "frame_held_out", *map(str, result.dataset.variables)}
        for name, variable in result.dataset.variables.items():
            np.testing.assert_array_equal(stored[str(name)], variable)
            assert about["dims"][name] == list(variable.dims)
    assert about["config"] == result.config


def test_a_mat_file_gives_every_variable_with_texts_as_cells(result: DCFResult, tmp_path: Path) -> None:
    stored = scipy.io.loadmat(export_result(result, tmp_path / "fit.mat"))
    data = result.dataset
    about = json.loads(stored["attrs"].item())
    assert {name for name in stored if not name.startswith("__")} == {
        "attrs", "frame_held_out", *name_for_matlab([str(name) for name in data.variables]).values()
    }  # fmt: skip
    for name in ("time", "segment_index", "latents", "flowed", "velocity", "loadings", "spectrum"):
        np.testing.assert_array_equal(stored[name].reshape(data[name].shape), data[name], err_msg=name)
    assert stored["latents"].dtype == np.float32
    assert stored["time"].shape == (data.sizes["time"], 1)  # a column, as MATLAB users plot
    assert [cell.item() for cell in stored["trial_outcome"].ravel()] == data["trial_outcome"].values.tolist()
    assert about["units"]["velocity"] == "a.u./s"
    assert about["provenance"] == result.provenance


def test_names_that_matlab_does_not_take_are_changed_and_stay_different(result: DCFResult, tmp_path: Path) -> None:
    data = result.dataset.assign_coords(
        {"trial_go cue": ("segment", np.arange(6)), "trial_go-cue": ("segment", np.arange(6) + 10), "attrs": 1.0}
    )
    stored = scipy.io.loadmat(export_dataset(data, tmp_path / "fit.mat"))
    assert stored["trial_go_cue"].ravel().tolist() == [0, 1, 2, 3, 4, 5]
    assert stored["trial_go_cue_2"].ravel().tolist() == [10, 11, 12, 13, 14, 15]
    assert stored["attrs_2"].item() == 1.0
    assert json.loads(stored["attrs"].item())["names"] == {
        "trial_go_cue": "trial_go cue", "trial_go_cue_2": "trial_go-cue", "attrs_2": "attrs"
    }  # fmt: skip


@given(st.lists(st.text(max_size=80), unique=True, max_size=20))
def test_every_name_is_a_variable_of_matlab(names: list[str]) -> None:
    chosen = name_for_matlab(names)
    assert list(chosen) == names
    assert len(set(chosen.values()) | {"attrs"}) == len(names) + 1
    assert all(re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,62}", name) for name in chosen.values())


def test_large_ids_survive_netcdf(tmp_path: Path) -> None:
    ids = np.array([1, 2**40 + 1])
    recording = make_recording(np.eye(2), np.array([0.0, 1.0]), channel=ids)
    with xr.open_dataset(export_dataset(recording, tmp_path / "r.nc")) as stored:
        np.testing.assert_array_equal(stored["channel"], ids)


def test_simulated_paths_are_a_table_too() -> None:
    table = tabulate_frames(
        make_recording(np.arange(8.0).reshape(4, 2), np.arange(4.0), segment_index=np.array([0, 0, 1, 1]),
                       channel_dim="latent", channel=[1, 2], trial_columns={"path": np.array([0, 1])})
    )  # fmt: skip
    assert table["trial_path"].tolist() == [0, 0, 1, 1]
    assert table["data_2"].tolist() == [1, 3, 5, 7]


def test_images_are_laid_out_pixel_by_pixel() -> None:
    table = tabulate_frames(make_recording(np.arange(12.0).reshape(2, 2, 3), np.arange(2.0)))
    assert table["data_6"].tolist() == [5, 11]


def test_what_cannot_be_written_is_refused_and_nothing_is_left(result: DCFResult, tmp_path: Path) -> None:
    with pytest.raises(
        ParameterError, match=r"'fit.xls' names no format; end the output in .csv, .npz, .nc, .parquet, .mat"
    ):
        export_result(result, tmp_path / "fit.xls")
    with pytest.raises(StoreError, match="no such folder"):
        export_result(result, tmp_path / "absent" / "fit.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(StoreError, match="is a folder"):
        export_result(result, tmp_path / "folder.csv")
    old = tmp_path / "fit.csv"
    old.write_text("mine")
    with pytest.raises(StoreError, match="the output exists"):
        export_result(result, old)
    assert old.read_text() == "mine"
    export_result(result, old, overwrite=True)
    assert old.read_text().startswith("time,segment,")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fit.csv", "folder.csv"]


def test_a_write_that_fails_leaves_the_old_file(
    result: DCFResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = export_result(result, tmp_path / "fit.csv")
    before = old.read_bytes()

    def fail(table: pd.DataFrame, path: str, **_: object) -> None:
        Path(path).write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_csv", fail)
    with pytest.raises(StoreError, match=r"fit.csv: cannot be written: No space left on device"):
        export_result(result, old, overwrite=True)
    assert old.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["fit.csv"]


def test_parquet_without_pyarrow_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(StoreError, match=r"parquet needs pyarrow; .*install .*parquet"):
        check_export(tmp_path / "fit.parquet")
    for suffix in set(FORMATS) - {".parquet"}:
        check_export(tmp_path / f"fit{suffix}")

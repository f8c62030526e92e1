"""What others hang on a fit: an overwrite and a removal that would leave it with nothing are refused alike."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from nwb_dcf.errors import StoreError
from nwb_dcf.io.results import check_writable, list_results, remove_result
from nwb_dcf.io.results.read import open_nwb
from nwb_dcf.io.results.scripts.references import find_leading_to
from nwb_dcf.io.results.scripts.verify import compare_trees, describe_tree
from tests.nwb_files import convert_to_zarr, make_spike_session

BACK_COMPAT = Path(__file__).parents[2] / "back_compat" / "ndx-dcf-1.0.0.nwb"
REFERENCE = np.dtype([("idx_start", "i4"), ("count", "i4"), ("timeseries", h5py.ref_dtype)])


@pytest.fixture
def fitted(tmp_path: Path) -> Path:
    path = Path(shutil.copyfile(BACK_COMPAT, tmp_path / "s.nwb"))
    path.chmod(0o644)
    return path


def name_fit(path: Path) -> str:
    return str(list_results(path)[0]["name"])


def refer_by_epoch(file: h5py.File, fit: h5py.Group) -> None:
    file["intervals/epochs/timeseries"] = np.array([(0, 2, fit["latents"].ref)], dtype=REFERENCE)


def refer_by_attribute(file: h5py.File, fit: h5py.Group) -> None:
    file["analysis"].attrs["table"] = fit["segments"].ref


def refer_by_column(file: h5py.File, fit: h5py.Group) -> None:
    file["analysis/refs"] = np.array([file["units"].ref, fit["segments/start_time"].ref], dtype=h5py.ref_dtype)


def refer_by_region(file: h5py.File, fit: h5py.Group) -> None:
    rows = fit["latents/data"].regionref[:2]
    file["analysis"].create_dataset("part", data=rows, dtype=h5py.regionref_dtype)


def refer_by_lists(file: h5py.File, fit: h5py.Group) -> None:
    lists = file["analysis"].create_dataset("lists", (2,), dtype=h5py.vlen_dtype(h5py.ref_dtype))
    lists[1] = np.array([file["units"].ref, fit.ref], dtype=h5py.ref_dtype)


def link_softly(file: h5py.File, fit: h5py.Group) -> None:
    file["processing/mine"] = h5py.SoftLink(f"{fit.name}/latents")


def link_relatively(file: h5py.File, fit: h5py.Group) -> None:
    file["processing/mine"] = h5py.SoftLink(f"{fit.name.removeprefix('/processing/')}/latents")


@pytest.mark.parametrize(
    ("refer", "place"),
    [
        (refer_by_epoch, "/intervals/epochs/timeseries"),
        (refer_by_attribute, "/analysis"),
        (refer_by_column, "/analysis/refs"),
        (refer_by_region, "/analysis/part"),
        (refer_by_lists, "/analysis/lists"),
        (link_softly, "/processing/mine"),
        (link_relatively, "/processing/mine"),
    ],
)
def test_what_leads_to_a_fit_keeps_it(fitted: Path, refer: Callable[[h5py.File, h5py.Group], None], place: str) -> None:
    name = name_fit(fitted)
    with h5py.File(fitted, "r+") as file:
        refer(file, file[f"processing/dcf/{name}"])
    before = fitted.read_bytes()
    for call in (
        lambda: check_writable(fitted, name=name, kind="units", dim=3, overwrite=True),
        lambda: remove_result(fitted, name),
    ):
        with pytest.raises(StoreError, match=f"{place} leads to the fit") as caught:
            call()
        assert "\n" not in str(caught.value)
    assert fitted.read_bytes() == before
    others = [fit["name"] for fit in list_results(fitted) if fit["name"] != name]
    for other in others:  # nothing leads to these
        assert check_writable(fitted, name=other, kind="units", dim=3, overwrite=True) == other


def test_what_leads_elsewhere_or_from_within_does_not(fitted: Path) -> None:
    name = name_fit(fitted)
    with h5py.File(fitted, "r+") as file:
        fit = file[f"processing/dcf/{name}"]
        fit["latents"].attrs["mine"] = fit["segments"].ref
        file["analysis"].attrs["units"] = file["units"].ref
        file["analysis/nothing"] = np.array([h5py.Reference()], dtype=h5py.ref_dtype)
        file.copy(fit, f"processing/dcf/{name}_2")  # a longer name that begins alike
        file["analysis"].attrs["other"] = file[f"processing/dcf/{name}_2"].ref
    assert check_writable(fitted, name=name, kind="units", dim=3, overwrite=True) == name


def add_epochs(nwbfile: Any) -> None:
    from pynwb import TimeSeries

    series = TimeSeries(name="ts", data=np.arange(100.0), unit="V", timestamps=np.arange(100) / 10)
    nwbfile.add_acquisition(series)
    nwbfile.add_acquisition(TimeSeries(name="ts2", data=np.arange(100.0), unit="V", timestamps=series))
    nwbfile.add_epoch(0.0, 2.0, ["a"], [series])


def test_references_of_zarr_are_found_in_links_columns_and_attributes(tmp_path: Path) -> None:
    pytest.importorskip("hdmf_zarr")
    path = make_spike_session(tmp_path / "s.nwb", n_units=4, duration_s=10, change=add_epochs)
    folder = convert_to_zarr(path, tmp_path / "s.zarr")
    attributes = json.loads((folder / "units" / ".zattrs").read_text())
    reference = {"source": ".", "path": "/acquisition/ts/data"}
    (folder / "units" / ".zattrs").write_text(json.dumps({**attributes, "mine": {"value": [reference]}}))
    file = open_nwb(folder)
    assert find_leading_to(file, "/acquisition/ts") == ["/acquisition/ts2", "/intervals/epochs/timeseries", "/units"]
    assert find_leading_to(file, "/acquisition/ts2") == []
    assert "/units" in find_leading_to(open_nwb(folder), "/acquisition/ts/data")


def test_the_verification_sees_where_references_in_columns_lead(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as one, h5py.File(tmp_path / "b.h5", "w") as other:
        for file, targets in ((one, ("x", "y")), (other, ("x", "x"))):
            file["x"], file["y"] = 1, 2
            file["column"] = np.array([(0, 1, file[name].ref) for name in targets], dtype=REFERENCE)
            file["plain"] = np.array([file[targets[0]].ref], dtype=h5py.ref_dtype)
        compare_trees(describe_tree(one), describe_tree(one), "/none")
        with pytest.raises(RuntimeError, match="/column changed"):
            compare_trees(describe_tree(one), describe_tree(other), "/none")
        before = describe_tree(one)
        one["column"][...] = np.array([(0, 1, one["x"].ref)] * 2, dtype=REFERENCE)
        with pytest.raises(RuntimeError, match="/column changed"):
            compare_trees(before, describe_tree(one), "/none")

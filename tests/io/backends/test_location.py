"""One fit, wherever the session lies: HDF5, Zarr, behind a server; and where its result may go."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nwb_dcf import fit_nwb, list_results, plan_fit
from nwb_dcf.errors import DCFError
from tests.file_server import Served, serve
from tests.nwb_files import convert_to_zarr, make_spike_session

QUICK = {"bin_width_s": 0.1, "steps": 3, "seed": 3, "device": "cpu"}


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    (tmp_path / "served").mkdir()
    make_spike_session(tmp_path / "served" / "s.nwb")
    monkeypatch.setenv("NWB_DCF_CACHE", str(tmp_path / "cache"))
    with serve(tmp_path / "served") as served:
        monkeypatch.setenv("NWB_DCF_DANDI_API", f"{served.url}/api")
        yield served


def test_a_fit_over_the_network_is_a_small_file_of_results(server: Served, tmp_path: Path) -> None:
    result = fit_nwb(f"{server.url}/s.nwb", 2, output=tmp_path / "out.nwb", **QUICK)
    assert result.provenance["source"]["file"] == "s.nwb"
    assert [fit["name"] for fit in list_results(tmp_path / "out.nwb")] == ["units_dim2"]
    assert (tmp_path / "out.nwb").stat().st_size < 2e6


@pytest.mark.slow
def test_hdf5_zarr_and_a_server_give_one_fit(server: Served, tmp_path: Path) -> None:
    here = server.folder / "s.nwb"
    folder, bytes_before = convert_to_zarr(here, tmp_path / "s.nwb.zarr"), here.read_bytes()
    results = {
        "hdf5": fit_nwb(here, 2, output=tmp_path / "hdf5.nwb", results_only=True, **QUICK),
        "zarr": fit_nwb(folder, 2, **QUICK),
        "server": fit_nwb(f"{server.url}/s.nwb", 2, output=tmp_path / "server.nwb", **QUICK),
        "archive": fit_nwb("dandi://000001/sub-1/s.nwb", 2, output=tmp_path / "archive.nwb", **QUICK),
    }
    known = results.pop("hdf5")
    for where, result in results.items():
        assert result.provenance["source"]["sha256"] == known.provenance["source"]["sha256"], where
        for name, variable in known.dataset.variables.items():
            if variable.dtype.kind in "biuf":
                assert result.dataset[name].values.tobytes() == variable.values.tobytes(), (where, name)
    for path in (folder, tmp_path / "server.nwb", tmp_path / "archive.nwb"):
        assert [fit["name"] for fit in list_results(path)] == ["units_dim2"]
    assert (tmp_path / "server.nwb").stat().st_size < 2e6
    assert here.read_bytes() == bytes_before


@pytest.mark.parametrize("address", ["dandi://000001/sub-1/s.nwb", "s3://bucket/s.nwb"])
@pytest.mark.parametrize("plan", [fit_nwb, plan_fit])
def test_an_address_asks_for_an_output_before_anything_is_read(address: str, plan: Callable[..., object]) -> None:
    with pytest.raises(DCFError, match=r"an address cannot be written to; .*`output='RESULT\.nwb'`") as error:
        plan(address, 2)
    assert address in str(error.value)


def test_outputs_that_cannot_be_meant(tmp_path: Path) -> None:
    path = make_spike_session(tmp_path / "s.nwb")
    with pytest.raises(DCFError, match="a file of their own"):
        fit_nwb(path, 2, results_only=True)
    with pytest.raises(DCFError, match="the output is an address"):
        fit_nwb(path, 2, output="https://host/s.nwb")


def test_a_plan_says_where_the_result_would_go(server: Served, tmp_path: Path) -> None:
    plan = plan_fit(f"{server.url}/s.nwb?key=secret", 2, output=tmp_path / "out.nwb", bin_width_s=0.1).to_dict()
    assert (plan["file"], plan["name"], plan["output"]) == ("s.nwb", "units_dim2", str(tmp_path / "out.nwb"))
    assert not (tmp_path / "out.nwb").exists()


def test_a_fit_brings_back_a_folder_that_a_killed_write_has_set_aside(tmp_path: Path) -> None:
    folder = convert_to_zarr(make_spike_session(tmp_path / "s.nwb"), tmp_path / "s.nwb.zarr")
    folder.rename(tmp_path / f".s.nwb.zarr.nwb-dcf-{'0123' * 8}.aside")
    quick = {"steps": 2, "width": 8, "early_stopping": False}
    assert fit_nwb(folder, 2, bin_width_s=0.1, **quick).name == "units_dim2"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s.nwb", "s.nwb.zarr"]


def test_stored_fits_are_not_read_over_the_network() -> None:
    with pytest.raises(DCFError, match=r"https://host/s\.nwb: .* on this machine alone.*nwb-dcf info"):
        list_results("https://host/s.nwb?key=secret")

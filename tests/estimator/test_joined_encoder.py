"""Several sources in one fit: each prepared in its way, of equal weight, and with its share of each axis."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from nwb_dcf import DCF, DCFResult, fit_nwb, list_results, plan_fit, read_recording, read_result
from nwb_dcf.cli.fit_report import describe_fit, summarise_fit
from nwb_dcf.config import PrepareConfig
from nwb_dcf.data.preprocessing import Preprocessor, fit_preprocessor
from nwb_dcf.data.recording import make_recording, split_sources
from nwb_dcf.errors import DataError
from nwb_dcf.evaluation.result import compute_source_fractions

from ..io.recordings.test_join_sources import make_session

QUICK: dict[str, Any] = {"steps": 10, "width": 16, "depth": 2, "batch_size": 64, "solver_steps": 4}


def record(counts: np.ndarray, values: np.ndarray) -> xr.Dataset:
    members = [
        {"label": "units", "kind": "units", "units": "count", "path": "/units", "type": "Units"},
        {"label": "hand", "kind": "series", "units": "cm", "path": "/hand", "type": "TimeSeries"},
    ]
    n, m = counts.shape[1], values.shape[1]
    return make_recording(
        np.hstack([counts, values]),
        np.arange(len(counts)) * 0.05,
        channel=[*(f"units/{i}" for i in range(n)), *(f"hand/{i}" for i in range(m))],
        channel_source=["units"] * n + ["hand"] * m,
        units="mixed",
        kind="joined",
        source={"path": "/units and /hand", "members": members},
    )


@pytest.fixture
def recording() -> xr.Dataset:
    rng = np.random.default_rng(0)
    return record(rng.poisson(3, (200, 6)).astype("f4"), 1000 * rng.normal(size=(200, 2)) + [5000, -200])


@pytest.mark.parametrize("scale", ["global", "soft", "zscore"])
def test_sources_weigh_the_same_whatever_their_units_and_number(recording: xr.Dataset, scale: str) -> None:
    preparation = fit_preprocessor(recording, PrepareConfig(scale=scale))
    variance = preparation.apply(recording)["data"].values.var(axis=0, dtype="f8")
    np.testing.assert_allclose([variance[:6].sum(), variance[6:].sum()], 4, rtol=1e-5)
    assert variance.mean() == pytest.approx(1)


def test_each_source_is_prepared_in_its_way(recording: xr.Dataset) -> None:
    preparation = fit_preprocessor(recording, PrepareConfig())
    prepared = preparation.apply(recording)["data"].values
    units, hand = split_sources(recording)
    for part, ours in ((units, prepared[:, :6]), (hand, prepared[:, 6:])):
        alone = fit_preprocessor(part, PrepareConfig()).apply(part)["data"].values
        ratio = ours / alone
        np.testing.assert_allclose(ratio, ratio[0, 0], rtol=1e-4)
    assert [source.transform for source in preparation.sources] == ["sqrt", "none"]
    assert [source.smooth_s for source in preparation.sources] == [0.04, 0.0]
    assert (preparation.transform, preparation.smooth_s) == ("by source", 0.04)
    assert preparation.describe()[-1] == {"step": "scale", "how": "global", "per": "source", "total variance": "equal"}


def test_no_scale_is_no_scale(recording: xr.Dataset) -> None:
    preparation = fit_preprocessor(recording, PrepareConfig(scale="none"))
    assert (preparation.factor == 1).all()


def test_undo_goes_back_to_the_unit_of_each_source(recording: xr.Dataset) -> None:
    preparation = fit_preprocessor(recording, PrepareConfig(smooth=0.0))
    restored = preparation.undo(preparation.apply(recording)["data"].values)
    np.testing.assert_allclose(restored, recording["data"], rtol=1e-4, atol=1e-3)


def test_a_preparation_of_sources_survives_json(recording: xr.Dataset) -> None:
    preparation = fit_preprocessor(recording, PrepareConfig())
    again = Preprocessor.from_dict(json.loads(json.dumps(preparation.to_dict())))
    assert again.sources == preparation.sources
    np.testing.assert_array_equal(again.apply(recording)["data"], preparation.apply(recording)["data"])
    older = {key: value for key, value in preparation.to_dict().items() if key != "sources"}
    assert Preprocessor.from_dict({**older, "transform": "none"}).sources == ()


def test_sources_that_do_not_match_their_channels_are_refused(recording: xr.Dataset) -> None:
    recording.attrs["source"] = {"members": recording.attrs["source"]["members"][:1]}
    with pytest.raises(DataError, match="not those of the recording"):
        split_sources(recording)


def test_shares_are_sums_of_squared_loadings() -> None:
    loadings = np.array([[0.6, 0.0], [0.8, 0.0], [0.0, 1.0]])
    dataset = xr.Dataset({"loadings": (("channel", "component"), loadings)}).assign_coords(
        channel_source=("channel", ["units", "hand", "hand"])
    )
    shared = compute_source_fractions(dataset)
    np.testing.assert_allclose(shared["source_share"], [[0.36, 0.64], [0.0, 1.0]])
    assert shared["source"].values.tolist() == ["units", "hand"]


def test_an_estimator_fits_joined_sources_and_lists_of_them(recording: xr.Dataset) -> None:
    dcf = DCF(2, **QUICK).fit(recording)
    latents = dcf.transform(recording)
    assert latents["data"].dims == ("time", "latent")
    assert "channel_source" not in latents.coords
    rebuilt = dcf.inverse_transform(latents)
    assert rebuilt["channel"].values.tolist() == recording["channel"].values.tolist()
    assert (rebuilt["data"][:, :6] >= 0).all()  # counts were square roots, and the hand was not
    assert rebuilt["data"][:, 7].mean() < 0
    (same,) = DCF(2, **QUICK).fit([recording]).transform([recording])
    np.testing.assert_array_equal(same["data"], latents["data"])
    with pytest.raises(DataError, match="differ from those fitted"):
        dcf.transform(recording.assign_coords(channel=[f"other/{i}" for i in range(8)]))


@pytest.fixture(scope="module")
def fit(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, DCFResult]:
    path = make_session(tmp_path_factory.mktemp("joined") / "s.nwb", {}, n_units=5, duration_s=20)
    return path, fit_nwb(path, 2, source=("units", "hand"), bin_width_s=0.05, null=1, **QUICK)


def test_a_joined_fit_is_stored_with_its_shares_and_read_back(fit: tuple[Path, DCFResult]) -> None:
    path, result = fit
    stored = read_result(path)
    assert stored.name == result.name == "joined_dim2"
    share = stored.dataset["source_share"]
    assert share.dims == ("component", "source")
    np.testing.assert_allclose(share.sum("source"), 1)
    np.testing.assert_allclose(share, result.dataset["source_share"])
    for name in ("source", "channel", "channel_source"):
        assert stored.dataset[name].values.tolist() == result.dataset[name].values.tolist()
    assert stored.config == result.config
    assert stored.config["read"]["source"] == ["units", "hand"]
    assert [member["path"] for member in stored.provenance["source"]["members"]] == ["/units", "/acquisition/hand"]
    recording = read_recording(path, ("units", "hand"), bin_width_s=0.05)
    np.testing.assert_allclose(
        DCF.from_result(stored).transform(recording)["data"], stored.dataset["latents"], atol=1e-6
    )


def test_a_joined_fit_is_seen_to_be_stale_when_one_source_changes(fit: tuple[Path, DCFResult], tmp_path: Path) -> None:
    import h5py

    path = Path(shutil.copy(fit[0], tmp_path / "s.nwb"))
    assert [stored["stale"] for stored in list_results(path)] == [False]
    with h5py.File(path, "r+") as file:
        file["acquisition/hand/data"][3, 0] += 1
    assert [stored["stale"] for stored in list_results(path)] == [True]


def test_a_joined_fit_is_reported_with_its_shares(fit: tuple[Path, DCFResult]) -> None:
    path, result = fit
    report = summarise_fit(result, str(path))
    text = describe_fit(report)
    assert "/units and /acquisition/hand of s.nwb: 7 channels" in text
    assert "bins of 50 ms" in text
    share = result.dataset["source_share"].values
    first, second = (f"{100 * value:.0f} %" for value in share[:2, 0])
    assert f"sources   units has {first}, {second} of axes 1 to 2" in text
    assert list(report["source_share"]) == ["units", "hand"]
    json.dumps(report["source_share"])


def test_a_plan_names_all_sources(tmp_path: Path) -> None:
    plan = plan_fit(make_session(tmp_path / "s.nwb", {}), 2, source=("units", "hand")).to_dict()
    assert plan["name"] == "joined_dim2"
    assert (plan["source"]["path"], plan["channels"]) == ("/units and /acquisition/hand", 10)


def fit_and_transform(path: Path, source: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Latents, velocity and times."""
    recording = read_recording(path, source)
    dcf = DCF(2, **QUICK).fit(recording)
    return dcf.transform(recording)["data"].values, dcf.velocity(recording)["data"].values, recording["time"].values


@pytest.mark.parametrize("source", ["units", "hand", ("units", "hand")])
def test_latents_do_not_depend_on_when_the_session_was(tmp_path: Path, source: Any) -> None:
    """Every clock of a file later by 1e6 s: the same latents, at later times."""
    ours, later = (
        fit_and_transform(
            make_session(
                tmp_path / f"{start:g}.nwb",
                {"start": start, "data": np.column_stack([np.sin(np.arange(800) / 20), np.cos(np.arange(800) / 30)])},
                # in the middle of bins
                spike_times=[
                    start + 0.01 + 0.02 * np.unique(np.append(0, np.random.default_rng(i).integers(0, 790, 300)))
                    for i in range(5)
                ],
                trials=None,
            ),
            source,
        )
        for start in (0.0, 1e6)
    )
    np.testing.assert_allclose(later[0], ours[0], rtol=0, atol=1e-6)
    np.testing.assert_allclose(later[1], ours[1], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(later[2], ours[2] + 1e6, rtol=0, atol=1e-6)


@pytest.mark.parametrize("source", ["hand", ("units", "hand")])
def test_latents_do_not_depend_on_how_the_clock_is_stored(tmp_path: Path, source: Any) -> None:
    data = np.column_stack([np.sin(np.arange(800) / 20), np.cos(np.arange(800) / 30)])
    by_rate, by_stamps = (
        fit_and_transform(
            make_session(tmp_path / f"{len(clock)}.nwb", {"data": data, **clock}, n_units=5, duration_s=16), source
        )
        for clock in ({}, {"timestamps": np.arange(800) / 50})
    )
    np.testing.assert_allclose(by_stamps[0], by_rate[0], rtol=0, atol=1e-6)
    np.testing.assert_allclose(by_stamps[2], by_rate[2], rtol=0, atol=1e-9)


@pytest.mark.slow
def test_real_units_and_hand_velocity_are_fitted_together(tmp_path: Path, real_data: Callable[[str], Path]) -> None:
    path = Path(shutil.copyfile(real_data("reach_chewie.nwb"), tmp_path / "s.nwb"))
    result = fit_nwb(path, 3, source=("units", "hand_velocity"), bin_width_s=0.1, steps=100)
    share = read_result(path).dataset["source_share"].values
    assert share[:2, 1].min() > 0.5  # two channels of half the variance: the hand has the first axes
    assert share[2, 0] > 0.9
    assert result.dataset.attrs["scores"]["bottleneck_r2"] > 0.4

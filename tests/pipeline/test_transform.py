"""A stored model on other files: held-out trials, renamed and missing channels, simulation."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pynwb import NWBHDF5IO

from nwb_dcf import DCF, DCFResult, fit_nwb, list_results, read_recording, read_result
from nwb_dcf.errors import DataError, ParameterError, SourceError, StoreError
from nwb_dcf.io.results import WrittenResult
from nwb_dcf.pipeline import transform as application
from nwb_dcf.pipeline.simulate import simulate_nwb
from nwb_dcf.pipeline.stored_source import read_fitted, read_model
from nwb_dcf.pipeline.transform import transform_nwb

from ..nwb_files import make_series_session, make_spike_session, new_nwbfile, simulate_spike_times, write_nwbfile

QUICK: dict[str, Any] = {"steps": 20, "width": 16, "depth": 2, "batch_size": 64, "solver_steps": 4}
NAMES = [f"cell {i}" for i in range(7)]
SITES = {"site": list("aabbccd"), "wire": [1, 2, 1, 2, 1, 2, 1]}


@dataclass(frozen=True)
class Fit:
    path: Path
    result: DCFResult
    spikes: list[Any]

    @property
    def model(self) -> str:
        return f"{self.path}#units_dim2"


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the writing, which other tests see: it takes several clean processes."""
    monkeypatch.setattr(application, "write_result", lambda _, path, **__: WrittenResult(str(path), "units_dim2"))


@pytest.fixture(scope="module")
def fit(tmp_path_factory: pytest.TempPathFactory) -> Fit:
    """A file with a fit; not to be changed."""
    spikes = simulate_spike_times(7, 24.0, seed=2)
    session = make_spike_session(
        tmp_path_factory.mktemp("monday") / "monday.nwb",
        spike_times=spikes,
        duration_s=24,
        unit_columns={"unit_name": NAMES, **SITES},
    )
    result = fit_nwb(session, 2, bin_width_s=0.05, seed=1, **QUICK)
    return Fit(session, result, spikes)


def write_held_out_trials(
    fit: Fit, path: Path, *, order: list[int] | None = None, ids: list[int] | None = None
) -> Path:
    """Write the trials that the fit held out, and the spikes within them alone, as a session of its own."""
    data = fit.result.dataset
    held_out = data["segment_held_out"].values
    trials = np.stack([data["trial_start_time"].values, data["trial_stop_time"].values], axis=1)[held_out]
    inside = [t[((t[:, None] >= trials[:, 0]) & (t[:, None] < trials[:, 1])).any(axis=1)] for t in fit.spikes]
    order = list(range(len(inside))) if order is None else order
    columns = {
        "unit_name": [NAMES[i] for i in order],
        **{key: [values[i] for i in order] for key, values in SITES.items()},
    }
    return make_spike_session(
        path, spike_times=[inside[i] for i in order], unit_ids=ids, unit_columns=columns,
        trials=[tuple(trial) for trial in trials],
    )  # fmt: skip


def held_out_latents(fit: Fit, variable: str = "latents") -> np.ndarray:
    data = fit.result.dataset
    return data[variable].values[data["segment_held_out"].values[data["segment_index"].values]]


def test_held_out_trials_in_another_file_get_the_latents_of_the_estimator(fit: Fit, tmp_path: Path) -> None:
    path = write_held_out_trials(fit, tmp_path / "tuesday.nwb")
    result = transform_nwb(path, fit.model)
    for name in ("latents", "flowed"):
        np.testing.assert_allclose(result.dataset[name], held_out_latents(fit, name), atol=1e-6, err_msg=name)
    np.testing.assert_allclose(result.dataset["velocity"], held_out_latents(fit, "velocity"), atol=1e-4)
    estimator = DCF.from_result(read_result(fit.path))
    np.testing.assert_array_equal(
        estimator.transform(read_recording(path, bin_width_s=0.05))["data"], result.dataset["latents"]
    )
    stored = read_result(path)
    np.testing.assert_array_equal(stored.dataset["latents"], result.dataset["latents"])
    assert stored.dataset["segment_held_out"].all()
    assert stored.dataset.attrs["scores"]["on"] == "data of another file than the model's"
    assert stored.dataset.attrs["scores"]["bottleneck_r2"] == pytest.approx(
        fit.result.dataset.attrs["scores"]["bottleneck_r2"], abs=1e-5
    )


def test_the_result_names_its_model_and_is_one_itself(
    fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_held_out_trials(fit, tmp_path / "tuesday.nwb")
    transform_nwb(path, fit.model, name="by_monday")
    stored = read_result(path, "by_monday")
    model = stored.provenance["model"]
    assert (model["file"], model["name"]) == ("monday.nwb", "units_dim2")
    assert model["sha256"] == hashlib.sha256(fit.result.weights).hexdigest()
    assert model["source"] == fit.result.provenance["source"]
    assert stored.provenance["source"]["file"] == "tuesday.nwb"
    assert stored.weights == fit.result.weights
    assert str(tmp_path) not in str(stored.provenance)
    assert [one["name"] for one in list_results(path)] == ["by_monday"]
    monkeypatch.setattr(application, "write_result", lambda *_, **__: WrittenResult(str(path), "again"))
    again = transform_nwb(path, f"{path}#by_monday", name="again")  # a model passes from file to file
    np.testing.assert_array_equal(again.dataset["latents"], stored.dataset["latents"])


def test_channels_are_found_by_name(fit: Fit, tmp_path: Path) -> None:
    path = write_held_out_trials(fit, tmp_path / "t.nwb", order=[4, 2, 6, 0, 1, 5, 3], ids=[50, 51, 52, 53, 54, 55, 56])
    with pytest.raises(DataError, match=r"7 of the model's 7 units are missing, .*by id"):
        transform_nwb(path, fit.model)
    result = transform_nwb(path, fit.model, match="unit_name")
    np.testing.assert_allclose(result.dataset["latents"], held_out_latents(fit), atol=1e-6)
    here = [53, 54, 51, 56, 50, 55, 52]
    assert result.provenance["matching"]["here"] == here
    with NWBHDF5IO(str(path), "r") as io:  # and the rows of the units that the fit links to are theirs
        stored = io.read().processing["dcf"]["units_dim2"]
        assert [int(stored.units.table.id[row]) for row in stored.units.data[:]] == here
    again = read_fitted(path, read_result(path))
    np.testing.assert_allclose(DCF.from_result(result).transform(again)["data"], result.dataset["latents"], atol=1e-6)


@pytest.mark.usefixtures("written")
def test_channels_are_found_by_place(fit: Fit, tmp_path: Path) -> None:
    path = write_held_out_trials(fit, tmp_path / "t.nwb", order=[4, 2, 6, 0, 1, 5, 3])
    result = transform_nwb(path, fit.model, match="site, wire")
    np.testing.assert_allclose(result.dataset["latents"], held_out_latents(fit), atol=1e-6)
    assert result.provenance["matching"]["by"] == ["site", "wire"]


def test_a_name_that_means_two_units_is_refused(fit: Fit, tmp_path: Path) -> None:
    path = write_held_out_trials(fit, tmp_path / "t.nwb")
    before = path.read_bytes()
    with pytest.raises(DataError, match=r"2 units have the same site 'a'; match by columns that together name one"):
        transform_nwb(path, fit.model, match="site")
    with pytest.raises(ParameterError, match=r"no column location; columns are: id, site, unit_name, wire"):
        transform_nwb(path, fit.model, match="location")
    assert path.read_bytes() == before


@pytest.mark.usefixtures("written")
def test_missing_channels_are_refused_or_set_to_what_the_model_takes_for_their_mean(fit: Fit, tmp_path: Path) -> None:
    path = write_held_out_trials(fit, tmp_path / "t.nwb", order=[0, 1, 2, 4, 5], ids=[0, 1, 2, 4, 5])
    before = path.read_bytes()
    with pytest.raises(DataError, match=r"2 of the model's 7 units are missing, .*by id: 3, 6; .*`impute='mean'`"):
        transform_nwb(path, fit.model)
    with pytest.raises(ParameterError, match="impute is 'zero'"):
        transform_nwb(path, fit.model, impute="zero")  # type: ignore[arg-type]
    assert path.read_bytes() == before
    result = transform_nwb(path, fit.model, impute="mean")
    estimator = DCF.from_result(result)
    prepared = estimator.prepare(read_fitted(path, result))
    np.testing.assert_allclose(prepared[:, [3, 6]], np.tile(estimator.mean_[[3, 6]], (len(prepared), 1)), atol=1e-5)
    assert any("2 units missing, set to the model's mean: 3, 6" in note for note in result.provenance["notes"])
    assert result.dataset["unit"].values.tolist() == [
        "0",
        "1",
        "2",
        "missing 3",
        "4",
        "5",
        "missing 6",
    ]  # no ids of rows to link to


@pytest.mark.usefixtures("written")
def test_a_silent_unit_is_there(fit: Fit, tmp_path: Path) -> None:
    spikes = [times if i != 5 else times[:0] for i, times in enumerate(fit.spikes)]
    path = make_spike_session(tmp_path / "t.nwb", spike_times=spikes, duration_s=24)
    result = transform_nwb(path, fit.model)
    assert any("1 units are silent or constant here and keep that value: 5" in n for n in result.provenance["notes"])
    np.testing.assert_array_equal(read_fitted(path, result)["data"].sel(unit=5), 0)


@pytest.mark.usefixtures("written")
def test_trials_of_the_same_file_are_not_called_unseen(fit: Fit, tmp_path: Path) -> None:
    output = tmp_path / "left.nwb"
    result = transform_nwb(fit.path, fit.model, where="side == 'left'", name="left", output=output)
    assert not result.dataset["segment_held_out"].any()
    assert set(result.dataset["trial_side"].values) == {"left"}
    assert result.dataset.attrs["scores"]["on"] == "the data that the model was fitted to"
    side = fit.result.dataset["trial_side"].values[fit.result.dataset["segment_index"].values]
    np.testing.assert_allclose(result.dataset["latents"], fit.result.dataset["latents"][side == "left"], atol=1e-6)


@pytest.mark.usefixtures("written")
def test_a_series_of_other_sampling_or_kind_is_refused(fit: Fit, tmp_path: Path) -> None:
    fitted = make_series_session(tmp_path / "a.nwb", rate=20.0)
    fit_nwb(fitted, 2, source="signal", **QUICK)
    slower = make_series_session(tmp_path / "b.nwb", rate=10.0)
    with pytest.raises(DataError, match=r"frames are 0.1 s apart and those of the model 0.05 s"):
        transform_nwb(slower, fitted)
    other_unit = make_series_session(tmp_path / "c.nwb", rate=20.0, unit="volts", starting_time=1e6)
    result = transform_nwb(other_unit, fitted)
    assert any("its unit is 'volts'" in note for note in result.provenance["notes"])
    np.testing.assert_allclose(result.dataset["latents"], read_result(fitted).dataset["latents"], atol=1e-5)
    with pytest.raises(DataError, match=r"missing|kind"):
        transform_nwb(slower, fit.model, source="signal")


def test_simulation_is_the_estimators(fit: Fit) -> None:
    paths = simulate_nwb(fit.path, n_frames=6)
    recording = read_recording(fit.path, bin_width_s=0.05)
    expected = DCF.from_result(fit.result).simulate(recording, 6)
    np.testing.assert_array_equal(paths["data"], expected["data"])
    np.testing.assert_array_equal(paths["trial_start_s"], expected["trial_start_s"])
    assert paths.sizes["segment"] == recording.sizes["segment"]


def test_simulation_starts_where_it_is_told(fit: Fit, tmp_path: Path) -> None:
    paths = simulate_nwb(fit.path, "units_dim2", n_frames=3, starts=[0.4, 5.31], n_paths=2, seed=4, tau=1.0)
    assert paths["data"].dims == ("time", "unit")
    np.testing.assert_allclose(paths["trial_start_s"], [0.375, 0.375, 5.325, 5.325], atol=1e-9)
    with pytest.raises(ParameterError, match=r"starts go from 99 to 99 s; the recording goes from"):
        simulate_nwb(fit.path, starts=[99.0])
    other = write_held_out_trials(fit, tmp_path / "t.nwb")
    elsewhere = simulate_nwb(fit.path, data=other, n_frames=2)
    assert elsewhere.attrs["source"]["file"] == "t.nwb"
    assert elsewhere.sizes["segment"] == fit.result.dataset["segment_held_out"].values.sum()


def test_a_file_without_the_source_or_with_another_says_so(fit: Fit, tmp_path: Path) -> None:
    bare = write_nwbfile(new_nwbfile(), tmp_path / "bare.nwb")
    stored = read_result(fit.path)
    with pytest.raises(
        SourceError, match=r"bare.nwb: the source of units_dim2 cannot be read here.*monday.nwb.*`data=`"
    ):
        read_fitted(bare, stored)
    changed = make_spike_session(tmp_path / "s.nwb", spike_times=fit.spikes, trials=[(1.0, 3.0), (4.0, 6.0)])
    with pytest.raises(DataError, match="the source has changed since units_dim2 was made; fit it again"):
        read_fitted(changed, stored)


def test_the_source_is_found_beside_a_file_of_results_or_where_it_is_said_to_be(fit: Fit, tmp_path: Path) -> None:
    bare = write_nwbfile(new_nwbfile(), tmp_path / "bare.nwb")
    stored, expected = read_result(fit.path), read_fitted(fit.path, read_result(fit.path))["data"]
    np.testing.assert_array_equal(read_fitted(bare, stored, fit.path)["data"], expected)
    shutil.copyfile(fit.path, tmp_path / "monday.nwb")
    np.testing.assert_array_equal(read_fitted(bare, stored)["data"], expected)


def test_a_model_is_named_by_file_and_name(fit: Fit, tmp_path: Path) -> None:
    assert read_model(fit.path).name == read_model(fit.model).name == "units_dim2"
    with pytest.raises(StoreError, match="no fit 'other'"):
        read_model(f"{fit.path}#other")
    odd = tmp_path / "day#2.nwb"
    odd.write_bytes(fit.path.read_bytes())
    assert read_model(odd).name == read_model(f"{odd}#units_dim2").name == "units_dim2"


@pytest.mark.slow
def test_held_out_trials_of_a_real_recording(real_data: Callable[[str], Path], tmp_path: Path) -> None:
    source, other = real_data("reach_chewie.nwb"), tmp_path / "held_out.nwb"
    fitted = tmp_path / "fitted.nwb"
    result = fit_nwb(source, 3, bin_width_s=0.1, smooth=0.1, output=fitted, **QUICK)
    data = result.dataset
    rows = data["segment_row"].values[data["segment_held_out"].values]
    with NWBHDF5IO(str(source), "r") as io:
        old, new = io.read(), new_nwbfile("held-out")
        trials = old.trials.to_dataframe().loc[rows]
        for unit in old.units.id[:]:
            times = np.asarray(old.units["spike_times"][int(unit)])
            inside = [times[(times >= a) & (times < b)] for a, b in trials[["start_time", "stop_time"]].to_numpy()]
            new.add_unit(spike_times=np.concatenate(inside), id=int(unit))
        for trial in trials.itertuples():
            new.add_trial(start_time=trial.start_time, stop_time=trial.stop_time)
        write_nwbfile(new, other)
    transformed = transform_nwb(other, fitted)
    unseen = data["segment_held_out"].values[data["segment_index"].values]
    np.testing.assert_allclose(transformed.dataset["latents"], data["latents"].values[unseen], atol=1e-5)
    assert transformed.dataset.attrs["scores"]["bottleneck_r2"] == pytest.approx(
        data.attrs["scores"]["bottleneck_r2"], abs=1e-5
    )


def test_frames_far_outside_what_was_fitted_are_refused(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(300, 4)).cumsum(axis=0)
    volts, millivolts = (make_series_session(tmp_path / f"{k}.nwb", values * k) for k in (1, 1000))
    fit_nwb(volts, 2, source="signal", **{**QUICK, "steps": 2})
    before = millivolts.read_bytes()
    with pytest.raises(DataError, match=r"1000.nwb: /acquisition/signal: .* beyond 10 times the RMS distance"):
        transform_nwb(millivolts, volts)
    assert millivolts.read_bytes() == before

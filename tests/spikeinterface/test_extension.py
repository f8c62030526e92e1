"""Compute, store in every format, load in another process, ask for what is there."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import spikeinterface.core as si
from spikeinterface.core.base import unit_period_dtype

import nwb_dcf
import nwb_dcf.spikeinterface
from nwb_dcf.errors import DCFError, ParameterError
from nwb_dcf.metrics.cross_prediction import SIGMAS_S
from nwb_dcf.spikeinterface import compute_dcf_latents

from .sessions import QUICK, make_analyzer, make_recording, make_sorting

ROOT = Path(__file__).resolve().parents[2]


def test_latents_and_times_per_segment(computed):
    extension = computed.get_extension("dcf_latents")
    latents, times = extension.get_data(), extension.get_times()
    assert [z.shape for z in latents] == [(600, 3), (400, 3)]
    np.testing.assert_allclose([t[0] for t in times], [100.01, 200.01])
    data = extension.get_data(outputs="xarray")
    np.testing.assert_array_equal(np.concatenate(latents), data["latents"])
    assert {"velocity", "flowed", "spectrum", "bottleneck_r2", "pca_r2", "loadings"} <= set(data)
    assert extension.data["weights"].dtype == np.uint8
    with pytest.raises(ParameterError, match="outputs is 'pandas'"):
        extension.get_data(outputs="pandas")


def test_the_result_is_a_result(computed):
    result = computed.get_extension("dcf_latents").get_data(outputs="result")
    model = nwb_dcf.DCF.from_result(result)
    again = model.transform(nwb_dcf.spikeinterface.from_analyzer(computed))
    np.testing.assert_allclose(again["data"], result.dataset["latents"], rtol=0, atol=1e-6)
    assert result.provenance["source"]["type"] == "SortingAnalyzer"
    assert result.config["read"]["bin_width_s"] == 0.02
    assert result.config["prepare"]["smooth"] in SIGMAS_S  # chosen from the units


def test_one_segment_gives_one_array():
    analyzer = make_analyzer(make_sorting((10.0,), unit_ids=[7, 3, 5, 9]), make_recording((10.0,)))
    latents = compute_dcf_latents(analyzer, dim=2, bin_width_s=0.05, smooth=0, **QUICK)
    assert latents.shape == (200, 2)
    assert analyzer.get_extension("dcf_latents").get_data(outputs="xarray")["unit"].values.tolist() == [7, 3, 5, 9]


@pytest.mark.parametrize("kind", ["binary_folder", "zarr"])
@pytest.mark.long
def test_formats_load_in_a_new_process(kind, computed, tmp_path):
    folder = tmp_path / ("a.zarr" if kind == "zarr" else "a")
    computed.save_as(format=kind, folder=folder)
    code = (
        "import json, sys, spikeinterface.core as si, nwb_dcf.spikeinterface\n"
        f"extension = si.load_sorting_analyzer({str(folder)!r}).get_extension('dcf_latents')\n"
        "result = extension.get_data(outputs='result')\n"
        "print(json.dumps([[z.tolist() for z in extension.get_data()], result.provenance, result.config,"
        " len(result.weights), extension.params]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    latents, provenance, config, n_bytes, params = json.loads(done.stdout.splitlines()[-1])
    extension = computed.get_extension("dcf_latents")
    result = extension.get_data(outputs="result")
    for stored, computed_latents in zip(latents, extension.get_data(), strict=True):
        np.testing.assert_array_equal(np.array(stored, np.float32), computed_latents)
    assert (provenance, config, params) == (result.provenance, result.config, extension.params)
    assert n_bytes == len(result.weights)
    files = [path for path in folder.rglob("*") if path.suffix == ".pkl"]
    assert files == []  # nothing that would have to be unpickled


@pytest.mark.parametrize("kind", ["binary_folder", "zarr"])
def test_lazily_loaded_analyzers_give_the_same(kind, computed, tmp_path):
    folder = tmp_path / ("a.zarr" if kind == "zarr" else "a")
    computed.save_as(format=kind, folder=folder)
    analyzer = si.load_sorting_analyzer(folder, lazy=True)  # held, for without it the files are closed
    lazy = analyzer.get_extension("dcf_latents")
    eager = computed.get_extension("dcf_latents")
    for one, other in zip(lazy.get_data(), eager.get_data(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert lazy.get_data(outputs="result").weights == eager.get_data(outputs="result").weights


def test_parameters_are_what_json_holds(computed):
    params = computed.get_extension("dcf_latents").params
    assert json.loads(json.dumps(params)) == params
    assert params == {
        "dim": 3,
        "bin_width_s": 0.02,
        "smooth": "auto",
        "held_out": 0.2,
        "seed": 0,
        "extent": "recording",
        "valid_unit_periods": True,
        "curation": "refit",
        **QUICK,
    }
    assert si.sortinganalyzer.get_default_analyzer_extension_params("dcf_latents")["dim"] == 3


def test_computed_among_others_after_the_periods_it_depends_on(analyzer):
    periods = [(s, 0, n, u) for s, n in ((0, 120_000), (1, 60_000)) for u in range(8)]
    analyzer.compute(
        {
            "dcf_latents": QUICK,
            "valid_unit_periods": {
                "method": "user_defined",
                "user_defined_periods": np.array(periods, dtype=unit_period_dtype),
                "minimum_valid_period_duration": 1,
            },
        }
    )
    latents = analyzer.get_extension("dcf_latents").get_data()
    assert [len(z) for z in latents] == [600, 300]


def test_periods_that_are_newer_than_the_latents_are_said(sorting, recording, tmp_path):
    analyzer = make_analyzer(sorting, recording)
    extension = analyzer.compute("dcf_latents", **QUICK)

    def compute_periods(end):
        periods = [(s, 0, n, u) for s, n in ((0, 120_000), (1, end)) for u in range(8)]
        analyzer.compute(
            "valid_unit_periods",
            method="user_defined",
            user_defined_periods=np.array(periods, dtype=unit_period_dtype),
            minimum_valid_period_duration=1,
        )

    compute_periods(60_000)
    with pytest.warns(UserWarning, match="valid_unit_periods are newer than the latents"):
        extension.get_data()
    extension = analyzer.compute("dcf_latents", **QUICK)
    analyzer.save_as(format="binary_folder", folder=tmp_path / "a")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        extension.get_data()
        si.load_sorting_analyzer(tmp_path / "a").get_extension("dcf_latents").get_times()
    compute_periods(50_000)
    with pytest.warns(UserWarning, match="newer"):
        extension.get_data()


def test_verbose_and_bars_in_their_manner(analyzer, capsys):
    analyzer.compute("dcf_latents", verbose=True, progress_bar=True, n_jobs=1, **QUICK)
    said = capsys.readouterr()
    assert "dcf_latents: 1000 bins of 0.02 s, 8 units, dim 3" in said.out
    assert "PCA" in said.out
    assert "dcf_latents: scores" in said.err
    assert "100%" in said.err
    analyzer.compute("dcf_latents", progress_bar=False, **QUICK)
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "")


def test_the_number_of_jobs_does_not_change_the_numbers(computed, analyzer):
    import torch

    threads = torch.get_num_threads()
    found = analyzer.compute("dcf_latents", n_jobs=2, progress_bar=False, **QUICK).get_data()
    for one, other in zip(found, computed.get_extension("dcf_latents").get_data(), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)
    assert torch.get_num_threads() == threads


def test_a_failed_run_leaves_the_stored_latents(computed, tmp_path):
    computed.save_as(format="binary_folder", folder=tmp_path / "a")
    analyzer = si.load_sorting_analyzer(tmp_path / "a")
    with pytest.raises(DCFError):
        analyzer.compute("dcf_latents", dim=99)
    assert analyzer.get_extension("dcf_latents").get_data()[0].shape == (600, 3)


def test_without_the_import_spikeinterface_says_what_the_docs_say(computed, tmp_path):
    computed.save_as(format="binary_folder", folder=tmp_path / "a")
    code = (
        "import warnings, spikeinterface.core as si\n"
        f"analyzer = si.load_sorting_analyzer({str(tmp_path / 'a')!r})\n"
        "print(analyzer.get_loaded_extension_names())\n"
        f"copy = analyzer.save_as(format='binary_folder', folder={str(tmp_path / 'b')!r})\n"
        "print(copy.has_extension('dcf_latents'))\n"
        "try:\n    analyzer.compute('dcf_latents')\n"
        "except Exception as error:\n    print(type(error).__name__)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert "Extension 'dcf_latents' is unknown" in done.stderr
    said = done.stdout.splitlines()
    assert said[0] == "[]"
    assert said[1] == "False"
    assert said[2] == "KeyError"


def test_the_data_may_choose_the_dimension(sorting, recording):
    extension = make_analyzer(sorting, recording).compute("dcf_latents", dim="auto", **QUICK)
    latents = np.concatenate(extension.get_data())
    result = extension.get_data(outputs="result")
    assert latents.shape == (1000, result.dataset.attrs["dim"])
    assert result.provenance["dimension"]["dim"] == latents.shape[1]

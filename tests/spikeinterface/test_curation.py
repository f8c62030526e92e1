"""What curation does to latents: what is stored is what a fresh computation on the curated units gives."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import spikeinterface.core as si
from spikeinterface.core.base import unit_period_dtype
from spikeinterface.core.sparsity import ChannelSparsity
from spikeinterface.curation import apply_curation

import nwb_dcf
import nwb_dcf.spikeinterface
from nwb_dcf.errors import NotFittedError

from .sessions import QUICK, make_analyzer, make_recording, make_sorting


def latents_of(analyzer):
    found = analyzer.get_extension("dcf_latents").get_data()
    return np.concatenate(found) if isinstance(found, list) else found


def compute_fresh(sorting, recording, **params):
    analyzer = make_analyzer(sorting, recording)
    analyzer.compute("dcf_latents", **{**QUICK, **params})
    return latents_of(analyzer)


def split_in_two(sorting, unit):
    n = sorting.count_num_spikes_per_unit()[unit]
    return {unit: [np.arange(0, n, 2), np.arange(1, n, 2)]}


ALIKE = ("remove", "merge hard", "merge censored")  # a selection and merges once more


@pytest.mark.parametrize(
    "change", ["select", "merge", "split", *(pytest.param(change, marks=pytest.mark.long) for change in ALIKE)]
)
def test_latents_after_a_change_are_those_of_a_fresh_computation(change, computed, recording):
    groups = [["u0", "u3"], ["u5", "u6"]]
    curated = {
        "select": lambda: computed.select_units(["u6", "u1", "u2", "u7"]),
        "remove": lambda: computed.remove_units(["u4"]),
        "merge": lambda: computed.merge_units(groups),
        "merge hard": lambda: computed.merge_units(groups, merging_mode="hard"),
        "merge censored": lambda: computed.merge_units(groups, censor_ms=2.0),
        "split": lambda: computed.split_units(split_in_two(computed.sorting, "u4")),
    }[change]()
    np.testing.assert_allclose(latents_of(curated), compute_fresh(curated.sorting, recording), rtol=1e-6, atol=1e-6)
    assert np.abs(latents_of(curated) - latents_of(computed)).max() > 1e-3  # so that the test can fail
    result = curated.get_extension("dcf_latents").get_data(outputs="result")
    assert result.dataset["unit"].values.tolist() == list(curated.unit_ids)
    np.testing.assert_array_equal(
        result.dataset["time"], nwb_dcf.spikeinterface.from_analyzer(computed)["time"]
    )  # bins stay


def test_a_whole_curation_at_once(computed, recording):
    curated = apply_curation(
        computed,
        {
            "format_version": "2",
            "unit_ids": list(computed.unit_ids),
            "label_definitions": {},
            "manual_labels": [],
            "removed": ["u7"],
            "merges": [{"unit_ids": ["u0", "u1"]}],
            "splits": [],
        },
    )
    assert curated.get_num_units() == 6
    np.testing.assert_allclose(latents_of(curated), compute_fresh(curated.sorting, recording), rtol=1e-6, atol=1e-6)


def test_merged_units_are_the_sum_of_their_counts(computed):
    merged = computed.merge_units([["u0", "u3"]], new_unit_ids=["both"])
    counts, before = (
        nwb_dcf.spikeinterface.from_analyzer(merged)["data"],
        nwb_dcf.spikeinterface.from_analyzer(computed)["data"],
    )
    np.testing.assert_array_equal(counts.sel(unit="both"), before.sel(unit="u0") + before.sel(unit="u3"))
    model = nwb_dcf.DCF.from_result(merged.get_extension("dcf_latents").get_data(outputs="result"))
    again = model.transform(nwb_dcf.spikeinterface.from_analyzer(merged))
    np.testing.assert_allclose(again["data"], latents_of(merged), rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", ["binary_folder", "zarr"])
def test_curation_into_a_folder_stores_the_new_latents(kind, computed, tmp_path):
    folder = tmp_path / ("b.zarr" if kind == "zarr" else "b")
    curated = computed.select_units(["u0", "u1", "u2", "u4", "u5"], format=kind, folder=folder)
    np.testing.assert_array_equal(latents_of(si.load_sorting_analyzer(folder)), latents_of(curated))


def test_copies_and_selections_of_all_units_keep_the_latents(computed, tmp_path):
    for copy in (
        computed.copy(),
        computed.select_units(computed.unit_ids),
        computed.save_as(format="zarr", folder=tmp_path / "a.zarr"),
        computed._select_channels(computed.channel_ids[:1]),
    ):
        np.testing.assert_array_equal(latents_of(copy), latents_of(computed))


def test_sparse_analyzers_have_the_latents_of_dense_ones(sorting, recording, computed):
    mask = np.zeros((8, 2), bool)
    mask[:, 0] = mask[::2, 1] = True
    sparsity = ChannelSparsity(mask, sorting.unit_ids, recording.channel_ids)
    analyzer = si.create_sorting_analyzer(sorting, recording, sparsity=sparsity, main_channel_indices=np.zeros(8, int))
    analyzer.compute("dcf_latents", **QUICK)
    np.testing.assert_array_equal(latents_of(analyzer), latents_of(computed))
    curated = analyzer.merge_units([["u0", "u2"]])
    np.testing.assert_array_equal(latents_of(curated), latents_of(computed.merge_units([["u0", "u2"]])))


def test_splitting_an_aggregated_analyzer_fits_each_part():
    parts = {key: make_sorting((8.0,), 4, seed=seed) for seed, key in enumerate("ab")}
    recordings = {key: make_recording((8.0,)).rename_channels([f"{key}0", f"{key}1"]) for key in parts}
    analyzer = si.create_sorting_analyzer(parts, recordings, sparsity_kwargs={}, set_sparsity_by_dict_key=True)
    analyzer.compute("dcf_latents", **QUICK)
    split = analyzer.split_by()
    for key, sorting in parts.items():
        np.testing.assert_allclose(latents_of(split[key]), compute_fresh(sorting, recordings[key]), atol=1e-6)


def test_valid_periods_are_followed_through_curation(analyzer, recording):
    periods = [(s, 0, n - 10_000 * (u == 3), u) for s, n in ((0, 120_000), (1, 80_000)) for u in range(8)]
    analyzer.compute(
        "valid_unit_periods",
        method="user_defined",
        user_defined_periods=np.array(periods, dtype=unit_period_dtype),
        minimum_valid_period_duration=1,
    )
    analyzer.compute("dcf_latents", **QUICK)
    assert len(latents_of(analyzer)) == 900  # unit 3 is not valid in the last second of each segment
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(latents_of(analyzer.remove_units(["u3"]))) == 1000
        assert len(latents_of(analyzer.select_units(["u7", "u3", "u1", "u0"]))) == 900
        merged = analyzer.merge_units([["u3", "u4"]])  # valid where either is, as SpikeInterface has it
        assert len(latents_of(merged)) == 1000
        fresh = merged.copy()
        fresh.compute("dcf_latents", **QUICK)
        np.testing.assert_array_equal(latents_of(fresh), latents_of(merged))


def test_where_no_fit_is_possible_the_latents_are_dropped_and_curation_goes_on(computed, tmp_path):
    with pytest.warns(UserWarning, match="dcf_latents dropped: .*dim is 3, above the 2 usable units"):
        curated = computed.select_units(["u0", "u1"], format="binary_folder", folder=tmp_path / "b")
    assert list(curated.unit_ids) == ["u0", "u1"]
    with pytest.raises(NotFittedError, match=r"the latents were dropped: .*dim is 3"):
        curated.get_extension("dcf_latents").get_data()
    with pytest.raises(NotFittedError, match="dropped"):
        curated.get_extension("dcf_latents").get_times()
    again = curated.copy().select_units(["u1", "u0"])  # and so on, without failing
    with pytest.raises(NotFittedError, match="dropped"):
        again.get_extension("dcf_latents").get_data()
    assert not si.load_sorting_analyzer(tmp_path / "b").has_extension("dcf_latents")
    curated.compute("dcf_latents", dim=2, **QUICK)
    assert latents_of(curated).shape == (1000, 2)


def test_those_who_asked_for_it_get_no_refit(analyzer):
    analyzer.compute("dcf_latents", curation="drop", **QUICK)
    with pytest.warns(UserWarning, match="computed with curation='drop'"):
        curated = analyzer.remove_units(["u3"])
    with pytest.raises(NotFittedError, match="units changed"):
        curated.get_extension("dcf_latents").get_data()
    np.testing.assert_array_equal(latents_of(analyzer.copy()), latents_of(analyzer))


def test_an_analyzer_that_lost_its_recording_keeps_the_clock(computed, tmp_path):
    computed.save_as(format="binary_folder", folder=tmp_path / "a")
    (tmp_path / "a" / "recording.json").unlink(missing_ok=True)
    (tmp_path / "a" / "recording.pickle").unlink(missing_ok=True)
    analyzer = si.load_sorting_analyzer(tmp_path / "a")
    assert not analyzer.has_recording()
    curated = analyzer.remove_units(["u3"])
    np.testing.assert_array_equal(latents_of(curated), latents_of(computed.remove_units(["u3"])))
    times = curated.get_extension("dcf_latents").get_times()
    np.testing.assert_allclose([t[0] for t in times], [100.01, 200.01])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = analyzer.compute("dcf_latents", save=False, **QUICK)
    np.testing.assert_allclose([t[0] for t in again.get_times()], [100.01, 200.01])

"""Splits, references and pooled rows: what the table rests on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import recordings
from pooling import compare_pools, pool_rows
from rows import Row, read_rows
from sets import _split_blocks, expect_prepared, label_pieces, make_lorenz, resample_segments, thin_counts
from table import tabulate_set

from nwb_dcf.config import PrepareConfig
from nwb_dcf.data.preprocessing import fit_preprocessor
from nwb_dcf.data.recording import make_recording
from nwb_dcf.data.synthetic import simulate_lorenz
from nwb_dcf.metrics import SegmentSums


def test_truth_is_the_mean_of_what_many_draws_of_the_counts_become() -> None:
    simulation = simulate_lorenz(n_trials=2, n_bins=20, n_units=3)
    expected = simulation.truth["rates_hz"].values * 0.2
    preparation = fit_preprocessor(simulation.recording, PrepareConfig())
    rng = np.random.default_rng(0)
    draws = [
        preparation.apply(simulation.recording.assign(data=(("time", "unit"), rng.poisson(expected))))["data"].values
        for _ in range(100)
    ]
    found = expect_prepared(simulation.recording, expected, preparation)
    np.testing.assert_allclose(found, np.mean(draws, axis=0), atol=5 * np.std(draws, axis=0).max() / 10)


def test_thinned_halves_add_up_and_the_second_is_what_scores() -> None:
    whole = make_lorenz(0)
    half = thin_counts(whole)
    assert half.find_truth is not None
    keep = fit_preprocessor(half.training, PrepareConfig(transformation="none", smooth=0.0, scale="none"))
    first, second = half.held_out["data"].values, half.find_truth(keep)
    np.testing.assert_array_equal(first + second, whole.held_out["data"].values)
    assert abs(first.sum() / second.sum() - 1) < 0.05


def test_five_seeds_hold_out_every_block_once_and_keep_their_distance() -> None:
    time = np.arange(1000.0)
    recording = make_recording(np.random.default_rng(0).normal(size=(1000, 4)), time)
    splits = [_split_blocks("line", recording, time[:, None], "time", seed, gap_s=7.0) for seed in range(100, 105)]
    np.testing.assert_array_equal(np.sort(np.concatenate([s.targets[1].ravel() for s in splits])), time)
    for split in splits:
        apart = np.abs(split.targets[0] - split.targets[1].T).min()
        assert apart >= 7
        np.testing.assert_array_equal(split.held_out["time"].values, split.targets[1].ravel())


def test_long_segments_are_resampled_in_pieces() -> None:
    recording = make_recording(np.arange(2000.0).reshape(1000, 2), np.arange(1000.0))
    assert np.bincount(label_pieces(recording)).tolist() == [100] * 10
    drawn = resample_segments(recording, 0)
    assert drawn.sizes["segment"] == 10
    assert len(np.unique(drawn["time"].values)) < 1000


def test_the_worm_is_cut_at_its_gaps(real_data: Callable[[str], Path]) -> None:
    recording, velocity = recordings.read_celegans(real_data("celegans_moving.nwb").parent)
    step, inside = np.diff(recording["time"].values), np.diff(recording["segment_index"].values) == 0
    assert step[inside].max() <= 1.0 < step[~inside].min()
    assert dict(recording.sizes)["roi"] == 59
    assert velocity.shape == (recording.sizes["time"], 2)
    assert np.isfinite(velocity).all()


def make_row(seed: int, pieces: list[str], part: list[float], method: str = "PCA") -> Row:
    scores = {"linear": SegmentSums(np.array(part), np.full(len(part), 2.0))}
    return Row("line", seed, method, "fit", pieces, scores, {"seconds": 1.0}, "abc")


def test_rows_are_read_back_and_half_a_line_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    lines = [json.dumps(make_row(0, ["@1"], [value]).to_dict()) for value in (0.5, 1.5)]
    path.write_text("\n".join([*lines, lines[0][:40]]))
    (row,) = read_rows([path])
    assert row.scores["linear"].value == pytest.approx(0.75)  # the later of two with one key


def test_a_stretch_held_out_twice_counts_as_one() -> None:
    rows = [make_row(0, ["@1", "@2"], [1.0, 2.0]), make_row(1, ["@2", "@3"], [0.0, 1.0])]
    pooled = pool_rows(rows, "linear")["PCA"].add_up()
    np.testing.assert_array_equal(pooled.part, [1, 2, 1])
    np.testing.assert_array_equal(pooled.whole, [2, 4, 2])


def test_methods_are_compared_on_what_both_were_scored_on() -> None:
    rows = [
        make_row(0, ["@1", "@2"], [1.0, 2.0]),
        make_row(1, ["@1", "@3"], [0.0, 0.0]),
        make_row(0, ["@1", "@2"], [0.5, 1.5], method="DCF"),
    ]
    pools = pool_rows(rows, "linear")
    difference = compare_pools(pools["DCF"], pools["PCA"])  # seed 1, which DCF has not been run on, has no say
    assert difference is not None
    assert difference.value == pytest.approx(-0.25)
    assert difference.is_below()


def test_a_table_is_made_of_whatever_rows_there_are() -> None:
    agreement = Row("line", 0, "DCF", "resampled", ["@1"], {}, {"agreement": 0.9, "mean agreement": 0.95}, "abc")
    table = tabulate_set("line", [make_row(0, ["@1", "@2"], [1.0, 1.0]), agreement]).rows
    assert [(line["method"], line["seeds"], line["axes, resampled"]) for line in table] == [
        ("PCA", 1, ""),
        ("DCF", 0, "0.950 (0.900)"),
    ]
    assert table[0]["linear"] == "0.500 [0.500, 0.500]"

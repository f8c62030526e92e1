"""No cell and no name of a column in a CSV is a formula, whatever the file holds."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from nwb_dcf.io.export import defuse_cell, defuse_table, export_dataset

FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "|x", "%x", "=cmd|'mark'!A1", "\uff1d1", "\n=1"]


@pytest.mark.parametrize("text", FORMULAS)
def test_what_begins_as_a_formula_becomes_text(text: str) -> None:
    cell = defuse_cell(text)
    assert cell.startswith("'")
    assert cell.isprintable()


def test_numbers_and_plain_texts_stay() -> None:
    table = pd.DataFrame({"n": [-1, 2], "x": [-0.5, np.nan], "t": ["left", "go right"], "b": [True, False]})
    pd.testing.assert_frame_equal(defuse_table(table), table, check_dtype=False)


@pytest.mark.parametrize("name", ["=1+1", "@mark", "latents\x1b[2J"])
def test_a_name_of_a_column_becomes_text(name: str) -> None:
    (column,) = defuse_table(pd.DataFrame({name: [1.0]})).columns
    assert column == defuse_cell(name) != name


def test_an_export_holds_none(tmp_path: Path) -> None:
    dataset = xr.Dataset(
        {
            "latents": (("time", "latent"), np.array([[-1.5], [2.0]])),
            "trial_=1+1": ("segment", np.array(["@mark", "b"])),
        },
        coords={
            "time": np.arange(2.0),
            "segment_index": ("time", [0, 1]),
            "segment": [0, 1],
            "latent": [1],
        },
    )
    with export_dataset(dataset, tmp_path / "x.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["time", "segment", "trial_=1+1", "latents_1"]
    assert rows[1] == ["0.0", "0", "'@mark", "-1.5"]

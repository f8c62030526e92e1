"""Labels of sorters and curators are told, and choose no unit."""

from __future__ import annotations

from pathlib import Path

import pytest

from nwb_dcf import read_recording
from tests.nwb_files import make_spike_session


@pytest.mark.parametrize(
    ("column", "labels", "said"),
    [
        ("quality", ["good", "noise", "good", "mua"], "2 good, 1 noise, 1 mua: all are read; to choose, `units="),
        ("KSLabel", ["good", "mua", "mua", "mua"], "3 mua, 1 good"),
        ("bc_unitType", ["GOOD", "NON-SOMA", "GOOD", "GOOD"], "3 GOOD, 1 NON-SOMA"),
        ("group", ["noise", "", "unsorted", "noise"], "2 noise, 1 without a label, 1 unsorted"),
    ],
)
def test_units_that_are_no_single_neurons_are_told(tmp_path: Path, column: str, labels: list[str], said: str) -> None:
    path = make_spike_session(tmp_path / "s.nwb", n_units=4, unit_columns={column: labels})
    recording = read_recording(path)
    assert recording.sizes["unit"] == 4
    assert [said in note for note in recording.attrs["notes"] if note.startswith(f"column {column}")] == [True]
    chosen = read_recording(path, units=f"{column} == '{labels[0]}'")
    assert not any(note.startswith("column") for note in chosen.attrs["notes"])


@pytest.mark.parametrize(
    ("column", "labels"), [("quality", ["good"] * 4), ("region", ["noise"] * 4), ("quality", [0.1, 0.2, 0.3, 1.0])]
)
def test_nothing_is_said_of_good_units_and_other_columns(tmp_path: Path, column: str, labels: list[object]) -> None:
    path = make_spike_session(tmp_path / "s.nwb", n_units=4, unit_columns={column: labels})
    assert not any(note.startswith("column") for note in read_recording(path).attrs["notes"])

"""A coupling applied to another file of the same units: nothing is fitted, and what cannot be known is refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import nwb_dcf
from nwb_dcf import cohort
from nwb_dcf.cli import main
from nwb_dcf.cohort.files import CohortResult
from nwb_dcf.errors import DCFError
from nwb_dcf.io.results import write_session

from .simulated import draw, score_linear


def copy_cohort(fitted: CohortResult, to: Path) -> Path:
    shutil.copytree(Path(fitted.output).parent / "sessions", to / "sessions")
    return Path(shutil.copy(fitted.output, to))


def test_a_session_is_found_by_its_identifier_and_has_the_latents_of_its_fit(
    fitted: CohortResult, folder: Path, tmp_path: Path
) -> None:
    named = Path(shutil.copy(folder / "raw" / "animal0.nwb", tmp_path / "other_name.nwb"))
    result = cohort.transform_session(named, fitted.output)
    stored = nwb_dcf.read_result(folder / "sessions" / "animal0.nwb", "cohort_dim2")
    np.testing.assert_array_equal(result.dataset["latents"], stored.dataset["latents"])
    np.testing.assert_array_equal(result.dataset["velocity"], stored.dataset["velocity"])
    np.testing.assert_array_equal(result.dataset["flowed"], stored.dataset["flowed"])
    assert result.provenance["model"]["file"] == "animal0.nwb"
    assert result.provenance["cohort"]["sha256"] == fitted.record.sha256
    # as the file has it
    again = nwb_dcf.read_result(named, result.name)
    np.testing.assert_array_equal(again.dataset["latents"], stored.dataset["latents"])
    assert not again.dataset["segment_held_out"].values.any()


def test_rest_without_trials_can_be_read(fitted: CohortResult, folder: Path, tmp_path: Path) -> None:
    rest = Path(shutil.copy(folder / "raw" / "animal0.nwb", tmp_path / "rest.nwb"))
    result = cohort.transform_session(rest, f"{fitted.output}#animal0.nwb", trials="none")
    assert result.dataset.sizes["segment"] == 1
    assert np.isfinite(result.dataset["latents"]).all()


def test_units_in_another_order_and_file_give_the_true_state(
    fitted: CohortResult, folder: Path, tmp_path: Path
) -> None:
    animal = draw(4, seed=6)[1]
    order = np.random.default_rng(0).permutation(animal.recording.sizes["unit"])
    other = tmp_path / "day2.nwb"
    write_session(animal.recording.isel(unit=order), other, truth=animal.truth, seed=77)
    result = cohort.transform_session(other, f"{fitted.output}#animal1.nwb", sessions=folder / "sessions")
    assert any("matched by id" in note for note in result.provenance["notes"])
    stored = nwb_dcf.read_result(folder / "sessions" / "animal1.nwb", "cohort_dim2").dataset
    latents, truth = result.dataset["latents"].values, animal.truth["latents"].values
    # spikes are the same up to their place in a bin
    assert np.abs(latents - stored["latents"].values).max() < 1e-6
    assert score_linear(stored["latents"].values, truth, latents, truth) > 0.5


def test_other_units_of_the_same_ids_are_doubted(fitted: CohortResult, folder: Path, tmp_path: Path) -> None:
    other = Path(shutil.copy(folder / "raw" / "animal1.nwb", tmp_path))
    result = cohort.transform_session(other, f"{fitted.output}#animal0.nwb")
    assert any(note.startswith("doubt") and "are they the same" in note for note in result.provenance["notes"])


def test_a_stored_cohort_transforms_and_couples_in_python(fitted: CohortResult, folder: Path) -> None:
    loaded = cohort.load_cohort(fitted.output)
    assert list(loaded.sessions_) == ["animal0.nwb", "animal1.nwb", "animal2.nwb"]
    recording = nwb_dcf.read_recording(folder / "raw" / "animal2.nwb", bin_width_s=0.06)
    fresh = fitted.cohort.transform(recording, "animal2.nwb")
    np.testing.assert_array_equal(loaded.transform(recording, "animal2.nwb")["latents"], fresh["latents"])
    np.testing.assert_array_equal(loaded.means, fitted.cohort.means)
    new = nwb_dcf.read_recording(folder / "new" / "animal3.nwb", bin_width_s=0.06)
    assert loaded.couple(new, "condition", "animal3.nwb").seen.all()


CASES: list[tuple[str, str, tuple[str, ...], str]] = [
    ("not named", "new/animal3.nwb", ("--model", "cohort.nwb"), "the session with its units is not named"),
    ("no such session", "new/animal3.nwb", ("--model", "cohort.nwb#animal9.nwb"), "no session 'animal9.nwb'"),
    ("missing units", "new/animal3.nwb", ("--model", "cohort.nwb#animal1.nwb", "--match", "nothing"), "nothing"),
    ("fewer units", "few.nwb", ("--model", "cohort.nwb#animal1.nwb"), "of the model's 54 units are missing"),
    ("moved", "raw/animal0.nwb", ("--model", "cohort.nwb", "--sessions", "nowhere"), "nowhere/animal0.nwb: no such"),
    ("no trials", "raw/animal0.nwb", ("--model", "cohort.nwb", "--where", "no == 1"), "no"),
    ("device", "raw/animal0.nwb", ("--model", "cohort.nwb", "--device", "cpu"), "--device has no meaning"),
    ("distance", "raw/animal0.nwb", ("--model", "cohort.nwb", "--max-distance", "0.1"), "lie beyond 0.1 times"),
    ("no file", "nowhere.nwb", ("--model", "cohort.nwb"), "nowhere.nwb: no such file"),
    ("no model", "raw/animal0.nwb", ("--model", "nowhere.nwb"), "nowhere.nwb: no such file"),
    ("window", "raw/animal0.nwb", ("--model", "cohort.nwb", "--align", "start_time"), "belong together"),
]


@pytest.mark.parametrize(("file", "arguments", "message"), [case[1:] for case in CASES], ids=[c[0] for c in CASES])
def test_one_line_and_nothing_changed(
    fitted: CohortResult,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    look_at: Callable[[Path], dict[str, bytes]],
    capsys: pytest.CaptureFixture[str],
    file: str,
    arguments: tuple[str, ...],
    message: str,
) -> None:
    copy_cohort(fitted, tmp_path)
    for name in ("raw", "new"):
        shutil.copytree(folder / name, tmp_path / name)
    if file == "few.nwb":
        write_session(draw(4, seed=6)[1].recording.isel(unit=slice(0, 20)), tmp_path / file, seed=5)
    monkeypatch.chdir(tmp_path)
    before = look_at(tmp_path)
    assert main(["transform", file, *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert message in err
    assert look_at(tmp_path) == before


def test_a_session_that_is_of_another_cohort_now_is_refused(fitted: CohortResult, folder: Path, tmp_path: Path) -> None:
    moved = copy_cohort(fitted, tmp_path)
    (tmp_path / "sessions" / "broken.nwb").unlink()
    reading = {"align_on": "trials.condition", "bin_width_s": 0.06, "n_permutations": 19}
    files = sorted((tmp_path / "sessions").iterdir())[:2]
    cohort.fit_cohort(files, 2, output=tmp_path / "second.nwb", overwrite=True, **reading)
    raw = Path(shutil.copy(folder / "raw" / "animal0.nwb", tmp_path / "raw.nwb"))
    with pytest.raises(DCFError, match="is of another cohort"):
        cohort.transform_session(raw, moved)

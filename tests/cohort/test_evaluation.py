from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from nwb_dcf import cohort
from nwb_dcf.cli import main
from nwb_dcf.cohort.files import CohortResult
from nwb_dcf.errors import DataError

LATENTS = "simulation/latents"


@pytest.fixture(scope="module")
def evaluated(fitted: CohortResult) -> cohort.evaluation.CohortEvaluation:
    return cohort.evaluate_cohort(fitted.output, against=LATENTS)


def test_the_others_decoder_is_nearly_as_good_as_ones_own(evaluated: cohort.evaluation.CohortEvaluation):
    found = evaluated.decoding["ridge"]
    assert found.others.min() > 0.4
    assert found.ratio > 0.9
    # two of three true latents are seen in two: a decoder on PCA knows no more
    assert found.others.mean() > evaluated.pca["ridge"].mean() - 0.15


@pytest.mark.long
def test_behaviour_that_begins_a_bin_late_leaves_every_condition(
    fitted: CohortResult, evaluated: cohort.evaluation.CohortEvaluation, monkeypatch: pytest.MonkeyPatch
):
    """Samples at 10 Hz and bins of 50 ms: the first bin of every trial lies before its first sample."""
    read = cohort.evaluation.read_behavior

    def begin_late(path: Path, name: str, time_s: np.ndarray) -> xr.DataArray:
        series = read(path, name, time_s).copy()
        gap = np.diff(time_s, prepend=-np.inf)
        series.values[gap > 1.5 * np.median(gap)] = np.nan
        assert np.isnan(series.values).any()
        return series

    monkeypatch.setattr(cohort.evaluation, "read_behavior", begin_late)
    found = cohort.evaluate_cohort(fitted.output, against=LATENTS)
    np.testing.assert_allclose(found.decoding["ridge"].others, evaluated.decoding["ridge"].others, atol=0.1)


def test_a_new_animal_is_decoded_better_with_more_trials(evaluated: cohort.evaluation.CohortEvaluation):
    few, many = evaluated.new["ridge"][:, [0, 2]].mean(axis=0)
    assert many > few
    assert many > 0.3


@pytest.mark.long
def test_the_command_line_prints_a_table_and_changes_nothing(
    fitted: CohortResult, folder: Path, capsys: pytest.CaptureFixture[str]
):
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert main(["cohort", "evaluate", fitted.output, "--against", LATENTS, "--json"]) == 0
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert np.array(document["methods"]["ridge"]["pairs"]).shape == (3, 3)
    assert "others' decoder" in err
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_a_series_that_no_session_has_is_refused(fitted: CohortResult):
    with pytest.raises(DataError, match="0 of 3 sessions can be decoded"):
        cohort.evaluate_cohort(fitted.output, against="behavior/nothing")


@pytest.mark.long
def test_a_session_whose_file_is_gone_is_left_out(fitted: CohortResult, folder: Path, tmp_path: Path):
    for name in ("animal0.nwb", "animal1.nwb"):
        (tmp_path / name).symlink_to(folder / "sessions" / name)
    found = cohort.evaluate_cohort(fitted.output, against=LATENTS, sessions=tmp_path)
    assert found.sessions == ("animal0.nwb", "animal1.nwb")
    assert "no such file" in found.left_out["animal2.nwb"]

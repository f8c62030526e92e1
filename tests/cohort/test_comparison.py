from __future__ import annotations

import json
from pathlib import Path

import pytest

from nwb_dcf import cohort
from nwb_dcf.cli import main
from nwb_dcf.cohort.files import CohortResult
from nwb_dcf.errors import ParameterError, SourceError


def test_two_kinds_of_trials_are_compared_within_sessions(fitted: CohortResult):
    found = cohort.compare_cohort(fitted.output, compare="outcome", n_permutations=49)
    assert found.groups is None
    assert found.kinds is not None
    assert found.kinds.sessions == ("animal0.nwb", "animal1.nwb", "animal2.nwb")
    assert found.kinds.p_speed > 0.05  # outcomes were drawn at random
    assert found.kinds.floor == 0.02


def test_groups_are_compared_later_and_too_few_get_no_verdict(
    fitted: CohortResult, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    groups = {"animal0.nwb": "a", "animal1.nwb": "b", "animal2.nwb": "a"}
    (tmp_path / "g.csv").write_text("file,group\n" + "".join(f"{k},{v}\n" for k, v in groups.items()))
    assert main(["cohort", "compare", fitted.output, "--groups", str(tmp_path / "g.csv")]) == 2
    assert "a group has one animal" in capsys.readouterr().err
    arguments = ["cohort", "compare", fitted.output, "--compare", "outcome", "--permutations", "19", "--json"]
    assert main(arguments) == 0
    assert json.loads(capsys.readouterr().out)["kinds"]["kinds"] == ["hit", "miss"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "one comparison at a time"),
        ({"groups": {}, "compare": "outcome"}, "one comparison at a time"),
        ({"compare": "outcom"}, "did you mean outcome?"),
        ({"compare": "condition"}, "6 kinds of trials"),
        ({"compare": "outcome", "n_permutations": 5}, "give 19 or more"),
        ({"groups": {"animal0": "a"}}, "3 of 3 files have no group"),
    ],
)
def test_what_cannot_be_compared_is_refused(fitted: CohortResult, options: dict[str, object], message: str):
    with pytest.raises((ParameterError, ValueError), match=message.replace("?", r"\?")):
        cohort.compare_cohort(fitted.output, **options)  # type: ignore[arg-type]


def test_sessions_that_are_gone_are_named(fitted: CohortResult, tmp_path: Path):
    with pytest.raises(SourceError, match="`sessions=`"):
        cohort.compare_cohort(fitted.output, compare="outcome", sessions=tmp_path)

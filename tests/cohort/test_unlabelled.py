from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import nwb_dcf
from nwb_dcf import cohort
from nwb_dcf.cli import main
from nwb_dcf.cohort import Cohort
from nwb_dcf.data.synthetic import CohortDesign, Simulation, simulate_cohort
from nwb_dcf.errors import DataError, ParameterError
from nwb_dcf.io.results import write_session

from .simulated import score_linear


def draw(seed: int, design: CohortDesign | None = None) -> list[Simulation]:
    return simulate_cohort(
        4, 3, n_conditions=6, n_bins=24, n_units=(60, 60), trials_per_condition=(6, 6), rate_hz=(20, 20), seed=seed,
        design=design,
    )  # fmt: skip


def name(animals: list[Simulation]) -> dict[str, xr.Dataset]:
    return {f"animal{i}.nwb": animal.recording for i, animal in enumerate(animals)}


@pytest.fixture(scope="module")
def animals() -> list[Simulation]:
    return draw(1004)


@pytest.fixture(scope="module")
def fitted(animals: list[Simulation]) -> Cohort:
    return Cohort(3).fit(name(animals), None)


def test_the_state_of_one_animal_is_read_by_a_decoder_of_the_others(fitted: Cohort, animals: list[Simulation]):
    latents = [fitted.transform(one, key)["latents"].values for key, one in name(animals).items()]
    truth = [animal.truth["latents"].values for animal in animals]
    score = score_linear(np.concatenate(latents[1:]), np.concatenate(truth[1:]), latents[0], truth[0])
    own = score_linear(latents[0], truth[0], latents[0], truth[0])
    assert score > 0.9 * own > 0.6
    assert fitted.findings_[0].sentence.startswith("sessions are aligned without labels (")
    assert not fitted.unshared_


def test_axes_are_white_and_ordered_by_timescale(fitted: Cohort, animals: list[Simulation]):
    latents = fitted.transform(animals[0].recording, "animal0.nwb")["latents"].values
    assert np.allclose(np.cov(latents.T), np.eye(3), atol=0.01)
    assert (np.diff(fitted.axes_.persistence) < 0).all()
    assert fitted.axes_.persistence[-1] > 0


def test_what_shares_nothing_is_refused_in_words():
    with pytest.raises(DataError, match=r"not identified without labels \(symmetry or nothing shared\): name a column"):
        Cohort(3, force=True).fit(name(draw(3, CohortDesign(sharing="nothing"))), None)


def test_three_sessions_and_groups_need_labels(animals: list[Simulation]):
    with pytest.raises(DataError, match="3 sessions without labels: 4 are needed"):
        Cohort(3).fit(name(animals[:3]), None)
    with pytest.raises(ParameterError, match="groups without labels cannot be compared"):
        Cohort(3).fit(name(animals), None, groups=dict.fromkeys(name(animals), "a"))


def test_a_session_of_fewer_channels_than_latents_is_refused(animals: list[Simulation]):
    few = {**name(animals), "small.nwb": animals[0].recording.isel(unit=slice(2))}
    with pytest.raises(DataError, match=r"small\.nwb: it has 2 channels, fewer than the 3 latents of the cohort"):
        Cohort(3).fit(few, None)


def test_a_new_session_cannot_be_coupled(fitted: Cohort, animals: list[Simulation]):
    with pytest.raises(DataError, match="no labels: a new session cannot be coupled"):
        fitted.couple(animals[0].recording, "condition", "new")


@pytest.mark.long
def test_it_goes_through_files(animals: list[Simulation], tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "s").mkdir()
    for i, animal in enumerate(animals):
        write_session(animal.recording, tmp_path / "s" / f"animal{i}.nwb", seed=i)
    output = str(tmp_path / "cohort.nwb")
    arguments = ["cohort", "fit", str(tmp_path / "s"), "--align-on", "none", "--bin", "0.04", "-o", output]
    assert main(arguments) == 0
    assert "sessions are aligned without labels" in capsys.readouterr().out
    assert [row["state"] for row in cohort.list_cohort(output)] == ["current"] * 4
    assert nwb_dcf.read_result(tmp_path / "s" / "animal2.nwb", "cohort_dim3").dim == 3
    assert main(["cohort", "evaluate", output, "--against", "x"]) == 2
    assert "no labels to hold trials out by" in capsys.readouterr().err
    assert main(["cohort", "plot", output, "-o", str(tmp_path / "page.html")]) == 0

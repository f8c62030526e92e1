from __future__ import annotations

import numpy as np
import pytest

from nwb_dcf.cohort import Cohort
from nwb_dcf.cohort.record import describe_statistics, from_record, hash_cohort, to_record
from nwb_dcf.data.recording import name_source
from nwb_dcf.data.synthetic import CohortDesign
from nwb_dcf.errors import DataError, NotFittedError, ParameterError

from .simulated import draw, score_linear

FEW = {"n_permutations": 19, "repeats": 2}


@pytest.fixture(scope="module")
def animals():
    return draw(5, seed=6)


@pytest.fixture(scope="module")
def cohort(animals):
    recordings = {f"animal{i}": animal.recording for i, animal in enumerate(animals[:4])}
    return Cohort(3, **FEW).fit(
        recordings, "condition", groups={name: (name[-1] in "01" and "a") or "b" for name in recordings}
    )


def test_latents_of_all_animals_are_in_one_space(cohort, animals):
    latents = [cohort.transform(a.recording, f"animal{i}")["latents"].values for i, a in enumerate(animals[:4])]
    truth = [animal.truth["latents"].values for animal in animals[:4]]
    own = score_linear(latents[0], truth[0], latents[0], truth[0])
    assert score_linear(np.concatenate(latents[1:]), np.concatenate(truth[1:]), latents[0], truth[0]) > 0.95 * own > 0.7


def test_results_carry_names(cohort):
    assert cohort.means.dims == ("session", "condition", "bin", "latent")
    assert cohort.means["session"].values.tolist() == ["animal0", "animal1", "animal2", "animal3"]
    assert cohort.anchors["condition"].values.tolist() == ["0", "1", "2", "3", "4", "5"]
    assert np.isclose(cohort.anchors["bin"].values[0], 0.03)
    assert cohort.table.loc["animal0", "trials"] > 20
    assert (cohort.table["p"] <= 0.05).all()


def test_a_cohort_shows_what_it_is_and_what_was_found(cohort):
    assert repr(Cohort(2)) == "<Cohort of 2 latents, not fitted>"
    assert repr(cohort).startswith(f"<Cohort of {len(cohort.sessions_)} sessions in {cohort.dim} latents; conditions: ")
    text, page = cohort.summary(), cohort._repr_html_()
    for finding in cohort.findings_:
        assert finding.sentence in text
    assert page.startswith("<table>")
    assert text.splitlines()[0].split()[0] == "cohort"


def test_velocity_is_per_second(cohort, animals):
    transformed = cohort.transform(animals[0].recording, "animal0")
    assert np.allclose(transformed["velocity"].values, cohort.field_(transformed["latents"].values) / 0.06)


def test_two_animals_a_group_get_no_verdict(cohort):
    (finding,) = (finding for finding in cohort.findings_ if finding.about == "groups")
    assert finding.severity == "refused"
    assert "cannot go below p = 0.33" in finding.sentence
    assert describe_statistics(cohort)["groups"]["p_speed"] is None


def test_a_new_animal_leaves_axes_and_field_as_they_are(cohort, animals):
    record = to_record(cohort)
    reread = from_record(record)
    before = reread.axes_.anchors.copy()
    session = reread.couple(animals[4].recording, "condition", "new")
    assert (reread.axes_.anchors == before).all()
    assert not session.in_axes
    latents = reread.transform(animals[4].recording, "new")["latents"].values
    others = [cohort.transform(a.recording, f"animal{i}")["latents"].values for i, a in enumerate(animals[:4])]
    truth = np.concatenate([animal.truth["latents"].values for animal in animals[:4]])
    assert score_linear(np.concatenate(others), truth, latents, animals[4].truth["latents"].values) > 0.7
    assert repr(reread).startswith(f"<Cohort of {len(reread.sessions_)} sessions")
    n = len(reread.sessions_)
    unnamed = reread.couple(animals[4].recording, "condition")
    assert reread.sessions_[name_source(animals[4].recording) or f"session {n + 1}"] is unnamed
    with pytest.raises(ParameterError, match="is in the cohort"):
        reread.couple(animals[4].recording, "condition", "new")
    with pytest.raises(DataError, match="no condition of the cohort"):
        reread.couple(animals[4].recording, ["x"] * animals[4].recording.sizes["segment"], "another")


def test_the_hash_is_of_what_was_found(cohort):
    assert hash_cohort(cohort, {"a": 1}) == hash_cohort(cohort, {"a": 1}) != hash_cohort(cohort, {"a": 2})


def test_a_missing_condition_is_named_and_most_missing_is_refused(animals):
    recordings = {f"animal{i}": animal.recording for i, animal in enumerate(animals[:3])}
    labels = {name: recording["trial_condition"].values.astype("U8") for name, recording in recordings.items()}
    labels["animal0"][labels["animal0"] == "2"] = ""
    fitted = Cohort(3, **FEW).fit(recordings, labels)
    assert any("animal0 lacks 1 of 6 conditions (2)" in finding.sentence for finding in fitted.findings_)
    assert np.isnan(fitted.means.sel(session="animal0", condition="2")).all()
    labels["animal0"][np.isin(labels["animal0"], ["1", "3", "4"])] = ""
    with pytest.raises(DataError, match="animal0: it has 2 of 6 conditions"):
        Cohort(3, **FEW).fit(recordings, labels)


def test_sessions_that_share_nothing_are_refused_unless_forced():
    animals = draw(3, 1, CohortDesign(sharing="nothing"))
    recordings = {f"animal{i}": animal.recording for i, animal in enumerate(animals)}
    with pytest.raises(DataError, match="conditions do not differ in a common way"):
        Cohort(3, **FEW).fit(recordings, "condition")
    forced = Cohort(3, **FEW, force=True).fit(recordings, "condition")
    assert forced.unshared_
    assert forced.dynamics_.verdict != "shared"


def test_what_makes_no_cohort_is_refused(animals):
    recordings = {f"animal{i}": animal.recording for i, animal in enumerate(animals[:2])}
    with pytest.raises(DataError, match="1 session makes no cohort"):
        Cohort(3).fit({"a": animals[0].recording}, "condition")
    with pytest.raises(DataError, match="1 of 2 sessions have no group, the first animal1"):
        Cohort(3).fit(recordings, "condition", groups={"animal0": "a"})
    twice = {name: r.assign_attrs(source={**r.attrs["source"], "identifier": "x"}) for name, r in recordings.items()}
    with pytest.raises(DataError, match="animal1 and animal0 are one session, x"):
        Cohort(3).fit(twice, "condition")
    few = {**recordings, "animal1": recordings["animal1"].isel(unit=slice(2))}
    with pytest.raises(DataError, match="animal1: it has 2 channels, fewer than the 3 latents"):
        Cohort(3, **FEW).fit(few, "condition")
    with pytest.raises(ParameterError, match="dim is 0"):
        Cohort(0)
    with pytest.raises(NotFittedError):
        Cohort(3).transform(animals[0].recording, "animal0")

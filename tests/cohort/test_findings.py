from __future__ import annotations

import numpy as np
import pytest

from nwb_dcf.cohort.alignment import Alignment
from nwb_dcf.cohort.findings import note_alignment, note_axes, note_dynamics, note_sharing, note_trials
from nwb_dcf.cohort.sharing import SharingTest
from nwb_dcf.cohort.vector_field import SharedDynamics


def make_test(p: float, p_session: list[float], floor_session: float = 0.005) -> SharingTest:
    n = len(p_session)
    return SharingTest(p, np.array(p_session), 0.005, np.full(n, floor_session), np.eye(n), 199)


def test_a_cohort_that_shares_nothing_is_refused():
    (finding,) = note_sharing(make_test(0.3, [0.3, 0.4]), ["a", "b"])
    assert (finding.severity, finding.sentence.partition(" (")[0]) == (
        "refused",
        "conditions do not differ in a common way in these sessions",
    )


def test_a_session_that_shares_nothing_is_named():
    good, bad = note_sharing(make_test(0.005, [0.01, 0.2, 0.01]), ["a", "b", "c"])
    assert good.severity == "good"
    assert bad.sentence == "conditions of b do not differ in the common way (p 0.2); it is left out of the axes"
    # one session alone makes no axes, which are those of both then, and nothing is said to be left out
    (_, kept) = note_sharing(make_test(0.005, [0.01, 0.2]), ["a", "b"])
    assert kept.sentence.endswith("too few do to leave the others out")
    (_, few) = note_sharing(make_test(0.005, [0.01, 0.2], floor_session=0.17), ["a", "b"])
    assert few.sentence.endswith("its few conditions allow no less")


def test_dynamics_are_shared_different_or_it_cannot_tell():
    def say(own: float, shared: float) -> str:
        return note_dynamics(SharedDynamics(np.array([own]), np.array([shared]))).sentence

    assert say(0.8, 0.78).startswith("one shared v describes the sessions")
    assert say(0.8, 0.3).startswith("the sessions differ in dynamics: one shared v is not supported")
    assert "cannot tell (own v below 0.3)" in say(0.2, 0.2)
    assert "cannot tell (ratio 0.80)" in say(0.8, 0.64)


def test_axes_that_turn_are_known_as_a_plane():
    trials, sessions = note_axes(np.array([[0.99, 0.98, 0.97]]), np.array([[0.99, 0.5, 0.6]]))
    assert trials.severity == "good"
    assert sessions.sentence.startswith("axes 2, 3 are determined as a plane only over disjoint sets of sessions")
    (_, few) = note_axes(np.array([[0.99]]), None)
    assert few.sentence == "fewer than 4 sessions: axes may turn with other sessions"


def test_few_trials_and_missing_conditions_are_counted():
    seen = {"a": np.array([True, False]), "b": np.ones(2, bool)}
    found = [finding.sentence for finding in note_trials({"a": 30, "b": 7}, seen, ["left", "right"])]
    assert found == [
        "a lacks 1 of 2 conditions (right)",
        "b has 7 trials; below 10 a coupling is uncertain",
    ]


@pytest.mark.parametrize(
    ("lead", "shared", "agreement", "severity"),
    [(0.2, 0.9, 0.8, "good"), (0.05, 0.9, 0.8, "refused"), (0.2, 0.8, 0.8, "refused"), (0.2, 0.9, 0.7, "refused")],
)
def test_without_labels_it_says_no(lead: float, shared: float, agreement: float, severity: str):
    finding = note_alignment(Alignment(np.zeros((4, 3, 3)), lead, shared, agreement))
    assert finding.severity == severity
    refusal = "not identified without labels (symmetry or nothing shared): name a column of trials"
    assert finding.sentence.startswith(refusal) == (severity == "refused")
    few = note_alignment(Alignment(np.zeros((3, 3, 3)), lead, shared, agreement))
    assert few.sentence == "3 sessions without labels: 4 are needed"

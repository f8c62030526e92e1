"""The table of known defects counts what it is given, and each simulation has the defect that it is named for."""

from __future__ import annotations

import numpy as np
import pytest
from certificate import KINDS, add_loud_unit, certify, make_drift, make_trial_means, tabulate, turn

from nwb_dcf.data.certificate import LINES


def test_the_line_that_ought_to_fail_is_counted_and_false_alarms_of_sound_ones() -> None:
    def run(**verdicts: str) -> dict[str, dict[str, object]]:
        found = {line: next((v for word, v in verdicts.items() if word in line), "pass") for line in LINES}
        return {line: {"verdict": verdict} for line, verdict in found.items()}

    rows = tabulate(
        {
            "drift": [run(noise="fail"), run(noise="doubtful"), run(PCA="fail")],
            "sound: reaches": [run(PCA="fail"), run(noise="fail", channel="fail"), run(future="doubtful")],
        }
    )
    # PCA may be as good on sound recordings, and counts as no alarm
    assert [row["measured"] for row in rows] == ["fails in 1 of 3", "false alarms 1 of 3"]
    assert rows[0]["not made of noise"] == "1 / 1 / 1"
    assert {kind.fails for kind in KINDS.values()} == {"", *LINES}


def test_simulations_have_their_defect() -> None:
    steady = make_trial_means(0)
    trial = steady["segment_index"].values
    means = np.stack([steady["data"].values[trial == i].mean(axis=0) for i in range(steady.sizes["segment"])])
    # Poisson counts of one rate in all trials would give a third of it at most
    assert means.var(axis=0).mean() > 3 * steady["data"].values.mean() / (trial == 0).sum()
    loud = add_loud_unit(0)["data"].values
    assert loud[:, -1].var() > 5 * loud[:, :-1].var(axis=0).mean()
    assert make_drift(0).sizes["segment"] == 1
    np.testing.assert_array_equal(turn(3)["data"], turn(3)["data"])


@pytest.mark.long
def test_invented_dynamics_fail_and_the_latents_beside_them_do_not() -> None:
    lines = {line["line"]: line for line in certify(KINDS["invented dynamics"], 1_500)}
    assert lines["not invented"]["verdict"] == "fail"
    assert "latent 3," in lines["not invented"]["sentence"]
    sound = {line["line"]: line for line in certify(KINDS["sound: a turning phase"], 1_500)}
    assert sound["not invented"]["verdict"] == "pass"

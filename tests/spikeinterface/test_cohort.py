from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from spikeinterface.core import NumpySorting

from nwb_dcf.data.synthetic import simulate_cohort
from nwb_dcf.errors import DataError, ParameterError
from nwb_dcf.spikeinterface import fit_cohort
from nwb_dcf.spikeinterface.cohort import AnalyzerCohort

from .sessions import RATE_HZ, make_analyzer, make_recording

BIN_S, N_BINS, PAUSE_S = 0.06, 12, 0.5
START_S = 100.0
SETTINGS: dict[str, Any] = {"bin_width_s": BIN_S, "n_permutations": 19, "repeats": 2}


def make_session(simulation: Any, seed: int) -> tuple[Any, np.ndarray, np.ndarray]:
    """An analyzer whose spikes are those of a simulated animal, with the times of its events and their conditions."""
    rng = np.random.default_rng(seed)
    counts = simulation.recording["data"].values.astype(int)
    n_trials = simulation.recording.sizes["segment"]
    length = N_BINS * BIN_S
    onset = PAUSE_S + np.arange(n_trials) * (length + PAUSE_S)
    left = (onset[:, None] + BIN_S * np.arange(N_BINS)).ravel()
    frame, unit = np.nonzero(counts)
    many = counts[frame, unit]
    times = np.repeat(left[frame], many) + rng.uniform(0.001, BIN_S - 0.001, many.sum())
    order = np.argsort(times)
    samples = np.floor(times[order] * RATE_HZ).astype(int)
    sorting = NumpySorting.from_samples_and_labels([samples], [np.repeat(unit, many)[order]], RATE_HZ)
    recording = make_recording((float(onset[-1] + length + PAUSE_S),), starts=[START_S])
    return make_analyzer(sorting, recording), onset + START_S, simulation.recording["trial_condition"].values


@pytest.fixture(scope="module")
def sessions() -> dict[str, tuple[Any, np.ndarray, np.ndarray]]:
    animals = simulate_cohort(
        3, 2, n_conditions=5, n_bins=N_BINS, bin_width_s=BIN_S, trials_per_condition=(6, 8), n_units=(40, 40), seed=2
    )
    return {f"m{i}": make_session(animal, i) for i, animal in enumerate(animals)}


def fit(sessions: dict[str, tuple[Any, np.ndarray, np.ndarray]], **changes: Any) -> AnalyzerCohort:
    given = {
        "events": {name: times for name, (_, times, _) in sessions.items()},
        "labels": {name: labels for name, (_, _, labels) in sessions.items()},
        "window": (0.0, N_BINS * BIN_S),
        **changes,
    }
    return fit_cohort({name: analyzer for name, (analyzer, _, _) in sessions.items()}, dim=2, **given, **SETTINGS)


def test_analyzers_come_into_one_space(sessions: dict[str, tuple[Any, np.ndarray, np.ndarray]]):
    found = fit(sessions)
    assert list(found.cohort.sessions_) == ["m0", "m1", "m2"]
    assert found.cohort.anchors.sizes == {"condition": 5, "bin": N_BINS, "latent": 2}
    assert found.latents["m1"].sizes["time"] == len(sessions["m1"][1]) * N_BINS
    first, second = (found.cohort.means.sel(session=name).values.ravel() for name in ("m0", "m1"))
    assert np.corrcoef(first, second)[0, 1] > 0.8


def test_counts_are_those_about_the_event_on_the_recordings_clock(
    sessions: dict[str, tuple[Any, np.ndarray, np.ndarray]],
):
    found = fit(sessions)
    recording = found.recordings["m0"]
    _, times, labels = sessions["m0"]
    assert np.allclose(recording["segment_start"].values, times)
    assert recording["trial_label"].values.tolist() == labels.tolist()
    # pauses between trials hold no spike: a shift of a bin would lose some
    analyzer = sessions["m0"][0]
    assert recording["data"].values.sum() == sum(
        len(analyzer.sorting.get_unit_spike_train(u)) for u in analyzer.unit_ids
    )


def test_trials_outside_the_recording_are_left_out(sessions: dict[str, tuple[Any, np.ndarray, np.ndarray]]):
    analyzer, times, labels = sessions["m0"]
    late = {**sessions, "m0": (analyzer, np.append(times, [9999.0, np.nan]), np.append(labels, [0, 1]))}
    found = fit(late)
    assert "2 trials lie outside the recording" in found.recordings["m0"].attrs["notes"]
    assert found.recordings["m0"].sizes["segment"] == len(times)


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"events": {}}, ParameterError, "m0 has no events"),
        ({"window": (0.5, 0.5)}, ParameterError, "give its start before its end"),
        ({"window": (0.0, 5.0)}, DataError, "trials overlap"),
        ({"labels": {"m0": [1], "m1": [1], "m2": [1]}}, ParameterError, "events of shape"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    sessions: dict[str, tuple[Any, np.ndarray, np.ndarray]], changes: dict[str, Any], kind: type, message: str
):
    with pytest.raises(kind, match=message):
        fit(sessions, **changes)


def test_events_on_another_clock_are_refused(sessions: dict[str, tuple[Any, np.ndarray, np.ndarray]]):
    events = {name: times - START_S for name, (_, times, _) in sessions.items()}
    with pytest.raises(DataError, match="trials lies inside the recording; give events in seconds"):
        fit(sessions, events={**events, "m0": events["m0"] - 1e4})

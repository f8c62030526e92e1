"""Pauses of the recording: found between epochs, and never in sessions of slow cells."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nwb_dcf.io.recordings.silence import find_silences


def _modulate(kind: str, grid: Any, rng: Any) -> Any:
    """The common drive of all cells on a grid of half seconds."""
    if kind == "waxing and waning":
        drive, keep = np.zeros(len(grid)), np.exp(-0.5 / 60)
        noise = rng.normal(size=len(grid))
        for i in range(1, len(grid)):
            drive[i] = keep * drive[i - 1] + np.sqrt(1 - keep**2) * noise[i]
        return np.exp(drive - 0.5)
    if kind == "up and down states":
        up, at, drive = True, 0.0, np.full(len(grid), 0.02)
        while at < grid[-1]:
            length = rng.exponential(10 if up else 5)
            drive[(grid >= at) & (grid < at + length) & up] = 1.0
            at, up = at + length, not up
        return drive
    return np.ones(len(grid))


def _simulate(kind: str, seed: int, slowest: float = 0.02, fastest: float = 2.0) -> list[Any]:
    rng = np.random.default_rng(seed)
    duration, n_units = rng.uniform(300, 3600), int(rng.integers(1, 21))
    grid = np.arange(0, duration, 0.5)
    drive = _modulate(kind, grid, rng)
    trains = []
    for rate in np.exp(rng.uniform(np.log(slowest), np.log(fastest), n_units)):
        if kind == "bursts":
            steps = rng.lognormal(np.log(1 / rate) - 1.125, 1.5, int(3 * rate * duration) + 50)
            times = np.cumsum(steps)
            trains.append(times[times < duration])
            continue
        counts = rng.poisson(0.5 * rate * drive / drive.mean())
        trains.append(np.sort(np.repeat(grid, counts) + rng.uniform(0, 0.5, counts.sum())))
    return trains


@pytest.mark.parametrize("kind", ["steady", "bursts", "waxing and waning", "up and down states"])
def test_slow_cells_are_silent_and_yet_recorded(kind: str) -> None:
    cut = [seed for seed in range(60) if len(find_silences(_simulate(kind, seed)))]
    assert cut == []


@pytest.mark.parametrize("pauses", [[60.0], [1740.0], [300.0, 40.0], [25.0] * 6])
@pytest.mark.parametrize("seed", range(5))
def test_pauses_between_epochs_are_found(pauses: list[float], seed: int) -> None:
    rng = np.random.default_rng(seed)
    trains: list[list[Any]] = [[] for _ in range(8)]
    at, ends = 0.0, []
    for pause in [*pauses, None]:
        for train in trains:
            train.append(at + np.sort(rng.uniform(0, 60, rng.poisson(300))))
        ends.append(at + 60)
        at += 60 + (pause or 0)
    found = find_silences([np.concatenate(train) for train in trains])
    assert np.allclose(found[:, 0], ends[:-1], atol=0.5)
    assert np.allclose(found[:, 1], np.array(ends[:-1]) + pauses, atol=0.5)


def test_a_unit_that_is_lost_makes_no_pause() -> None:
    trains = _simulate("steady", 0, 1.0, 5.0)
    assert len(find_silences([trains[0][trains[0] < 50], *trains[1:]])) == 0


def test_no_spikes_and_few_spikes_have_no_pause() -> None:
    assert find_silences([]).shape == (0, 2)
    assert find_silences([np.array([1.0, 500.0])]).shape == (0, 2)


def test_no_spike_is_put_in_order_where_nothing_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    trains = _simulate("steady", 0, slowest=1.0)
    sorts: list[int] = []
    monkeypatch.setattr(np, "sort", lambda values: sorts.append(len(values)))
    assert len(find_silences(trains)) == 0
    assert sorts == []


def test_more_silences_than_are_looked_at_change_nothing() -> None:
    # steady spikes, so that there are thousands of silences of one length beside a pause
    train = np.concatenate([np.arange(0, 3000, 0.5), np.arange(5000, 8000, 0.5)])
    assert find_silences([train]).tolist() == [[2999.5, 5000.0]]

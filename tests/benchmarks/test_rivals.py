"""Rivals that do not learn would flatter DCF."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from autoencoder import draw_held_out
from rivals import TUNED, TUNED_STEPS, Code, find_rivals, find_tuned, stack_window

from nwb_dcf.metrics import r2_score

DIM, STEPS = 2, 150
RIVALS = {rival.name: rival for rival in find_rivals()}
Frames = tuple[np.ndarray, np.ndarray]


def draw_ring(seed: int) -> Frames:
    """Frames on a closed curve that no plane holds, (400, 20), and ten segments."""
    rng = np.random.default_rng(seed)
    angle = np.sort(rng.uniform(0, 2 * np.pi, (10, 40)), axis=1).ravel()
    harmonics = np.column_stack([f(k * angle) for k in (1, 2, 3) for f in (np.cos, np.sin)])
    mixing = np.random.default_rng(99).normal(size=(6, 20))
    return harmonics @ mixing + 0.1 * rng.normal(size=(400, 20)), np.repeat(np.arange(10), 40)


@pytest.fixture(scope="module")
def fit() -> Callable[[str], Code]:
    found: dict[str, Code] = {}

    def fit_once(name: str) -> Code:
        if name not in found:
            found[name] = RIVALS[name].fit(*draw_ring(0), DIM, 0, STEPS)
        return found[name]

    return fit_once


def rebuild(code: Code, frames: Frames) -> float:
    assert code.rebuild is not None
    return r2_score(frames[0], code.rebuild(code.encode(*frames)))


@pytest.mark.parametrize("name", ["autoencoder", "VAE, window"])
def test_networks_rebuild_a_curve_better_than_a_plane(fit: Callable[[str], Code], name: str) -> None:
    unseen = draw_ring(1)
    assert rebuild(fit(name), unseen) > rebuild(fit("PCA"), unseen) + 0.1
    assert fit(name).samples > STEPS * 256


@pytest.mark.parametrize("name", ["PCA", "PCA, window", "factor analysis"])
def test_closed_forms_rebuild_what_a_plane_can(fit: Callable[[str], Code], name: str) -> None:
    seen = draw_ring(0)
    assert fit(name).encode(*seen).shape == (400, DIM)
    assert 0.2 < rebuild(fit(name), seen) <= rebuild(fit("PCA"), seen) + 1e-9


def test_the_autoencoder_that_times_are_beside_stops_when_nothing_gets_better(
    fit: Callable[[str], Code], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TUNED, "patience", 100)
    tuned, unseen = find_tuned()[0].fit(*draw_ring(0), DIM, 0, STEPS), draw_ring(1)
    assert STEPS * 256 < tuned.samples < TUNED_STEPS * 256
    assert rebuild(tuned, unseen) > rebuild(fit("PCA"), unseen) + 0.1


def test_a_seed_decides_a_network() -> None:
    x, segment = draw_ring(0)
    first, again, other = (RIVALS["VAE"].fit(x, segment, DIM, seed, 5).encode(x, segment) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)


def test_cebra_tells_places_on_the_curve_apart() -> None:
    if "CEBRA-Time" not in RIVALS:
        pytest.skip("CEBRA-Time is compared where somebody has added it: it is no part of the test extra")
    x, segment = draw_ring(0)
    code = RIVALS["CEBRA-Time"].fit(x, segment, DIM, 0, 5)
    assert code.rebuild is None
    assert code.encode(x, segment).shape == (400, DIM)


def test_windows_stay_within_their_segment() -> None:
    x = np.array([[1.0], [2.0], [3.0], [10.0], [20.0]])
    stacked = stack_window(x, np.array([0, 0, 0, 1, 1]), 1)
    np.testing.assert_array_equal(stacked, [[1, 1, 2], [1, 2, 3], [2, 3, 3], [10, 10, 20], [10, 20, 20]])


def test_segments_are_held_out_whole_and_a_long_one_in_pieces() -> None:
    segment = np.repeat(np.arange(10), 7)
    drawn = draw_held_out(segment, 3).reshape(10, 7)
    assert (drawn.all(axis=1) == drawn.any(axis=1)).all()
    assert drawn.any(axis=1).sum() == 2
    one = draw_held_out(np.zeros(200, int), 3)
    assert one.sum() == 40
    assert np.abs(np.diff(one.astype(int))).sum() <= 4

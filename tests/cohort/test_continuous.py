"""Bins of behaviour as anchors: place cells of different animals share the place, and nothing else is found."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from nwb_dcf.cohort import Cohort
from nwb_dcf.data.synthetic import simulate_navigation
from nwb_dcf.errors import DataError, ParameterError

from .simulated import score_linear

Animals = tuple[dict[str, xr.Dataset], dict[str, np.ndarray]]


def draw(n: int, cells: str = "track", duration_s: float = 240.0) -> Animals:
    recordings, behavior = {}, {}
    for i in range(n):
        made = simulate_navigation(cells, 30, duration_s=duration_s, bin_width_s=0.1, seed=20 + i)  # type: ignore[arg-type]
        recordings[f"rat{i}"], behavior[f"rat{i}"] = made.recording, made.truth["latents"].values
    return recordings, behavior


def fit(animals: Animals, dim: int = 3, **settings: object) -> Cohort:
    cohort = Cohort(dim, n_permutations=39, repeats=3, **settings)  # type: ignore[arg-type]
    return cohort.fit(animals[0], None, behavior=animals[1], behavior_name="position")


@pytest.fixture(scope="module")
def rats() -> Animals:
    return draw(4)


@pytest.fixture(scope="module")
def track(rats: Animals) -> Cohort:
    return fit(rats)


def test_place_is_decoded_across_animals(rats: Animals, track: Cohort) -> None:
    recordings, place = rats
    latents = {name: track.transform(recordings[name], name)["latents"].values for name in recordings}
    for name in recordings:
        others = [other for other in recordings if other != name]
        training, target = (np.concatenate([values[other] for other in others]) for values in (latents, place))
        assert score_linear(training, target, latents[name], place[name]) > 0.5
    assert track.sharing_ is not None
    assert track.sharing_.p <= 0.05
    assert not track.unshared_


def test_anchors_are_bins_in_order_and_axes_are_the_slowest_first(track: Cohort) -> None:
    # of twelve, as the rat pauses at the ends: bins of equal values are one
    assert dict(track.anchors.sizes) == {"condition": 11, "bin": 1, "latent": 3}
    assert track.conditions_[0].startswith("position below")
    assert (np.diff(track.axes_.persistence) <= 0).all()
    # neighbours on the track are neighbours in the space
    anchors = track.anchors.values[:, 0]
    near = np.linalg.norm(np.diff(anchors, axis=0), axis=1).mean()
    far = np.linalg.norm(anchors[5:] - anchors[:-5], axis=1).mean()
    assert near < far / 2


def test_a_new_animal_is_coupled(rats: Animals) -> None:
    recordings, place = rats
    three = {name: recordings[name] for name in list(recordings)[:3]}
    cohort = fit((three, place))
    session = cohort.couple(recordings["rat3"], None, "new", behavior=place["rat3"])
    assert session.seen.all()
    latents = cohort.transform(recordings["rat3"], "new")["latents"].values
    others = np.concatenate([cohort.transform(three[name], name)["latents"].values for name in three])
    target = np.concatenate([place[name] for name in three])
    assert score_linear(others, target, latents, place["rat3"]) > 0.5
    with pytest.raises(ParameterError, match="anchors are bins of behaviour"):
        cohort.couple(recordings["rat3"], None, "again")


def test_two_columns_are_nested(rats: Animals) -> None:
    cohort = fit(draw(3, "box"), dim=3)
    assert len(cohort.conditions_) == 25
    assert cohort.conditions_[0].startswith("position 0 below")
    assert "position 1" in cohort.conditions_[0]


def test_units_that_know_nothing_of_the_behaviour_are_refused(rats: Animals) -> None:
    recordings, _ = rats
    # the place of other animals: as slow as their own, and not theirs
    others = list(draw(9)[1].values())[5:9]
    strange = dict(zip(recordings, [np.roll(values, 613 + 97 * i) for i, values in enumerate(others)], strict=True))
    with pytest.raises(DataError, match="do not follow position in a common way"):
        fit((recordings, strange))
    assert fit((recordings, strange), force=True).unshared_


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: np.zeros_like(v), "rat1: position is constant, 0"),
        (lambda v: v + 100, "rat0: its behaviour visits|rat1: its behaviour visits"),
        (lambda v: np.full_like(v, np.nan), "rat1: position is known in no frame"),
        (lambda v: np.column_stack([v, v, v]), "other columns than one or two"),
        (lambda v: v[:-3], "values of position for"),
    ],
    ids=["constant", "no overlap", "missing", "columns", "length"],
)
def test_behaviour_that_makes_no_bins_is_refused(rats: Animals, change: object, message: str) -> None:
    recordings, place = rats
    with pytest.raises(DataError, match=message):
        fit((recordings, {**place, "rat1": change(place["rat1"])}))  # type: ignore[operator]


def test_two_values_are_no_bins(rats: Animals) -> None:
    recordings, place = rats
    with pytest.raises(DataError, match="which make 2 bins"):
        fit((recordings, {name: (values > 0.5).astype(float) for name, values in place.items()}))


def test_groups_are_refused(rats: Animals) -> None:
    recordings, place = rats
    with pytest.raises(ParameterError, match="neither labels nor groups"):
        Cohort().fit(recordings, None, behavior=place, groups=dict.fromkeys(recordings, "a"))

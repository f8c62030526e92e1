"""How channels are interpolated between their samples: by their continuity, and by whether they wrap."""

from __future__ import annotations

import numpy as np
import pytest
from pynwb import TimeSeries
from pynwb.behavior import CompassDirection, SpatialSeries

from nwb_dcf.io.recordings.interpolation import Interpolation, choose_interpolation, from_circle, to_circle

T = np.arange(200) / 10


def _series(unit: str, continuity: str | None = None) -> TimeSeries:
    return TimeSeries(name="x", data=np.zeros(3), unit=unit, rate=1.0, continuity=continuity)


@pytest.mark.parametrize(
    ("unit", "turn"), [("radians", 2 * np.pi), ("rad", 2 * np.pi), ("Degrees", 360.0), ("deg", 360.0)]
)
@pytest.mark.parametrize("low", [0.0, -0.5])
def test_an_angle_that_wraps_is_on_a_circle(unit: str, turn: float, low: float) -> None:
    values = ((T * 0.4 - low) % 1 + low) * turn
    (rule,) = choose_interpolation(_series(unit), values[:, None])
    assert rule == Interpolation("circle", turn, low * turn)


@pytest.mark.parametrize("kind", ["knee", "unwrapped", "no unit", "speed"])
def test_what_does_not_wrap_is_on_a_line(kind: str) -> None:
    unit, values = {
        "knee": ("degrees", 60 + 25 * np.sin(T)),
        "unwrapped": ("radians", 2 * np.pi * 0.4 * T),
        "no unit": ("a.u.", (T * 0.4 % 1) * 360),
        "speed": ("degrees/s", (T * 0.4 % 1) * 360),
    }[kind]
    (rule,) = choose_interpolation(_series(unit), values[:, None])
    assert rule.rule == "line"


def test_a_compass_is_a_circle_even_where_it_never_wraps() -> None:
    box = CompassDirection()
    series = SpatialSeries(name="x", data=np.zeros(3), unit="n.a.", rate=1.0, reference_frame="north")
    box.add_spatial_series(series)
    (rule,) = choose_interpolation(series, (1 + 0.5 * np.sin(T))[:, None])
    assert (rule.rule, rule.turn) == ("circle", 2 * np.pi)
    (rule,) = choose_interpolation(series, (100 + 50 * np.sin(T))[:, None])
    assert (rule.rule, rule.turn) == ("circle", 360.0)


@pytest.mark.parametrize(
    ("continuity", "rule"), [("step", "hold"), ("instantaneous", "nearest"), ("continuous", "line")]
)
def test_continuity_says_how(continuity: str, rule: str) -> None:
    assert [one.rule for one in choose_interpolation(_series("a.u.", continuity), np.zeros((5, 2)))] == [rule, rule]


def test_the_circle_gives_back_its_angles_and_their_mean_is_between_them() -> None:
    rule = Interpolation("circle", 360.0, 0.0)
    values = np.array([0.0, 10.0, 359.0])
    assert np.allclose(from_circle(to_circle(values, rule), rule) % 360, values, atol=1e-9)
    mean = from_circle(to_circle(np.array([350.0, 20.0]), rule).mean(keepdims=True), rule)
    assert mean[0] == pytest.approx(5.0)
    assert np.isnan(from_circle(np.array([0j]), rule)[0])

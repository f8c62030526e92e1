"""Values between the samples of a series: on a line, the sample before, the nearest one, or round a circle.

``continuity`` of a TimeSeries decides among the first three. No field states that an angle wraps: a channel counts as a
direction where its unit is that of an angle, its values keep within one turn, and somewhere two samples in succession
lie further apart than half a turn (a CompassDirection always is one). The values of a knee never do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pynwb.behavior import CompassDirection

if TYPE_CHECKING:
    from jaxtyping import Complex, Float, Num

TURNS = {
    **dict.fromkeys(("radians", "radian", "rad", "rads"), 2 * np.pi),
    **dict.fromkeys(("degrees", "degree", "deg", "degs", "°"), 360.0),
}
ROUNDING = 1e-3
"""Fraction of a turn by which angles may leave their turn."""


@dataclass(frozen=True)
class Interpolation:
    """How a channel is taken between its samples.

    Attributes
    ----------
    rule : str
        ``line``, ``hold`` (the sample before), ``nearest`` or ``circle``.
    turn : float
        A full turn in the unit of the values, of ``circle`` alone.
    low : float
        Least value of the turn in which results lie, of ``circle`` alone.
    """

    rule: str = "line"
    turn: float = 0.0
    low: float = 0.0

    def describe(self) -> str:
        """Return the sentence for the notes of a recording; empty for a line."""
        return {
            "hold": "each value holds until the next (continuity is step)",
            "nearest": "the nearest sample, if it is near (continuity is instantaneous)",
            "circle": f"an angle, on its circle of {self.turn:.6g}",
        }.get(self.rule, "")


LINE = Interpolation()


def choose_interpolation(series: Any, values: Num[np.ndarray, "sample channel"]) -> list[Interpolation]:
    """Choose how each channel of a TimeSeries is taken between its samples.

    Parameters
    ----------
    series : pynwb.TimeSeries
        Its continuity, unit and container are read.
    values : array, shape (sample, channel)
        In its unit; NaN is ignored.
    """
    continuity = str(getattr(series, "continuity", None) or "").lower()
    if continuity == "step":
        return [Interpolation("hold")] * values.shape[1]
    if continuity == "instantaneous":
        return [Interpolation("nearest")] * values.shape[1]
    compass = isinstance(getattr(series, "parent", None), CompassDirection)
    turn = TURNS.get(str(series.unit).strip().lower(), 0.0)
    return [_choose_for(values[:, i], turn, compass) for i in range(values.shape[1])]


def _choose_for(values: Num[np.ndarray, " sample"], turn: float, compass: bool) -> Interpolation:
    known = values[np.isfinite(values)].astype(np.float64)
    if len(known) < 2 or not (turn or compass):
        return LINE
    low, high = float(known.min()), float(known.max())
    if not turn:  # a CompassDirection whose unit names no angle
        turn = 360.0 if high - low > 2 * np.pi * (1 + ROUNDING) else 2 * np.pi
    if high - low > turn * (1 + ROUNDING):
        return LINE  # an unwrapped angle, which counts its turns
    # Only a jump of more than half a turn shows that an angle wraps: that of a joint has the same unit and does not.
    if not compass and not (np.abs(np.diff(known)) > turn / 2).any():
        return LINE
    # Whole turns begin at 0 or half a turn below it in nearly every file; else where the values do.
    start = next(
        (at for at in (0.0, -turn / 2) if low >= at - ROUNDING * turn and high <= at + turn * (1 + ROUNDING)), low
    )
    return Interpolation("circle", turn, start)


def to_circle(values: Num[np.ndarray, "*sample"], rule: Interpolation) -> Complex[np.ndarray, "*sample"]:
    """Map angles to points of the unit circle, as complex numbers, whose mean is a mean direction."""
    return np.asarray(np.exp(2j * np.pi * values.astype(np.float64) / rule.turn))


def from_circle(points: Complex[np.ndarray, "*sample"], rule: Interpolation) -> Float[np.ndarray, "*sample"]:
    """Map points to angles within the turn of `rule`; NaN at 0, which has no direction."""
    angle = np.angle(points) / (2 * np.pi) * rule.turn
    turned = (angle - rule.low) % rule.turn + rule.low
    return np.where(np.abs(points) > 1e-9, turned, np.nan)


def describe_rules(rules: Sequence[Interpolation]) -> list[str]:
    """Describe how channels are interpolated other than on a line, each way once."""
    return list(dict.fromkeys(rule.describe() for rule in rules if rule.rule != "line"))

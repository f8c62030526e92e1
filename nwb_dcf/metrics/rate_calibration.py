"""Calibration of predicted counts: a Poisson regression for each unit, after which mean rate equals mean count.

Rates from reconstructed square roots are too low where counts vary more than Poisson's: with a Fano factor of 2.6 they
are 0.68 to 0.93 of the mean count. At the maximum of the likelihood of a log-linear Poisson model with a constant, the
predicted counts of the frames that it was fitted to sum to the counts that were observed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, TypedDict

import numpy as np
from numpy.typing import ArrayLike

from ..errors import DataError

if TYPE_CHECKING:
    from jaxtyping import Float, Int

FLOOR = 1e-4  # expected counts below this are raised to it before the logarithm
MOST_CALIBRATED = 2**23  # counts: 64 MiB each for rates and counts in float64
NUMBERS_AT_ONCE = 2**16  # of a few units, which stay in the processor's cache from step to step
MAX_ITERATIONS = 50
TOLERANCE = 1e-9
SLOPE_PRIOR = 1.0  # precision of the slope's prior about 1: units with few spikes keep the decoder's shape
LOWEST_SLOPE, HIGHEST_SLOPE = 0.0, 3.0  # beyond it an exponential extrapolates wildly on unseen frames


class StoredCalibration(TypedDict):
    """A `RateCalibration` as JSON: a bias of None is that of a unit without a spike."""

    slope: list[float]
    bias: list[float | None]


@dataclass(frozen=True)
class RateCalibration:
    """A log-linear map of each unit's expected counts.

    Attributes
    ----------
    slope, bias : array, shape (unit,)
        Calibrated count = exp(slope * log(expected count) + bias); a unit without a spike has bias -inf.
    """

    slope: Float[np.ndarray, " unit"]
    bias: Float[np.ndarray, " unit"]

    def apply(self, expected: ArrayLike) -> Float[np.ndarray, "time unit"]:
        """Calibrate expected counts, shape (time, unit).

        Raises
        ------
        DataError
            If units differ in number.
        """
        values = np.asarray(expected, np.float64)
        if values.ndim != 2 or values.shape[1] != len(self.slope):
            raise DataError(f"rates have shape {values.shape}", fix=f"give (time, {len(self.slope)})")
        return np.asarray(np.exp(self.slope * np.log(np.maximum(values, FLOOR)) + self.bias))

    def to_dict(self) -> StoredCalibration:
        """Return it as JSON-able values; the bias of a unit without a spike is None."""
        return {
            "slope": self.slope.tolist(),
            "bias": [value if np.isfinite(value) else None for value in self.bias.tolist()],
        }

    @classmethod
    def from_dict(cls, values: StoredCalibration) -> Self:
        """Make a calibration from `to_dict`'s output."""
        bias = [-np.inf if value is None else value for value in values["bias"]]
        return cls(np.asarray(values["slope"], np.float64), np.asarray(bias, np.float64))


def choose_calibration_frames(n_frames: int, n_units: int) -> Int[np.ndarray, " frame"]:
    """Choose the frames that a calibration is made on: all, or as many as memory takes, evenly spaced.

    The equality of mean rate and mean count holds on these.
    """
    most = max(1, MOST_CALIBRATED // n_units)
    return np.linspace(0, n_frames - 1, min(n_frames, most)).round().astype(int)


def calibrate_rates(expected: ArrayLike, counts: ArrayLike) -> RateCalibration:
    """Fit a Poisson regression of each unit's counts on the logarithm of its expected counts.

    Parameters
    ----------
    expected, counts : array, shape (time, unit)
        Expected counts of training frames, and those frames' unsmoothed counts.

    Returns
    -------
    RateCalibration
        Of which ``apply(expected)`` has the mean of `counts`, unit by unit.

    Raises
    ------
    DataError
        If shapes differ, or values are negative or not finite.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> rate = rng.uniform(0.1, 2.0, (5_000, 1))
    >>> counts = rng.poisson(rate)
    >>> calibrated = calibrate_rates(rate / 2, counts).apply(rate / 2)
    >>> bool(np.isclose(calibrated.mean(), counts.mean()))
    True
    """
    rates, observed = np.asarray(expected, np.float64), np.asarray(counts, np.float64)
    if rates.ndim != 2 or rates.shape != observed.shape:
        raise DataError(
            f"rates have shape {rates.shape} and counts {observed.shape}", fix="give those of the same bins"
        )
    for name, values in (("rates", rates), ("counts", observed)):
        if not np.isfinite(values).all() or (values.size and values.min() < 0):
            raise DataError(f"{name} are negative or not finite", fix="leave those frames out")
    slope, bias = np.ones(rates.shape[1]), np.full(rates.shape[1], -np.inf)
    active = np.flatnonzero(observed.sum(axis=0) > 0)
    n = max(1, NUMBERS_AT_ONCE // max(len(rates), 1))
    for some in (active[start : start + n] for start in range(0, len(active), n)):
        x = np.log(np.maximum(rates[:, some].T, FLOOR))
        slope[some], bias[some] = _fit_lines(x, np.ascontiguousarray(observed[:, some].T))
    return RateCalibration(slope, bias)


def _fit_lines(
    x: Float[np.ndarray, "unit time"], counts: Float[np.ndarray, "unit time"]
) -> tuple[Float[np.ndarray, " unit"], Float[np.ndarray, " unit"]]:
    """Newton's method on the slopes of some units at once; for each slope the bias that makes the means equal is known.

    Not scikit-learn's `PoissonRegressor`: its penalty draws the slope to 0, where a silent unit would lose the shape
    of the decoder, and not to 1.
    """
    centre = x.mean(axis=1)
    x = x - centre[:, None]
    spikes, target = counts.sum(axis=1), (x * counts).sum(axis=1)
    # slopes are never negative, so that the largest rate is where x is largest
    highest = x.max(axis=1)
    slope = np.ones(len(x))

    def weigh() -> Float[np.ndarray, "unit time"]:
        weight = slope[:, None] * x
        # before the exponential: large rates overflow
        weight -= (slope * highest)[:, None]
        return np.asarray(np.exp(weight, out=weight))

    for _ in range(MAX_ITERATIONS):
        weight = weigh()
        # the profile likelihood: for each slope the bias has a closed form
        scale = spikes / weight.sum(axis=1)  # rates at the best bias for this slope
        weight *= x
        mean = scale * weight.sum(axis=1)
        weight *= x
        curvature = scale * weight.sum(axis=1) - mean**2 / spikes
        # about 1: without evidence the decoder's own shape is kept
        gradient = target - mean - SLOPE_PRIOR * (slope - 1)
        step = gradient / (curvature + SLOPE_PRIOR)
        # half a unit at most: far from the optimum Newton's step on an exponential overshoots
        change = np.clip(slope + np.clip(step, -0.5, 0.5), LOWEST_SLOPE, HIGHEST_SLOPE) - slope
        slope = slope + change
        if np.abs(change).max() < TOLERANCE:
            break
    bias = np.log(spikes) - np.log(weigh().sum(axis=1)) - slope * highest
    return slope, bias - slope * centre

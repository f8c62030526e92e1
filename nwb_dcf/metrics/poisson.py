"""Scores of expected spike counts: explained deviance, bits per spike, co-smoothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import xlogy

from ..errors import DataError, ParameterError
from .segment_sums import FrameGroups, SegmentSums, divide_frames, require_frames, require_labels, require_same_shape

if TYPE_CHECKING:
    from jaxtyping import Float, Real, Shaped

BLOCK_COUNTS = 2**20  # whose deviances are computed at once
PRIOR = 1.0  # precision of a weight's prior: log rates that change by about 1 for a latent's standard deviation
MAX_ITERATIONS = 500
TOLERANCE = 1e-10  # of the gradient of the mean log-likelihood, which is small where spikes are rare


@dataclass(frozen=True)
class RateModel:
    """Poisson regression from latents to the counts of many units: log rate = (z - mean) weight + bias.

    Attributes
    ----------
    mean : array, shape (latent,)
    weight, bias : array, shapes (latent, unit), (unit,)
    low, high : array, shape (unit,)
        Range of log rates on training frames. Predictions stay in it: an exponential must not be carried further.
    """

    mean: Float[np.ndarray, " latent"]
    weight: Float[np.ndarray, "latent unit"]
    bias: Float[np.ndarray, " unit"]
    low: Float[np.ndarray, " unit"]
    high: Float[np.ndarray, " unit"]

    def predict(self, latents: Real[np.ndarray, "time latent"]) -> Float[np.ndarray, "time unit"]:
        """Return expected counts (time, unit) of latents (time, latent)."""
        require_frames(latents=latents)
        if latents.shape[1] != len(self.mean):
            raise DataError(f"latents have shape {latents.shape}", fix=f"give (time, {len(self.mean)})")
        return np.asarray(np.exp(np.clip((latents - self.mean) @ self.weight + self.bias, self.low, self.high)))


def fit_rates(
    latents: Real[np.ndarray, "frame latent"], counts: Real[np.ndarray, "frame unit"], *, prior: float = PRIOR
) -> RateModel:
    """Fit counts by a Poisson regression from latents, with a log link and a small ridge.

    Parameters
    ----------
    latents : array, shape (frame, latent)
        Any features; a latent that does not vary gets no weight.
    counts : array, shape (frame, unit)
        Unsmoothed. A unit without a spike has rate 0 everywhere.
    prior : float
        Precision of the Gaussian prior of each weight, on latents scaled to unit variance: units with few spikes
        keep near their mean rate.

    Returns
    -------
    RateModel

    Raises
    ------
    DataError
        If frames differ in number, values are not finite, or counts are negative.
    ParameterError
        If `prior` is not above 0.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> z = rng.normal(size=(5000, 1))
    >>> model = fit_rates(z, rng.poisson(np.exp(0.5 * z)))
    >>> model.weight.round(1).tolist(), abs(model.bias.round(1)).tolist()
    ([[0.5]], [0.0])
    """
    require_frames(latents=latents, counts=counts)
    counts, latents = np.asarray(counts, np.float64), np.asarray(latents, np.float64)
    if counts.min() < 0:
        raise DataError(f"the smallest count is {counts.min():g}", fix="give counts of 0 or more")
    if not (np.isfinite(prior) and prior > 0):
        raise ParameterError(f"prior is {prior!r}", fix="give a number above 0")
    centre, deviation = latents.mean(axis=0), latents.std(axis=0)
    # a constant column has a deviation of rounding errors: divided by, it would be noise of unit variance
    varies = deviation > 1e-12 * np.abs(centre).max(initial=1e-300)
    scale = np.where(varies, deviation, 1)
    z = (latents - centre) / scale * varies
    spikes = counts.sum(axis=0)
    active = spikes > 0
    # of a unit without a spike the best log rate is minus infinity, which no optimiser reaches
    weight, bias = np.zeros((z.shape[1], len(spikes))), np.full(len(spikes), -np.inf)
    if active.any():
        weight[:, active], bias[active] = _maximise_posterior(z, counts[:, active], prior)
    # the range on training frames bounds predictions
    log_rates = z @ weight + bias
    return RateModel(centre, weight / scale[:, None], bias, log_rates.min(axis=0), log_rates.max(axis=0))


def _maximise_posterior(
    z: Float[np.ndarray, "frame latent"], counts: Float[np.ndarray, "frame unit"], prior: float
) -> tuple[Float[np.ndarray, "latent unit"], Float[np.ndarray, " unit"]]:
    from sklearn.linear_model import PoissonRegressor  # a third of a second that the command line need not wait for

    # scikit-learn's loss is the mean over frames, so that the precision of the prior is divided by their number
    weight, bias = np.empty((z.shape[1], counts.shape[1])), np.empty(counts.shape[1])
    settings = {"solver": "newton-cholesky", "max_iter": MAX_ITERATIONS, "tol": TOLERANCE}
    for unit, spikes in enumerate(counts.T):
        fitted = PoissonRegressor(alpha=prior / len(z), **settings).fit(z, spikes)
        weight[:, unit], bias[unit] = fitted.coef_, fitted.intercept_
    return weight, bias


RATE_FLOOR = 0.01  # of a unit's mean count: a rate of 0 makes one spike infinitely unlikely


def score_rates(
    counts: Real[np.ndarray, "time unit"],
    rates: Real[np.ndarray, "time unit"],
    segment: Shaped[np.ndarray, " time"],
    *,
    floor: float = RATE_FLOOR,
) -> SegmentSums:
    """Compute the fraction of the Poisson deviance of `counts` that `rates` explain, pooled over units.

    Parameters
    ----------
    counts, rates : array, shape (time, unit)
        Unsmoothed counts, and the expected count of each bin.
    segment : array, shape (time,)
        Label of each frame's segment.
    floor : float
        Rates below this fraction of a unit's mean count are raised to it.

    Returns
    -------
    SegmentSums
        Deviance explained, and that of each unit's mean count over all frames given, the held-out ones themselves.
        Their ratio is 1 - deviance / deviance of the mean: 1 is perfect and out of reach of any rates, 0 is the mean.
        NaN where no unit varies.

    Raises
    ------
    DataError
        If shapes differ, values are not finite, or any is negative.

    References
    ----------
    McCullagh and Nelder, "Generalized Linear Models", 1989, section 2.3.

    Examples
    --------
    >>> import numpy as np
    >>> counts = np.array([[0.0], [2.0]])
    >>> score_rates(counts, np.ones((2, 1)), np.zeros(2)).value
    0.0
    """
    counts, rates, groups = _check(counts, rates, segment, floor)
    explained, explainable = explain_deviance(counts, rates, counts.mean(axis=0))
    return SegmentSums(groups.add_up(explained), groups.add_up(explainable), groups.over)


def explain_deviance(
    counts: Float[np.ndarray, "time unit"], rates: Float[np.ndarray, "time unit"], mean: Float[np.ndarray, " unit"]
) -> tuple[Float[np.ndarray, " time"], Float[np.ndarray, " time"]]:
    """Compute what `score_rates` adds up: deviance of each frame that rates explain, and that of each unit's `mean`.

    Rates are taken as they are; `score_rates` raises them to its floor.
    """
    explained, explainable = np.zeros(len(counts)), np.zeros(len(counts))
    step = max(1, BLOCK_COUNTS // counts.shape[1])
    # in blocks: terms of all frames at once are as large as eight recordings
    for block in (slice(start, start + step) for start in range(0, len(counts), step)):
        n = counts[block]
        # terms in the logarithm of factorials cancel in the differences
        by_mean = xlogy(n, np.broadcast_to(mean, n.shape)) - mean
        explained[block] = 2 * (xlogy(n, rates[block]) - rates[block] - by_mean).sum(axis=1)
        explainable[block] = 2 * (xlogy(n, n) - n - by_mean).sum(axis=1)
    return explained, explainable


def bits_per_spike(
    counts: Real[np.ndarray, "time unit"],
    rates: Real[np.ndarray, "time unit"],
    segment: Shaped[np.ndarray, " time"],
    *,
    floor: float = RATE_FLOOR,
) -> SegmentSums:
    """Compute the information that `rates` give about each spike beyond the mean rate, in bits.

    Parameters
    ----------
    counts, rates : array, shape (time, unit)
    segment : array, shape (time,)
    floor : float
        As in `score_rates`.

    Returns
    -------
    SegmentSums
        Log-likelihood gained over each unit's mean count in bits, and spikes.

    Raises
    ------
    DataError
        As `score_rates`.

    References
    ----------
    Pei et al., "Neural Latents Benchmark '21", NeurIPS 2021, section 3: the mean is that of the scored counts.

    Examples
    --------
    >>> import numpy as np
    >>> counts = np.array([[0.0], [2.0]])
    >>> round(bits_per_spike(counts, np.array([[0.0], [2.0]]), np.zeros(2), floor=0.0).value, 6)
    1.0
    """
    explained = score_rates(counts, rates, segment, floor=floor)
    spikes = divide_frames(segment).add_up(np.asarray(counts, np.float64).sum(axis=1))
    # half a deviance is a log-likelihood in nats
    return SegmentSums(explained.part / (2 * np.log(2)), spikes, explained.over)


def score_cosmoothing(
    training: Real[np.ndarray, "frame latent"],
    training_counts: Real[np.ndarray, "frame unit"],
    test: Real[np.ndarray, "time latent"],
    test_counts: Real[np.ndarray, "time unit"],
    segment: Shaped[np.ndarray, " time"],
    *,
    prior: float = PRIOR,
) -> SegmentSums:
    """Score how well latents of some units predict the counts of others, in bits per spike.

    Parameters
    ----------
    training, training_counts : array, shapes (frame, latent), (frame, unit)
        Latents found without these units, and the units' unsmoothed counts.
    test, test_counts, segment : array, shapes (time, latent), (time, unit), (time,)
        The same of held-out frames, again with latents that have not seen these units.
    prior : float
        Of the regression, see `fit_rates`.

    Returns
    -------
    SegmentSums
        As `bits_per_spike`. 0 is what each unit's mean rate gives.

    Raises
    ------
    DataError
        If frames or units do not match.

    References
    ----------
    Pei et al., "Neural Latents Benchmark '21", NeurIPS 2021: co-smoothing.
    """
    return bits_per_spike(test_counts, fit_rates(training, training_counts, prior=prior).predict(test), segment)


def _check(
    counts: Real[np.ndarray, "time unit"],
    rates: Real[np.ndarray, "time unit"],
    segment: Shaped[np.ndarray, " time"],
    floor: float,
) -> tuple[Float[np.ndarray, "time unit"], Float[np.ndarray, "time unit"], FrameGroups]:
    require_same_shape(counts=counts, rates=rates)
    require_labels(segment, len(counts))
    counts, rates = np.asarray(counts, np.float64), np.asarray(rates, np.float64)
    for name, values in (("counts", counts), ("rates", rates)):
        if values.min() < 0:
            raise DataError(f"the smallest of the {name} is {values.min():g}", fix="give values of 0 or more")
    if not (np.isfinite(floor) and floor >= 0):
        raise ParameterError(f"floor is {floor!r}", fix="give a fraction of the mean count, 0 or more")
    return counts, np.maximum(rates, floor * counts.mean(axis=0)), divide_frames(segment)

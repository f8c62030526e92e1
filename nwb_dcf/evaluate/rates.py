"""From latents to expected spike counts: Poisson regression, and rates from rebuilt square roots."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import DataError, ParameterError
from .sums import require_frames

PRIOR = 1.0  # precision of a weight's prior: log rates that change by about 1 for a latent's standard deviation
MAX_ITERATIONS = 500


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

    mean: np.ndarray
    weight: np.ndarray
    bias: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def predict(self, latents: np.ndarray) -> np.ndarray:
        """Return expected counts (time, unit) of latents (time, latent)."""
        require_frames(latents=latents)
        if latents.shape[1] != len(self.mean):
            raise DataError(f"latents have shape {latents.shape}", fix=f"give (time, {len(self.mean)})")
        return np.asarray(np.exp(np.clip((latents - self.mean) @ self.weight + self.bias, self.low, self.high)))


def fit_rates(latents: np.ndarray, counts: np.ndarray, *, prior: float = PRIOR) -> RateModel:
    """Fit counts by a Poisson regression from latents, with a log link and a small ridge.

    Parameters
    ----------
    latents : array, shape (frame, latent)
        Any features: a latent that does not vary is left without weight.
    counts : array, shape (frame, unit)
        Unsmoothed. A unit without a spike has rate 0 everywhere.
    prior : float
        Precision of the Gaussian prior of each weight, on latents scaled to unit variance: units with few spikes
        are drawn to their mean rate, others hardly.

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
    centre, spread = latents.mean(axis=0), latents.std(axis=0)
    varies = spread > 1e-12 * np.abs(centre).max(initial=1e-300)
    scale = np.where(varies, spread, 1)
    z = (latents - centre) / scale * varies
    spikes = counts.sum(axis=0)
    active = spikes > 0
    weight, bias = np.zeros((z.shape[1], len(spikes))), np.full(len(spikes), -np.inf)
    if active.any():
        weight[:, active], bias[active] = _maximise_posterior(z, counts[:, active], prior)
    log_rates = z @ weight + bias
    return RateModel(centre, weight / scale[:, None], bias, log_rates.min(axis=0), log_rates.max(axis=0))


def _maximise_posterior(z: np.ndarray, counts: np.ndarray, prior: float) -> tuple[np.ndarray, np.ndarray]:
    """Weights and biases of all units at once; each unit's loss is per spike, so that none rules the step."""
    from scipy.optimize import minimize  # a fifth of a second that few need

    shape, spikes = (z.shape[1] + 1, counts.shape[1]), counts.sum(axis=0)
    design = np.hstack([z, np.ones((len(z), 1))])
    target = design.T @ counts

    def lose(flat: np.ndarray) -> tuple[float, np.ndarray]:
        parameters = flat.reshape(shape)
        rates = np.exp(np.minimum(design @ parameters, 30))  # a trial step of the line search may be wild
        penalised = parameters * np.append(np.full(shape[0] - 1, prior), 0)[:, None]
        loss = rates.sum(axis=0) - (target * parameters).sum(axis=0) + 0.5 * (penalised * parameters).sum(axis=0)
        slope = design.T @ rates - target + penalised
        return float((loss / spikes).sum()), (slope / spikes).ravel()

    start = np.zeros(shape)
    start[-1] = np.log(spikes / len(z))
    found = minimize(
        lose,
        start.ravel(),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": MAX_ITERATIONS, "gtol": 1e-6, "ftol": 1e-12},
    )
    best = found.x.reshape(shape)
    return best[:-1], best[-1]

"""From mean square roots of counts back to rates: what was fitted were roots, what is asked for are counts."""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln, xlogy

from .errors import DataError

N_RATES = 400  # at which the mean root is tabulated
LEAST_RATE = 1e-4  # below it, as below any small rate, the mean root is the rate itself


def invert_mean_root(roots: np.ndarray) -> np.ndarray:
    """Find the rate whose Poisson counts have `roots` as the mean of their square roots.

    Parameters
    ----------
    roots : array
        Rebuilt square roots of counts, as smoothing or a decoder that predicts means gives them; negative ones
        count as 0.

    Returns
    -------
    array
        Expected counts, of the same shape.

    Raises
    ------
    DataError
        If a root is not finite.

    Notes
    -----
    To square a mean root is not enough: E[sqrt(n)]^2 is below E[n], and for small counts far below. With 0.1
    spikes a bin the root is 0.098 on average, whose square is 0.0096. Where counts vary more than Poisson's do,
    this too is too small, and `fit_rates` does better.

    Examples
    --------
    >>> import numpy as np
    >>> counts = np.random.default_rng(0).poisson(0.1, 100_000)
    >>> float(invert_mean_root(np.sqrt(counts).mean()).round(2))
    0.1
    """
    roots = np.asarray(roots, np.float64)
    if not np.isfinite(roots).all():
        raise DataError("roots hold NaN or infinite values", fix="leave those frames out")
    # E[sqrt(n)] >= sqrt(rate) - 0.5 for any rate: the table reaches beyond every root
    rates = np.append(0, np.geomspace(LEAST_RATE, np.square(roots.max(initial=0) + 1), N_RATES))
    n = np.arange(int(rates[-1] + 10 * np.sqrt(rates[-1])) + 10)
    probability = np.exp(xlogy(n, rates[:, None]) - rates[:, None] - gammaln(n + 1))  # of each count at each rate
    return np.asarray(np.interp(roots, probability @ np.sqrt(n), rates))

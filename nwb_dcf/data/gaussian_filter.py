"""A Gaussian along the frames of many channels, however wide."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter1d

if TYPE_CHECKING:
    from jaxtyping import Float

TRUNCATE = 4.0  # standard deviations of the Gaussian that are used
LONG_REACH = 2000  # frames: a longer Gaussian is applied by Fourier transforms


def filter_gaussian(values: Float[np.ndarray, " time *frame"], sigma: float) -> Float[np.ndarray, " time *frame"]:
    """Smooth by a Gaussian of `sigma` frames along the first axis.

    Values are 0 beyond the ends, and the Gaussian is no wider than they are long.

    Parameters
    ----------
    values : array, shape (time, ...)
    sigma : float
        Standard deviation in frames, above 0.

    Returns
    -------
    array of float64, shape of `values`
    """
    radius = min(int(TRUNCATE * sigma + 0.5), len(values) - 1)
    if radius <= LONG_REACH:
        return np.asarray(gaussian_filter1d(values, sigma, axis=0, mode="constant", radius=radius))
    from scipy.signal import oaconvolve  # half a second that few need

    kernel = np.exp(-0.5 * np.square(np.arange(-radius, radius + 1) / sigma))
    kernel /= kernel.sum()
    # a direct sum takes frames times reach: hours where both are 100,000
    return np.asarray(oaconvolve(values, kernel.reshape(-1, *[1] * (values.ndim - 1)), mode="same", axes=0))

"""Smooth within segments by several Gaussians in turn, and keep some rows of each: nothing is transformed twice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft, set_workers

if TYPE_CHECKING:
    from jaxtyping import Complex64, Float, Float32, Int

TRUNCATE = 4.0  # standard deviations of the Gaussian that are used
SHORT = 600  # frames: segments up to here are smoothed by a matrix, longer ones by Fourier transform


def smooth_rows(
    values: Float32[np.ndarray, "time channel"],
    segment: Int[np.ndarray, " time"],
    sigmas: list[float],
    rows: Int[np.ndarray, " row"],
) -> Iterator[Float32[np.ndarray, "row channel"]]:
    """Smooth (time, channel) within segments and yield the `rows` of it for each width in frames.

    Weights sum to 1 at every frame, as in `nwb_dcf.data.preprocessing`.
    """
    edges = np.searchsorted(segment, np.arange(segment[-1] + 2))
    spans = list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))
    reach = int(TRUNCATE * max(sigmas) + 0.5)
    sizes = {start: next_fast_len(stop - start + reach, real=True) for start, stop in spans if stop - start > SHORT}
    spectra = {start: _transform_long(values[start:stop], sizes[start]) for start, stop in spans if start in sizes}
    # one array for every width: its pages would else be cleared by the system again for each
    smoothed = np.empty_like(values)
    for sigma in sigmas:
        if sigma == 0:
            yield values[rows]
            continue
        kernels: dict[int, Float32[np.ndarray, "frame frame"]] = {}
        for start, stop in spans:
            n = stop - start
            if start in spectra:
                smoothed[start:stop] = _convolve_long(spectra[start], n, sizes[start], sigma)
                continue
            if n not in kernels:
                kernels[n] = _make_smoother(n, sigma)
            smoothed[start:stop] = kernels[n] @ values[start:stop]
        yield smoothed[rows]


def _gauss(offset: Float[np.ndarray, "*any"], sigma: float) -> Float[np.ndarray, "*any"]:
    """Gaussian weights, truncated as in SciPy's filter."""
    reach = int(TRUNCATE * sigma + 0.5)
    return np.asarray(np.where(np.abs(offset) <= reach, np.exp(-0.5 * np.square(offset / sigma)), 0.0))


def _make_smoother(n: int, sigma: float) -> Float32[np.ndarray, "frame frame"]:
    weights = _gauss(np.subtract.outer(np.arange(n), np.arange(n)).astype(np.float64), sigma)
    return np.asarray((weights / weights.sum(axis=1, keepdims=True)).astype(np.float32))


def _transform_long(
    values: Float32[np.ndarray, "frame channel"], size: int
) -> Complex64[np.ndarray, "frequency channel"]:
    """Spectrum of a segment padded with zeros, so that the convolution does not wrap around."""
    with set_workers(2):
        return np.asarray(rfft(values, size, axis=0))


def _convolve_long(
    spectrum: Complex64[np.ndarray, "frequency channel"], n: int, size: int, sigma: float
) -> Float32[np.ndarray, "frame channel"]:
    place = np.arange(size)
    kernel = rfft(_gauss(np.minimum(place, size - place).astype(np.float64), sigma)).real
    weight = irfft(rfft(np.where(place < n, 1.0, 0.0)) * kernel, size)[:n]
    with set_workers(2):
        total = irfft(spectrum * kernel.astype(np.float32)[:, None], size, axis=0)[:n]
    total /= weight.astype(np.float32)[:, None]
    return np.asarray(total)

"""Power in frequency bands of signals that are too long for memory: filters that give the same in blocks as in one.

A signal is down-sampled in steps (FIR low-pass, every f-th sample), then each band is shifted to 0 Hz and
low-pass filtered: a complex FIR filter without delay, whose squared amplitude is the power at each moment. Every
number depends on a known interval of the input alone, so how the input is cut into blocks does not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.signal import firwin, kaiser_beta, kaiserord, oaconvolve, upfirdn
from scipy.signal.windows import kaiser

if TYPE_CHECKING:
    from jaxtyping import Complex, Float

ATTENUATION_DB = 70.0
"""Of frequencies outside a band, and of those that down-sampling would alias into it."""

ROUNDING = 1e-12
"""Fraction of the largest value below which an amplitude is rounding."""

OVERSAMPLING = 4
"""Signals are down-sampled to no less than so many times the highest frequency."""

ReadBlock = Callable[[int, int], np.ndarray]
"""Reads samples a to b of the input, float64 (channel, b - a)."""


@dataclass(frozen=True)
class Stage:
    """One step of down-sampling: every `factor`-th sample of the output of a filter with `taps`."""

    factor: int
    taps: Float[np.ndarray, " tap"]

    @property
    def half(self) -> int:
        """Samples of input that an output needs on either side; a multiple of the factor."""
        return len(self.taps) // 2


@dataclass(frozen=True)
class BandFilters:
    """Filters for one sampling rate.

    Attributes
    ----------
    rate_hz : float
        Of the input.
    bands : tuple of (float, float)
        Hz.
    stages : tuple of Stage
        Down-sampling; none for slow signals.
    taps : tuple of array of complex128
        Of each band, at the lower rate; odd lengths.
    """

    rate_hz: float
    bands: tuple[tuple[float, float], ...]
    stages: tuple[Stage, ...]
    taps: tuple[Complex[np.ndarray, " _tap"], ...]

    @property
    def factor(self) -> int:
        """Samples of input for one of the lower rate."""
        return int(np.prod([stage.factor for stage in self.stages], dtype=np.int64))

    @property
    def half(self) -> int:
        """Samples of the lower rate that the longest band filter needs on either side."""
        return max(len(taps) // 2 for taps in self.taps)

    @property
    def reach(self) -> int:
        """Samples of input on either side that the power at one moment depends on."""
        reach, step = 0, 1
        for stage in self.stages:
            reach, step = reach + stage.half * step, step * stage.factor
        return reach + self.half * step

    def downsample(self, read: ReadBlock, first: int, stop: int, block: int) -> Float[np.ndarray, "channel sample"]:
        """Samples `first` to `stop` of the lower rate, `block` of them at once.

        Sample k lies at sample k * factor of the input.
        """
        edges = [*range(first, stop, block), stop]
        parts = [self._downsample_block(read, a, b) for a, b in zip(edges[:-1], edges[1:], strict=True)]
        return np.concatenate(parts, axis=-1)

    def _downsample_block(self, read: ReadBlock, first: int, stop: int) -> Float[np.ndarray, "channel sample"]:
        # What each stage needs of the one before it, from the last to the first.
        ranges = [(first, stop)]
        for stage in reversed(self.stages):
            a, b = ranges[-1]
            ranges.append((a * stage.factor - stage.half, (b - 1) * stage.factor + stage.half + 1))
        values = read(*ranges.pop())
        for stage, (a, b) in zip(self.stages, reversed(ranges), strict=True):
            # upfirdn gives the full convolution: outputs at its ends see a part of the filter alone, and are cut off.
            delay = 2 * stage.half // stage.factor
            values = upfirdn(stage.taps, values, down=stage.factor, axis=-1)[:, delay : delay + b - a]
        return values

    def measure_power(
        self, read: ReadBlock, first: int, stop: int, block: int
    ) -> Float[np.ndarray, "band channel sample"]:
        """Power at samples `first` to `stop` of the lower rate, in squared units of the input."""
        values = self.downsample(read, first - self.half, stop + self.half, block)
        n_samples = stop - first
        power = np.empty((len(self.bands), len(values), n_samples))
        for band, taps in enumerate(self.taps):
            spare = self.half - len(taps) // 2
            inside = values[:, spare : values.shape[1] - spare]
            # A cosine of amplitude 1 has an amplitude of 1/2 after the shift to 0 Hz, and a power of 1/2.
            power[band] = 2 * np.abs(oaconvolve(inside, taps[None], mode="valid", axes=-1)) ** 2
        # A constant signal has no power: what the filters leave of it is rounding, and its logarithm would be noise.
        floor = (ROUNDING * np.abs(values).max(axis=-1))[None, :, None] ** 2
        power = np.where(power < floor, 0.0, power)
        return power


def design_filters(rate_hz: float, bands: Sequence[tuple[float, float]]) -> BandFilters:
    """Design the filters of `bands` for a signal sampled at `rate_hz`.

    Notes
    -----
    The edges of a band are where half the amplitude passes; between passing and stopping lies half the width of the
    band, or its lower edge where that is less. A constant never passes.
    """
    high_hz = max(high + _transition_hz(low, high) / 2 for low, high in bands)
    stages, at_hz = [], rate_hz
    for factor in _find_factors(int(rate_hz // (OVERSAMPLING * high_hz))):
        lower_hz = at_hz / factor
        width_hz = lower_hz - 2 * high_hz  # aliases that fall onto the bands are stopped, others do no harm
        n_taps, beta = kaiserord(ATTENUATION_DB, width_hz / (at_hz / 2))
        half = -(-(n_taps // 2 + 1) // factor) * factor
        taps = firwin(2 * half + 1, lower_hz / 2, window=("kaiser", beta), fs=at_hz)
        stages.append(Stage(factor, taps))
        at_hz = lower_hz
    return BandFilters(
        rate_hz, tuple(bands), tuple(stages), tuple(_design_band(low, high, at_hz) for low, high in bands)
    )


def _design_band(low: float, high: float, rate_hz: float) -> Complex[np.ndarray, " tap"]:
    n_taps, _ = kaiserord(ATTENUATION_DB, _transition_hz(low, high) / (rate_hz / 2))
    n_taps += 1 - n_taps % 2  # an odd filter is centred on a sample, so that it has no delay
    beta = kaiser_beta(ATTENUATION_DB)
    turns = (np.arange(n_taps) - n_taps // 2) * (low + high) / 2 / rate_hz
    taps = firwin(n_taps, (high - low) / 2, window=("kaiser", beta), fs=rate_hz) * np.exp(2j * np.pi * turns)
    # The stop band only attenuates 0 Hz, and an offset of a voltage may be 1e4 times the signal: its gain is made 0.
    window = kaiser(n_taps, beta)
    return np.asarray(taps - window * taps.sum() / window.sum())


def _transition_hz(low: float, high: float) -> float:
    return min(low, (high - low) / 2)


def _find_factors(at_most: int) -> list[int]:
    """Factors of at most 10, large ones first, of the largest number up to `at_most` that has such factors alone."""
    for number in range(max(at_most, 1), 0, -1):
        rest, factors = number, []
        for factor in range(10, 1, -1):
            while rest % factor == 0:
                factors.append(factor)
                rest //= factor
        if rest == 1:
            return factors
    return []

"""What every simulation returns, and what its arguments must be."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from ...errors import ParameterError
from ..recording import iterate_segments


@dataclass(frozen=True)
class Simulation:
    """A recording and what made it.

    Attributes
    ----------
    recording : xarray.Dataset
        What an experimenter would have.
    truth : xarray.Dataset
        What nobody would have, along the same ``time``.
    """

    recording: xr.Dataset
    truth: xr.Dataset

    @property
    def videos(self) -> list[np.ndarray]:
        """Values of each segment, arrays of shape (time, channel)."""
        return list(iterate_segments(self.recording))


def require_counts(**values: int) -> None:
    """Refuse what is no whole number of 1 or more."""
    for name, value in values.items():
        if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 1:
            raise ParameterError(f"{name} is {value!r}", fix="give a whole number, 1 or more")


def require_positive(**values: float) -> None:
    """Refuse what is no finite number above 0."""
    for name, value in values.items():
        if not (np.isfinite(value) and value > 0):
            raise ParameterError(f"{name} is {value!r}", fix="give a number above 0")

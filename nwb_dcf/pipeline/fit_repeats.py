"""How often a fit is made again: to shifted channels, and to resampled segments."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral

from ..errors import ParameterError
from ..metrics.null_distribution import LEAST_NULLS

MOST_FITS = 10_000  # of one request: a p of 0.0001, and hours of the smallest data
CERTIFY_REPEATS = 3  # fits in all whose axes are compared for a certificate


@dataclass(frozen=True)
class Repeats:
    """How often a fit is made again.

    Attributes
    ----------
    null : int
        Fits to channels shifted apart in time.
    repeats : int
        Fits in all, whose axes are compared.
    """

    null: int = 0
    repeats: int = 1

    def certify(self) -> Repeats:
        """As many fits as the dear lines of a certificate take, or more where more are asked for."""
        return Repeats(max(self.null, LEAST_NULLS), max(self.repeats, CERTIFY_REPEATS))

    @property
    def n_more(self) -> int:
        """Fits to make beside the first."""
        return self.null + self.repeats - 1

    def __post_init__(self) -> None:
        for name, low in (("null", 0), ("repeats", 1)):
            value = getattr(self, name)
            if not isinstance(value, Integral) or isinstance(value, bool) or not low <= int(value) <= MOST_FITS:
                raise ParameterError(f"{name} is {value!r}", fix=f"give a whole number from {low} to {MOST_FITS}")

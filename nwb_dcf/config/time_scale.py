"""Factors that turn stored times into seconds: ``0.001``, ``1/30000``, or ``trials=0.001`` for one object."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..errors import ParameterError

FIX = "give a positive number or a fraction, as --time-scale 0.001, 1/30000 or trials=0.001"


@dataclass(frozen=True)
class TimeScales:
    """What stored times are multiplied by.

    Attributes
    ----------
    own : float or None
        For the times of what is fitted; None where nothing was given.
    named : mapping of str to float
        For one object or column, by its path or the last parts of it.

    Examples
    --------
    >>> scales = TimeScales.parse(("0.001", "trials=1/30000"))
    >>> scales.of("/units"), scales.of("/intervals/trials", is_fitted=False) == 1 / 30000
    (0.001, True)
    """

    own: float | None = None
    named: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def parse(cls, given: str | float | Sequence[str | float] | None) -> TimeScales:
        """Read factors as ``ReadConfig.time_scale`` holds them.

        Raises
        ------
        ParameterError
            If one is no positive number, or two are for one thing.
        """
        if given is None:
            return cls()
        own: float | None = None
        named: dict[str, float] = {}
        for item in [given] if isinstance(given, str | int | float) else given:
            name, _, factor = str(item).rpartition("=")
            name, value = name.strip().strip("/"), _parse_factor(factor)
            if name in named or (not name and own is not None):
                raise ParameterError(f"two time scales are given for {name or 'what is fitted'}", fix="give one")
            if name:
                named[name] = value
            else:
                own = value
        return cls(own, named)

    @staticmethod
    def keep_named(given: str | float | Sequence[str | float] | None) -> list[str] | None:
        """Return the factors that name an object, as they are given: one for what is fitted is not one for behaviour.

        Examples
        --------
        >>> TimeScales.keep_named(("0.001", "position=0.5"))
        ['position=0.5']
        """
        return [f"{key}={factor!r}" for key, factor in TimeScales.parse(given).named.items()] or None

    def of(self, path: str, *, is_fitted: bool = True) -> float | None:
        """Return the factor of the object at `path`, or None where none was given.

        Parameters
        ----------
        path : str
            Path in the file.
        is_fitted : bool
            Whether a factor without a name is meant for it.
        """
        key = self.find_key(path)
        return self.named[key] if key is not None else (self.own if is_fitted else None)

    def find_key(self, path: str) -> str | None:
        """Return the given name that ends `path`, the longest first; None if none does."""
        parts = path.strip("/").split("/")
        tails = ["/".join(parts[i:]) for i in range(len(parts))]
        return next((tail for tail in tails if tail in self.named), None)


def _parse_factor(text: str) -> float:
    above, slash, below = text.partition("/")
    try:
        value = float(above) / float(below) if slash else float(above)
    except (ValueError, ZeroDivisionError):
        raise ParameterError(f"the time scale is {text!r}", fix=FIX) from None
    if not (math.isfinite(value) and value > 0):
        raise ParameterError(f"the time scale is {text!r}", fix=FIX)
    return value

"""Checks that every stage's settings pass when they are made."""

from __future__ import annotations

import dataclasses
import math
import numbers
from collections.abc import Mapping
from typing import Any, TypeVar

from ..errors import ParameterError

T = TypeVar("T")


def require(condition: bool, what: str, fix: str = "") -> None:
    """Raise a ParameterError that says `what` and how to `fix` it, unless `condition` holds."""
    if not condition:
        raise ParameterError(what, fix=fix or None)


def require_number(name: str, value: Any, *, low: float, high: float = math.inf, open_low: bool = False) -> None:
    """Refuse what is no finite number from `low` (above it, if `open_low`) to `high`."""
    ok = isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)
    ok = ok and (value > low if open_low else value >= low) and value <= high
    bounds = f"{'above' if open_low else 'at least'} {low:g}" + (f" and at most {high:g}" if high < math.inf else "")
    require(ok, f"{name} is {value!r}", f"give a number {bounds}")


def require_whole(name: str, value: Any, *, low: int, high: int = 2**62) -> None:
    """Refuse what is no whole number from `low` to `high`."""
    ok = isinstance(value, numbers.Integral) and not isinstance(value, bool) and low <= int(value) <= high
    require(ok, f"{name} is {value!r}", f"give a whole number, {low} or more")


def use_plain_numbers(config: Any) -> None:
    """Turn NumPy's numbers into Python's, which JSON knows."""
    for field_ in dataclasses.fields(config):
        value = getattr(config, field_.name)
        if hasattr(value, "dtype") and hasattr(value, "item"):
            object.__setattr__(config, field_.name, value.item())


def require_flag(name: str, value: Any) -> None:
    """Refuse what is neither True nor False."""
    require(isinstance(value, bool), f"{name} is {value!r}", "give True or False")


def require_choice(name: str, value: Any, choices: tuple[Any, ...]) -> None:
    """Refuse what is not one of `choices`."""
    require(value in choices, f"{name} is {value!r}", f"choose one of {', '.join(map(str, choices))}")


def build_from_dict(cls: type[T], values: Mapping[str, Any]) -> T:
    """Make a `cls` of `values`, lists as tuples; unknown names are refused."""
    known = {f.name for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    unknown = sorted(set(values) - known)
    require(not unknown, f"{cls.__name__} has no setting {', '.join(unknown)}", f"known are {', '.join(sorted(known))}")
    tuples = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    return cls(**tuples)

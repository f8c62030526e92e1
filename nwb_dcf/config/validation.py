"""How settings are checked when they are made: bounds stand beside the fields, errors are one line for people."""

from __future__ import annotations

import dataclasses
import difflib
import math
import numbers
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, TypeVar, dataclass_transform

from pydantic import ConfigDict, Field, ValidationError
from pydantic.dataclasses import dataclass as pydantic_dataclass

from ..errors import ParameterError

T = TypeVar("T")

Settings = dict[str, Any]
"""Settings by name: open, since each stage refuses the names and values that it does not know."""

Count = Annotated[int, Field(ge=1, le=2**62)]
"""A whole number, 1 or more."""
Index = Annotated[int, Field(ge=0, le=2**62)]
"""A whole number, 0 or more."""
LONGEST = 10**8
"""Steps: months of training; the paper has 217,000."""
Steps = Annotated[int, Field(ge=1, le=LONGEST)]
"""A number of steps that can end."""
Size = Annotated[int, Field(ge=1, le=16_384)]
"""Units of a layer: weights between two grow with its square, and so many take 1 GB."""
Layers = Annotated[int, Field(ge=1, le=64)]
"""Layers of a network: gradients vanish long before."""
Frames = Annotated[int, Field(ge=0, le=10_000)]
"""Frames around each one: inputs of a network grow with them."""
NotNegative = Annotated[float, Field(ge=0)]
"""A finite number, 0 or more."""
Positive = Annotated[float, Field(gt=0)]
"""A finite number above 0."""
Fraction = Annotated[float, Field(ge=0, le=1)]
"""A number from 0 to 1."""

_KINDS = {
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "True or False",
    "string_type": "text",
    "tuple_type": "several values",
    "finite_number": "a finite number",
    "too_short": "as many values as are asked for",
    "too_long": "as many values as are asked for",
    "missing": "as many values as are asked for",
}
_BOUNDS = {"ge": "{:g} or more", "gt": "above {:g}", "le": "{:g} or less", "lt": "below {:g}"}


@dataclass_transform(frozen_default=True, field_specifiers=(Field, dataclasses.field))
def settings(cls: type[T]) -> type[T]:
    """Make `cls` a frozen dataclass whose fields are checked by their annotations when it is made.

    NumPy's numbers become Python's, which JSON knows, and lists become tuples. No other value is converted: ``2.0`` is
    not a number of steps.

    Raises
    ------
    ParameterError
        When an instance is made with an unknown name (the nearest is named) or an invalid value.
    """
    made: Any = pydantic_dataclass(frozen=True, config=ConfigDict(strict=True, allow_inf_nan=False))(cls)
    check = made.__init__

    def check_and_make(self: Any, *values: Any, **named: Any) -> None:
        refuse_unknown(named, names_of(made), of=made.__name__)
        try:
            check(self, *map(to_plain, values), **{name: to_plain(value) for name, value in named.items()})
        except ValidationError as error:
            raise _to_parameter_error(error, made) from None

    made.__init__ = check_and_make
    return made  # type: ignore[no-any-return]


def names_of(stage: type[Any]) -> list[str]:
    """Names of the settings of a stage."""
    return [field.name for field in dataclasses.fields(stage)]


def to_plain(value: Any) -> Any:
    """Return NumPy's numbers and arrays as Python's, and lists as tuples."""
    if hasattr(value, "dtype") and hasattr(value, "tolist"):
        value = value.tolist()
    return tuple(map(to_plain, value)) if isinstance(value, list | tuple) else value


def refuse_unknown(given: Iterable[str], known: Iterable[str], *, of: str = "") -> None:
    """Refuse names that are not known, and name the nearest that is.

    Raises
    ------
    ParameterError
        If a name in `given` is not among `known`.
    """
    known = sorted(known)
    for name in sorted(set(given) - set(known)):
        nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
        what = f"{of} has no setting {name}" if of else f"there is no setting {name}"
        guess = f"did you mean {nearest[0]}? " if nearest else ""
        raise ParameterError(what, fix=f"{guess}known are {', '.join(known)}")


def _to_parameter_error(error: ValidationError, stage: type[Any]) -> ParameterError:
    """The first thing that pydantic found, in the words of this package."""
    found = error.errors(include_url=False)
    first = found[0]
    raised = first.get("ctx", {}).get("error")
    if isinstance(raised, ParameterError):  # from __post_init__, where settings are compared with each other
        return raised
    name = str(first["loc"][0]) if first["loc"] else stage.__name__
    value = first["input"] if len(first["loc"]) < 2 else _outermost(error, name, first["input"])
    wants = [_describe(each) for each in found if each["loc"][:1] == first["loc"][:1]]
    return ParameterError(f"{name} is {value!r}", fix=f"give {' or '.join(dict.fromkeys(filter(None, wants)))}")


def _outermost(error: ValidationError, name: str, inner: Any) -> Any:
    """The value that was given under `name`, whichever part of it is invalid."""
    return next((each["input"] for each in error.errors() if each["loc"] == (name,)), inner)


def _describe(found: Mapping[str, Any]) -> str:
    """What one of pydantic's findings asks for."""
    kind, context = found["type"], found.get("ctx", {})
    if kind == "literal_error":
        return f"one of {context['expected']}".replace("'", "").replace(" or ", ", ")
    for bound, words in _BOUNDS.items():
        if bound in context:
            return "a number " + words.format(float(context[bound]))
    message = str(found["msg"])
    return _KINDS.get(kind, message[:1].lower() + message[1:])


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


def require_choice(name: str, value: Any, choices: tuple[Any, ...]) -> None:
    """Refuse what is not one of `choices`."""
    require(value in choices, f"{name} is {value!r}", f"choose one of {', '.join(map(str, choices))}")


def require_flag(name: str, value: Any) -> None:
    """Refuse what is neither True nor False."""
    require(isinstance(value, bool), f"{name} is {value!r}", "give True or False")

"""JSON out of a file, bounded: no nesting, number or text in it can exhaust what reads it."""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import StoreError
from .records import JSON

LONGEST_TEXT = 2**26
"""Characters of one document: a preparation of 1024 x 1024 pixels has half of them."""
DEEPEST = 40
"""Levels of nesting: what this package writes has eight."""
LONGEST_INTEGER = 20
"""Digits: more than 64 bits need."""
SHOWN = 60


class StoredJSONError(ValueError):
    """A document is not JSON as this package writes it."""


def parse_json(text: str | bytes, what: str, *, allow_nan: bool = False) -> JSON:
    """Parse a JSON object.

    Parameters
    ----------
    text : str or bytes
        The document, in UTF-8.
    what : str
        Its name for errors.
    allow_nan : bool
        Take the words NaN and Infinity, which Python writes, for numbers.

    Raises
    ------
    StoredJSONError
        If it is too long or nested too deep, is no JSON object, or holds a number that is not finite or has more
        than 64 bits.

    Examples
    --------
    >>> parse_json('{"dim": 3}', "config")
    {'dim': 3}
    """
    if len(text) > LONGEST_TEXT:
        raise StoredJSONError(f"{what} has {len(text)} characters, more than {LONGEST_TEXT}")
    try:
        constant = float if allow_nan else _refuse_constant
        document = json.loads(text, parse_int=_to_int, parse_float=_to_float, parse_constant=constant)
    # the parser recurses once for each level, and gives up long before memory does
    except RecursionError:
        raise StoredJSONError(f"{what} is nested deeper than {DEEPEST} levels") from None
    except StoredJSONError as error:
        raise StoredJSONError(f"{what} holds {error}") from None
    except ValueError as error:
        raise StoredJSONError(f"{what} is not JSON ({_shorten(str(error))})") from None
    if not isinstance(document, dict):
        raise StoredJSONError(f"{what} is a JSON {type(document).__name__}, not an object")
    refuse_deep(document, what)
    return document


def refuse_deep(document: Any, what: str) -> None:
    """Raise if lists and objects are nested deeper than `DEEPEST` levels.

    Raises
    ------
    StoredJSONError
    """
    # level by level without recursion, which a document nested deeper than Python's stack would end
    level: list[Any] = [document]
    for _ in range(DEEPEST):
        inner = [part.values() if isinstance(part, dict) else part for part in level]
        level = [item for part in inner for item in part if isinstance(item, dict | list)]
        if not level:
            return
    raise StoredJSONError(f"{what} is nested deeper than {DEEPEST} levels")


def _to_int(digits: str) -> int:
    # int() takes time with the square of the digits
    if len(digits) > LONGEST_INTEGER:
        raise StoredJSONError(f"a number of {len(digits)} digits")
    return int(digits)


def _to_float(digits: str) -> float:
    value = float(digits)
    if value in (float("inf"), float("-inf")):
        raise StoredJSONError(f"{_shorten(digits)}, which is not finite")
    return value


def _refuse_constant(name: str) -> float:
    raise StoredJSONError(f"{name}, which JSON does not know")


def _shorten(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def dump_json(name: str, value: object) -> str:
    """Return `value` as JSON; numpy's scalars and arrays are numbers and lists, and NaN is null.

    Raises
    ------
    StoreError
        If it holds something else; `name` says what `value` is.
    """
    try:
        return json.dumps(_to_json(value), allow_nan=False)
    except TypeError as error:
        raise StoreError(f"{name} cannot be written as JSON: {error}") from error


def _to_json(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _to_json(v) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        return _to_json(value.tolist())
    if isinstance(value, (list, tuple, set, frozenset)):  # sets have no order, and the text is to be the same each time
        return [_to_json(v) for v in (sorted(value) if isinstance(value, (set, frozenset)) else value)]
    if isinstance(value, np.generic):
        return _to_json(value.item())
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):  # which JSON does not know
        return None
    return value

"""Numbers that the user sets by environment variables."""

from __future__ import annotations

import math
import os

from ...errors import ParameterError


def read_number(name: str, default: float) -> float:
    """Return the environment variable `name` as a number above zero, or `default` where it is not set.

    Raises
    ------
    ParameterError
        If it is set to anything else.
    """
    text = os.environ.get(name)
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise ParameterError(f"{name} is {text!r}", fix="set it to a number above 0, or unset it")
    return value

"""The certificate of a fit as columns of a table, for readers who know tables alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...data.certificate import CertificateLine

if TYPE_CHECKING:
    from jaxtyping import Shaped


def tabulate_certificate(lines: Sequence[CertificateLine]) -> dict[str, Shaped[np.ndarray, " line"]]:
    """Return the columns of a certificate as arrays, NaN for numbers that are not there."""

    def numbers(values: Sequence[float | None]) -> Shaped[np.ndarray, " line"]:
        return np.array([math.nan if value is None else value for value in values], np.float64)

    texts: dict[str, list[str]] = {
        "line": [one["line"] for one in lines],
        "verdict": [one["verdict"] for one in lines],
        "number": [one["number"] for one in lines],
        "over": [one["over"] for one in lines],
        "sentence": [one["sentence"] for one in lines],
    }
    columns = {name: np.array(values, np.str_) for name, values in texts.items()}
    return {
        "line": columns["line"],
        "verdict": columns["verdict"],
        "number": columns["number"],
        "value": numbers([one["value"] for one in lines]),
        "low": numbers([one["low"] for one in lines]),
        "high": numbers([one["high"] for one in lines]),
        "n": np.array([one["n"] for one in lines], np.int64),
        "over": columns["over"],
        "sentence": columns["sentence"],
    }

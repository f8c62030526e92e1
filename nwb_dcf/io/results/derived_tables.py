"""Tables that repeat what stands elsewhere in a stored fit, for readers who know tables alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...data.certificate import CertificateLine

if TYPE_CHECKING:
    from jaxtyping import Shaped

CHANNEL_TABLE = "channel_table"
LOADING_FRACTION = "loading_share"  # its name in files of schema 1.1.0 and before
CERTIFICATE = "certificate"
CERTIFICATE_DOCS = {
    "line": "what is asked of the fit",
    "verdict": "pass, doubtful, fail, or not measured",
    "number": "what the value is",
    "value": "the number that the verdict rests on, NaN where it was not measured",
    "low": "lower end of its interval, NaN for none",
    "high": "upper end of its interval, NaN for none",
    "n": "segments, blocks, fits or shifts that it rests on, 0 where it rests on none",
    "over": "which of these",
    "sentence": "what follows, and what to do",
}


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


def tabulate_channels(
    arrays: Mapping[str, Shaped[np.ndarray, "*_"]], dim: int
) -> dict[str, Shaped[np.ndarray, "channel ..."]]:
    """Return the columns of the table of channels that follow from others: for readers who know tables alone."""
    loading = arrays["loadings"][:, :dim]
    squared = np.square(loading, dtype=np.float64)
    # An axis without any loading has the fraction 0 of it everywhere, not NaN.
    fraction = squared / np.maximum(squared.sum(axis=0), np.finfo(np.float64).tiny)
    columns = {"channel": arrays["channels"], "loading": loading, LOADING_FRACTION: fraction}
    return {f"{CHANNEL_TABLE}/{name}": values for name, values in columns.items()}

"""What was asked of a fit, as a hash: the same request of the same data need not be fitted twice."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any

DESTINATION = (
    "name", "overwrite", "output", "results_only", "write", "keep_partial", "resume", "checkpoint", "progress",
    "device",
)  # fmt: skip
"""Arguments that say where and on what, and not what."""


def hash_request(arguments: Mapping[str, Any]) -> str:
    """SHA-256 of the arguments of a fit, in whatever order and as whatever kind of sequence they were given.

    Examples
    --------
    >>> hash_request({"dim": 3, "window": (0, 1)}) == hash_request({"window": [0.0, 1], "dim": 3, "name": "x"})
    True
    """
    kept = {
        name: _canonise(value) for name, value in arguments.items() if name not in DESTINATION and value is not None
    }
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()


def _canonise(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _canonise(dataclasses.asdict(value))
    if isinstance(value, Mapping):
        return {str(key): _canonise(item) for key, item in value.items() if item is not None}
    if isinstance(value, set | frozenset):
        return sorted(map(str, value))  # a set of text has another order in every process
    if isinstance(value, list | tuple):
        return [_canonise(item) for item in value]
    if hasattr(value, "tolist"):
        return _canonise(value.tolist())
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int | float):
        return float(value)
    return os.fspath(value) if isinstance(value, os.PathLike) else str(value)


def asks_to_choose(settings: Mapping[str, Any]) -> bool:
    """Whether ``auto`` was given for what data choose: a plan then shows the choice, which may take a while."""
    return any(settings.get(name) == "auto" for name in ("dim", "smooth", "scale", "bin_width_s"))

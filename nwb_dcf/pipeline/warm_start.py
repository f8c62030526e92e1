"""The stored fit that a fit begins with."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..data.result import DCFResult


def read_warm_start(address: str | Path | None) -> DCFResult | None:
    """Read the fit to begin with, if one is named; its name is that by which messages and provenance call it."""
    if address is None:
        return None
    from ..io.results import split_address
    from .stored_source import read_model  # pynwb, which the process that trains does without

    stored = read_model(address)
    return dataclasses.replace(stored, name=f"{Path(split_address(address)[0]).name}#{stored.name}")

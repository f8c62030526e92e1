"""What came of the job of one file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypedDict

State = Literal["fitted", "planned", "skipped", "failed"]


class Scores(TypedDict, total=False):
    """Figures of a fit for the table; None where they were not measured."""

    dim: int | None
    k_eff: int | None
    bottleneck_r2: float | None
    pca_r2: float | None


@dataclass(frozen=True)
class JobOutcome:
    """Result of the job of one file.

    Attributes
    ----------
    file : str
    state : {"fitted", "planned", "skipped", "failed"}
    name : str
        Of the fit; empty where there is none.
    seconds : float
    message : str
        Why it failed or was skipped.
    scores : dict
        ``bottleneck_r2`` and ``pca_r2`` of frames not fitted, ``dim``, ``k_eff``.
    """

    file: str
    state: State
    name: str = ""
    seconds: float = 0.0
    message: str = ""
    scores: Scores = field(default_factory=Scores)

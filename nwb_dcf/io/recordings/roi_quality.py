"""The quality of ROIs by the columns of their table: flags or words, with NaN where no one has judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Shaped

GOOD = ("accepted", "isaccepted", "iscell", "validroi", "isvalid", "isgood", "isneuron", "keep", "include", "included")
BAD = ("rejected", "isrejected", "isbad", "excluded", "isexcluded")
"""Columns of quality, in small letters and without underscores: as suite2p, CaImAn, EXTRACT, Inscopix and the Allen
Institute write them."""

YES = frozenset({"yes", "y", "true", "t", "1", "accepted", "accept", "good", "cell", "keep", "valid"})
NO = frozenset(
    {"no", "n", "false", "f", "0", "rejected", "reject", "bad", "not cell", "notcell", "not_cell", "discard", "invalid"}
)
OPEN = frozenset({"", "nan", "none", "na", "n/a", "unknown", "undecided", "unlabeled", "unlabelled", "unsorted"})
DECIDED = (YES | NO) - {"yes", "no", "y", "n", "true", "false", "t", "f", "1", "0"}
"""Words that are about quality in a column of any name."""
MEASURES = ("score", "prob", "quality", "confidence", "snr", "cnn", "rvalue")
"""Parts of the names of columns that measure quality, by thresholds that only their authors know."""


@dataclass(frozen=True)
class Quality:
    """The quality of ROIs by the columns of their table.

    Attributes
    ----------
    bad : array of bool, shape (roi,)
        ROIs that a column marks as bad.
    why : mapping of int to str
        For each of those, the column and its value.
    rule : str
        Names the columns that were used: ``Accepted and not Rejected``; empty where there is none.
    notes : tuple of str
        Columns that are not understood, with what to do about it, and how many ROIs nobody judged.
    """

    bad: Bool[np.ndarray, " roi"]
    why: Mapping[int, str]
    rule: str
    notes: tuple[str, ...]


def judge_rois(columns: Mapping[str, Shaped[np.ndarray, " roi"]], n_rois: int) -> Quality:
    """Judge ROIs by the quality columns among `columns`."""
    bad, why = np.zeros(n_rois, bool), dict[int, str]()
    rules, notes, measures = [], list[str](), []
    for name, values in columns.items():
        wanted = _is_wanted(name, values)
        if wanted is None:
            measures += [name] if any(part in normalise(name) for part in MEASURES) else []
            continue
        flags = _read_flags(values)
        if flags is None:
            notes.append(
                f"column {name} is not understood ({_describe(values)}), and all ROIs are read as far as it goes: "
                f'choose with --rois, as --rois "{_propose(name, values)}"'
            )
            continue
        judged = np.isfinite(flags)
        # A column that is all NaN or blank was never filled.
        if not judged.any():
            continue
        wrong = judged & (flags != float(wanted))
        for i in np.flatnonzero(wrong & ~bad):
            # The first column that rejects a ROI is reported.
            why[int(i)] = f"{name} is {_show(values[i])}"
        bad |= wrong
        rules.append(name if wanted else f"not {name}")
        if not judged.all():
            notes.append(f"{int((~judged).sum())} ROIs stay that {name} does not judge")
    if measures and not rules and not notes:
        name = measures[0]
        notes.append(
            f"all ROIs are read: it is not known which values of {', '.join(measures[:4])} are good "
            f'({_describe(columns[name])}); choose with --rois, as --rois "{_propose(name, columns[name])}"'
        )
    return Quality(bad, why, " and ".join(rules), tuple(notes))


def is_quality(name: str) -> bool:
    """Return whether the name of a column is one of quality."""
    return normalise(name) in GOOD + BAD


def normalise(name: str) -> str:
    """Return a name in small letters, without underscores, blanks and hyphens."""
    return name.lower().replace("_", "").replace(" ", "").replace("-", "")


def _is_wanted(name: str, values: Shaped[np.ndarray, " roi"]) -> bool | None:
    """Return whether good ROIs have a true value in this column; None if it is not about quality."""
    if normalise(name) in BAD:
        return False
    if normalise(name) in GOOD:
        return True
    # A column of any name is about quality where its words are: Inscopix writes accepted, rejected, undecided.
    words = {str(value).strip().lower() for value in values.tolist()} if values.dtype.kind == "U" else set()
    return True if words & DECIDED and words <= YES | NO | OPEN else None


def _read_flags(values: Shaped[np.ndarray, " roi"]) -> Float[np.ndarray, " roi"] | None:
    """Return 1 (true), 0 (false) or NaN (open) for each value; None where they are something else."""
    if values.dtype.kind == "U":
        words = [str(value).strip().lower() for value in values.tolist()]
        if not set(words) <= YES | NO | OPEN:
            return None
        return np.array([1.0 if word in YES else 0.0 if word in NO else np.nan for word in words])
    # bool, 0 and 1, or 0.0 and 1.0; anything else may be a probability, with a threshold that is not known here.
    flags = values.astype(np.float64)
    known = flags[np.isfinite(flags)]
    return np.where(np.isfinite(flags), flags, np.nan) if np.isin(known, (0, 1)).all() else None


def _describe(values: Shaped[np.ndarray, " roi"]) -> str:
    if values.dtype.kind != "U" and len(np.unique(values)) > 4:
        return f"numbers from {_show(np.nanmin(values))} to {_show(np.nanmax(values))}"
    shown = [_show(value) for value in np.unique(values)[:4]]
    return f"it holds {', '.join(shown)}"


def _propose(name: str, values: Shaped[np.ndarray, " roi"]) -> str:
    """Propose a condition on a column that is not understood, for the reader to correct."""
    if values.dtype.kind == "U":
        return f"{name} == '{values[0]}'"
    fractions = not np.array_equal(values, np.round(values))
    return f"{name} > 0.5" if fractions else f"{name} == 1"


def _show(value: object) -> str:
    return f"'{value}'" if isinstance(value, str) else f"{float(value):g}"  # type: ignore[arg-type]

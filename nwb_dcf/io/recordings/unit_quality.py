"""Labels that a sorter or a curator gave units, such as ``noise`` and ``mua``: they are noted, and choose nothing."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from .roi_quality import normalise

COLUMNS = (
    *("quality", "group", "label", "kslabel", "kslabelrepeat", "unitquality", "clustergroup", "phygroup"),
    *("bcunittype", "bclabel", "bombcelllabel", "qualitylabel", "curation", "decoderlabel", "unitrefinelabel"),
)
"""Columns of quality, in small letters and without underscores: of Kilosort, Phy, Bombcell and SpikeInterface."""
NOT_SINGLE = frozenset(
    {"noise", "mua", "multi", "multiunit", "artifact", "artefact", "bad", "reject", "rejected", "nonsoma"}
)
GOOD = ("good", "sua", "single", "singleunit", "accept", "accepted")
LONGEST = 30


def note_quality(units: Any) -> list[str]:
    """Say how many units carry a label of noise or of several neurons, and how to leave them out.

    Parameters
    ----------
    units : pynwb.misc.Units
        All of whose rows are read.
    """
    notes = []
    for column in units.columns:
        # a column of lists has no label for a unit
        if normalise(column.name) not in COLUMNS or len(column.data) != len(units.id):
            continue
        labels = np.asarray(column.data[:])
        if labels.dtype.kind not in "OUS" or labels.ndim != 1:
            continue
        words = [one.decode(errors="replace") if isinstance(one, bytes) else str(one) for one in labels.tolist()]
        counts = Counter(word[:LONGEST] for word in words)
        if not any(normalise(word) in NOT_SINGLE for word in counts):
            continue
        shown = ", ".join(f"{n} {word or 'without a label'}" for word, n in counts.most_common(8))
        good = next((word for word in counts if normalise(word) in GOOD), "good")
        wanted = f"{column.name} == '{good}'"
        notes.append(f'column {column.name} of units has {shown}: all are read; to choose, --units "{wanted}"')
    return notes

"""Samples without a value: short gaps are interpolated, longer ones cut the segment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...errors import DataError
from .clock import MIN_SAMPLES
from .runs import CutClock

if TYPE_CHECKING:
    from jaxtyping import Int, Num

MAX_GAP_S = 0.5
"""Longest gap, seconds, that is interpolated in sources where missing samples are usual: ROIs, families, pose."""

MAX_MISSING = 0.5
"""A channel without a value in more than this fraction of the samples is left out."""


@dataclass(frozen=True)
class Complete:
    """Finite values and their clock.

    Attributes
    ----------
    values : array of float, shape (time, kept)
        Finite.
    cut : CutClock
        Their clock.
    kept : array of int, shape (kept,)
        Channels that are left, of those given.
    left_out : tuple of dict
        Those that are not.
    notes : tuple of str
        What was interpolated and cut.
    """

    values: Num[np.ndarray, "time kept"]
    cut: CutClock
    kept: Int[np.ndarray, " kept"]
    left_out: tuple[dict[str, object], ...] = ()
    notes: tuple[str, ...] = ()


def complete(
    values: Num[np.ndarray, "time channel"],
    cut: CutClock,
    ids: Sequence[object],
    dim: str,
    max_gap_s: float,
    where: str,
    *,
    min_length_s: float = 0.0,
) -> Complete:
    """Interpolate what is missing (NaN or infinite) for up to `max_gap_s`, and cut out what is missing for longer.

    Parameters
    ----------
    values : array, shape (time, channel)
        In the order of ``cut.time``.
    cut : CutClock
        Nothing is interpolated across its runs, and nothing beyond their first and last value.
    ids : list
        Ids of the channels.
    dim : str
        What a channel is, in errors and notes.
    max_gap_s : float
        Longest time between the values on both sides, seconds; 0 interpolates nothing.
    where : str
        Names the source in errors.
    min_length_s : float
        Shorter pieces, in seconds, are left out.

    Raises
    ------
    DataError
        If no channel, or no two successive samples, are left.
    """
    missing = ~np.isfinite(values)
    if not missing.any():
        return Complete(values, cut, np.arange(values.shape[1]))
    fraction = missing.mean(axis=0)
    # One channel that is mostly NaN would otherwise cut every sample out for all.
    kept = np.flatnonzero(fraction <= MAX_MISSING)
    if len(kept) == 0:
        raise DataError(
            f"every {dim} is NaN in more than {MAX_MISSING:.0%} of the samples read",
            where=where,
            fix="choose another source, or other trials",
        )
    how_often = ["every sample" if part == 1 else f"{part:.0%} of the samples" for part in fraction]
    left_out: list[dict[str, object]] = [
        {"what": dim, "id": ids[int(i)], "why": f"NaN in {how_often[i]} read"}
        for i in np.flatnonzero(fraction > MAX_MISSING)
    ]
    notes = [f"{len(left_out)} of {len(ids)} {dim}s left out as NaN"] if left_out else []
    values, before = fill_gaps(values[:, kept], cut, max_gap_s), missing[:, kept]
    after = ~np.isfinite(values)
    filled = before & ~after
    if filled.any():
        notes.append(
            f"{int(filled.sum())} NaN in {int(filled.any(axis=0).sum())} {dim}s interpolated, "
            f"over {max_gap_s:g} s at most"
        )
    # A frame needs every channel: one that is still NaN takes the sample out of all.
    bad = after.any(axis=1)
    if bad.any():
        cut, rows = cut.keep_frames(~bad, min_length_s)
        worst = ids[int(kept[after.sum(axis=0).argmax()])]
        if len(rows) == 0:
            raise DataError(
                f"no two successive samples without NaN (most often missing: {dim} {worst})",
                where=where,
                fix="interpolate longer gaps with --max-gap, or leave channels out",
            )
        notes.append(
            f"{len(values) - len(rows)} of {len(values)} samples cut out, where a {dim} is NaN for longer than "
            f"{max_gap_s:g} s (most often {worst}): no segment crosses them"
        )
        values = values[rows]
    return Complete(values, cut, kept, tuple(left_out), tuple(notes))


def fill_gaps(
    values: Num[np.ndarray, "time channel"], cut: CutClock, max_gap_s: float
) -> Num[np.ndarray, "time channel"]:
    """Interpolate linearly in time between values of one run that are at most `max_gap_s` apart.

    Returns
    -------
    array, shape (time, channel)
        A copy; NaN where nothing was interpolated.
    """
    # Infinite values are treated as missing: the division of a dF/F by 0 leaves them.
    filled = np.where(np.isfinite(values), values, np.nan)
    stop = np.cumsum(cut.runs.lengths)
    for a, b in zip(np.append(0, stop[:-1]), stop, strict=True):
        time = cut.time[a:b]
        for channel in np.flatnonzero(np.isnan(filled[a:b]).any(axis=0)):
            trace = filled[a:b, channel]
            good = np.flatnonzero(~np.isnan(trace))
            holes = np.flatnonzero(np.isnan(trace))
            if len(good) < MIN_SAMPLES:
                continue
            after = np.searchsorted(good, holes)
            # Only between two values: beyond the first or last one nothing is known.
            inside = (after > 0) & (after < len(good))
            holes, after = holes[inside], after[inside]
            # Rounding is allowed for: three steps of 0.1 s are more than 0.3 s in float64.
            near = time[good[after]] - time[good[after - 1]] <= max_gap_s * (1 + 1e-6)
            trace[holes[near]] = np.interp(time[holes[near]], time[good], trace[good])
    return filled

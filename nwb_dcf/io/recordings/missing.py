"""Samples without a value: short stretches are bridged, longer ones cut the segment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...errors import DataError
from .clock import MIN_SAMPLES
from .runs import CutClock

MAX_GAP_S = 0.5
"""Longest stretch that is bridged in sources where missing samples are usual: ROIs, families, pose."""

MAX_SHARE = 0.5
"""A channel that misses more than this share of the samples is left out."""


@dataclass(frozen=True)
class Complete:
    """Values without NaN.

    Attributes
    ----------
    values : array, shape (time, channel)
        Finite.
    cut : CutClock
        Their clock.
    kept : array of int, shape (channel,)
        Channels that are left.
    left_out : tuple of dict
        Those that are not.
    notes : tuple of str
        What was bridged and cut.
    """

    values: np.ndarray
    cut: CutClock
    kept: np.ndarray
    left_out: tuple[dict[str, object], ...] = ()
    notes: tuple[str, ...] = ()


def complete(
    values: np.ndarray,
    cut: CutClock,
    ids: Sequence[object],
    dim: str,
    max_gap_s: float,
    where: str,
    *,
    min_length_s: float = 0.0,
) -> Complete:
    """Bridge what is missing (NaN or infinite) for up to `max_gap_s`, and cut out what is missing for longer.

    Parameters
    ----------
    values : array, shape (time, channel)
        In the order of ``cut.time``.
    cut : CutClock
        Nothing is bridged across its runs, and nothing beyond their first and last value.
    ids : list
        Ids of the channels.
    dim : str
        What a channel is, in errors and notes.
    max_gap_s : float
        Longest time between the values on both sides; 0 bridges nothing.
    where : str
        Names the source in errors.
    min_length_s : float
        Pieces that are shorter are left out.

    Raises
    ------
    DataError
        If no channel, or no two successive samples, are left.
    """
    missing = ~np.isfinite(values)
    if not missing.any():
        return Complete(values, cut, np.arange(values.shape[1]))
    share = missing.mean(axis=0)
    kept = np.flatnonzero(share <= MAX_SHARE)
    if len(kept) == 0:
        raise DataError(
            f"every {dim} is NaN in more than {MAX_SHARE:.0%} of the samples read",
            where=where,
            fix="choose another source, or other trials",
        )
    how_often = ["every sample" if part == 1 else f"{part:.0%} of the samples" for part in share]
    left_out: list[dict[str, object]] = [
        {"what": dim, "id": ids[int(i)], "why": f"NaN in {how_often[i]} read"}
        for i in np.flatnonzero(share > MAX_SHARE)
    ]
    notes = [f"{len(left_out)} of {len(ids)} {dim}s left out as NaN"] if left_out else []
    values, before = bridge(values[:, kept], cut, max_gap_s), missing[:, kept]
    after = ~np.isfinite(values)
    bridged = before & ~after
    if bridged.any():
        notes.append(
            f"{int(bridged.sum())} NaN in {int(bridged.any(axis=0).sum())} {dim}s interpolated, "
            f"over {max_gap_s:g} s at most"
        )
    bad = after.any(axis=1)
    if bad.any():
        cut, rows = cut.keep_frames(~bad, min_length_s)
        worst = ids[int(kept[after.sum(axis=0).argmax()])]
        if len(rows) == 0:
            raise DataError(
                f"no two successive samples without NaN (most often missing: {dim} {worst})",
                where=where,
                fix="bridge longer stretches with --max-gap, or leave channels out",
            )
        notes.append(
            f"{len(values) - len(rows)} of {len(values)} samples cut out, where a {dim} is NaN for longer than "
            f"{max_gap_s:g} s (most often {worst}): no segment crosses them"
        )
        values = values[rows]
    return Complete(values, cut, kept, tuple(left_out), tuple(notes))


def bridge(values: np.ndarray, cut: CutClock, max_gap_s: float) -> np.ndarray:
    """Interpolate linearly in time between values of one run that are at most `max_gap_s` apart.

    Returns
    -------
    array, shape (time, channel)
        A copy; NaN where nothing was bridged.
    """
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
            inside = (after > 0) & (after < len(good))
            holes, after = holes[inside], after[inside]
            # A millionth of the gap is rounding: 0.3 s are three steps of 0.1 s.
            near = time[good[after]] - time[good[after - 1]] <= max_gap_s * (1 + 1e-6)
            trace[holes[near]] = np.interp(time[holes[near]], time[good], trace[good])
    return filled

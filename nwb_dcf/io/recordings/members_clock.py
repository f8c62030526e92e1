"""One clock for several series: the members of a family, the planes of a session, the parts of a body."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import DataError
from ..backends.session import Session
from .clock import SampleClock, read_clock

if TYPE_CHECKING:
    from jaxtyping import Float, Int

SAME_STEP = 0.01
"""Steps that differ by a smaller fraction are of one rate."""


@dataclass(frozen=True)
class SharedClock:
    """The samples that several series have in common.

    Attributes
    ----------
    samples : SampleClock
        The clock of the first series; NaN for samples that not every series has.
    row : tuple of array of int, shape (sample,), or None
        For each series, its sample at each of those times; None where the numbers of the samples are the same.
    """

    samples: SampleClock
    row: tuple[Int[np.ndarray, " sample"] | None, ...]


def read_shared_clock(session: Session, members: Sequence[tuple[str, Any]], kind: str = "series") -> SharedClock:
    """Read the clock of each of `members`, (path, series) of a source of that kind, and join them.

    Raises
    ------
    DataError
        If a clock cannot be used, rates differ, or the series have no two samples in common.

    Notes
    -----
    Planes are scanned one after the other: a sample of each plane belongs to the sample of the first plane that lies
    nearest, by at most half a step. Nothing is interpolated.
    """
    path, first = members[0]
    scale, name = session.scale_of(path), session.name_scale(path)
    clock = read_clock(first, first.data.shape[0], session.where(path), scale=scale, kind=kind, name=name)
    time = clock.time.copy()
    timed = np.isfinite(time)  # read_clock marks samples without a usable time as NaN
    step_s = float(np.median(np.diff(time[timed]))) if timed.sum() > 1 else 0.0
    rows: list[Int[np.ndarray, " sample"] | None] = [None]
    notes, apart_s = list(clock.notes), 0.0
    for other_path, series in members[1:]:
        if session.scale_of(other_path) == scale and _has_same_clock(first, series):
            rows.append(None)
            continue
        where = session.where(other_path)
        other = read_clock(series, series.data.shape[0], where, scale=session.scale_of(other_path)).time
        # A millionth of a step is rounding, as of two copies of one clock.
        if len(other) == len(time) and np.allclose(other, clock.time, rtol=0, atol=1e-6 * step_s, equal_nan=True):
            rows.append(None)
            continue
        other_step_s = float(np.median(np.diff(other[np.isfinite(other)])))
        if abs(other_step_s - step_s) > SAME_STEP * step_s:
            raise DataError(
                f"its clock (a sample every {other_step_s:.4g} s) is not that of {path} (every {step_s:.4g} s)",
                where=session.where(other_path),
                fix="name one of them with --source",
            )
        row, off_s = _find_nearest(other, clock.time)
        # Further away than half a step, a neighbour is nearer: the sample was dropped from one of the two.
        near = off_s <= step_s * (0.5 + SAME_STEP)
        time[~near] = np.nan
        apart_s = max(apart_s, float(off_s[near].max(initial=0.0)))
        rows.append(row)
    # Dropped samples of several series add up.
    n_common = int(np.isfinite(time).sum())
    if n_common < 2:
        raise DataError(
            f"the {len(members)} series have no two samples in common with {path}",
            where=str(session.path),
            fix="name one of them with --source",
        )
    if any(row is not None for row in rows):
        notes.append(
            f"samples of {len(members)} series up to {apart_s:.3g} s apart are taken as one, at the time of {path}"
        )
    if n_common < timed.sum():
        notes.append(f"{int(timed.sum()) - n_common} samples dropped that not every series has")
    return SharedClock(dataclasses.replace(clock, time=time, notes=tuple(notes)), tuple(rows))


def _has_same_clock(first: Any, other: Any) -> bool:
    """Whether two series plainly have one clock: one rate and start, or one array of timestamps by link."""
    if first.data.shape[0] != other.data.shape[0]:
        return False
    if first.timestamps is None or other.timestamps is None:
        both_rates = first.timestamps is None and other.timestamps is None
        return both_rates and first.rate == other.rate and first.starting_time == other.starting_time
    # h5py and zarr compare where an array lies in its file; numpy would compare, and read, every value.
    in_memory = isinstance(first.timestamps, np.ndarray) or isinstance(other.timestamps, np.ndarray)
    return not in_memory and bool(first.timestamps == other.timestamps)


def _find_nearest(
    clock: Float[np.ndarray, " own"], time: Float[np.ndarray, " sample"]
) -> tuple[Int[np.ndarray, " sample"], Float[np.ndarray, " sample"]]:
    """Return the sample of `clock` nearest to each of `time`, and its distance in seconds: infinite from NaN."""
    timed = np.flatnonzero(np.isfinite(clock))
    stamps = clock[timed]
    right = np.clip(np.searchsorted(stamps, time), 1, len(stamps) - 1)
    nearest = np.where(time - stamps[right - 1] <= stamps[right] - time, right - 1, right)
    off_s = np.abs(stamps[nearest] - time)
    return timed[nearest], np.where(np.isfinite(off_s), off_s, np.inf)

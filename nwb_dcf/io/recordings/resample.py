"""Resample values on the frames of another clock: the mean of a frame's samples, or the line between two of them.

A frame takes the mean of its samples where it holds two or more (so that nothing faster than the frames is aliased by
picking one of many), and otherwise the value on the line between the samples before and after its centre. Nothing is
interpolated across a gap; beyond the end of a run its last sample holds for half a step. Angles that wrap are averaged
on their circle; channels whose continuity is step or instantaneous take one sample, never a mean (`interpolation`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from scipy.sparse import csr_array

from ...data.frame_runs import find_runs
from ...data.recording import flatten_frames, median_step_s, name_source, part_touching, segment_slices
from ...data.spike_binning import MAX_VALUES, make_bins
from ...errors import DataError
from .interpolation import Interpolation, describe_rules, from_circle, to_circle

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

METHOD = "the mean of the samples in a frame that holds two or more, else the line between the two around its centre"


@dataclass(frozen=True)
class Frames:
    """Frames of a clock in blocks, each block within one segment.

    Attributes
    ----------
    left, centre, right : array of float64, shape (frame,)
        Seconds; a frame holds ``left <= t < right``.
    segment : array of int, shape (frame,)
        Segment of each.
    """

    left: Float[np.ndarray, " frame"]
    centre: Float[np.ndarray, " frame"]
    right: Float[np.ndarray, " frame"]
    segment: Int[np.ndarray, " frame"]


@dataclass(frozen=True)
class Resampled:
    """Values on frames, and which frames have any.

    Attributes
    ----------
    values : array, shape (frame, channel)
        0 in frames that are not covered.
    covered : array of bool, shape (frame,)
    """

    values: Float[np.ndarray, "frame channel"]
    covered: Bool[np.ndarray, " frame"]


def divide_clock(recording: xr.Dataset) -> Frames:
    """Divide the time of a recording into frames: its bins, or for each sample the times nearest to it."""
    time, segment = recording["time"].values, recording["segment_index"].values
    width_s = recording.attrs.get("bin_width_s")
    if width_s:
        return Frames(time - width_s / 2, time, time + width_s / 2, segment)
    left, right = np.empty_like(time), np.empty_like(time)
    for frames in segment_slices(recording):
        # Half way to the neighbours: frames of irregular samples differ in width.
        middle = (time[frames][1:] + time[frames][:-1]) / 2
        half = (middle - time[frames][:-1]) if len(middle) else np.full(1, median_step_s(recording) / 2)
        left[frames] = np.append(time[frames][0] - half[0], middle)
        right[frames] = np.append(middle, time[frames][-1] + half[-1])
    return Frames(left, time, right, segment)


def resample(recording: xr.Dataset, frames: Frames, rules: Sequence[Interpolation] = ()) -> Resampled:
    """Resample the values of a recording on the frames of another clock.

    Parameters
    ----------
    recording : xarray.Dataset
        Its segments follow each other in time; the pixels of images are flattened, shape (time, channel).
    frames : Frames
        Where values are wanted.
    rules : sequence of Interpolation
        How each channel is interpolated between its samples; on a line where nothing is given.

    Raises
    ------
    DataError
        If the values would not fit into memory.
    """
    time, segment = recording["time"].values, recording["segment_index"].values
    step_s, n = median_step_s(recording), len(time)
    latest = max(float(np.abs(time).max()), float(np.abs(frames.right).max()))
    edge = 1e-6 * min(step_s, float((frames.right - frames.left).min())) + 4 * float(np.spacing(latest))
    first, stop = np.searchsorted(time, frames.left - edge), np.searchsorted(time, frames.right - edge)
    # The mean of two or more samples is a low-pass: one of many, picked, would alias what is faster than the frames.
    many = stop - first >= 2

    after = np.searchsorted(time, frames.centre - edge)  # the first sample that is not before the centre
    # Clipped at both ends; whether the two exist is asked below.
    late = np.minimum(after, n - 1)
    early = np.maximum(after - 1, 0)
    between = (after > 0) & (after < n) & (segment[early] == segment[late])
    # A frame centred on a sample takes that sample, even where a gap is before it.
    at = (after < n) & (np.abs(time[late] - frames.centre) <= edge)
    late_weight = np.where(
        between & ~at, (frames.centre - time[early]) / np.where(late > early, time[late] - time[early], 1), 1.0
    )
    held_late = ~between & ~at & (after < n) & (time[late] - frames.centre <= step_s / 2 + edge)
    held_early = ~between & ~at & ~held_late & (after > 0) & (frames.centre - time[early] <= step_s / 2 + edge)
    covered = many | between | at | held_late | held_early

    alone = covered & ~many
    n_many = np.where(many, stop - first, 0)
    rows = [np.repeat(np.arange(len(first)), n_many), np.flatnonzero(alone), np.flatnonzero(alone)]
    offset = np.arange(n_many.sum()) - np.repeat(np.cumsum(n_many) - n_many, n_many)
    columns = [np.repeat(first, n_many) + offset, late[alone], early[alone]]
    late_weight = np.where(held_early, 0.0, late_weight)[alone]
    weights = [np.repeat(1 / np.maximum(n_many, 1), n_many), late_weight, 1 - late_weight]
    # One sparse product serves every channel: a row has the weights of the samples of a frame.
    matrix = csr_array(
        (np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns))), shape=(len(first), n)
    )
    values = flatten_frames(recording)
    if matrix.shape[0] * values.shape[1] > MAX_VALUES:
        raise DataError(
            f"{matrix.shape[0]} frames of {values.shape[1]} values do not fit into memory",
            where=name_source(recording),
            fix="resample to fewer frames a second, or read less with --trials",
        )
    taken = (matrix @ values).astype(np.result_type(values.dtype, np.float32))
    if all(rule.rule == "line" for rule in rules):
        return Resampled(taken, covered)
    covers = [covered] if not rules or any(rule.rule in ("line", "circle") for rule in rules) else []
    before = np.clip(np.searchsorted(time, frames.centre + edge, side="right") - 1, -1, n - 1)
    nearest = np.where(np.abs(time[early] - frames.centre) < np.abs(time[late] - frames.centre), early, late)
    for column, rule in enumerate(rules):
        if rule.rule == "circle":
            # The mean of 359 and 1 degree is 0 on the circle, and 180 on a line.
            angle = from_circle(matrix @ to_circle(values[:, column], rule), rule)
            covers.append(np.isfinite(angle))
            taken[:, column] = np.nan_to_num(angle)
        elif rule.rule == "hold":
            covers.append(before >= 0)
            taken[:, column] = values[np.maximum(before, 0), column]
        elif rule.rule == "nearest":
            tolerance = np.maximum(step_s, frames.right - frames.left) / 2 + edge
            covers.append(np.abs(time[nearest] - frames.centre) <= tolerance)
            taken[:, column] = values[nearest, column]
    return Resampled(taken, np.logical_and.reduce(covers))


def keep_frames(recording: xr.Dataset, good: Bool[np.ndarray, " time"], min_length_s: float) -> xr.Dataset:
    """Keep runs of two or more successive `good` frames, each run as a segment with its own interval.

    Parameters
    ----------
    recording : xarray.Dataset
        A recording, see `nwb_dcf.data.recording`.
    good : array of bool, shape (time,)
        Which frames to keep.
    min_length_s : float
        Runs whose interval is shorter are left out.

    Raises
    ------
    DataError
        If no run is left.
    """
    frames = divide_clock(recording)
    start_s, stop_s = recording["segment_start"].values, recording["segment_stop"].values
    runs = find_runs(good, frames.left, frames.right, frames.segment, start_s, stop_s, min_length_s=min_length_s)
    if len(runs.first) == 0:
        raise DataError(
            "no two successive frames are covered by every source",
            where=name_source(recording),
            fix="read other trials, or leave a source out",
        )
    if len(runs.first) == recording.sizes["segment"] and runs.lengths.sum() == len(good):
        return recording
    kept = recording.isel(time=runs.frames, segment=runs.segment).assign_coords(
        segment_index=("time", np.repeat(np.arange(len(runs.first)), runs.lengths)),
        segment=("segment", np.arange(len(runs.first))),
    )
    return kept.assign(
        segment_start=kept["segment_start"].copy(data=runs.start_s),
        segment_stop=kept["segment_stop"].copy(data=part_touching(runs.start_s, runs.stop_s)),
    )


def resample_recording(
    recording: xr.Dataset, rate_hz: float, min_length_s: float = 0.0, rules: Sequence[Interpolation] = ()
) -> xr.Dataset:
    """Put a recording on a regular clock of `rate_hz` frames a second that starts with each of its segments.

    The first frame begins half a step before the first sample, so that at the recording's own rate each frame has its
    sample in its middle and nothing changes, and at a k-th of it the mean of k samples stands where they do.

    Raises
    ------
    DataError
        If no segment holds two frames.
    """
    own_hz = 1 / median_step_s(recording)
    own, slices = divide_clock(recording), segment_slices(recording)
    start, stop = own.left[[part.start for part in slices]], own.right[[part.stop - 1 for part in slices]]
    # Rounding is allowed for, or a segment of exactly two frames would be lost.
    long_enough = (stop - start) * rate_hz >= 2 - 1e-6
    if not long_enough.any():
        raise DataError(
            f"no segment is as long as two frames at {rate_hz:g} Hz",
            where=name_source(recording),
            fix="give a higher --resample, or longer segments",
        )
    bins = make_bins(start, stop, 1 / rate_hz, n_units=1, where=str(name_source(recording)))
    frames = Frames(bins.left, bins.centre, bins.left + bins.width_s, bins.frame_block)
    on = resample(recording, frames, rules)
    shape = (len(bins.centre), *recording["data"].shape[1:])
    unit = str(recording["data"].attrs.get("units", "a.u."))
    regular = recording.isel(segment=bins.segment).drop_vars(["data", "time", "segment_index"])
    note = f"resampled from {own_hz:.4g} to {rate_hz:g} Hz: {', '.join(describe_rules(rules)) or METHOD}"
    regular = regular.assign_coords(
        time=("time", bins.centre, {"units": "s"}),
        segment_index=("time", bins.frame_block),
        segment=("segment", np.arange(len(bins.start))),
    ).assign(
        # a mean of counts is not a count
        data=(recording["data"].dims, on.values.reshape(shape), {"units": "mean count" if unit == "count" else unit}),
        segment_start=("segment", bins.start, {"units": "s"}),
        segment_stop=("segment", part_touching(bins.start, bins.stop), {"units": "s"}),
    )
    regular.attrs = {**recording.attrs, "notes": [*recording.attrs["notes"], note]}
    return keep_frames(regular, on.covered, min_length_s)

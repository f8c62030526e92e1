"""A TimeSeries on another clock: behaviour at the times of latents."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from pynwb import TimeSeries

from ...config.time_scale import TimeScales
from ...data.clock_doubts import compare_spans
from ...data.doubt import Doubt, report_doubts
from ...errors import DataError
from ..backends.session import open_session
from .clock import GAP_FACTOR, read_clock
from .find_object import find_object
from .interpolation import Interpolation, choose_interpolation, describe_rules, from_circle, to_circle
from .series_values import check_data, convert_samples, count_channels

if TYPE_CHECKING:
    from jaxtyping import Float, Num


def read_behavior(
    path: str | Path,
    name: str,
    time_s: Num[np.ndarray, " time"],
    *,
    time_scale: str | float | Sequence[str | float] | None = None,
) -> xr.DataArray:
    """Read a TimeSeries at given times: on the line between its samples, or as `interpolation` says.

    Parameters
    ----------
    path : str or Path
        NWB file.
    name : str
        Path of the series, or its end: ``"hand_position"``, ``"Position/hand_position"``. A container such as
        ``"behavior/Position"`` stands for the only series in it. Upper and lower case are alike.
    time_s : array, shape (time,)
        Seconds on the session clock.
    time_scale : optional
        Factor for the times of the series, as for `nwb_dcf.read_recording`.

    Returns
    -------
    xarray.DataArray, dims (time, variable)
        In the unit of the series; ``attrs["notes"]`` has the doubts about its clock. NaN where the series has no
        sample within 2.5 of its median steps on both sides, or where the samples there are NaN.

    Raises
    ------
    SourceError
        If no series, or more than one, is called so.
    DataError
        If it is not numeric, or its clock cannot be used or must be in another unit than these times.
    """
    scales = TimeScales.parse(time_scale)
    with open_session(path) as session:
        otherwise = "the file holds no TimeSeries; name the one that does with --data"
        where, series = find_object(session, name, (TimeSeries,), what="series", otherwise=otherwise, ignore_case=True)
        problem = check_data(series)
        if problem:
            raise DataError(
                problem, where=session.where(where), fix="name a numeric series (time,) or (time, variable)"
            )
        # Read whole: behaviour is small beside what is fitted, and the frames lie all over it.
        samples, columns = np.asarray(series.data[:], np.float64), np.arange(count_channels(series))
        values = convert_samples(series, samples, columns, session.where(where))
        rules = choose_interpolation(series, values)
        scale = scales.of(where)
        clocked = read_clock(series, len(values), session.where(where), scale=scale)
        notes = report_doubts(
            [*clocked.doubts, *_compare(clocked.time, time_s, where, scale)], where, session.where(where)
        )
        clock = clocked.time
        timed = np.isfinite(clock)  # read_clock marks samples without a usable time as NaN
        clock, values = clock[timed], values[timed]
        unit = str(series.unit)
    return xr.DataArray(
        take_between(clock, values, np.asarray(time_s, np.float64), rules),
        dims=("time", "variable"),
        coords={"time": time_s},
        attrs={"units": unit, "path": where, "notes": [*notes, *describe_rules(rules)]},
        name=where.rsplit("/", 1)[-1],
    )


def _compare(
    clock: Float[np.ndarray, " sample"], time_s: Num[np.ndarray, " time"], path: str, scale: float | None
) -> list[Doubt]:
    """Compare the clock of behaviour with the times of the frames; a doubt about its unit is made a refusal."""
    known = clock[np.isfinite(clock)]
    if len(known) < 2 or len(time_s) < 2:
        return []
    doubt = compare_spans(
        (float(np.min(time_s)), float(np.max(time_s))), (float(known[0]), float(known[-1])), path=path, name=""
    )
    # A scale of 1 vouches for the unit, see `nwb_dcf.config.time_scale`.
    if doubt is None or (doubt.of_scale and scale == 1):
        return []
    return [dataclasses.replace(doubt, refuses=doubt.of_scale)]


def interpolate(
    clock: Float[np.ndarray, " sample"],
    values: Num[np.ndarray, "sample variable"],
    time_s: Num[np.ndarray, " time"],
) -> Float[np.ndarray, "time variable"]:
    """Interpolate `values` linearly at `time_s`, seconds; NaN in gaps and outside.

    Examples
    --------
    >>> clock = np.array([0.0, 1.0, 2.0, 9.0, 10.0])
    >>> interpolate(clock, clock[:, None], np.array([0.5, 2.0, 5.0, 10.5])).ravel()
    array([0.5, 2. , nan, nan])
    """
    # Clipped, so that times outside have some pair of samples too; they are set to NaN below.
    after = np.clip(np.searchsorted(clock, time_s), 1, len(clock) - 1)
    start, stop = clock[after - 1], clock[after]
    weight = ((time_s - start) / (stop - start))[:, None]
    low, high = values[after - 1], values[after]
    # At a sample itself its neighbour does not count: 0 times NaN is NaN.
    between = np.where(weight == 0, low, np.where(weight == 1, high, (1 - weight) * low + weight * high))
    # A line across a gap would show movement that no one has recorded.
    bridged = (stop - start <= GAP_FACTOR * np.median(np.diff(clock))) | np.isin(time_s, clock)
    inside = (time_s >= clock[0]) & (time_s <= clock[-1])
    return np.where((bridged & inside)[:, None], between, np.nan)


def take_between(
    clock: Float[np.ndarray, " sample"],
    values: Num[np.ndarray, "sample variable"],
    time_s: Num[np.ndarray, " time"],
    rules: Sequence[Interpolation],
) -> Float[np.ndarray, "time variable"]:
    """Interpolate each column of `values` at `time_s`, seconds, by its rule; NaN where it is not known.

    Examples
    --------
    >>> clock = np.array([0.0, 1.0, 2.0, 9.0])
    >>> take_between(clock, clock[:, None], np.array([0.5, 5.0, 9.5]), [Interpolation("hold")]).ravel()
    array([0., 2., 9.])
    """
    taken = interpolate(clock, values, time_s)
    before = np.searchsorted(clock, time_s, side="right") - 1
    after = np.clip(before + 1, 0, len(clock) - 1)
    known = np.maximum(before, 0)
    near = np.where(np.abs(time_s - clock[known]) <= np.abs(clock[after] - time_s), known, after)
    for column, rule in enumerate(rules):
        if rule.rule == "circle":
            points = to_circle(values[:, column], rule)
            both = interpolate(clock, np.column_stack([points.real, points.imag]), time_s)
            taken[:, column] = from_circle(both[:, 0] + 1j * both[:, 1], rule)
        elif rule.rule == "hold":
            taken[:, column] = np.where(before >= 0, values[known, column], np.nan)
        elif rule.rule == "nearest":
            # An instantaneous value says nothing about times further away than half a step.
            apart = np.abs(clock[near] - time_s)
            taken[:, column] = np.where(apart <= np.median(np.diff(clock)) / 2, values[near, column], np.nan)
    return taken

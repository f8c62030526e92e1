"""A cohort from analyzers: trials are cut about events, and all sessions go into one space."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from ..cohort import Cohort
from ..data.recording import make_recording
from ..data.spike_binning import intersect_intervals
from ..data.spike_trains import Counts, count_trains, find_constant, note_left_out
from ..errors import DataError, ParameterError
from .recordings import find_units
from .sorted_units import PERIODS, SortedUnits

if TYPE_CHECKING:
    from jaxtyping import Float64, Int

LABEL = "label"
SAME_S = 1e-9  # by which the end of a trial may lie behind the start of the next: rounding


@dataclass(frozen=True)
class AnalyzerCohort:
    """Result of `fit_cohort`.

    Attributes
    ----------
    cohort : Cohort
    recordings : dict of str to xarray.Dataset
        Trials of each analyzer as they were binned; ``segment_row`` is the number of the event.
    """

    cohort: Cohort
    recordings: dict[str, xr.Dataset]

    @property
    def latents(self) -> dict[str, xr.DataArray]:
        """Latents of each analyzer, (time, latent)."""
        return {name: self.cohort.transform(one, name)["latents"] for name, one in self.recordings.items()}


def fit_cohort(
    analyzers: Mapping[str, Any],
    events: Mapping[str, ArrayLike],
    labels: Mapping[str, ArrayLike],
    *,
    window: tuple[float, float],
    dim: int = 3,
    bin_width_s: float = 0.05,
    groups: Mapping[str, str] | None = None,
    animals: Mapping[str, str] | None = None,
    valid_unit_periods: bool = True,
    **settings: Any,
) -> AnalyzerCohort:
    """Fit one latent space to the units of several analyzers.

    Parameters
    ----------
    analyzers : mapping of str to spikeinterface.SortingAnalyzer
        By the names that sessions are to have.
    events : mapping of str to array, shape (trial,)
        Time of each trial's event, seconds on the clock of the analyzer's recording.
    labels : mapping of str to array, shape (trial,)
        Condition of each trial, spelled alike in all sessions.
    window : (float, float)
        Seconds from the event to the edges of a trial.
    dim : int
    bin_width_s : float
        Width of a bin in seconds; bins begin at the edge of the window.
    groups, animals : mapping of str to str, optional
        See `nwb_dcf.cohort.Cohort.fit`.
    valid_unit_periods : bool
        As for `from_analyzer`: trials in which a unit is not valid are left out.
    **settings
        Of `nwb_dcf.cohort.Cohort`: ``seed``, ``n_permutations``, ``force``, ...

    Returns
    -------
    AnalyzerCohort
        The fitted `nwb_dcf.cohort.Cohort`, and what was read of each analyzer.

    Raises
    ------
    ParameterError
        If a session has no events or labels, or the window is empty.
    DataError
        If no trial of a session lies inside its recording, or the sessions make no cohort.

    Examples
    --------
    >>> found = fit_cohort(
    ...     {"m1": one, "m2": other}, events={"m1": t1, "m2": t2}, labels={"m1": c1, "m2": c2}, window=(-0.2, 0.8)
    ... )  # doctest: +SKIP
    >>> found.latents["m1"].dims  # doctest: +SKIP
    ('time', 'latent')
    """
    for what, given in (("events", events), ("labels", labels)):
        missing = [name for name in analyzers if name not in given]
        if missing:
            raise ParameterError(f"{missing[0]} has no {what}", fix=f"give {what} of each analyzer by its name")
    if not window[0] < window[1]:
        raise ParameterError(f"window is {window}", fix="give its start before its end, seconds from the event")
    recordings = {}
    for name, analyzer in analyzers.items():
        times, conditions = np.asarray(events[name], np.float64), np.asarray(labels[name])
        if times.ndim != 1 or times.shape != conditions.shape:
            raise ParameterError(
                f"events of shape {times.shape} and labels of shape {conditions.shape}",
                where=name, fix="give one of each for every trial",
            )  # fmt: skip
        source, _ = find_units(analyzer, valid_unit_periods=valid_unit_periods)
        recordings[name] = bin_trials(source, times, conditions, window, bin_width_s, name)
    cohort = Cohort(dim, **settings)
    cohort.fit(recordings, LABEL, groups=groups, animals=animals)
    return AnalyzerCohort(cohort, recordings)


def bin_trials(
    source: SortedUnits,
    event: Float64[np.ndarray, " trial"],
    label: Any,
    window: tuple[float, float],
    bin_width_s: float,
    name: str,
) -> xr.Dataset:
    """Count spikes in bins about events; each trial is a segment with its label.

    Raises
    ------
    DataError
        If no trial lies inside the recorded intervals, or trials overlap.
    """
    if len(source.unit_ids) == 0:
        raise DataError("the sorting has no units", where=name, fix="sort again, or keep some units")
    parts: list[Counts] = []
    chosen: list[Int[np.ndarray, " trial"]] = []
    for segment in range(len(source.clocks)):
        trains = source.read_trains(segment)
        recorded = source.clocks[segment].compute_recorded_intervals()
        if recorded is None:  # a sorting alone: what was recorded is what has spikes
            spikes = [times for times in trains.times if len(times)]
            recorded = (
                np.array([[min(t[0] for t in spikes), max(t[-1] for t in spikes)]]) if spikes else np.empty((0, 2))
            )
        if trains.observed is not None:
            # whole trials alone: bins are counted from the start of each
            recorded = intersect_intervals([recorded, *trains.observed])
        start, stop = event + window[0], event + window[1]
        inside = np.any((start[:, None] >= recorded[:, 0]) & (stop[:, None] <= recorded[:, 1]), axis=1)
        # NaN is inside of nothing: a trial without the event is left out
        trials = np.flatnonzero(inside)[np.argsort(event[inside], kind="stable")]
        if len(trials) == 0:
            continue
        if (start[trials][1:] < stop[trials][:-1] - SAME_S).any():
            raise DataError("trials overlap", where=name, fix="give a shorter window")
        counts = count_trains(trains, start[trials], stop[trials], bin_width_s, where=name, observed=PERIODS)
        parts.append(counts)
        chosen.append(trials[counts.bins.segment])
    if not parts:
        raise DataError(
            f"none of {len(event)} trials lies inside the recording", where=name,
            fix="give events in seconds on the recording's clock",
        )  # fmt: skip
    values = np.concatenate([part.values for part in parts])
    varies, left_out = find_constant(values, source.unit_ids, where=name)
    blocks = np.cumsum([0, *(len(part.bins.n_bins) for part in parts)])
    trials = np.concatenate(chosen)
    outside = len(event) - len(np.unique(trials))
    return make_recording(
        values[:, varies],
        np.concatenate([part.bins.centre for part in parts]),
        channel_dim="unit",
        channel=source.unit_ids[varies],
        segment_index=np.concatenate([part.bins.frame_block + n for part, n in zip(parts, blocks, strict=False)]),
        segment_start=np.concatenate([part.bins.start for part in parts]),
        segment_stop=np.concatenate([part.bins.stop for part in parts]),
        segment_row=trials,
        trial_columns={LABEL: label[trials]},
        units="count",
        kind="units",
        source={"file": source.folder, "path": "", "type": "SortingAnalyzer"},
        bin_width_s=bin_width_s,
        left_out=left_out,
        notes=[
            f"{len(trials)} trials about their events, {window[0]:g} to {window[1]:g} s",
            *([f"{outside} trials lie outside the recording"] if outside else []),
            *note_left_out(left_out),
        ],
    )

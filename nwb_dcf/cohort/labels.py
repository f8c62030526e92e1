"""Label the frames of recordings whose segments are trials: condition, and bin after the event."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from ..config import PrepareConfig
from ..data.preprocessing import Preprocessor, fit_preprocessor
from ..data.recording import flatten_frames, median_step_s, name_source, segment_slices
from ..errors import DataError, ParameterError
from .anchors import AlignedFrames, Ints

if TYPE_CHECKING:
    from jaxtyping import Shaped

MOST_CONDITIONS = 100  # a column with more values is a measurement and not a condition
MOST_SINGLE = 16  # labels that all occur once: sessions of one mean a condition have no more
MISSING = ("", "nan", "none", "<na>", "nat")
REACHED_BY = 0.9  # a bin is used if this fraction of each session's trials reaches it
LEAST_BINS = 4  # central differences need three, lags one more
STEP_TOLERANCE = 0.02


def read_labels(recording: xr.Dataset, labels: str | ArrayLike) -> NDArray[np.str_]:
    """Return the label of each segment as text; empty where there is none.

    Parameters
    ----------
    recording : xarray.Dataset
    labels : str or array, shape (segment,)
        Name of a column of trials, with or without ``trials.`` before it, or the labels themselves.

    Raises
    ------
    ParameterError
        If there is no such column; the nearest is named.
    DataError
        If the number of labels is not that of the segments.
    """
    if isinstance(labels, str):
        # as the command line names it, and as a recording does
        wanted = labels.removeprefix("trials.")
        name = f"trial_{wanted}"
        if name not in recording.variables:
            known = sorted(str(v).removeprefix("trial_") for v in recording.variables if str(v).startswith("trial_"))
            near = difflib.get_close_matches(wanted, known, n=1, cutoff=0.5)
            fix = f"did you mean {near[0]}?" if near else f"there are: {', '.join(known)}" if known else "name a table"
            raise ParameterError(f"no column of trials {wanted!r}", where=name_source(recording), fix=fix)
        values = recording[name].values
    else:
        values = np.asarray(labels)
        if values.shape != (recording.sizes["segment"],):
            raise DataError(
                f"labels of shape {values.shape} for {recording.sizes['segment']} trials", where=name_source(recording)
            )
    return np.array(["" if _is_missing(value) else name_value(value) for value in values.tolist()], np.str_)


def name_value(value: Any) -> str:
    """Return a label as text; whole numbers have no point, so that 3 and 3.0 are one condition."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _is_missing(value: Any) -> bool:
    return value is None or str(value).strip().lower() in MISSING


def order_conditions(labels: Mapping[str, NDArray[np.str_]]) -> list[str]:
    """Return the conditions that two sessions or more have, in order.

    Raises
    ------
    DataError
        If labels are constant, are measurements, no condition is in two sessions, or a session has none of those.
    """
    counts: dict[str, int] = {}
    for values in labels.values():
        for value in set(values.tolist()) - {""}:
            # sessions that have it, not trials: a condition of one session links it to none
            counts[value] = counts.get(value, 0) + 1
    for name, values in labels.items():
        if not (values != "").any():
            raise DataError("no trial has a label", where=name, fix="name another column of trials")
    shared = [value for value, n in counts.items() if n > 1]
    if not shared:
        (_, one), (_, other) = list(labels.items())[:2]
        own = list_values(one)[0]
        near = find_nearest(own, list_values(other))
        fix = f"is {own} the other's {near}? Spell conditions alike" if near else "spell conditions alike"
        raise DataError(_explain_no_common(labels), fix=f"{fix}, or name another column")
    # one label for all trials leaves a time course, which is alike in every session
    if len(counts) == 1:
        raise DataError(f"every trial has the label {shared[0]!r}", fix="name a column with two conditions or more")
    if len(shared) > MOST_CONDITIONS:
        raise DataError(
            f"the labels have {len(shared)} values: a measurement, not conditions", fix="name a column of conditions"
        )
    # ids and start times of trials are alike in all sessions too, and say nothing of what happened in them
    if len(shared) > MOST_SINGLE and all(_are_single(values) for values in labels.values()):
        raise DataError(
            f"every trial has a label of its own ({', '.join(sorted(shared, key=_sort_key)[:4])}, ...): no condition "
            "recurs",
            fix="name a column of conditions",
        )
    # 2 before 10, in the report as in the arrays
    shared = sorted(shared, key=_sort_key)
    _refuse_strangers(labels, shared)
    return shared


def _are_single(values: NDArray[np.str_]) -> bool:
    named = values[values != ""]
    return len(np.unique(named)) == len(named)


def _explain_no_common(labels: Mapping[str, NDArray[np.str_]]) -> str:
    (first, one), (second, other) = list(labels.items())[:2]
    a, b = list_values(one), list_values(other)
    return f"no condition is in two sessions: {first} has {', '.join(a[:4])}, {second} has {', '.join(b[:4])}"


def _refuse_strangers(labels: Mapping[str, NDArray[np.str_]], shared: Sequence[str]) -> None:
    for name, values in labels.items():
        own = list_values(values)
        if not set(own) & set(shared):
            near = find_nearest(own[0], shared)
            raise DataError(
                f"it has none of the others' conditions: it has {', '.join(own[:4])}, they {', '.join(shared[:4])}",
                where=name,
                fix=f"is {own[0]} their {near}? Spell conditions alike" if near else "leave the session out",
            )


def list_values(labels: Shaped[np.ndarray, " segment"]) -> list[str]:
    """List the labels of a session, each once, in order."""
    return sorted(set(labels.tolist()) - {""}, key=_sort_key)


def find_nearest(label: str, known: Sequence[str]) -> str | None:
    """Find the label that another one may be a misspelling of; upper and lower case are alike."""
    lowered = {one.strip().lower(): one for one in known}
    near = difflib.get_close_matches(label.strip().lower(), lowered, n=1, cutoff=0.6)
    return lowered[near[0]] if near else None


def _sort_key(value: str) -> tuple[int, float, str]:
    """Sort numbers by size, before text."""
    try:
        return (0, float(value), value)
    except ValueError:
        return (1, 0.0, value)


@dataclass(frozen=True)
class TrialClock:
    """Bins of all sessions of a cohort, counted from the start of each trial.

    Attributes
    ----------
    bin_width_s : float
    n_bins : int
    smooth_s : float
        Of the Gaussian, in seconds.
    """

    bin_width_s: float
    n_bins: int
    smooth_s: float


def choose_clock(recordings: Mapping[str, xr.Dataset], smooth_bins: float) -> TrialClock:
    """Choose the bins that nine tenths of the trials of every session reach.

    Raises
    ------
    DataError
        If bins have different widths, or fewer than four are left.
    """
    width = find_width(recordings)
    reach = {}
    for name, recording in recordings.items():
        # longest first: the place at nine tenths is what so many reach
        lengths = np.sort([_count_bins(recording, part, width) for part in segment_slices(recording)])[::-1]
        reach[name] = int(lengths[max(0, int(np.ceil(REACHED_BY * len(lengths))) - 1)])
    # the shortest session decides, since every anchor needs all sessions
    shortest = min(reach, key=lambda name: reach[name])
    if reach[shortest] < LEAST_BINS:
        raise DataError(
            f"its trials have {reach[shortest]} bins of {width:.4g} s",
            where=shortest,
            fix="choose narrower bins or a longer window",
        )
    return TrialClock(float(width), reach[shortest], smooth_bins * float(width))


def refuse_copy(identifiers: dict[str, str], recording: xr.Dataset, name: str) -> None:
    """Put the session's identifier into `identifiers`, and refuse one that is there.

    Raises
    ------
    DataError
        If another session has it.
    """
    identifier = str(recording.attrs.get("source", {}).get("identifier") or "")
    # a copy under another name would be counted as a second animal that agrees perfectly
    if identifier and identifier in identifiers:
        raise DataError(f"{name} and {identifiers[identifier]} are one session, {identifier}", fix="list it once")
    identifiers[identifier] = name


def refuse_few_channels(recording: xr.Dataset, name: str, dim: int) -> None:
    """Refuse a session that has fewer channels than the cohort is to have latents.

    Raises
    ------
    DataError
        If it has.
    """
    n_channels = recording["data"].shape[1]
    if n_channels < dim:
        raise DataError(
            f"it has {n_channels} channel{'' if n_channels == 1 else 's'}, fewer than the {dim} latents of the cohort",
            where=name,
            fix="leave the session out, or ask for fewer latents with --dim",
        )


def find_width(recordings: Mapping[str, xr.Dataset]) -> float:
    """Find the width of a bin, which all sessions must have in common; of values without bins it is their step.

    Raises
    ------
    DataError
        If it differs.
    """
    widths = {
        name: recording.attrs.get("bin_width_s") or median_step_s(recording) for name, recording in recordings.items()
    }
    first, width = next(iter(widths.items()))
    for name, other in widths.items():
        if abs(other - width) > STEP_TOLERANCE * width:
            raise DataError(
                f"bins of {other:.4g} s, while {first} has {width:.4g} s", where=name, fix="read all with one bin width"
            )
    return float(width)


def refuse_other_width(recording: xr.Dataset, clock: TrialClock, name: str) -> None:
    """Refuse a new session whose bins are not those of its cohort.

    Raises
    ------
    DataError
        If they are others.
    """
    # of counts the width of bins; values have none, and their step stands for it
    width = recording.attrs.get("bin_width_s") or median_step_s(recording)
    if abs(width - clock.bin_width_s) > STEP_TOLERANCE * clock.bin_width_s:
        raise DataError(
            f"bins of {width:.4g} s, while the cohort has {clock.bin_width_s:.4g} s",
            where=name,
            fix="read it with the cohort's bins",
        )


def _count_bins(recording: xr.Dataset, frames: slice, width: float) -> int:
    start = recording["segment_start"].values[recording["segment_index"].values[frames.start]]
    return int(np.floor((recording["time"].values[frames.stop - 1] - start) / width + 1e-6)) + 1


def fit_session_preprocessor(recording: xr.Dataset, clock: TrialClock) -> Preprocessor:
    """Fit the preparation of a session: square roots of counts, the Gaussian of the cohort, one scale."""
    return fit_preprocessor(recording, PrepareConfig(smooth=clock.smooth_s, scale="global"))


def align_frames(
    recording: xr.Dataset,
    labels: Shaped[np.ndarray, " segment"],
    conditions: Sequence[str],
    clock: TrialClock,
    preprocessor: Preprocessor,
    *,
    name: str = "",
) -> AlignedFrames:
    """Prepare the frames of a session and label each with its anchor.

    Parameters
    ----------
    recording : xarray.Dataset
        Its segments are trials that begin with the event.
    labels : array of str, shape (segment,)
    conditions : sequence of str
        Of the cohort. A trial with another label belongs to none.
    clock : TrialClock
    preprocessor : Preprocessor
    name : str
        For messages.
    """
    condition, at = label_frames(recording, labels, conditions, clock)
    index = recording["segment_index"].values.astype(np.int64)
    values = flatten_frames(preprocessor.apply(recording))
    return AlignedFrames(values, index, condition, at, len(conditions), clock.n_bins, name)


def label_frames(
    recording: xr.Dataset, labels: Shaped[np.ndarray, " segment"], conditions: Sequence[str], clock: TrialClock
) -> tuple[Ints, Ints]:
    """Return condition and bin of each frame; -1 where it belongs to no anchor."""
    number = {condition: i for i, condition in enumerate(conditions)}
    of_segment = np.array([number.get(label, -1) for label in labels.tolist()], np.int64)
    index = recording["segment_index"].values.astype(np.int64)
    # segments begin with the window: all trials have the same event at the same bin
    since = recording["time"].values - recording["segment_start"].values[index]
    # the centre of a bin lies half a bin in; a millionth for centres that are edges, as of values without bins
    at = np.floor(since / clock.bin_width_s + 1e-6).astype(np.int64)
    # frames before the event or beyond the common bins belong to no anchor, and are still read out
    at[(at < 0) | (at >= clock.n_bins)] = -1
    return of_segment[index], at

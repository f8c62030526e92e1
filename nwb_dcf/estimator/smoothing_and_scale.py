"""Smoothing and scale of spike counts, chosen by how well one half of the units predicts the other half."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np
import xarray as xr
from threadpoolctl import threadpool_limits

from ..config import FitConfig, PrepareConfig
from ..config.progress import CHOOSING_SMOOTHING, Listener, Progress
from ..data.gaussian_filter import TRUNCATE
from ..data.preprocessing import CLOCK_TOLERANCE, compute_standard_smoothing
from ..data.recording import CHANNEL_SOURCE, frame_dims, frame_shape, is_count, median_step_s
from ..data.records import RunnerUp, SmoothingRecord
from ..data.spike_binning import merge_bins
from ..errors import DataError
from ..metrics.cross_prediction import MOST_NUMBERS, SCALES, SettingScores, score_settings

if TYPE_CHECKING:
    from jaxtyping import Int, Num

STANDARD_SCALE = "global"  # with the standard smoothing, where the data cannot choose
LEAST_BIN_S, MOST_BIN_S = 0.02, 0.1  # narrower ones halve what the encoder sees around a bin, and gain nothing
BINS_PER_SIGMA = 4
SCAN_BIN_S = 0.04  # finer bins are merged for the choice: no smoothing that is tried needs them
APART = 4.0  # smoothings that differ by this factor are timescales of their own
LEAST_TIME_S = 10.0


class _Voters(TypedDict):
    """Table of scores, channels in all and with a vote, and lags of a choice."""

    table: xr.Dataset
    units: int
    voters: int
    lags_s: tuple[float, ...]


@dataclass(frozen=True)
class SmoothingChoice:
    """A smoothing and a scale with their evidence.

    Attributes
    ----------
    smooth_s : float
        Standard deviation of the Gaussian in seconds.
    scale : str
    chosen : bool
        Whether the data chose; False where the standard was kept.
    rule : str
        How it was chosen, or why not, in a sentence.
    runner_up : dict or None
        ``smooth_s``, ``scale`` and ``score`` of the next best; None where nothing was compared.
    notes : list of str
        Caveats: timescales that compete, what so long a smoothing costs.
    table : xarray.Dataset
        Over ``point``: ``smooth_s``, ``scale``, ``score`` and ``median_r2``, see
        `nwb_dcf.metrics.cross_prediction.SettingScores`; empty where nothing was compared.
    units, voters : int
        Channels in all, and those that some setting predicts, which have a vote each.
    lags_s : tuple of float
        How much later they are predicted, in seconds.
    """

    smooth_s: float
    scale: str
    chosen: bool
    rule: str
    runner_up: RunnerUp | None = None
    notes: list[str] = field(default_factory=list)
    table: xr.Dataset = field(default_factory=lambda: _tabulate(None))
    units: int = 0
    voters: int = 0
    lags_s: tuple[float, ...] = ()

    @property
    def bin_width_s(self) -> float:
        """Width of bins that suits the smoothing, in seconds: a quarter of it, 20 to 100 ms."""
        return suggest_bin_width(self.smooth_s)

    def to_dict(self) -> SmoothingRecord:
        """Return all of it as JSON-able values; NaN as None."""
        columns = {
            str(name): [None if value != value else value for value in values.values.tolist()]
            for name, values in self.table.data_vars.items()
        }
        return {
            "smooth_s": self.smooth_s,
            "scale": self.scale,
            "bin_width_s": self.bin_width_s,
            "chosen": self.chosen,
            "rule": self.rule,
            "runner_up": self.runner_up,
            "notes": list(self.notes),
            "units": self.units,
            "voters": self.voters,
            "lags_s": list(self.lags_s),
            "table": columns,
        }


def suggest_bin_width(smooth_s: float) -> float:
    """Compute the width of bins for a smoothing in seconds: a quarter of it, 20 to 100 ms, in whole milliseconds.

    Examples
    --------
    >>> suggest_bin_width(0.8), suggest_bin_width(0.1), suggest_bin_width(0.05)
    (0.1, 0.025, 0.02)
    """
    width_s = min(max(smooth_s / BINS_PER_SIGMA, LEAST_BIN_S), MOST_BIN_S)
    return int(1000 * width_s + 1e-6) / 1000


def choose_smoothing_and_scale(
    recording: xr.Dataset, config: PrepareConfig | None = None, *, seed: int = 0, progress: Listener | None = None
) -> SmoothingChoice:
    """Choose the smoothing and the scale of counts where they are ``auto``; no behaviour is needed.

    Parameters
    ----------
    recording : xarray.Dataset
        Training segments alone.
    config : PrepareConfig, optional
        A smoothing or scale that is not ``auto`` stays as it is.
    seed : int
        Of the halves of the units and of the blocks of time.
    progress : callable, optional
        Called for each of the halves.

    Returns
    -------
    SmoothingChoice
        The standard (0.04 s and one scale for all units, for spikes) where the data cannot choose or no unit is
        predicted by others, as `rule` then reports.

    Notes
    -----
    Three principal axes of one half of the units, and Gaussian bumps along them, predict the unsmoothed square roots
    of the counts of the other half by ridge regression on held-out blocks of time, at once, 0.5 s and 2 s later. Each
    unit counts by its explained variance over the most that any setting explains; units of which no
    setting explains anything have no vote. The smoothing and the scale with the highest mean are chosen
    (`nwb_dcf.metrics.cross_prediction`). The lags are timescales of behaviour: for ripples or theta set the smoothing
    by hand.

    Examples
    --------
    >>> from nwb_dcf.data.synthetic import simulate_navigation
    >>> recording = simulate_navigation("track", 30, duration_s=300.0, seed=1).recording
    >>> choose_smoothing_and_scale(recording).smooth_s >= 0.4
    True
    """
    config = config or PrepareConfig()
    standard = SmoothingChoice(
        compute_standard_smoothing(recording) if config.smooth in ("auto", "standard") else float(config.smooth),
        STANDARD_SCALE if config.scale == "auto" else config.scale,
        False,
        "",
    )
    reason = _explain_refusal(recording)
    if reason:
        return replace(standard, rule=f"smoothing and scale are the standard's, not chosen from the data: {reason}")
    scores = scan_settings(
        recording,
        transform=config.transformation,
        sigmas_s=None if config.smooth == "auto" else (standard.smooth_s,),
        scales=SCALES if config.scale == "auto" else (config.scale,),
        seed=seed,
        progress=progress,
    )
    dim = frame_dims(recording)[0]
    about: _Voters = {
        "table": _tabulate(scores),
        "units": recording.sizes[dim],
        "voters": int(scores.kept.sum()),
        "lags_s": scores.lags_s,
    }
    # no unit predicts another: any setting would be noise, so that the default is kept
    if not scores.kept.any() or scores.median_r2[np.argmax(scores.score)] <= 0:
        why = (
            f"no {dim} is predicted by the others on held-out blocks, whatever the smoothing: nothing is shared that "
            "holds, and smoothing and scale are the standard's"
        )
        return replace(standard, rule=why, **about)
    return _describe(scores, about, dim)


def resolve_smoothing(
    recording: xr.Dataset, config: FitConfig, *, progress: Listener | None = None
) -> tuple[SmoothingChoice | None, FitConfig]:
    """Put what the training segments choose in place of ``auto``.

    Parameters
    ----------
    recording : xarray.Dataset
        Training segments alone.
    config : FitConfig
    progress : callable, optional

    Returns
    -------
    SmoothingChoice or None
        None where nothing was ``auto``, and for values that are no counts, which are not smoothed.
    FitConfig
        Without ``auto`` in the smoothing or the scale.
    """
    prepare = config.prepare
    if prepare.smooth != "auto" and prepare.scale != "auto":
        return None, config
    if not is_count(recording) and CHANNEL_SOURCE not in recording.coords:
        return None, apply_choice(config, None)
    choice = choose_smoothing_and_scale(recording, prepare, seed=config.train.seed, progress=progress)
    return choice, apply_choice(config, choice)


def is_to_be_chosen(recording: xr.Dataset, prepare: PrepareConfig) -> bool:
    """Whether smoothing or scale are to be chosen from these data, which takes seconds; no value is read."""
    return "auto" in (prepare.smooth, prepare.scale) and not _explain_refusal(recording)


def apply_choice(config: FitConfig, choice: SmoothingChoice | None) -> FitConfig:
    """Put a choice in place of ``auto``; where the data did not choose, the standard of each source's kind."""
    prepare, taken = config.prepare, choice if choice and choice.chosen else None
    smooth: Any = (taken.smooth_s if taken else "standard") if prepare.smooth == "auto" else prepare.smooth
    scale: Any = (taken.scale if taken else STANDARD_SCALE) if prepare.scale == "auto" else prepare.scale
    return replace(config, prepare=replace(prepare, smooth=smooth, scale=scale))


def scan_settings(
    recording: xr.Dataset,
    *,
    transform: str = "auto",
    sigmas_s: Sequence[float] | None = None,
    scales: Sequence[str] = SCALES,
    seed: int = 0,
    progress: Listener | None = None,
) -> SettingScores:
    """Score every smoothing with every scale on a recording of any channels, see `score_settings`.

    Counts in bins finer than 40 ms are merged first, within segments.

    Raises
    ------
    DataError
        If the recording holds images, or its clock is not regular within segments.
    """
    if frame_shape(recording) is not None:
        raise DataError(
            "noise is common to neighbouring pixels, so that no half of them is independent of the other",
            fix="choose a source that is not images",
        )
    if not _is_regular(recording):
        raise DataError("the clock is irregular", fix="put the source on a regular clock with --resample HZ")
    step_s, counts = median_step_s(recording), is_count(recording)
    segment = recording["segment_index"].values
    # square roots make the variance of Poisson counts equal for all rates
    root = counts if transform == "auto" else transform == "sqrt"
    # rounded down with a tolerance: 0.04 / 0.02 may be 1.9999
    merged = max(1, int(SCAN_BIN_S / step_s * (1 + 1e-6))) if counts else 1
    table = _Merged(recording["data"], segment, merged)

    def report(done: int, of: int) -> None:
        if progress:
            progress(Progress(CHOOSING_SMOOTHING, done, of, unit="split"))

    # thousands of small products: a second thread gained a sixth on two idle cores, and made it twelve times as long
    # with another job on one of them
    with threadpool_limits(1, user_api="blas"):
        return score_settings(
            table,
            table.merged_segment,
            step_s * merged,
            root=root,
            least_total=LEAST_SPIKES if counts else None,
            sigmas_s=sigmas_s,
            scales=scales,
            seed=seed,
            report=report,
        )


class _Merged:
    """Values (time, channel) in merged bins, of those channels alone that are asked for: memory need not hold all."""

    def __init__(self, data: xr.DataArray, segment: Int[np.ndarray, " time"], n: int) -> None:
        self._data, self._segment, self._n = data, segment, n
        self.merged_segment = merge_bins(segment[:, None], segment, n)[1] if n > 1 else segment
        self.shape = (len(self.merged_segment), data.shape[1])

    def __getitem__(self, key: tuple[slice, Any]) -> Num[np.ndarray, "time channel"]:
        # few channels at a time: all frames of unmerged bins are more than what is kept of them
        at_once = max(1, MOST_NUMBERS // len(self._segment))
        frames, channels = key[0], np.arange(self.shape[1])[key[1]]
        parts = []
        for start in range(0, max(1, len(channels)), at_once):
            values = self._data[frames, channels[start : start + at_once]].values
            parts.append(merge_bins(values, self._segment, self._n)[0] if self._n > 1 else values)
        return np.asarray(parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1))


LEAST_SPIKES = 30  # units with fewer take no part in the choice


def _explain_refusal(recording: xr.Dataset) -> str:
    """Why the data cannot choose; empty where they can."""
    if CHANNEL_SOURCE in recording.coords:
        return "several sources are joined"
    if frame_shape(recording) is not None or not is_count(recording):
        return "the values are no counts"
    if recording.attrs.get("kind") == "array":
        return "an array has no unit of time"
    if not _is_regular(recording):
        return "the clock is irregular"
    lasts = recording.sizes["time"] * median_step_s(recording)
    return f"{lasts:.3g} s are too short" if lasts < LEAST_TIME_S else ""


def _is_regular(recording: xr.Dataset) -> bool:
    inside = np.diff(recording["segment_index"].values) == 0
    # gaps between segments are no irregularity of the clock
    steps = np.diff(recording["time"].values)[inside]
    return len(steps) > 0 and bool(np.ptp(steps) <= CLOCK_TOLERANCE * steps.mean())


def _describe(scores: SettingScores, about: _Voters, dim: str) -> SmoothingChoice:
    order = np.argsort(-scores.score, kind="stable")
    best = int(order[0])
    smooth_s, scale = float(scores.sigma_s[best]), scores.scale[best]
    other = int(order[1]) if len(order) > 1 else None
    runner_up: RunnerUp | None = None
    if other is not None:
        runner_up = {
            "smooth_s": float(scores.sigma_s[other]),
            "scale": scores.scale[other],
            "score": float(scores.score[other]),
        }
    lags = ", ".join(f"{lag:g}" for lag in scores.lags_s)
    rule = (
        f"chosen by how well half of the {dim}s predicts the other half on held-out blocks, {lags} s later: "
        f"{scores.score[best]:.2f} of each {dim}'s best, mean over {about['voters']} of {about['units']} {dim}s"
    )
    notes = []
    # one smoothing cannot suit two timescales: the user has to decide
    rival = find_competing_timescale(scores)
    if rival is not None:
        notes.append(
            f"two timescales compete: {scores.sigma_s[rival]:g} s does as well "
            f"({scores.score[rival]:.2f} of {scores.score[best]:.2f}); try both"
        )
    if smooth_s == scores.sigma_s.max() and len(np.unique(scores.sigma_s)) > 1:
        notes.append(f"{smooth_s:g} s is the longest that was tried: longer may do better still")
    # a Gaussian of .4 s truncated at 4 SD reaches 1.6 s: longer than most responses
    if smooth_s >= 0.4:
        reach = TRUNCATE * smooth_s
        notes.append(f"each frame reaches {reach:.3g} s to either side: no latencies, no events shorter than that")
    return SmoothingChoice(smooth_s, scale, True, rule, runner_up, notes, **about)


def find_competing_timescale(scores: SettingScores) -> int | None:
    """Find a smoothing a factor of four away that is as good as the best, with a worse one between them.

    As good: the difference is within one standard error of the paired differences over channels.
    """
    best = int(np.argmax(scores.score))
    sigmas = np.unique(scores.sigma_s)
    top = np.array([np.flatnonzero(scores.sigma_s == s)[np.argmax(scores.score[scores.sigma_s == s])] for s in sigmas])
    profile, relative = scores.score[top], scores.relative
    at = int(np.searchsorted(sigmas, scores.sigma_s[best]))
    rivals = []
    for i, point in enumerate(top):
        low, high = sorted((max(sigmas[i], 1e-3), max(sigmas[at], 1e-3)))
        between = profile[min(i, at) + 1 : max(i, at)]
        # neighbours on the grid score alike by construction; only a valley between them makes two timescales
        if high / low < APART or not len(between) or between.min() >= profile[i]:
            continue
        difference = relative[best] - relative[point]
        if difference.mean() <= difference.std(ddof=1) / np.sqrt(max(len(difference), 2)):
            rivals.append(int(point))
    return max(rivals, key=lambda point: scores.score[point]) if rivals else None


def _tabulate(scores: SettingScores | None) -> xr.Dataset:
    if scores is None:
        empty = np.empty(0)
        return xr.Dataset(dict.fromkeys(("smooth_s", "scale", "score", "median_r2"), ("point", empty)))
    return xr.Dataset(
        {
            "smooth_s": ("point", scores.sigma_s),
            "scale": ("point", np.array(scores.scale)),
            "score": ("point", scores.score),
            "median_r2": ("point", scores.median_r2),
        }
    )

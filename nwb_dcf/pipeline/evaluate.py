"""What a stored fit says about behaviour: its latents decoded, PCA's beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast, get_args

import numpy as np
import xarray as xr

from ..config.file_places import FilePlaces
from ..config.time_scale import TimeScales
from ..data.gaussian_filter import TRUNCATE
from ..data.preprocessing import Preprocessor
from ..data.recording import flatten_frames, median_step_s
from ..data.records import JSON
from ..data.result import DCFResult
from ..errors import DataError, DCFError
from ..evaluation.decoding_verdict import Chance, MethodScores, judge_decoding, measure_chance
from ..io.recordings.behavior import read_behavior
from ..io.results import read_result
from ..metrics import (
    Interval,
    SegmentSums,
    bootstrap_over_segments,
    compare_paired,
    compute_pca_axes,
    score_decoding,
    score_decoding_on,
)
from ..metrics.decoding import Method
from .stored_source import find_reading, read_fitted

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

GAP_S = 1.0  # least time between frames that a decoder learns from and held-out blocks of the same segment
FEWEST_FRAMES = 20  # two blocks of eight and a little more: one to learn from, one to score on
MOST_CHANNELS = 1_000  # that are decoded from all at once
CHANCE_FRAMES = 5_000  # that labels shifted in time are decoded on


@dataclass(frozen=True)
class DecodingReport:
    """How well behaviour is decoded from latents.

    Attributes
    ----------
    file, name, against, unit : str
        The fit, and the path and unit of the series that was decoded.
    dim : int
        Latents, and axes of PCA beside them.
    variables : int
        Columns of the series, pooled.
    frames, left_out : int
        Frames that were used, and those at which the series is not known.
    rule : str
        What was learned from and what was scored.
    scores : dict of str to dict
        By method, ``ridge`` and ``neighbours``: ``latents``, ``pca`` and their ``difference``, each a dict ``value``,
        ``low``, ``high``, ``level``, ``n``, ``over``; the last two None where PCA could not be had. ``ceiling``, the
        same of ridge regression from all channels, None for neighbours, for images and where the source is not there;
        ``chance``, see `nwb_dcf.evaluation.decoding_verdict.measure_chance`.
    blocks : int
        Held-out segments or blocks over which the scores are averaged.
    verdict : str
        The conclusion, in one sentence.
    notes : list of str
    """

    file: str
    name: str
    against: str
    unit: str
    dim: int
    variables: int
    frames: int
    left_out: int
    rule: str
    scores: dict[str, MethodScores]
    blocks: int
    verdict: str
    notes: list[str]

    def to_dict(self) -> JSON:
        """Return the report as a JSON-able dict."""
        return asdict(self)


def evaluate_nwb(
    path: str | Path,
    name: str | None = None,
    *,
    against: str,
    data: str | Path | None = None,
    seed: int = 0,
    time_scale: str | float | Sequence[str | float] | None = None,
    video_dir: str | None = None,
    mask: str | None = None,
    allow_outside: bool = False,
) -> DecodingReport:
    """Decode a behavioural series of the same file from the latents of a stored fit.

    Parameters
    ----------
    path : str or Path
        NWB file with the fit.
    name : str, optional
        Of the fit; needed where there are several.
    against : str
        What to decode: a series by its path or the end of it, see `nwb_dcf.io.recordings.behavior.read_behavior`.
    data : str or Path, optional
        NWB file that holds the behaviour and the source, where that is not `path`, as for a small file of results.
    seed : int
        Of the folds and of the intervals.
    time_scale : optional
        What the times of that series are multiplied by to be seconds; by default what the fit was read with, if it
        names the series.
    video_dir : str, optional
        Folder that holds its videos, where they are not where that file says; no fit remembers it.
    mask : str, optional
        The image that hid parts of their frames, if there was one; no fit opens it by itself.
    allow_outside : bool
        Open videos by paths that leave the folder of the NWB file; no fit allows that by itself.

    Returns
    -------
    DecodingReport
        R2 of ridge regression and of nearest neighbours, with 95 % intervals over segments.

    Raises
    ------
    DCFError
        If the fit or the series cannot be read, or they have too few frames in common.

    Notes
    -----
    Where the fit held data out, decoders learn on the frames that were fitted and are scored on those held out;
    else both by cross-validation over segments. Their penalty or number of neighbours is chosen by cross-validation
    over segments within the frames they learn from. PCA is that of the prepared frames which decoders learn from, its
    scores at unit variance each, as the latents are.
    """
    stored, places = read_result(path, name), FilePlaces(video_dir, mask, allow_outside)
    frames, notes = stored.dataset, []
    if time_scale is None:
        time_scale = TimeScales.keep_named(find_reading(stored, places).time_scale)
    behavior = read_behavior(data or path, against, frames["time"].values, time_scale=time_scale)
    notes += behavior.attrs["notes"]
    # NaN beyond the series and in its gaps: decoders take whole rows
    known = np.isfinite(behavior.values).all(axis=1)
    if known.sum() < FEWEST_FRAMES:
        raise DataError(
            f"{behavior.attrs['path']} is known at {known.sum()} of the {len(known)} frames of {stored.name}",
            where=str(data or path),
            fix="name a series recorded at the same time",
        )
    task = _Task.of(stored, behavior.values, known, seed)
    predictors = {"latents": frames["latents"].values}
    try:
        prepared = _read_prepared(path, stored, data, places)
        predictors["pca"] = _compute_pca_scores(prepared, stored.dim, task)
        if prepared.shape[1] <= MOST_CHANNELS:
            predictors["ceiling"] = _standardise(prepared, task)
    # the source may be in another file or have changed; latents are in the fit and can be decoded all the same
    except DCFError as error:
        notes.append(f"neither PCA nor all channels are beside it: {error}")
    scores: dict[str, MethodScores] = {method: _compare(task, predictors, method) for method in get_args(Method)}
    return DecodingReport(
        file=Path(path).name,
        name=stored.name,
        against=behavior.attrs["path"],
        unit=behavior.attrs["units"],
        dim=stored.dim,
        variables=behavior.sizes["variable"],
        frames=int(known.sum()),
        left_out=int((~known).sum()),
        rule=task.rule,
        scores=scores,
        blocks=int(scores["ridge"]["latents"]["n"]),
        verdict=judge_decoding(scores),
        notes=notes,
    )


@dataclass(frozen=True)
class _Task:
    """Behaviour, and which frames decoders learn from and which they are scored on."""

    target: Float[np.ndarray, "time variable"]
    segment: Int[np.ndarray, " time"]
    learn: Bool[np.ndarray, " time"]
    score: Bool[np.ndarray, " time"]
    gap: int
    seed: int
    rule: str

    @classmethod
    def of(
        cls, stored: DCFResult, target: Float[np.ndarray, "time variable"], known: Bool[np.ndarray, " time"], seed: int
    ) -> _Task:
        data = stored.dataset
        unseen, near, segment = find_held_out_frames(stored)
        smooth_s = float(stored.provenance.get("preparation", {}).get("smooth_s", 0.0))
        # smoothed frames near a fold know of frames within it
        gap = int(np.ceil(TRUNCATE * smooth_s / median_step_s(data)))
        learn, score = known & ~near, known & unseen
        if learn.sum() >= FEWEST_FRAMES and score.sum() >= FEWEST_FRAMES:
            n_learn, n_score = (len(np.unique(segment[part])) for part in (learn, score))
            rule = f"learned on {n_learn} fitted segments or blocks, scored on {n_score} that the fit held out"
            return cls(target, segment, learn, score, gap, seed, rule)
        # nothing was held out, or too little: cross-validation over segments, blocks of a long one
        whole = data["segment_index"].values
        over = f"{len(np.unique(whole[known]))} segment{'s' if len(np.unique(whole[known])) > 1 else ''}"
        return cls(target, whole, known, known, gap, seed, f"cross-validated over {over}")

    def decode(self, predictors: Float[np.ndarray, "time predictor"], method: Method) -> SegmentSums:
        learned = predictors[self.learn], self.target[self.learn], self.segment[self.learn]
        # the very same array stands for cross-validation: two that are equal would score what they learned
        if self.learn is self.score:
            return score_decoding(*learned, method=method, gap=self.gap, seed=self.seed)
        scored = predictors[self.score], self.target[self.score], self.segment[self.score]
        return score_decoding_on(*learned, *scored, method=method, gap=self.gap, seed=self.seed)


def find_held_out_frames(
    stored: DCFResult,
) -> tuple[Bool[np.ndarray, " time"], Bool[np.ndarray, " time"], Int[np.ndarray, " time"]]:
    """Find the frames that no part of a fit has seen.

    Returns
    -------
    unseen, near : array of bool, shape (time,)
        Held out: whole segments, or blocks of them; and those with what is too close to such blocks.
    segment : array of int, shape (time,)
        Label of each frame's segment or block, no two alike.
    """
    data = stored.dataset
    index, time = data["segment_index"].values, data["time"].values
    held_out = data["segment_held_out"].values if "segment_held_out" in data else np.zeros(data.sizes["segment"], bool)
    # whole segments: their neighbours are other trials, and no gap is needed
    unseen = np.asarray(held_out, bool)[index]
    if unseen.any():
        return unseen, unseen, index
    # blocks of a long segment: learning stops short of them on either side
    unseen, near = np.zeros(len(time), bool), np.zeros(len(time), bool)
    cuts = np.zeros(len(time), np.int64)
    step_s = median_step_s(data)
    # a smoothed frame knows of those around it, on the other side of the edge of a block too
    gap_s = max(GAP_S, TRUNCATE * float(stored.provenance.get("preparation", {}).get("smooth_s", 0.0)))
    # blocks of a long recording are stored as times, since frames may be counted anew
    for start, stop in stored.provenance.get("split", {}).get("held_out_intervals_s", []):
        inside = (time >= start - step_s / 2) & (time <= stop + step_s / 2)
        unseen |= inside
        near |= (time >= start - gap_s) & (time <= stop + gap_s)
        # counts edges passed, so that frames between two blocks have a number of their own
        cuts += (time >= start - step_s / 2).astype(int) + (time > stop + step_s / 2)
    return unseen, near | unseen, np.unique(np.stack([index, cuts]), axis=1, return_inverse=True)[1].ravel()


def _read_prepared(
    path: str | Path, stored: DCFResult, data: str | Path | None, places: FilePlaces
) -> Float[np.ndarray, "time channel"]:
    """Read frames as the model sees them, (time, channel); pixels row by row."""
    recording: xr.Dataset = read_fitted(path, stored, data, places)
    return flatten_frames(Preprocessor.from_dict(stored.provenance["preparation"]).apply(recording))


def _compute_pca_scores(
    frames: Float[np.ndarray, "time channel"], dim: int, task: _Task
) -> Float[np.ndarray, "time latent"]:
    """Compute scores of PCA, (time, dim), each of unit variance in the frames that decoders learn from."""
    # of the frames to learn from, as the fit's axes are of the frames fitted
    mean, axes = compute_pca_axes(frames[task.learn], dim)
    return _standardise((frames - mean) @ axes, task)


def _standardise(values: Float[np.ndarray, "time column"], task: _Task) -> Float[np.ndarray, "time column"]:
    """Give each column unit variance in the frames that decoders learn from; constant ones stay as they are."""
    # of the frames to learn from: others would tell the decoder of what it is scored on
    deviation = values[task.learn].std(axis=0)
    return np.asarray(values / np.where(deviation > 0, deviation, 1))


def _compare(task: _Task, predictors: dict[str, Float[np.ndarray, "time _predictor"]], method: Method) -> MethodScores:
    # neighbours among hundreds of channels are all about as far, and take minutes
    wanted = {name: values for name, values in predictors.items() if name != "ceiling" or method == "ridge"}
    sums = {name: task.decode(values, method) for name, values in wanted.items()}
    found: dict[str, Interval | None] = {
        "latents": bootstrap_over_segments(sums["latents"], seed=task.seed),
        "pca": bootstrap_over_segments(sums["pca"], seed=task.seed) if "pca" in sums else None,
        "difference": compare_paired(sums["latents"], sums["pca"], seed=task.seed) if "pca" in sums else None,
        "ceiling": bootstrap_over_segments(sums["ceiling"], seed=task.seed) if "ceiling" in sums else None,
    }
    records = {name: asdict(interval) if interval else None for name, interval in found.items()}
    chance = _measure_chance(task, predictors["latents"], method, sums["latents"].value)
    return cast(MethodScores, {**records, "chance": chance})


def _measure_chance(task: _Task, latents: Float[np.ndarray, "time latent"], method: Method, value: float) -> Chance:
    """Decode labels that were shifted in time; long recordings on some of their frames, evenly spaced."""
    known = np.flatnonzero(task.learn | task.score)
    # evenly, so that slow behaviour keeps its autocorrelation
    some = known[:: max(1, len(known) // CHANCE_FRAMES)]
    same = task.learn is task.score
    learn, score = task.learn[some], task.score[some]
    step = max(1, int(np.median(np.diff(some)))) if len(some) > 1 else 1
    thin = replace(
        task,
        target=task.target[some],
        segment=task.segment[some],
        learn=learn,
        score=learn if same else score,
        gap=-(-task.gap // step),  # rounded up: as long as the smoothing reaches
    )

    def decode(target: Float[np.ndarray, "time variable"]) -> float:
        return float(replace(thin, target=target).decode(latents[some], method).value)

    return measure_chance(decode, thin.target, value, seed=task.seed)

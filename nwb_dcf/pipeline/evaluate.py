"""What a stored fit says about behaviour: its latents decoded, PCA's beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
import xarray as xr

from ..config.time_scale import TimeScales
from ..data.preprocessing import TRUNCATE, Preprocessor
from ..data.recording import flatten_frames, median_step_s
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
from .source import find_reading, read_fitted

GAP_S = 1.0  # least time between frames that a decoder learns from and held-out blocks of the same segment
FEWEST_FRAMES = 20
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
        Held-out segments or blocks that the scores rest on.
    verdict : str
        What it amounts to, in one sentence.
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

    def to_dict(self) -> dict[str, Any]:
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

    Returns
    -------
    DecodingReport
        R2 of ridge regression and of nearest neighbours, with 95 % intervals over segments.

    Raises
    ------
    DCFError
        If the fit or the series cannot be read, or they share too few frames.

    Notes
    -----
    Where the fit held data out, decoders learn on the frames that were fitted and are scored on those held out;
    else both by cross-validation over segments. Their penalty or number of neighbours is chosen by cross-validation
    over segments within the frames they learn from. PCA is that of the prepared frames which decoders learn from, its
    scores at unit variance each, as the latents are.
    """
    stored = read_result(path, name)
    frames, notes = stored.dataset, []
    if time_scale is None:
        named = TimeScales.parse(find_reading(stored).time_scale).named
        time_scale = [f"{key}={factor!r}" for key, factor in named.items()] or None
    behavior = read_behavior(data or path, against, frames["time"].values, time_scale=time_scale)
    notes += behavior.attrs["notes"]
    known = np.isfinite(behavior.values).all(axis=1)
    if known.sum() < FEWEST_FRAMES:
        raise DataError(
            f"{behavior.attrs['path']} is known at {known.sum()} of the {len(known)} frames of {stored.name}",
            where=str(data or path),
            fix="name a series recorded at the same time",
        )
    task = _Task.of(stored, behavior.values, known, seed)
    codes = {"latents": frames["latents"].values}
    try:
        prepared = _read_prepared(path, stored, data)
        codes["pca"] = _find_pca_scores(prepared, stored.dim, task)
        if prepared.shape[1] <= MOST_CHANNELS:
            codes["ceiling"] = _standardise(prepared, task)
    except DCFError as error:
        notes.append(f"neither PCA nor all channels are beside it: {error}")
    scores: dict[str, MethodScores] = {method: _compare(task, codes, method) for method in get_args(Method)}
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

    target: np.ndarray
    segment: np.ndarray
    learn: np.ndarray
    score: np.ndarray
    gap: int
    seed: int
    rule: str

    @classmethod
    def of(cls, stored: DCFResult, target: np.ndarray, known: np.ndarray, seed: int) -> _Task:
        data = stored.dataset
        unseen, near, segment = find_held_out_frames(stored)
        smooth_s = float(stored.provenance.get("preparation", {}).get("smooth_s", 0.0))
        gap = int(np.ceil(TRUNCATE * smooth_s / median_step_s(data)))
        learn, score = known & ~near, known & unseen
        if learn.sum() >= FEWEST_FRAMES and score.sum() >= FEWEST_FRAMES:
            n_learn, n_score = (len(np.unique(segment[part])) for part in (learn, score))
            rule = f"learned on {n_learn} fitted segments or blocks, scored on {n_score} that the fit held out"
            return cls(target, segment, learn, score, gap, seed, rule)
        whole = data["segment_index"].values
        over = f"{len(np.unique(whole[known]))} segment{'s' if len(np.unique(whole[known])) > 1 else ''}"
        return cls(target, whole, known, known, gap, seed, f"cross-validated over {over}")

    def decode(self, codes: np.ndarray, method: Method) -> SegmentSums:
        settings: dict[str, Any] = {"method": method, "gap": self.gap, "seed": self.seed}
        learned = codes[self.learn], self.target[self.learn], self.segment[self.learn]
        if self.learn is self.score:
            return score_decoding(*learned, **settings)
        scored = codes[self.score], self.target[self.score], self.segment[self.score]
        return score_decoding_on(*learned, *scored, **settings)


def find_held_out_frames(stored: DCFResult) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
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
    unseen = np.asarray(held_out, bool)[index]
    if unseen.any():
        return unseen, unseen, index
    unseen, near = np.zeros(len(time), bool), np.zeros(len(time), bool)
    cuts = np.zeros(len(time), np.int64)
    step_s = median_step_s(data)
    # a smoothed frame knows of those around it, on the other side of the edge of a block too
    gap_s = max(GAP_S, TRUNCATE * float(stored.provenance.get("preparation", {}).get("smooth_s", 0.0)))
    for start, stop in stored.provenance.get("split", {}).get("held_out_intervals_s", []):
        inside = (time >= start - step_s / 2) & (time <= stop + step_s / 2)
        unseen |= inside
        near |= (time >= start - gap_s) & (time <= stop + gap_s)
        cuts += (time >= start - step_s / 2).astype(int) + (time > stop + step_s / 2)
    return unseen, near | unseen, np.unique(np.stack([index, cuts]), axis=1, return_inverse=True)[1].ravel()


def _read_prepared(path: str | Path, stored: DCFResult, data: str | Path | None) -> np.ndarray:
    """Frames as the model sees them, (time, channel); pixels row by row."""
    recording: xr.Dataset = read_fitted(path, stored, data)
    return flatten_frames(Preprocessor.from_dict(stored.provenance["preparation"]).apply(recording))


def _find_pca_scores(frames: np.ndarray, dim: int, task: _Task) -> np.ndarray:
    """Scores of PCA, (time, dim), each of unit variance in the frames that decoders learn from."""
    mean, axes = compute_pca_axes(frames[task.learn], dim)
    return _standardise((frames - mean) @ axes, task)


def _standardise(values: np.ndarray, task: _Task) -> np.ndarray:
    """Give each column unit variance in the frames that decoders learn from; constant ones stay as they are."""
    deviation = values[task.learn].std(axis=0)
    return np.asarray(values / np.where(deviation > 0, deviation, 1))


def _compare(task: _Task, codes: dict[str, np.ndarray], method: Method) -> MethodScores:
    wanted = {name: values for name, values in codes.items() if name != "ceiling" or method == "ridge"}
    sums = {name: task.decode(values, method) for name, values in wanted.items()}
    found: dict[str, Interval | None] = {
        "latents": bootstrap_over_segments(sums["latents"], seed=task.seed),
        "pca": bootstrap_over_segments(sums["pca"], seed=task.seed) if "pca" in sums else None,
        "difference": compare_paired(sums["latents"], sums["pca"], seed=task.seed) if "pca" in sums else None,
        "ceiling": bootstrap_over_segments(sums["ceiling"], seed=task.seed) if "ceiling" in sums else None,
    }
    records = {name: asdict(interval) if interval else None for name, interval in found.items()}
    chance = _find_chance(task, codes["latents"], method, sums["latents"].value)
    return cast(MethodScores, {**records, "chance": chance})


def _find_chance(task: _Task, latents: np.ndarray, method: Method, value: float) -> Chance:
    """Decode labels that were shifted in time; long recordings on some of their frames, evenly spaced."""
    known = np.flatnonzero(task.learn | task.score)
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
        gap=task.gap // step,
    )

    def decode(target: np.ndarray) -> float:
        return float(replace(thin, target=target).decode(latents[some], method).value)

    return measure_chance(decode, thin.target, value, seed=task.seed)

"""Hold out whole segments at random, or blocks with gaps where a recording has few segments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from ..errors import ParameterError
from .recording import median_step_s, segment_slices, select_segments

if TYPE_CHECKING:
    from jaxtyping import Bool, Int

MIN_SEGMENTS = 5  # fewer segments are cut in blocks instead
N_BLOCKS = 10  # so that what is held out comes from several times of the session
MIN_BLOCK = 8  # frames


@dataclass(frozen=True)
class Split:
    """A recording cut in two.

    Attributes
    ----------
    training, held_out : xarray.Dataset
        Recordings. Together they miss the gaps where blocks were cut.
    held_out_segments : array of bool, shape (segment,)
        Which segments of the whole were held out; all False where blocks were.
    held_out_intervals_s : list of (float, float)
        First and last time held out, block by block.
    rule : str
        How it was cut, for people.
    """

    training: xr.Dataset
    held_out: xr.Dataset
    held_out_segments: Bool[np.ndarray, " segment"]
    held_out_intervals_s: list[tuple[float, float]]
    rule: str


def split_recording(recording: xr.Dataset, fraction: float, *, seed: int, gap_s: float = 0.0) -> Split | None:
    """Hold out about a `fraction` of the frames: whole segments, or blocks with gaps where there are few.

    Parameters
    ----------
    recording : xarray.Dataset
    fraction : float
        Between 0 and 0.9.
    seed : int
        Which segments or blocks are drawn.
    gap_s : float
        Seconds left out on either side of a held-out block, at least the reach of smoothing and history.

    Returns
    -------
    Split or None
        None where `fraction` is 0 or the recording is too short to hold anything out.
    """
    if not 0 <= fraction <= 0.9:
        raise ParameterError(f"the fraction to hold out is {fraction:g}", fix="give a number from 0 to 0.9")
    lengths = np.array([s.stop - s.start for s in segment_slices(recording)])
    # a block to train on, one to hold out, and as much again for gaps
    if fraction == 0 or lengths.sum() < 3 * MIN_BLOCK:
        return None
    rng = np.random.default_rng(seed)
    whole = _group_segments(recording)
    if len(lengths) >= MIN_SEGMENTS and whole.max() > 0:
        lengths = np.bincount(whole, lengths)
        # trials of a session drift: held out at random, they are as late as those that are fitted
        order = rng.permutation(len(lengths))
        # a segment is drawn if its middle lies within the fraction, so that lengths and not numbers count
        before = np.cumsum(lengths[order]) - lengths[order] / 2
        drawn = np.zeros(len(lengths), bool)
        drawn[order[before <= fraction * lengths.sum()]] = True
        # whatever the fraction, both parts have a segment
        drawn[order[0]], drawn[order[-1]] = True, False
        drawn = drawn[whole]
        held_out = select_segments(recording, np.flatnonzero(drawn))
        rule = f"{int(drawn.sum())} of {len(drawn)} segments held out at random (seed {seed})"
        return Split(select_segments(recording, np.flatnonzero(~drawn)), held_out, drawn, _intervals(held_out), rule)
    return _split_blocks(recording, fraction, rng, gap_s, seed)


def _group_segments(recording: xr.Dataset) -> Int[np.ndarray, " segment"]:
    """Group of each segment, 0, 1, ...: copies of one that was drawn more than once belong together."""
    if "segment_origin" not in recording:
        return np.arange(recording.sizes["segment"])
    # a copy in training would make its twin look as if it had been predicted unseen
    return np.unique(recording["segment_origin"].values, return_inverse=True)[1]


def _split_blocks(
    recording: xr.Dataset, fraction: float, rng: np.random.Generator, gap_s: float, seed: int
) -> Split | None:
    # Steps of a clock that is late differ in their last digits: 50.000001 frames are 50.
    gap = int(np.ceil(gap_s / median_step_s(recording) * (1 - 1e-6)))
    role = np.zeros(recording.sizes["time"], np.int64)  # 0 training, 1 held out, 2 gap
    # blocks have to outlast the gaps at both their ends
    n_blocks = max(2, min(N_BLOCKS, recording.sizes["time"] // (MIN_BLOCK + 2 * gap)))
    blocks = np.array_split(np.arange(recording.sizes["time"]), n_blocks)
    # whatever the fraction, both parts have a block
    n_drawn = int(np.clip(round(fraction * n_blocks), 1, n_blocks - 1))
    for i in np.sort(rng.permutation(n_blocks)[:n_drawn]):
        role[blocks[i]] = 1
    index = recording["segment_index"].values
    # where a segment ends too, neither smoothing nor history reaches across: no gap is needed
    edge = np.flatnonzero((np.diff(role) != 0) & (np.diff(index) == 0)) + 1
    for e in edge:
        # the gap is taken from training alone: what is held out stays whole
        role[max(e - gap, 0) : e][role[max(e - gap, 0) : e] == 0] = 2
        role[e : e + gap][role[e : e + gap] == 0] = 2
    # a piece ends where its role or its segment does
    pieces = np.cumsum(np.concatenate([[0], (np.diff(role) != 0) | (np.diff(index) != 0)]))
    training = cut_pieces(recording, pieces, role == 0)
    held_out = cut_pieces(recording, pieces, role == 1)
    if training is None or held_out is None:
        return None
    rule = f"{n_drawn} of {n_blocks} blocks held out at random (seed {seed}) with gaps of {gap_s:.3g} s"
    return Split(training, held_out, np.zeros(recording.sizes["segment"], bool), _intervals(held_out), rule)


def cut_pieces(
    recording: xr.Dataset, pieces: Int[np.ndarray, " time"], chosen: Bool[np.ndarray, " time"]
) -> xr.Dataset | None:
    """Keep the chosen frames, each run of them a segment of its own; runs under two frames go."""
    ids, counts = np.unique(pieces[chosen], return_counts=True)
    # v needs two successive frames
    ids, counts = ids[counts >= 2], counts[counts >= 2]
    if len(ids) == 0:
        return None
    frames = np.flatnonzero(np.isin(pieces, ids) & chosen)
    part = recording.isel(time=frames)
    # each piece takes the row of the segment it is from, and its trial columns with it
    source = part["segment_index"].values[np.concatenate([[0], np.cumsum(counts)[:-1]])]
    last = np.cumsum(counts) - 1
    time = part["time"].values
    part = part.isel(segment=source).assign_coords(
        segment_index=("time", np.repeat(np.arange(len(ids)), counts)),
        segment=("segment", np.arange(len(ids))),
    )
    return part.assign(
        segment_start=("segment", time[last - counts + 1], {"units": "s"}),
        segment_stop=("segment", time[last], {"units": "s"}),
    )


def _intervals(recording: xr.Dataset) -> list[tuple[float, float]]:
    ends = recording["segment_start"].values.tolist(), recording["segment_stop"].values.tolist()
    return list(zip(*ends, strict=True))

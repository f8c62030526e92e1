"""The data sets of the benchmarks: one function of a seed each, all with the same parts.

Seeds of simulations make new data. Seeds of real recordings draw other trials to hold out, or, in one long recording,
other blocks: five successive seeds hold out every block once. Bins, smoothing and targets were chosen with PCA alone.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from recordings import read_celegans, read_chewie, read_track, read_video
from scipy.stats import poisson

from nwb_dcf.data.preprocessing import Preprocessor
from nwb_dcf.data.recording import frame_dims, is_count, make_recording, segment_slices, select_segments
from nwb_dcf.data.split import split_recording
from nwb_dcf.data.synthetic import Simulation, simulate_ball, simulate_lorenz, simulate_reach
from nwb_dcf.estimator.smoothing_and_scale import choose_smoothing_and_scale

DATA = Path(os.environ.get("NWB_DCF_TEST_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
HELD_OUT = 0.2
N_BLOCKS, N_FOLDS = 10, 5  # of one long recording: two blocks are held out at a time
PIECE = 100  # frames: long segments are cut so to resample them, and for intervals


@dataclass(frozen=True)
class Benchmark:
    """One split of one data set.

    Attributes
    ----------
    name, seed
        Which set, which split of it.
    training, held_out : xarray.Dataset
        Recordings, not yet prepared.
    targets : (array, array), shapes (time, variable)
        What is decoded from the latents, for the training and the held-out frames.
    target : str
        What that is, for people.
    settings : mapping
        Of the preparation, by the name `nwb_dcf.DCF` knows them.
    find_truth : function of a Preprocessor, or None
        What the held-out frames would be without their noise, in prepared units, shape (time, channel).
    dim : int
        Numbers a frame.
    """

    name: str
    seed: int
    training: xr.Dataset
    held_out: xr.Dataset
    targets: tuple[np.ndarray, np.ndarray]
    target: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    find_truth: Callable[[Preprocessor], np.ndarray] | None = None
    dim: int = 3


# -- simulated ---------------------------------------------------------------------------------------


def make_ball(seed: int) -> Benchmark:
    """Ten videos of a ball on a circle, three held out; its angle as cosine and sine."""
    simulation = simulate_ball(seed=seed)
    angle = simulation.truth["angle"].values
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return _split_trials("ball", simulation.recording, circle, "angle", seed, share=0.3)


def make_ball_of_radii(seed: int) -> Benchmark:
    """The same with another radius in each video, as images (time, y, x): a frame has two numbers, PCA forty axes."""
    simulation = simulate_ball(orbit=8.0, orbit_sd=0.3, jitter=0.02, seed=seed)
    angle, rows = simulation.truth["angle"].values, simulation.recording
    frames = make_recording(
        simulation.truth["frames"].values,
        rows["time"].values,
        segment_index=rows["segment_index"].values,
        source=rows.attrs["source"],
    )
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return _split_trials("ball_radii", frames, circle, "angle", seed, share=0.3)


def make_lorenz(seed: int) -> Benchmark:
    """A Lorenz system through a nonlinear map, Poisson counts; its own coordinates."""
    return _split_simulation("lorenz", simulate_lorenz(seed=seed), seed)


def settle_preparation(benchmark: Benchmark, *, chosen: bool) -> Benchmark:
    """Settle smoothing and scale of counts for every method alike: without it DCF alone would choose them.

    Those of the set, and one scale for all units, as before they could be chosen; or what the training segments choose.
    """
    if not is_count(benchmark.training):
        return benchmark
    own: Mapping[str, Any] = {"smooth": "standard", "scale": "global", **benchmark.settings}
    if chosen:
        choice = choose_smoothing_and_scale(benchmark.training, seed=benchmark.seed)
        own = {"smooth": choice.smooth_s, "scale": choice.scale}
    return replace(benchmark, settings=own)


def make_reach(seed: int) -> Benchmark:
    """Centre-out reaches of a simulated motor cortex, 150 trials; the latents behind them."""
    return _split_simulation("reach", simulate_reach(n_trials=150, seed=seed), seed)


def expect_prepared(recording: xr.Dataset, expected: np.ndarray, preparation: Preprocessor) -> np.ndarray:
    """Prepare the mean of the square root of Poisson counts: what smoothing and scale, both linear, act on.

    Parameters
    ----------
    expected : array, shape (time, unit)
        Mean counts.
    """
    mean = np.linspace(0, expected.max(), 2_000)
    count = np.arange(poisson.ppf(1 - 1e-9, mean[-1]) + 1)
    root = (np.sqrt(count) * poisson.pmf(count, mean[:, None])).sum(axis=1)
    noiseless = np.square(np.interp(expected, mean, root))
    return preparation.apply(recording.assign(data=(recording["data"].dims, noiseless)))["data"].values


# -- recorded ----------------------------------------------------------------------------------------


def make_chewie(seed: int) -> Benchmark:
    """Reaches of a monkey in bins of 100 ms; the velocity of the hand."""
    recording, velocity = read_chewie(DATA)
    return _split_trials("reach_chewie", recording, velocity, "hand velocity", seed, settings={"smooth": 0.1})


def make_track(seed: int) -> Benchmark:
    """A rat on a linear track in bins of 500 ms; its position."""
    recording, position = read_track(DATA)
    return _split_blocks("linear_track", recording, position, "position", seed, gap_s=6.0, settings={"smooth": 1.0})


def make_celegans(seed: int) -> Benchmark:
    """Calcium of 59 neurons of a moving worm; where it was, and how fast it went there."""
    recording, movement = read_celegans(DATA)
    return _split_blocks("celegans", recording, movement, "velocity", seed, gap_s=5.0)


def make_video(seed: int) -> Benchmark:
    """A mouse in an open field, 64 x 64, the last fifth held out; its body parts. Seeds are those of the fits."""
    recording, parts = read_video(DATA)
    n_training = round((1 - HELD_OUT) * len(parts))
    training, held_out = (np.arange(n_training), np.arange(n_training, len(parts)))
    return _take("video", recording, parts, "body parts", seed, training, held_out)


SETS: dict[str, Callable[[int], Benchmark]] = {
    "ball": make_ball,
    "ball_radii": make_ball_of_radii,
    "lorenz": make_lorenz,
    "reach": make_reach,
    "reach_chewie": make_chewie,
    "linear_track": make_track,
    "celegans": make_celegans,
    "video": make_video,
}


# -- splits ------------------------------------------------------------------------------------------


def label_pieces(recording: xr.Dataset, length: int = PIECE) -> np.ndarray:
    """Label the frames (time,) by pieces of about `length` frames; shorter segments stay whole."""
    lengths = [frames.stop - frames.start for frames in segment_slices(recording)]
    n_pieces = [max(1, round(n / length)) for n in lengths]
    first = np.cumsum([0, *n_pieces[:-1]])
    return np.concatenate([f + np.arange(n) * k // n for f, n, k in zip(first, lengths, n_pieces, strict=True)])


def resample_segments(recording: xr.Dataset, seed: int) -> xr.Dataset:
    """Draw as many segments as there are, with replacement; long ones are cut in pieces first."""
    pieces = _relabel(recording, label_pieces(recording))
    n = pieces.sizes["segment"]
    return select_segments(pieces, np.random.default_rng(seed).integers(n, size=n))


def thin_counts(benchmark: Benchmark) -> Benchmark:
    """Give each spike to one of two halves: methods see the first, the second is what they are scored on."""
    rng = np.random.default_rng(benchmark.seed)

    def halve(recording: xr.Dataset) -> tuple[xr.Dataset, xr.Dataset]:
        counts = recording["data"].values.round().astype(np.int64)
        first = rng.binomial(counts, 0.5)
        dims, attrs = recording["data"].dims, recording["data"].attrs
        return tuple(recording.assign(data=(dims, n.astype("f4"), attrs)) for n in (first, counts - first))  # type: ignore[return-value]

    (training, _), (held_out, other) = halve(benchmark.training), halve(benchmark.held_out)
    return dataclasses.replace(
        benchmark, training=training, held_out=held_out, find_truth=lambda p: p.apply(other)["data"].values
    )


def _split_simulation(name: str, simulation: Simulation, seed: int) -> Benchmark:
    truth = simulation.truth
    split = _split_trials(name, simulation.recording, truth["latents"].values, "latents", seed)
    held_out = split.held_out
    rates = truth["rates_hz"].values[np.searchsorted(truth["time"].values, held_out["time"].values)]
    expected = rates * held_out.attrs["bin_width_s"]
    return dataclasses.replace(split, find_truth=lambda p: expect_prepared(held_out, expected, p))


def _split_trials(
    name: str,
    recording: xr.Dataset,
    target: np.ndarray,
    what: str,
    seed: int,
    *,
    share: float = HELD_OUT,
    settings: Mapping[str, Any] | None = None,
) -> Benchmark:
    marked = recording.assign(target=(("time", "variable"), target))
    split = split_recording(marked, share, seed=seed)
    if split is None:
        raise ValueError(f"{name}: nothing can be held out")
    parts = split.training, split.held_out
    targets = tuple(part["target"].values for part in parts)
    training, held_out = (part.drop_vars("target") for part in parts)
    return Benchmark(name, seed, training, held_out, targets, what, settings or {})  # type: ignore[arg-type]


def _split_blocks(
    name: str,
    recording: xr.Dataset,
    target: np.ndarray,
    what: str,
    seed: int,
    *,
    gap_s: float,
    settings: Mapping[str, Any] | None = None,
) -> Benchmark:
    """Hold out two of ten blocks, and leave `gap_s` seconds out on either side of them."""
    time = recording["time"].values
    block = np.arange(len(time)) * N_BLOCKS // len(time)
    held_out = np.isin(block % N_FOLDS, seed % N_FOLDS)
    near = np.zeros(len(time), bool)
    for edge in np.flatnonzero(np.diff(held_out)):
        near |= np.abs(time - (time[edge] + time[edge + 1]) / 2) < gap_s
    training = np.flatnonzero(~held_out & ~near)
    return _take(name, recording, target, what, seed, training, np.flatnonzero(held_out), settings)


def _take(
    name: str,
    recording: xr.Dataset,
    target: np.ndarray,
    what: str,
    seed: int,
    training: np.ndarray,
    held_out: np.ndarray,
    settings: Mapping[str, Any] | None = None,
) -> Benchmark:
    parts = []
    for frames in (training, held_out):
        part = recording.isel(time=frames)
        breaks = (np.diff(frames) > 1) | (np.diff(part["segment_index"].values) != 0)
        parts.append(_relabel(part, np.concatenate([[0], np.cumsum(breaks)])))
    return Benchmark(name, seed, parts[0], parts[1], (target[training], target[held_out]), what, settings or {})


def _relabel(recording: xr.Dataset, segment_index: np.ndarray) -> xr.Dataset:
    """Give the same frames other segments."""
    dim, *others = frame_dims(recording)
    attrs = recording.attrs
    return make_recording(
        recording["data"].values,
        recording["time"].values,
        channel_dim="channel" if others else dim,
        channel=None if others else recording[dim].values,
        segment_index=segment_index,
        units=recording["data"].attrs["units"],
        kind=attrs["kind"],
        source=attrs["source"],
        bin_width_s=attrs["bin_width_s"],
    )

"""The same questions asked of every method, on the frames that none of them has seen."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError
from ..evaluation.decoding_verdict import Chance, measure_chance
from ..metrics import SegmentSums, score_decoding_on, score_reconstruction
from ..metrics.channel_fractions import compute_loading_fractions, count_effective_channels
from ..metrics.decoding import Method as Decoder
from .methods import Encoder, Frames

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

DECODERS: dict[str, Decoder] = {"linear": "ridge", "neighbours": "neighbours"}
"""By question, how behaviour is decoded."""
CHANCE_FRAMES = 5_000  # that labels shifted in time are decoded on
DECODED_CHANNELS = 200  # of the left-out half at most, drawn: more change a pooled score by little


@dataclass(frozen=True)
class Behavior:
    """What is decoded.

    Attributes
    ----------
    training, unseen : array, shape (time, variable)
        NaN where it is not known.
    """

    training: Float[np.ndarray, "training variable"]
    unseen: Float[np.ndarray, "unseen variable"]


@dataclass(frozen=True)
class Material:
    """What all methods are fitted to and scored on.

    Attributes
    ----------
    training, unseen : Frames
    behavior : Behavior or None
    gap : int
        Frames between those that a decoder learns from and is scored on, in one segment: the reach of smoothing.
    seed : int
    channels : list
        Ids of the channels; empty for pixels, which have none.
    channel : str
        What one is called, as ``unit``.
    scale : str
        Of the channels.
    """

    training: Frames
    unseen: Frames
    behavior: Behavior | None
    gap: int
    seed: int
    channels: list[Any] = field(default_factory=list)
    channel: str = "channel"
    scale: str = ""


@dataclass(frozen=True)
class Measured:
    """What one method gave.

    Attributes
    ----------
    scores : dict of str to SegmentSums
        ``reconstruction`` (absent for a method that has no way back), ``linear`` and ``neighbours`` (of behaviour),
        ``left_out`` (channels it was not given).
    largest_channel : float
        Fraction of the squared loading of a latent that one channel has, the largest over latents. Loadings are those
        of a linear regression of the channels on the latents.
    fewest_channels : float
        Effective number of channels of the latent that has the fewest.
    found_again : float or None
        R2 of the latents of unseen frames, read linearly from those of a fit to other segments, mean of both ways.
    largest : list of (int, float)
        Of each latent the place of the channel with the largest fraction, and that fraction.
    n_latents : int
    halves : tuple of Encoder
        Fits to the two halves of the segments; empty where none were made.
    """

    scores: dict[str, SegmentSums]
    largest_channel: float
    fewest_channels: float
    found_again: float | None = None
    largest: list[tuple[int, float]] = field(default_factory=list)
    n_latents: int = 0
    halves: tuple[Encoder, ...] = ()


def measure_method(encoder: Encoder, material: Material) -> Measured:
    """Score a fitted method on unseen frames.

    Raises
    ------
    DataError
        If its latents are not finite or not one row a frame.
    """
    # decoders learn on latents of training frames alone
    seen, unseen = (encode(encoder, frames) for frames in (material.training, material.unseen))
    scores: dict[str, SegmentSums] = {}
    back = encoder.reconstruct(unseen)
    if back is not None:
        scores["reconstruction"] = score_reconstruction(
            material.unseen.x, require_finite(back, "frames that it gives back"), material.unseen.segment
        )
    # neighbours are found by distance, and a method's unit of latents is its own affair
    scale = _compute_deviation(seen)
    if material.behavior is not None:
        known = [np.isfinite(part).all(axis=1) for part in (material.behavior.training, material.behavior.unseen)]
        for name, decoder in DECODERS.items():
            scores[name] = _decode(
                (seen / scale, material.behavior.training), (unseen / scale, material.behavior.unseen),
                material, decoder, known,
            )  # fmt: skip
    # from a regression, the same for all: networks have no loadings, and those of others differ in their meaning
    fractions = compute_loading_fractions(_regress(seen / scale, material.training.x))
    # a latent that died out in training says nothing of any channel
    known_latents = np.isfinite(fractions).all(axis=0)
    if not known_latents.any():
        raise DataError("its latents say nothing linear of any channel", fix="leave it out")
    fractions = fractions[:, known_latents]
    largest = [(int(column.argmax()), float(column.max())) for column in fractions.T]
    fewest = float(np.min(count_effective_channels(fractions)))
    return Measured(scores, float(fractions.max()), fewest, largest=largest, n_latents=seen.shape[1])


def measure_decoding_chance(
    encoder: Encoder, material: Material, scores: Mapping[str, SegmentSums]
) -> dict[str, Chance]:
    """Decode behaviour that was rotated in time against the latents: what a decoder gives by chance.

    Parameters
    ----------
    encoder : Encoder
    material : Material
    scores : mapping of str to SegmentSums
        Those of the behaviour itself, by question.

    Returns
    -------
    dict of str to Chance
        By question; empty where no behaviour is decoded.
    """
    behavior = material.behavior
    if behavior is None:
        return {}
    parts = []
    for frames, target in ((material.training, behavior.training), (material.unseen, behavior.unseen)):
        known = np.flatnonzero(np.isfinite(target).all(axis=1))
        # evenly, so that slow behaviour keeps its autocorrelation
        some = known[:: max(1, 2 * len(known) // CHANCE_FRAMES)]
        parts.append((encode(encoder, frames)[some], target[some], some))
    (z, y, learned), (test_z, test_y, scored) = parts
    scale, rows = _compute_deviation(z), [np.ones(len(part), bool) for part in (y, test_y)]
    thin = replace(
        material, training=take_frames(material.training, learned), unseen=take_frames(material.unseen, scored),
        gap=material.gap // max(1, int(np.median(np.diff(learned)))),
    )  # fmt: skip

    def decode(target: Float[np.ndarray, "frame variable"], decoder: Decoder) -> float:
        first, second = (z / scale, target[: len(y)]), (test_z / scale, target[len(y) :])
        return _decode(first, second, thin, decoder, rows).value

    every = np.concatenate([y, test_y])
    return {
        name: measure_chance(partial(decode, decoder=decoder), every, scores[name].value, seed=material.seed)
        for name, decoder in DECODERS.items()
        if name in scores
    }


def encode(encoder: Encoder, frames: Frames) -> Float[np.ndarray, "time latent"]:
    """Encode frames and refuse what is no latents.

    Raises
    ------
    DataError
        If they are not finite or not one row a frame.
    """
    latents = np.asarray(encoder.encode(frames), np.float64)
    if latents.ndim != 2 or len(latents) != len(frames.x):
        raise DataError(f"its latents have shape {latents.shape} for {len(frames.x)} frames", fix="give (time, latent)")
    return require_finite(latents, "latents")


def require_finite(values: Float[np.ndarray, "*any"], what: str) -> Float[np.ndarray, "*any"]:
    """Refuse values that are not finite."""
    if not np.isfinite(values).all():
        raise DataError(f"its {what} are not finite", fix="leave it out")
    return values


def score_left_out(
    fit: Callable[[Frames], Encoder], material: Material, given: Bool[np.ndarray, " channel"]
) -> SegmentSums:
    """Fit a method to some channels and predict the others from its latents (co-smoothing).

    Parameters
    ----------
    fit : callable
        From frames of the given channels to a fitted method.
    material : Material
    given : array of bool, shape (channel,)
        Channels that it is fitted to; some of the others are predicted linearly, by ridge regression.

    Returns
    -------
    SegmentSums
        R2 pooled over the predicted channels, of prepared values.

    References
    ----------
    Pei et al., "Neural Latents Benchmark '21", NeurIPS 2021 Datasets and Benchmarks, section 3.
    """
    rng = np.random.default_rng([material.seed, len(given)])
    others = np.flatnonzero(~given)
    others = np.sort(rng.permutation(others)[:DECODED_CHANNELS])
    # taken off before the fit, so that its latents cannot know the channels to be predicted (co-smoothing)
    parts = [take_channels(frames, given) for frames in (material.training, material.unseen)]
    encoder = fit(parts[0])
    latents = [encode(encoder, part) for part in parts]
    scale = _compute_deviation(latents[0])
    targets = [frames.x[:, others] for frames in (material.training, material.unseen)]
    # every frame: unlike behaviour, channels are known throughout
    known = [np.ones(len(target), bool) for target in targets]
    return _decode((latents[0] / scale, targets[0]), (latents[1] / scale, targets[1]), material, "ridge", known)


def measure_found_again(first: Encoder, second: Encoder, material: Material) -> float:
    """Compare the latents of two fits to different segments, on unseen frames: R2 of a linear map, mean of both ways.

    Planes and rotations count as the same: what is asked is whether the same space was found.
    """
    # read on all frames by both fits, of which each has seen half
    codes = [
        [encode(encoder, frames) for frames in (material.training, material.unseen)] for encoder in (first, second)
    ]
    values = []
    for a, b in ((0, 1), (1, 0)):
        scale = _compute_deviation(codes[b][0])  # each latent of the target counts alike
        target = [part / scale for part in codes[b]]
        known = [np.ones(len(part), bool) for part in target]
        values.append(_decode((codes[a][0], target[0]), (codes[a][1], target[1]), material, "ridge", known).value)
    return float(np.mean(values))


def take_channels(frames: Frames, given: Bool[np.ndarray, " channel"]) -> Frames:
    """Keep some channels of frames."""
    counts = None if frames.counts is None else frames.counts[:, given]
    return Frames(frames.x[:, given], frames.segment, counts, frames.step_s)


def take_frames(frames: Frames, kept: Bool[np.ndarray, " time"] | Int[np.ndarray, " kept"]) -> Frames:
    """Keep some frames: whole segments or blocks of them, or frames by their places."""
    counts = None if frames.counts is None else frames.counts[kept]
    return Frames(frames.x[kept], frames.segment[kept], counts, frames.step_s)


def time_call(function: Callable[[], Any]) -> tuple[Any, float]:
    """Call a function without its library's warnings; return its value and the seconds."""
    started = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of libraries that the user did not call
        value = function()
    return value, time.perf_counter() - started


def _decode(
    learned: tuple[np.ndarray, np.ndarray],
    scored: tuple[np.ndarray, np.ndarray],
    material: Material,
    decoder: Decoder,
    known: list[np.ndarray],
) -> SegmentSums:
    (z, y), (test_z, test_y) = learned, scored
    return score_decoding_on(
        z[known[0]], y[known[0]], material.training.segment[known[0]],
        test_z[known[1]], test_y[known[1]], material.unseen.segment[known[1]],
        method=decoder, gap=material.gap, seed=material.seed,
    )  # fmt: skip


def _compute_deviation(latents: Float[np.ndarray, "time latent"]) -> Float[np.ndarray, " latent"]:
    """Standard deviation of each latent, by which distances are alike for all methods; 1 for a constant one."""
    deviation = latents.std(axis=0)
    return np.asarray(np.where(deviation > 0, deviation, 1.0))


def _regress(
    latents: Float[np.ndarray, "time latent"], x: Float[np.ndarray, "time channel"]
) -> Float[np.ndarray, "channel latent"]:
    """Weights of a linear regression of channels on latents: loadings of a method that has none of its own."""
    centred = latents - latents.mean(axis=0)
    # least squares of minimal norm: latents that repeat each other divide a channel among them
    return np.asarray(np.linalg.lstsq(centred, x - x.mean(axis=0, dtype=np.float64), rcond=None)[0].T)

"""Whether latents are invented: can fits to other segments decode them, and do they earn their place with few segments.

A fit may hold, beside what channels have in common, dynamics of its own making: they predict left-out channels no
worse, and no score of that fit alone shows them. Other fits do not have them, so that these cannot decode them, and a
readout that is learned on few segments is better without them (Dabholkar and Barak 2025).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from ..data.records import Invented, LatentEvidence
from ..estimator.fitted import FittedModel, PreparedFrames
from ..metrics import FewShot, bootstrap_over_segments, score_cross_decoding, score_few_shot
from ..metrics.few_shot import N_DRAWS
from ..metrics.segment_sums import SegmentSums, divide_frames
from .shared_signal import TRAINING_FRAMES, UNSEEN_FRAMES, HiddenChannels, SampledFrames, hide_channels

if TYPE_CHECKING:
    from jaxtyping import Float, Int

MOST = 0.75  # of the R2 with all training segments: so much a readout that was learned on few of them is to give
FEWEST_GROUPS = 4  # of training


@dataclass(frozen=True)
class RunLatents:
    """Latents of one fit on the sampled training and unseen frames, which are the same for all fits.

    Attributes
    ----------
    training, unseen : array, shapes (frame, latent)
    """

    training: Float[np.ndarray, "frame latent"]
    unseen: Float[np.ndarray, "time latent"]


Encode = Callable[[PreparedFrames], "Float[np.ndarray, 'frame dim']"]


def read_latents(
    fitted: FittedModel, training: xr.Dataset, unseen: xr.Dataset, encode: Encode | None = None
) -> RunLatents:
    """Prepare two recordings as a fit does, and encode some of their frames, by its own encoder or a given one."""
    return sample_latents((fitted.prepare(training), fitted.prepare(unseen)), encode or fitted.encode)


def sample_latents(frames: tuple[PreparedFrames, PreparedFrames], encode: Encode) -> RunLatents:
    """Encode some of the training and of the unseen frames, the same for every encoder."""
    sizes = (TRAINING_FRAMES, UNSEEN_FRAMES)
    sampled = (SampledFrames.of(part, n).as_frames() for part, n in zip(frames, sizes, strict=True))
    return RunLatents(*map(encode, sampled))


def measure_invented(
    fitted: FittedModel, training: xr.Dataset, unseen: xr.Dataset, runs: Sequence[RunLatents]
) -> Invented:
    """Cross-decode a fit's latents and those of its refits, and score few-shot co-smoothing with and without each.

    Parameters
    ----------
    fitted : FittedModel
    training, unseen : xarray.Dataset
    runs : sequence of RunLatents
        `read_latents` of the fit itself, then of one or more fits to resampled segments.

    Returns
    -------
    Invented
    """
    if fitted.pixels is not None:
        return {"not_measured": "pixels are no channels: neighbours are alike"}
    try:
        frames = (fitted.prepare(training), fitted.prepare(unseen))
        return judge_latents(frames, fitted.encode, fitted.mean, runs, seed=fitted.config.train.seed)
    except ValueError as error:  # the fits must not be lost for it
        return {"not_measured": str(error)}


def judge_latents(
    frames: tuple[PreparedFrames, PreparedFrames],
    encode: Encode,
    mean: Float[np.ndarray, " channel"],
    runs: Sequence[RunLatents],
    *,
    seed: int,
) -> Invented:
    """Do what `measure_invented` does for any encoder.

    Parameters
    ----------
    frames : (PreparedFrames, PreparedFrames)
        Training and unseen.
    encode : callable
        From frames to latents; it sees the mean of a hidden channel in its place.
    mean : array, shape (channel,)
    runs : sequence of RunLatents
    seed : int
    """
    hidden = hide_channels(*frames, seed=seed)
    if isinstance(hidden, str):
        return {"not_measured": hidden}
    training, unseen = hidden.sampled
    groups = divide_frames(training.segment)
    if groups.n < FEWEST_GROUPS:
        return {"not_measured": f"{groups.n} training {groups.over} are too few to draw a few of them"}
    ours = _cross_decode(runs, unseen.segment, [(0, i) for i in range(1, len(runs))])
    theirs = _cross_decode(runs, unseen.segment, [(i, 0) for i in range(1, len(runs))])
    few = _score_few(hidden, encode, mean, groups.n, seed)
    latents: list[LatentEvidence] = []
    for i, (decoded, gain) in enumerate(zip(ours, few.gains, strict=True), 1):
        one, other = (bootstrap_over_segments(sums, seed=seed) for sums in (decoded, gain))
        latents.append(
            {
                "latent": i, "decoded": one.value, "decoded_low": one.low, "decoded_high": one.high,
                "gain": other.value, "gain_low": other.low, "gain_high": other.high,
            }
        )  # fmt: skip
    return {
        "fits": len(runs),
        "latents": latents,
        "theirs": [sums.value for sums in theirs],
        "few_shot_r2": few.score.value,
        "few": few.n_few,
        "of": few.n_of,
        "over": groups.over,
        "n": len(few.total),
        "unseen_over": few.over,
    }


def _cross_decode(
    runs: Sequence[RunLatents], segment: Int[np.ndarray, " time"], pairs: Sequence[tuple[int, int]]
) -> list[SegmentSums]:
    """R2 of each latent of the first run of a pair from the second's, sums over all pairs."""
    found = [
        score_cross_decoding(runs[b].training, runs[a].training, runs[b].unseen, runs[a].unseen, segment)
        for a, b in pairs
    ]
    return [
        SegmentSums(np.sum([one.part for one in of], axis=0), np.sum([one.whole for one in of], axis=0), of[0].over)
        for of in zip(*found, strict=True)
    ]


def _score_few(
    hidden: HiddenChannels, encode: Encode, mean: Float[np.ndarray, " channel"], n_groups: int, seed: int
) -> FewShot:
    """Score with as few segments as still give most of what all of them do."""
    training, unseen = hidden.sampled
    read = [(encode(training.hide(fold, mean)), encode(unseen.hide(fold, mean))) for fold in hidden.folds]

    def score(n_few: int, *, each: bool) -> FewShot:
        parts = (
            score_few_shot(
                z, hidden.targets[0][:, fold], training.segment, test, hidden.targets[1][:, fold], unseen.segment,
                n_few=n_few, n_draws=1 if n_few == n_groups else N_DRAWS, each=each, seed=seed,
            )
            for fold, (z, test) in zip(hidden.folds, read, strict=True)
        )  # fmt: skip
        return reduce(add, parts)

    most = score(n_groups, each=False).score.value
    # by a third more each time; with too few every latent is a loss, real or not, where signals are slow or weak
    numbers = np.unique(np.append(np.round(1.33 ** np.arange(30)), n_groups).astype(int))
    enough = (n for n in numbers[numbers < n_groups] if most > 0 and score(n, each=False).score.value >= MOST * most)
    return score(int(next(enough, n_groups)), each=True)

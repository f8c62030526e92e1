"""Whether a trained encoder is worth its name: beside PCA's latents, on frames that neither has learned from.

Of counts the encoder is trained in any case, and held-out frames may choose its start, which is PCA's. Of other values
PCA's latents are often the best that there are, so that an encoder has to show on held-out frames that it is better.
"""

from __future__ import annotations

import dataclasses
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Self, cast

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from ..config import FitConfig
from ..config.presets import configure_encoder
from ..data.records import EncoderChoice
from ..errors import TrainingError
from ..metrics import SegmentSums, compare_paired, score_reconstruction
from ..metrics.decoding import decode_linearly
from ..model.precision import multiply_in
from ..model.training import FrameTable
from ..model.training.checkpoint import name_runs
from .side_by_side import is_worth_a_thread, run_beside
from .train_stages import ChosenPart, FrameGroups, Runs, Start, Training

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from ..data.records import Gain

FRAMES_AT_ONCE, NUMBERS_AT_ONCE = 8192, 2**24  # encoded at a time
MOST_FRAMES = 8_000  # that a readout learns on, and that are held out
FEWEST_CHANNELS, N_FOLDS = 5, 5


@dataclass(frozen=True)
class Candidate:
    """A model whose encoder and u were trained as far as their steps are chosen, and by what settings."""

    training: Training
    start: Start
    part: ChosenPart

    @classmethod
    def train(cls, training: Training, start: Start, groups: FrameGroups, run: Runs) -> Self:
        """Train the first parts of the model of `start`."""
        return cls(training, start, training.choose_first(start, groups, run))

    def interrupt(self) -> Self:
        """Return it as one whose training was interrupted."""
        part = dataclasses.replace(self.part, trained=dataclasses.replace(self.part.trained, interrupted=True))
        return dataclasses.replace(self, part=part)

    @torch.no_grad()
    @multiply_in("float32")
    def score_reconstruction(self, test: HeldOutFrames) -> SegmentSums:
        """Score held-out frames that are reconstructed from as many latents as were asked for."""
        latents = self._encode(self._table, test.rows)
        parts = [self.start.model.reconstruct(part).cpu() for part in torch.split(latents, FRAMES_AT_ONCE)]
        return score_reconstruction(test.take(self._table), torch.cat(parts).numpy(), test.segment)

    @torch.no_grad()
    @multiply_in("float32")
    def score_left_out(self, test: HeldOutFrames, seed: int) -> SegmentSums:
        """Score channels of held-out frames that are hidden from the encoder, a fifth of them at a time.

        A linear readout of the latents, learned on training frames whose channels are hidden alike, predicts them:
        what is reconstructed of a channel's own noise counts for nothing.
        """
        table = self._table
        learned, unseen = (table.take(rows).cpu().numpy() for rows in (test.learned, test.rows))
        deviation = learned.std(axis=0, dtype=np.float64)
        folds = np.array_split(np.random.default_rng(seed).permutation(np.flatnonzero(deviation > 0)), N_FOLDS)
        predicted = []
        for fold in folds:
            seen, tried = (self._encode(table, rows, fold).cpu().numpy() for rows in (test.learned, test.rows))
            predicted.append(decode_linearly(seen, learned[:, fold] / deviation[fold], tried))
        every = np.concatenate(folds)
        return score_reconstruction(
            unseen[:, every] / deviation[every], np.concatenate(predicted, axis=1), test.segment
        )

    @property
    def _table(self) -> FrameTable:
        """All frames, with windows that end where held-out ones do."""
        return self.part.judged or self.start.table

    def _encode(self, table: FrameTable, rows: Tensor, hidden: Int[np.ndarray, " _hidden"] | None = None) -> Tensor:
        """Latents of some frames, with the mean in place of the channels that are `hidden`."""
        coupling, rows = self.start.model.coupling, rows.to(table.device)
        window, dim = coupling.encoder.window, self.training.config.model.dim

        def encode(part: Tensor) -> Tensor:
            seen = table.surround(part, window)
            if hidden is not None:  # in the windows alone: a copy of all frames takes as much memory again
                seen[..., hidden] = coupling.mean[hidden]
            return coupling.encode(seen)[:, :dim]

        # windows of thousands of channels would take more memory than all else
        at_once = min(FRAMES_AT_ONCE, max(1, NUMBERS_AT_ONCE // ((2 * window + 1) * table.x.shape[1])))
        return torch.cat([encode(part) for part in torch.split(rows, at_once)])


@dataclass(frozen=True)
class HeldOutFrames:
    """Frames by their places in a table: some to learn a readout on, and held-out ones with their segments."""

    learned: Tensor
    rows: Tensor
    segment: Int[np.ndarray, " held_out"]

    @classmethod
    def of(cls, groups: FrameGroups, held_out: xr.Dataset) -> Self:
        """Take evenly spaced ones, where there are many."""
        learned, rows = (each[:: max(1, len(each) // MOST_FRAMES)] for each in (groups.training, groups.held_out))
        segment = held_out["segment_index"].values[:: max(1, len(groups.held_out) // MOST_FRAMES)]
        return cls(torch.from_numpy(learned), torch.from_numpy(rows), segment)

    def take(self, table: FrameTable) -> Float[np.ndarray, "held_out channel"]:
        """Take the held-out frames of a table."""
        return np.asarray(table.take(self.rows).cpu().numpy())


def settle_encoder(config: FitConfig, warm: FitConfig | None) -> FitConfig:
    """Return the settings for a fit that starts from another one: whether its encoder was trained is settled there."""
    tried = configure_encoder(config)
    if warm is None or tried is None:
        return config
    return close_choice(tried if warm.model.train_encoder_with_flows else config)


def close_choice(config: FitConfig) -> FitConfig:
    """Return settings by which a fit to other frames has the same encoder, and chooses none."""
    return dataclasses.replace(config, train=dataclasses.replace(config.train, try_encoder=False))


def choose_encoder(
    training: Training, start: Start, groups: FrameGroups, held_out: xr.Dataset
) -> tuple[Candidate, EncoderChoice]:
    """Train u on PCA's latents, and an encoder with u, and keep the encoder where it is better on held-out frames.

    It is better if it reconstructs them better, or predicts channels that are hidden from it better, and the other of
    the two not worse: with 95 % over held-out segments. Where most of the data is noise of single channels, as in
    calcium, the first says little of what channels have in common.

    Parameters
    ----------
    training, start : Training, Start
        Under settings that leave the latents at PCA's.
    groups : FrameGroups
        Training and held-out frames, further apart than the windows of both encoders.
    held_out : xarray.Dataset
        The recording of the held-out frames, whose segments the interval is over.

    Returns
    -------
    Candidate
        For `nwb_dcf.estimator.train_stages.Training.learn` to go on from.
    EncoderChoice
    """
    tried = configure_encoder(training.config)
    if tried is None:
        with name_runs() as run:
            return Candidate.train(training, start, groups, run), {"trained": False, "why": "no encoder was trained"}
    own, rival = _train_both(training, tried, start, groups)
    if isinstance(rival, TrainingError):  # PCA's latents are still there
        return own, {"trained": False, "why": f"the encoder could not be trained: {rival.what}"}
    if rival is None:
        return own, {"trained": False, "why": "no encoder was trained"}
    # half of its steps would be judged
    if rival.part.trained.interrupted:
        return own.interrupt(), {"trained": False, "why": "training of the encoder was interrupted"}
    test, seed = HeldOutFrames.of(groups, held_out), training.config.train.seed
    scores = {"reconstruction": [one.score_reconstruction(test) for one in (rival, own)]}
    if len(start.prepared["data"][0]) >= FEWEST_CHANNELS:
        scores["left_out"] = [one.score_left_out(test, seed) for one in (rival, own)]
    gains = {name: compare_paired(*pair, seed=seed) for name, pair in scores.items()}
    if not all(np.isfinite(gain.value) for gain in gains.values()):
        return own, {"trained": False, "why": "the held-out frames do not vary"}
    # whole intervals: a gain that is not shown is no reason to leave latents that are known in closed form
    better = any(gain.is_above() for gain in gains.values()) and not any(gain.is_below() for gain in gains.values())
    # before its first step the encoder is PCA's
    better = better and rival.part.trained.best_step["u"] > 0
    return (rival if better else own), {
        "trained": better,
        "gains": {name: cast("Gain", asdict(one)) for name, one in gains.items()},
    }


def _train_both(
    training: Training, tried: FitConfig, start: Start, groups: FrameGroups
) -> tuple[Candidate, Candidate | TrainingError | None]:
    """Train u on PCA's latents and an encoder with u, side by side where a core is free: the same two to the bit.

    The second is None where the first was interrupted, and the error where it could not be trained.
    """
    # runs are numbered here, in one order, whichever is first to train
    with name_runs() as first, name_runs() as second:

        def try_encoder(other: Training) -> Candidate:
            return Candidate.train(other, other.start(start.prepared), groups, second)

        other = dataclasses.replace(training, config=tried)
        if not is_worth_a_thread(start.model, tried.train.precision, start.table.x.numel()):
            own = Candidate.train(training, start, groups, first)
            if own.part.trained.interrupted:
                return own, None
            try:
                return own, try_encoder(other)
            except TrainingError as error:
                return own, error
        with run_beside(lambda listen: try_encoder(dataclasses.replace(other, progress=listen))) as beside:
            own = Candidate.train(training, start, groups, first)
            if own.part.trained.interrupted:
                return own, None
            try:
                rival = beside.result()
            except TrainingError as error:
                return own, error
            except KeyboardInterrupt:
                if not training.keep_partial:
                    raise
                return own.interrupt(), None
        # what the encoder goes on with reports its progress
        return own, dataclasses.replace(rival, training=other)

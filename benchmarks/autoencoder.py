"""An autoencoder and a variational one, as wide and deep as DCF's own networks, trained with the same care.

The step is chosen on a fifth of the training segments, then all are used for that many steps, as DCF does. Rate and
dropout were chosen on held-out trials of `reach_chewie` and the Lorenz simulation, seeds 0 and 1. What a user would
pick instead is wider, has no fixed end and stops when nothing gets better.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

WIDTH, DEPTH = 128, 3
BATCH, RATE, WEIGHT_DECAY, CLIP = 256, 1e-3, 0.01, 1.0
CHECK_EVERY = 20  # steps between two looks at the held-out segments
HELD_OUT = 0.2
PIECES = 10  # that a recording of few segments is cut in, to hold some out


@dataclass(frozen=True)
class Plan:
    """How to train: latents, kind, share of inputs that the encoder does not see in training, seed, steps.

    `patience` is the number of steps without a better look at the held-out segments after which the choice of the step
    ends: all `steps` by default.
    """

    dim: int
    variational: bool
    dropout: float
    seed: int
    steps: int
    width: int = WIDTH
    depth: int = DEPTH
    patience: int | None = None


class Autoencoder(nn.Module):
    """Frames to `dim` numbers and back; `variational` ones encode a mean and a log variance."""

    def __init__(self, n_inputs: int, n_outputs: int, plan: Plan) -> None:
        super().__init__()
        self.plan = plan
        self.encoder = _make_mlp(n_inputs, (1 + plan.variational) * plan.dim, plan)
        self.decoder = _make_mlp(plan.dim, n_outputs, plan)

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x)[:, : self.plan.dim]

    def measure_loss(self, x: Tensor, target: Tensor, noise: Tensor | None) -> Tensor:
        """Squared error of a frame; a VAE's bound in training, its decoder's variance at its optimum.

        `noise`, shape (n, dim), is None outside training: nothing is left out or drawn then.

        Reference: Rybkin, Daniilidis, Levine, "Simple and effective VAE training with calibrated decoders", ICML 2021.
        """
        dim = self.plan.dim
        code = self.encoder(nn.functional.dropout(x, self.plan.dropout, noise is not None))
        if not self.plan.variational or noise is None:
            return (self.decoder(code[:, :dim]) - target).square().mean()
        mean, log_variance = code[:, :dim], code[:, dim:].clamp(-10, 10)
        error = (self.decoder(mean + (0.5 * log_variance).exp() * noise) - target).square().mean()
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1).mean()
        return 0.5 * error.log() + divergence / target.shape[1]


def train_autoencoder(inputs: Tensor, targets: Tensor, segment: np.ndarray, plan: Plan) -> tuple[Autoencoder, int]:
    """Choose the step on held-out segments, refit to all for that many; return the network and samples shown."""
    held_out = torch.as_tensor(draw_held_out(segment, plan.seed))
    _, best, taken = _train(inputs, targets, ~held_out, held_out, plan, plan.steps)
    net, *_ = _train(inputs, targets, torch.ones_like(held_out), None, plan, best)
    return net, (taken + best) * BATCH


def draw_held_out(segment: np.ndarray, seed: int) -> np.ndarray:
    """Draw a fifth of the segments, or of ten pieces where there are few; True for each frame held out."""
    n_segments = int(segment[-1]) + 1
    piece = segment if n_segments >= 5 else np.arange(len(segment)) * PIECES // len(segment)
    ids = np.unique(piece)
    drawn = np.random.default_rng(seed).permutation(ids)[: max(1, round(HELD_OUT * len(ids)))]
    return np.isin(piece, drawn)


def _train(
    inputs: Tensor, targets: Tensor, seen: Tensor, held_out: Tensor | None, plan: Plan, stop: int
) -> tuple[Autoencoder, int, int]:
    """Run `stop` steps of the schedule; return the network, the best step on `held_out` and how many were taken."""
    generator = torch.Generator().manual_seed(plan.seed)
    with torch.random.fork_rng():  # initial weights come from torch's global generator
        torch.manual_seed(plan.seed)
        net = Autoencoder(inputs.shape[1], targets.shape[1], plan)
        optimiser = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=WEIGHT_DECAY)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, plan.steps)
        frames = torch.nonzero(seen)[:, 0]
        best_step, best_loss = 1, float("inf")
        for step in range(1, stop + 1):
            batch = frames[torch.randint(len(frames), (BATCH,), generator=generator)]
            noise = torch.randn(BATCH, plan.dim, generator=generator)
            loss = net.measure_loss(inputs[batch], targets[batch], noise)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), CLIP)
            optimiser.step()
            schedule.step()
            if held_out is not None and (step % CHECK_EVERY == 0 or step == stop):
                with torch.no_grad():
                    error = float(net.measure_loss(inputs[held_out], targets[held_out], None))
                if error < best_loss:
                    best_step, best_loss = step, error
                elif plan.patience and step - best_step >= plan.patience:
                    break
    return net, best_step, step


def _make_mlp(n_inputs: int, n_outputs: int, plan: Plan) -> nn.Sequential:
    sizes = [n_inputs, *[plan.width] * plan.depth]
    layers = [part for a, b in zip(sizes[:-1], sizes[1:], strict=True) for part in (nn.Linear(a, b), nn.SiLU())]
    return nn.Sequential(*layers, nn.Linear(plan.width, n_outputs))

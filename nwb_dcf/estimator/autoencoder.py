"""An autoencoder and a variational one with DCF's own sizes, for comparison on the same frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
from torch import Tensor, nn

from ..metrics.segment_sums import divide_frames
from ..model.precision import multiply_in

if TYPE_CHECKING:
    from jaxtyping import Float, Int

WIDTH, DEPTH = 128, 3
BATCH_SIZE, LEARNING_RATE, WEIGHT_DECAY, MAX_GRAD_NORM = 256, 1e-3, 0.01, 1.0
DROPOUT = 0.2  # of inputs in training: without it small sessions are learned by heart
HELD_OUT = 0.2  # of the segments, on which the number of steps is chosen
CHECK_EVERY = 20  # steps between two looks at them


class Autoencoder:
    """Frames to `dim` numbers and back through two perceptrons, trained as DCF's networks are.

    The number of steps is chosen on a fifth of the training segments; then all are used for that many.

    Parameters
    ----------
    dim : int
        Number of latents.
    variational : bool
        Whether the encoder gives a mean and a variance.
    steps : int
        Optimiser steps at most.
    seed : int

    References
    ----------
    The variational loss has the decoder's variance at its optimum: Rybkin, Daniilidis and Levine, "Simple and effective
    VAE training with calibrated decoders", ICML 2021.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=(300, 5)).astype(np.float32)
    >>> Autoencoder(2, steps=20).fit(x, np.arange(300) // 30).transform(x).shape
    (300, 2)
    """

    def __init__(self, dim: int, *, variational: bool = False, steps: int = 2_000, seed: int = 0) -> None:
        self.dim, self.variational, self.steps, self.seed = dim, variational, steps, seed

    def fit(
        self,
        x: Float[np.ndarray, "time channel"],
        segment: Int[np.ndarray, " time"],
        *,
        report: Callable[[int, int], None] | None = None,
    ) -> Self:
        """Train on frames; those of one segment lie together.

        `report` is called every few steps with the step and the steps in all, those of both trainings.
        """
        self.mean_ = x.mean(axis=0, dtype=np.float64)
        # one scale for all channels, so that their variances weigh as they do in PCA
        self.scale_ = float(np.sqrt(x.var(axis=0, dtype=np.float64).mean())) or 1.0
        frames = self._scale(x)
        division = divide_frames(segment)
        parts = np.random.default_rng(self.seed).permutation(division.n)
        held_out = torch.as_tensor(np.isin(division.index, parts[: max(1, round(HELD_OUT * division.n))]))
        tell = report or (lambda step, steps: None)
        searched = self._train(frames, ~held_out, held_out, self.steps, lambda step: tell(step, 2 * self.steps))
        self.best_step_ = best = searched[1]
        # the second training is as long as the search found best, and only now is that known
        every = torch.ones_like(held_out)
        self.net_ = self._train(frames, every, None, best, lambda step: tell(self.steps + step, self.steps + best))[0]
        return self

    @multiply_in("float32")
    @torch.no_grad()
    def transform(self, x: Float[np.ndarray, "time channel"]) -> Float[np.ndarray, "time latent"]:
        """Encode frames; the mean of a variational one."""
        return np.asarray(self.net_.encode(self._scale(x))[0].numpy())

    @multiply_in("float32")
    @torch.no_grad()
    def inverse_transform(self, latents: Float[np.ndarray, "time latent"]) -> Float[np.ndarray, "time channel"]:
        """Decode latents to frames."""
        decoded = self.net_.decoder(torch.as_tensor(latents, dtype=torch.float32)).numpy()
        return np.asarray(decoded * self.scale_ + self.mean_)

    def _scale(self, x: Float[np.ndarray, "time channel"]) -> Tensor:
        return torch.as_tensor((x - self.mean_) / self.scale_, dtype=torch.float32)

    @multiply_in("float32")
    def _train(
        self, frames: Tensor, seen: Tensor, held_out: Tensor | None, stop: int, tell: Callable[[int], None]
    ) -> tuple[_Network, int]:
        """Take `stop` steps of the schedule; return the network and the best step on `held_out`."""
        generator = torch.Generator().manual_seed(self.seed)
        with torch.random.fork_rng(devices=[]):  # initial weights come from torch's global generator
            torch.manual_seed(self.seed)
            net = _Network(frames.shape[1], self.dim, self.variational)
        optimizer = torch.optim.AdamW(net.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.steps)
        best_step, best_loss = stop, float("inf")
        for step, batch in enumerate(self._draw_batches(frames[seen], stop, generator), start=1):
            loss = net.measure_loss(batch, generator)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(net.parameters(), MAX_GRAD_NORM)
            optimizer.step()
            schedule.step()
            if step % CHECK_EVERY == 0 or step == stop:
                tell(step)
            if held_out is not None and (step % CHECK_EVERY == 0 or step == stop):
                with torch.no_grad():
                    error = float(net.measure_loss(frames[held_out], None))
                if error < best_loss:
                    best_step, best_loss = step, error
        return net, best_step

    @staticmethod
    def _draw_batches(frames: Tensor, n: int, generator: torch.Generator) -> Iterator[Tensor]:
        for _ in range(n):
            yield frames[torch.randint(len(frames), (BATCH_SIZE,), generator=generator)]


class _Network(nn.Module):
    def __init__(self, n_channels: int, dim: int, variational: bool) -> None:
        super().__init__()
        self.dim, self.variational = dim, variational
        self.encoder = _make_mlp(n_channels, (1 + variational) * dim)
        self.decoder = _make_mlp(dim, n_channels)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log variance; the latter is empty where nothing is variational."""
        moments = self.encoder(x)
        return moments[:, : self.dim], moments[:, self.dim :].clamp(-10, 10)

    def measure_loss(self, x: Tensor, generator: torch.Generator | None) -> Tensor:
        """Squared error; in training, which has a generator, a VAE's bound."""
        if generator is None:
            error: Tensor = (self.decoder(self.encode(x)[0]) - x).square().mean()
            return error
        kept = torch.rand(x.shape, generator=generator) >= DROPOUT
        mean, log_variance = self.encode(x * kept / (1 - DROPOUT))
        if not self.variational:
            error = (self.decoder(mean) - x).square().mean()
            return error
        noise = torch.randn(mean.shape, generator=generator)
        error = (self.decoder(mean + (0.5 * log_variance).exp() * noise) - x).square().mean()
        divergence: Tensor = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1).mean()
        return 0.5 * error.log() + divergence / x.shape[1]


def _make_mlp(n_inputs: int, n_outputs: int) -> nn.Sequential:
    sizes = [n_inputs, *[WIDTH] * DEPTH]
    layers = [part for a, b in zip(sizes[:-1], sizes[1:], strict=True) for part in (nn.Linear(a, b), nn.SiLU())]
    return nn.Sequential(*layers, nn.Linear(WIDTH, n_outputs))

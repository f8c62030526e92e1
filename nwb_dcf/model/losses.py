"""The named losses (paper equations 5 to 8), each a mean over samples and channels.

Dividing the paper's squared norms by D leaves their balance as it is and makes figures comparable
between recordings.
"""

from __future__ import annotations

from torch import Tensor, nn


def compression_loss(
    u: Tensor, target: Tensor, weight: Tensor | None = None, importance: Tensor | None = None
) -> Tensor:
    """L_cf = E || u(x^(tau), tau) - (x1 - x0) ||^2 / D; u, target (n, D), weight (n,), alike by default.

    `importance` (n,) multiplies a sample's error beside its weight in the mean.
    """
    if importance is None:
        return _average_square(u, target, weight)
    # importance stays out of the denominator: it rescales gradients, not the mean's number of samples
    errors = (u - target).square().mean(-1) * importance
    return errors.mean() if weight is None else _weigh(errors, weight)


def dynamics_loss(v: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """L_df = E || v(x_t^(tau), tau, s, history) - (x_{k+1} - x_k) / dt ||^2 / D."""
    return _average_square(v, target, weight)


def alignment_loss(x: Tensor, x0: Tensor, weight: Tensor | None = None) -> Tensor:
    """L_align = E || x1 - x^(0,K) ||^2 / D, x0 being the endpoint of the masked latents."""
    return _average_square(x, x0, weight)


def context_loss(guess: Tensor, target: Tensor, inside: Tensor, n_channels: int) -> Tensor:
    """L_context = E || x_{k+j} - head_j(mu(x_k)) ||^2 / D over the frames j around; not in the paper.

    `guess`, `target` (n, j, axis), `inside` (n, j) is 0 where the segment ends before.
    """
    return _weigh((guess - target).square().sum(-1) / n_channels, inside)


def _average_square(guess: Tensor, target: Tensor, weight: Tensor | None) -> Tensor:
    if weight is None:
        # a fused kernel; the same mean over samples and channels
        return nn.functional.mse_loss(guess, target)
    return _weigh((guess - target).square().mean(-1), weight)


def _weigh(per_sample: Tensor, weight: Tensor) -> Tensor:
    # Chunks may hold no pair at all; the loss of such a batch is 0, not 0 / 0.
    return (per_sample * weight).sum() / weight.sum().clamp(min=1e-12)

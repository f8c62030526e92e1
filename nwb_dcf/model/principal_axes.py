"""The principal axes of the frames, at which the coupling begins (optimum of L_align, Rippel et al. 2014)."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

EXACT_SIZE = 1024  # above it the principal axes come from a randomised decomposition
MOST_AXES = 512
POWER_ITERATIONS = 4
BLOCK_NUMBERS = 2**22  # of frames that are decomposed: 32 MB


@dataclass(frozen=True)
class PrincipalAxes:
    """Principal axes of the training frames, largest variance first.

    Attributes
    ----------
    mean : Tensor, shape (D,)
    axes : Tensor, shape (D, n)
        Orthonormal columns; each sign makes its largest entry positive.
    variance : Tensor, shape (n,)
    total : float
        Sum of the variances of all D axes, also of those left out.
    rank : int
        Axes whose variance is not numerically zero.
    """

    mean: Tensor
    axes: Tensor
    variance: Tensor
    total: float
    rank: int

    def to(self, device: torch.device) -> PrincipalAxes:
        """The same on another device."""
        return dataclasses.replace(
            self, mean=self.mean.to(device), axes=self.axes.to(device), variance=self.variance.to(device)
        )


def compute_principal_axes(
    frames: Tensor, *, most: int = MOST_AXES, seed: int = 0, release: Callable[[], None] | None = None
) -> PrincipalAxes:
    """Compute the principal axes of `frames`, shape (frame, D), in float64.

    The optimum of L_align is known (Rippel et al. 2014), so training starts there. The smaller of the
    two Gram matrices is decomposed exactly up to `EXACT_SIZE`; above, a randomised range finder is
    used, whose seed is an argument since torch's own draws from global state. Frames are read in blocks: no second
    copy of all of them is in memory. scikit-learn's PCA would need one, and no GPU. `release` is called after each
    block, see `nwb_dcf.model.training.FrameTable`.
    """
    n, width = frames.shape
    parts = torch.split(frames, max(1, BLOCK_NUMBERS // width)) if n > EXACT_SIZE else (frames,)

    def read() -> Iterator[Tensor]:
        for part in parts:
            yield in_double(part)
            if release:
                release()

    mean = _add(part.sum(0) for part in read()) / n

    def centre() -> Iterator[Tensor]:
        return (part - mean for part in read())

    total = sum(float(x.square().sum()) for x in centre()) / n
    if min(n, width) > EXACT_SIZE:
        # on the CPU whatever the device: one seed, one basis
        generator = torch.Generator().manual_seed(seed)
        basis = torch.randn(width, min(most + 16, min(n, width)), generator=generator).to(frames.device)
        for _ in range(POWER_ITERATIONS):  # sharpen the spectrum; single precision will do for where to look
            basis = torch.linalg.qr(_add(x.T @ (x @ basis) for x in (part.float() for part in centre()))).Q
        basis = torch.linalg.qr(in_double(basis)).Q
        values, inner = torch.linalg.eigh(_add((y := x @ basis).T @ y for x in centre()) / n)
        axes = basis @ inner
    elif width <= n:
        values, axes = torch.linalg.eigh(_add(x.T @ x for x in centre()) / n)
    else:
        (x,) = centre()
        values, left = torch.linalg.eigh(x @ x.T / n)
        axes = x.T @ left / (values.clamp(min=1e-300) * n).sqrt()
    values, axes = values.flip(0)[:most], axes.flip(1)[:, :most]
    # float32 frames have relative errors of 1e-7: smaller variances are rounding
    rank = int((values > 1e-6 * values[0].clamp(min=1e-300)).sum())
    values, axes = values[:rank], axes[:, :rank]
    # signs are arbitrary (paper 3.1): a fixed choice makes fits comparable
    sign = torch.sign(axes.gather(0, axes.abs().argmax(0, keepdim=True)))
    return PrincipalAxes(mean.to(frames), (axes * sign).to(frames), values.to(frames), total, rank)


def _add(terms: Iterable[Tensor]) -> Tensor:
    return functools.reduce(torch.add, terms)


def in_double(tensor: Tensor) -> Tensor:
    """Return float64, on the CPU where the device has none."""
    return (tensor.cpu() if tensor.device.type == "mps" else tensor).double()

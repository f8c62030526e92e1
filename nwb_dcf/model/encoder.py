"""mu(x): the features of a frame, ordered by importance (paper 2.2, equation 2).

Symbols: x (n, D) data less their mean; mu (n, k_max) features of zero mean and unit variance; w the window: frames
on either side of x that mu sees as well.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

NORM_CAP = 100.0  # of each sample's raw features, as the authors use it (10 to 100)
VARIANCE_FLOOR = 1e-6


def make_features(n_in: int, n_out: int, *, width: int, depth: int) -> nn.Sequential:
    """Build the multilayer perceptron of mu, (n, n_in) to (n, n_out)."""
    sizes = [n_in, *([width] * depth)]
    hidden = [layer for a, b in zip(sizes[:-1], sizes[1:], strict=True) for layer in (nn.Linear(a, b), nn.SiLU())]
    return nn.Sequential(*hidden, nn.Linear(width, n_out))


class Encoder(nn.Module):
    """mu(x): a linear map of the frame, plus a network that starts at zero and sees neighbouring frames too.

    Parameters
    ----------
    network : nn.Module
        (n, (2 window + 1) D) to (n, k_max); its last layer is its last child.
    n_channels, k_max : int
        D and the number of features.
    window : int
        Frames on either side of each one that the network sees.
    dropout : float
        Fraction of channels hidden from the network in training: in all frames of a window alike, since the latents
        are to be robust to a unit that is lost.
    momentum : float
        Of the running mean and standard deviation (0.9 in the authors' implementation).
    linear : {"fixed", "learned", "none"}
        ``fixed`` is set by `Coupling.start_at`, ``learned`` starts at random; with ``none`` (presets ``paper`` and
        ``authors``) there is no linear part.
    """

    whitening: Tensor | None
    running_mean: Tensor
    running_variance: Tensor

    def __init__(
        self,
        network: nn.Module,
        n_channels: int,
        k_max: int,
        *,
        window: int,
        dropout: float,
        linear: str,
        momentum: float = 0.99,
    ) -> None:
        super().__init__()
        self.network, self.window, self.dropout, self.momentum = network, window, dropout, momentum
        if linear == "none":
            self.whitening = None
        else:
            last = list(network.children())[-1]
            # the initial model is then PCA itself
            nn.init.zeros_(last.weight)  # type: ignore[arg-type]
            nn.init.zeros_(last.bias)  # type: ignore[arg-type]
            deviation = n_channels**-0.5 if linear == "learned" else 0.0
            self.whitening = nn.Parameter(deviation * torch.randn(n_channels, k_max), requires_grad=linear == "learned")
        self.learns_linear = linear == "learned"
        # equation 2: running mean and standard deviation of the raw features
        self.register_buffer("running_mean", torch.zeros(k_max))
        self.register_buffer("running_variance", torch.ones(k_max))

    @property
    def sees_images(self) -> bool:
        """Whether its network is one of convolutions."""
        return getattr(self.network, "sees_images", False)

    def learned(self) -> list[nn.Parameter]:
        """Parameters that training may move."""
        linear = [self.whitening] if self.learns_linear else []
        return [*self.network.parameters(), *linear]  # type: ignore[list-item]

    def forward(self, centred: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Map x - b to mu; in training the running statistics follow.

        Parameters
        ----------
        centred : Tensor, shape (n, D) or (n, 2 window + 1, D)
            In order of time, the frame itself in the middle; a lone frame stands for all of its window.
        generator : torch.Generator, optional
            Of the channels that are dropped; none are without it.

        Returns
        -------
        Tensor, shape (n, k_max)
        """
        if centred.dim() == 2:
            frame, around = centred, centred[:, None].expand(-1, 2 * self.window + 1, -1)
        else:
            frame, around = centred[:, self.window], centred
        if self.dropout and generator is not None:
            uniform = torch.rand(frame.shape, generator=generator, device=frame.device, dtype=frame.dtype)
            # inverted dropout: the expectation of the input stays
            around = around * uniform.ge_(self.dropout).div_(1 - self.dropout)[:, None]
        raw = self.network(around.flatten(1))
        if self.whitening is not None:
            raw = raw + frame @ self.whitening
        return self._normalise(raw)

    @property
    def is_linear(self) -> bool:
        """Whether the network beside the linear part returns 0, as before any training."""
        last = list(self.network.children())[-1:]
        return self.whitening is not None and bool(last) and not any(bool(p.any()) for p in last[0].parameters())

    def apply_linear(self, centred: Tensor) -> Tensor:
        """Return mu of x - b, (n, D) to (n, k_max), where `is_linear`: one matrix product, no neighbouring frames."""
        if self.whitening is None:
            raise ValueError("this encoder has no linear part")
        return self._normalise(centred @ self.whitening)

    def _normalise(self, raw: Tensor) -> Tensor:
        # the authors cap the norm of raw features before they enter the running statistics: one outlier would move
        # them
        raw = raw * (NORM_CAP / raw.norm(dim=-1, keepdim=True).clamp(min=NORM_CAP))
        if self.training:
            with torch.no_grad():
                mean = raw.mean(0)
                self.running_mean.lerp_(mean, 1 - self.momentum)
                # variance about the batch's own mean, not the running one, which lags behind
                self.running_variance.lerp_((raw - mean).square().mean(0), 1 - self.momentum)
        mu: Tensor = (raw - self.running_mean) / self.running_variance.clamp(min=VARIANCE_FLOOR).sqrt()
        return mu

    @torch.no_grad()
    def normalise_over(self, mu: Tensor) -> None:
        """Make mean and variance exact, given `mu` of all frames, shape (frame, k_max), by the running ones."""
        deviation = self.running_variance.clamp(min=VARIANCE_FLOOR).sqrt()
        self.running_mean.add_(mu.mean(0) * deviation)
        self.running_variance.copy_(mu.var(0, unbiased=False) * deviation.square())

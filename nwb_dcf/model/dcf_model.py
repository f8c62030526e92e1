"""The model: coupling, compressive flow and dynamical flow, composed."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..config import ModelConfig
from .bridge import BridgeNoise
from .compressive_flow import ClosedFormCompression, PlainCompression
from .coupling import Coupling
from .dynamical_flow import PlainDynamics, RidgeStartDynamics
from .encoder import Encoder, make_features
from .frame_basis import FrameBasis, scale_rest
from .networks import NetworkSize
from .principal_axes import PrincipalAxes
from .unet import ConvFeatures


class DCFModel(nn.Module):
    """Dynamic Compression Flows of one recording.

    Parameters
    ----------
    n_channels : int
        D.
    k_max : int
        Number of ordered axes.
    config : ModelConfig
        Shapes of the networks and which of the paper's open choices are taken.
    frame_shape : (int, int), optional
        Height and width of frames that are images: D = height * width, pixels row by row.
    n_axes : int
        Principal axes of the frames in whose coordinates the model works, see `FrameBasis`; 0 for the channels
        themselves.

    Attributes
    ----------
    basis : FrameBasis or None
    n_inputs : int
        Width of a frame in `coupling`, `u`, `v` and `noise`: D, or `n_axes`. The model's own methods take and
        return frames and states of D.
    """

    def __init__(
        self,
        n_channels: int,
        k_max: int,
        config: ModelConfig,
        frame_shape: tuple[int, int] | None = None,
        n_axes: int = 0,
    ) -> None:
        super().__init__()
        self.n_channels, self.k_max, self.config, self.frame_shape = n_channels, k_max, config, frame_shape
        # a perceptron sees images as rows of pixels or coordinates; only a U-Net needs their shape
        self.image_shape = None if config.network == "mlp" else frame_shape
        self.basis = FrameBasis(n_channels, n_axes) if n_axes else None
        # from here on D is the width of the basis, wherever there is one
        self.n_inputs = n_channels = n_axes or n_channels
        self.coupling = Coupling(self._make_encoder(), n_channels, k_max, linear_start=config.start == "pca")
        self.noise = BridgeNoise(n_channels, config.bridge_noise)
        # u and v are of one size, as in the paper's section 4
        size = NetworkSize(config.width, config.depth, self.image_shape, config.channels, config.patch)
        self.u: PlainCompression | ClosedFormCompression
        self.v: PlainDynamics | RidgeStartDynamics
        # the closed forms hold for masked endpoints with the PCA coupling; presets `paper` and `authors` use networks
        # alone
        if config.closed_form:
            self.u = ClosedFormCompression(
                n_channels,
                k_max,
                rho=config.bridge_noise,
                size=size,
                clock=config.clock,
                n_frequencies=config.clock_frequencies,
            )
            self.v = RidgeStartDynamics(n_channels, k_max, config.history, rho=config.bridge_noise, size=size)
        else:
            self.u = PlainCompression(n_channels, k_max, size=size, conditioned=config.condition_on_k)
            self.v = PlainDynamics(n_channels, k_max, config.history, size=size, conditioned=config.condition_on_k)

    def _make_encoder(self) -> Encoder:
        config, n_frames = self.config, 2 * self.config.encoder_window + 1
        # mu has the network of its data: convolutions on images, else a perceptron (paper, section 4)
        features: nn.Module
        if self.image_shape is not None:
            features = ConvFeatures(
                self.image_shape, n_frames, self.k_max, channels=config.channels, patch=config.patch
            )
        else:
            n_in = n_frames * self.n_inputs
            features = make_features(n_in, self.k_max, width=config.encoder_width, depth=config.encoder_depth)
        return Encoder(
            features,
            self.n_inputs,
            self.k_max,
            window=config.encoder_window,
            dropout=config.encoder_dropout,
            momentum=config.momentum,
            linear="fixed" if config.start == "pca" else "learned" if config.linear_encoder else "none",
        )

    @property
    def learns_encoder(self) -> bool:
        """Whether mu is trained: detached from the flows, its optimum is known in closed form (Rippel et al. 2014)."""
        return self.config.start == "random" or self.config.train_encoder_with_flows

    @property
    def learns_axes(self) -> bool:
        """Whether L and d are trained."""
        return self.config.start == "random"

    def start_at(self, principal: PrincipalAxes) -> None:
        """Set b, the noise and, with a PCA start, L, d and mu, from principal axes of the networks' frames."""
        # Rippel et al. 2014: the optimum of L_align under nested dropout is PCA
        self.coupling.start_at(principal)
        if self.config.noise_scale == "relative":
            self.noise.start_at(principal)

    def mask(self, k: int, like: Tensor) -> Tensor:
        """m_K for every row of `like`, shape (n, k_max)."""
        return (torch.arange(self.k_max, device=like.device) < k).to(like.dtype).expand(len(like), -1)

    @property
    def mean(self) -> Tensor:
        """b, shape (D,)."""
        return self.coupling.mean if self.basis is None else self.basis.mean

    @property
    def loadings(self) -> Tensor:
        """L, shape (D, k_max)."""
        return self.coupling.axes if self.basis is None else self.basis.axes @ self.coupling.axes

    @property
    def spectrum(self) -> Tensor:
        """d in the frames' own units, shape (k_max,)."""
        variance = self.coupling.variance
        # the basis scales its coordinates to unit mean variance; d is reported in prepared units
        return variance if self.basis is None else variance / self.basis.factor.square()

    def view(self, x: Tensor) -> Tensor:
        """Return frames (n, D) as the networks see them, (n, n_inputs)."""
        return x if self.basis is None else self.basis.read(x)

    def show(self, y: Tensor) -> Tensor:
        """Return states (..., n_inputs) as frames (..., D), without a part off the axes."""
        return y if self.basis is None else self.basis.place(y)

    def read(self, states: Tensor) -> Tensor:
        """Compute (L D^(1/2))^+ (x - b): coordinates of states (n, D) on the axes, (n, k_max)."""
        return self.coupling.read(self.view(states))

    def encode(self, x: Tensor, k: int) -> Tensor:
        """Compute the first `k` coordinates of mu(x): frames (n, D) to (n, k)."""
        return self.coupling.encode(self.view(x))[:, :k]

    def compress(self, x: Tensor, k: int, *, solver: str = "", steps: int = 0) -> Tensor:
        """Integrate u from tau = 1 to 0 with prefix `k`: frames (n, D) to states (n, D)."""
        return self._carry(x, 1.0, 0.0, k, solver, steps)

    def flow(self, x: Tensor, k: int) -> Tensor:
        """Read the states of `compress` on the first `k` axes: frames (n, D) to flowed latents (n, k)."""
        # the part off a basis has no coordinate on the axes: it need not be made
        found = self.u.carry_to_axes(
            self.view(x),
            1.0,
            0.0,
            self.mask(k, x[:1]),
            self.coupling.make_axes(),
            solver=self.config.solver,
            steps=self.config.solver_steps,
        )
        return found[:, :k]

    def expand(self, x0: Tensor, k: int, *, solver: str = "", steps: int = 0) -> Tensor:
        """Integrate u from tau = 0 to 1 with prefix `k`: states (n, D) to frames (n, D)."""
        return self._carry(x0, 0.0, 1.0, k, solver, steps)

    def reconstruct(self, latents: Tensor, decoder: str = "") -> Tensor:
        """Decode K latents a frame: place them on the axes, all else zero, and let u add the rest.

        Parameters
        ----------
        latents : Tensor, shape (n, K)
        decoder : {"mean", "flow"}, optional
            ``mean``: x0 + u(x0, tau = 0), which as the noise goes to 0 is the mean of the data given the K
            latents. ``flow``: integrate u to tau = 1, a typical frame; the two differ where the data are not
            Gaussian, as for sparse spikes. The configured one by default.

        Returns
        -------
        Tensor, shape (n, D)
        """
        # coordinates beyond K are 0, their mean: the point m_K * mu of paper 3.1
        x0, k = self._place(latents), latents.shape[1]
        if (decoder or self.config.decoder) == "flow":
            return self.show(self._integrate(x0, 0.0, 1.0, k))
        # x0 + u(x0, 0) is the target of L_cf at tau = 0, a conditional mean: one evaluation instead of an integration
        added: Tensor = self.u(x0, x0.new_zeros(1, 1), self.mask(k, x0[:1]), self.coupling.make_axes())
        return self.show(x0 + added)

    def place(self, latents: Tensor) -> Tensor:
        """Return the state b + L D^(1/2) z of the first K latents z (equation 1), (n, K) to (n, D)."""
        return self.show(self._place(latents))

    def _place(self, latents: Tensor) -> Tensor:
        return self.coupling.place(nn.functional.pad(latents, (0, self.k_max - latents.shape[1])))

    def _carry(self, x: Tensor, tau_from: float, tau_to: float, k: int, solver: str, steps: int) -> Tensor:
        if self.basis is None:
            return self._integrate(x, tau_from, tau_to, k, solver, steps)
        y = self.basis.read(x)
        # off the basis u is its Gaussian closed form, whose solution is a factor
        rest = self.basis.compute_rest(x, y) * scale_rest(tau_from, tau_to, self.config.bridge_noise)
        return self.basis.place(self._integrate(y, tau_from, tau_to, k, solver, steps)) + rest

    def _integrate(self, y: Tensor, tau_from: float, tau_to: float, k: int, solver: str = "", steps: int = 0) -> Tensor:
        return self.u.carry(
            y,
            tau_from,
            tau_to,
            self.mask(k, y[:1]),
            self.coupling.make_axes(),
            solver=solver or self.config.solver,
            steps=steps or self.config.solver_steps,
        )

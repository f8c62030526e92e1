"""Rollouts: states carried on frame by frame by the dynamical flow, at any compression tau (paper section 4).

Symbols: past (n, h + 1, D) states at one tau, newest first, the current one included, D being the model's
`n_inputs`; k the prefix K of the latents that v sees; rho the bridge's noise relative to each axis.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .bridge import interpolate_compression
from .dcf_model import DCFModel
from .dynamical_flow import RidgeStartDynamics
from .ode import integrate

STEPS_PER_FRAME = 2  # midpoint steps in s; v changes little within one frame


def place_states(model: DCFModel, latents: Tensor, frames: Tensor | None, tau: float, k: int) -> Tensor:
    """Return states at `tau` on the bridge between latents and frames, as v was trained on.

    Parameters
    ----------
    model : DCFModel
    latents : Tensor, shape (..., k_max)
        mu of the frames.
    frames : Tensor, shape (..., D), or None
        Prepared frames; needed where tau is above 0.
    tau : float
        Compression level, 0 to 1.
    k : int
        Prefix of the latents that endpoints keep, where the flows were trained on masked ones.

    Returns
    -------
    Tensor, shape (..., D)
    """
    # the same endpoints as in training, else v is evaluated where it was never fitted
    x0 = model.coupling.place(latents * _mask_endpoints(model, k))
    return x0 if tau == 0 or frames is None else interpolate_compression(x0, frames, x0.new_tensor(tau))


def recall(model: DCFModel, past: Tensor) -> Tensor:
    """Return past states in the form of v's input: whole, or as coordinates on the axes, (n, h + 1, k_max).

    Reading is affine: of a state it gives (1 - tau) latents + tau reads, the history that v was trained on.
    """
    return model.coupling.read(past) if isinstance(model.v, RidgeStartDynamics) else past


def compute_velocity(model: DCFModel, latents: Tensor, k: int) -> Tensor:
    """Compute v at tau = 0, s = 0 at the encoder's point, in latent coordinates per median step (section 4).

    Parameters
    ----------
    model : DCFModel
    latents : Tensor, shape (n, h + 1, k_max)
        Latents of the current frame and its past, newest first.
    k : int
        Prefix of the latents that v sees.

    Returns
    -------
    Tensor, shape (n, k)
    """
    past = place_states(model, latents, None, 0.0, k)
    # s = 0: at the current frame itself
    zero = past.new_zeros(len(past), 1)
    # at tau = 0 the networks of the data need not run
    v = model.v.at_zero(past[:, 0], zero, recall(model, past), model.mask(k, past), model.coupling.make_axes())
    return model.coupling.read(model.coupling.mean + v)[:, :k]


def roll_out(
    model: DCFModel, past: Tensor, tau: float, k: int, n_frames: int, *, noise: Tensor | None = None
) -> Tensor:
    """Integrate v over `n_frames` frames at `tau`, each frame's end joining the history of the next.

    Parameters
    ----------
    model : DCFModel
    past : Tensor, shape (n, h + 1, D)
        States at `tau`, see `place_states`; newest first.
    tau : float
    k : int
        Prefix of the latents that v sees.
    n_frames : int
    noise : Tensor, shape (n, D), optional
        Added to the state at the start. The history stays as it was seen: in training, too, the bridge has
        noise and the history none.

    Returns
    -------
    Tensor, shape (n, n_frames, D)
    """
    mask = model.mask(k, past)
    level = past.new_full((len(past), 1), tau)
    axes = model.coupling.make_axes()
    # noise belongs to the bridge alone (paper 2.4): the history is noise-free in training too
    history, state = recall(model, past), past[:, 0] if noise is None else past[:, 0] + noise
    path = []
    for _ in range(n_frames):
        window = history

        def rate(s: Tensor, x: Tensor, window: Tensor = window) -> Tensor:
            at = s.expand(len(x), 1)
            if tau == 0:
                return model.v.at_zero(x, at, window, mask, axes)
            v: Tensor = model.v(x, level, at, window, mask, axes)
            return v

        # v is per median step: s from 0 to 1 is one frame
        state = integrate(rate, state, 0.0, 1.0, solver="midpoint", steps=STEPS_PER_FRAME)
        # newest first, as in training
        history = torch.cat([recall(model, state[:, None]), history[:, :-1]], dim=1)
        path.append(state)
    return torch.stack(path, dim=1)


def roll_out_latents(model: DCFModel, latents: Tensor, n_frames: int) -> Tensor:
    """Simulate latents (tau = 0) from a start with its history, without noise.

    Parameters
    ----------
    model : DCFModel
    latents : Tensor, shape (n, h + 1, K)
        Of the start frame and its past, newest first.
    n_frames : int
        Frames to simulate.

    Returns
    -------
    Tensor, shape (n, n_frames, K)
    """
    k = latents.shape[-1]
    past = place_states(model, nn.functional.pad(latents, (0, model.k_max - k)), None, 0.0, k)
    return model.coupling.read(roll_out(model, past, 0.0, k, n_frames))[..., :k]


def draw_start_noise(
    model: DCFModel, n: int, tau: float, k: int, total_variance: float, generator: torch.Generator
) -> Tensor:
    """Draw the bridge's noise for `n` states at `tau`, shape (n, D).

    At tau = 0 it lies on the kept axes, as all endpoints do. Relative noise is rho times the standard deviation
    of each axis; the rest of `total_variance` is distributed evenly over the directions off the axes.
    """
    coupling, config = model.coupling, model.config
    if model.basis is not None:
        # coordinates of a basis have unit mean variance by construction
        total_variance = float(model.n_inputs)  # of coordinates whose mean variance is 1
    like = coupling.mean
    noise = torch.randn(n, model.n_inputs, generator=generator, device=like.device, dtype=like.dtype)
    if config.noise_scale == "relative":
        n_off = model.n_inputs - model.k_max
        rest = max(total_variance - float(coupling.variance.detach().sum()), 0.0) / n_off if n_off else 0.0
        on = noise @ coupling.axes
        # the same distribution as `BridgeNoise`, which is not stored with the model
        noise = rest**0.5 * (noise - on @ coupling.axes.T) + (on * coupling.variance.sqrt()) @ coupling.axes.T
    if tau == 0:
        noise = ((noise @ coupling.axes) * _mask_endpoints(model, k)) @ coupling.axes.T
    scaled: Tensor = config.bridge_noise * noise
    return scaled


def _mask_endpoints(model: DCFModel, k: int) -> Tensor:
    """Mask of the coordinates of endpoints, (k_max,): m_K, or all where the flows saw unmasked ones."""
    axis = torch.arange(model.k_max, device=model.coupling.mean.device)
    return (axis < k if model.config.masked_endpoints else axis >= 0).to(model.coupling.mean.dtype)

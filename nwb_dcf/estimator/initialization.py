"""The initial model: the device, the frames on it, and parameters at optima that are known in closed form.

From a random start L_align needs about 8,000 steps to come within 1 % of its optimum; the principal axes are that
optimum (Rippel et al. 2014). v starts at a ridge autoregression of the latents, so that training adds what is not
linear.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from ..config import FitConfig
from ..data.chunks import is_scratch, needs_scratch, release_scratch
from ..data.recording import flatten_frames, frame_shape
from ..errors import DataError, ParameterError
from ..model.dcf_model import DCFModel
from ..model.dynamical_flow import RidgeStartDynamics
from ..model.principal_axes import MOST_AXES, PrincipalAxes, compute_principal_axes
from ..model.training import ContextHeads, FrameTable
from ..model.training.batches import FRAMES_READ

if TYPE_CHECKING:
    from jaxtyping import Float, Float32

K_MAX_FLOOR = 16  # axes kept beyond twice dim
FRACTION_OF_GPU = 0.4  # of its free memory, for frames; the held-out ones and the networks need some too
MOST_PAIRS = 2**17  # evenly spaced, for the autoregression of v: far more than it has coefficients
MOST_IMAGE_AXES = 256  # orthonormalising 4,096 axes of 64 x 64 pixels takes 2.5 s a step, 256 of them 28 ms
_SEEDING = threading.Lock()  # torch's global generator is one for all threads


def choose_device(name: str) -> torch.device:
    """Turn ``auto`` into a GPU where there is one, and refuse one that is absent.

    Raises
    ------
    ParameterError
        If the device is not there.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    # asked by name: torch itself fails only at the first tensor
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if not there[name.split(":")[0]]:
        raise ParameterError(f"device is {name!r}, which torch does not find here", fix="use --device cpu")
    return torch.device(name)


def choose_k_max(config: FitConfig, n_channels: int, rank: int, *, images: bool = False) -> int:
    """Choose the number of axes: as configured, or min(D, rank, max(16, 2 dim)); k_max = 0 is D, as in the paper.

    For images that D is at most `MOST_IMAGE_AXES`: a step of more axes would cost more than the networks.
    """
    dim, asked = config.model.dim, config.model.k_max
    if asked == 0:
        return min(n_channels, max(MOST_IMAGE_AXES, dim)) if images else n_channels
    # a random start is not bound to the rank: axes beyond it get a tiny variance
    if asked is not None and config.model.start == "random":
        return min(asked, n_channels)
    return min(n_channels, rank, max(K_MAX_FLOOR, 2 * dim) if asked is None else asked)


def start_model(
    prepared: xr.Dataset,
    config: FitConfig,
    device: torch.device,
    step_s: float | None = None,
    warm: DCFModel | None = None,
) -> tuple[DCFModel, FrameTable, PrincipalAxes]:
    """Build the initial model: networks from the seed, or from a `warm` model; the rest from the frames.

    Returns
    -------
    model : DCFModel
    table : FrameTable
        The frames on `device`, as the networks see them.
    principal : PrincipalAxes
        Of the frames themselves.

    Raises
    ------
    DataError
        If the frames span too few dimensions, or no segment is longer than the history.
    """
    frames, shape = _get_frames(prepared, device), frame_shape(prepared)
    n_channels = frames.shape[1]
    # one decomposition serves the basis of images and the coupling
    most = config.model.network_axes or MOST_AXES
    principal = compute_principal_axes(frames, most=most, seed=config.train.seed, release=release_scratch).to(device)
    if principal.rank == 1:
        raise DataError(
            f"all {'channels' if shape is None else 'pixels'} change together: the frames span 1 dimension",
            fix="choose more of them, or use their mean as it is",
        )
    if principal.rank < 2:
        raise DataError(
            "the frames hardly vary beside their mean, or are too large for single precision",
            fix="subtract the mean and choose a unit in which values are of moderate size",
        )
    if config.model.dim > principal.rank:
        raise DataError(
            f"dim is {config.model.dim}, but the frames span {principal.rank} dimensions",
            fix=f"give a dim of {principal.rank} or less",
        )
    with seed_initial_weights(config.train.seed):
        k_max = choose_k_max(config, n_channels, principal.rank, images=shape is not None)
        n_axes = min(config.model.network_axes, principal.rank)
        k_max = min(k_max, n_axes or k_max)
        # inside the seeding: torch draws initial weights from its global generator
        model = DCFModel(n_channels, k_max, config.model, shape, n_axes)
    model.to(device)
    seen = principal
    if model.basis is not None:
        if warm is not None and warm.basis is not None and warm.basis.axes.shape == model.basis.axes.shape:
            model.basis.load_state_dict(warm.basis.state_dict())
        else:
            model.basis.start_at(principal)
            seen = model.basis.turn(principal)
    # after the basis is set: the table holds its coordinates, not pixels
    table = tabulate_frames(prepared, config, device, step_s, model)
    if seen is principal and model.basis is not None:  # the basis of a warm model, of other frames
        seen = compute_principal_axes(table.x)
    model.start_at(seen)
    if warm is not None:
        model.coupling.start_at(turn_axes(seen, warm, table.x))
        take_networks(model, warm)
    if len(table.pairs) == 0:
        raise DataError("no segment is longer than the history", fix="choose longer segments or a shorter history")
    return model, table, principal


def find_axes(
    frames: Float32[np.ndarray, "time channel"], dim: int
) -> tuple[Float[np.ndarray, " channel"], Float[np.ndarray, "channel component"]]:
    """Find the mean and the first `dim` principal axes of frames that may lie in a file, as a model starts at."""
    found = compute_principal_axes(torch.from_numpy(frames), release=release_scratch)
    return found.mean.double().numpy(), found.axes[:, :dim].double().numpy()


@contextmanager
def seed_initial_weights(seed: int) -> Iterator[None]:
    """Seed torch's global generator, the source of initial weights, for a while: one thread at a time."""
    with _SEEDING, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def turn_axes(principal: PrincipalAxes, warm: DCFModel, frames: Tensor) -> PrincipalAxes:
    """Return the axes of a fitted model in place of the principal ones, with the variances of the frames along them.

    All are of frames as the networks see them. The networks of that model expect latents on those axes; the principal
    axes of other frames differ where variances are close.
    """
    axes = warm.coupling.axes.detach().to(principal.axes)
    along = torch.cat([(part.to(axes) - principal.mean) @ axes for part in torch.split(frames, FRAMES_READ)])
    # an axis along which the new frames do not vary would have log d = -inf
    floor = 1e-6 * principal.variance[0]
    return dataclasses.replace(principal, axes=axes, variance=along.var(0, unbiased=False).clamp(min=floor))


def take_networks(model: DCFModel, warm: DCFModel) -> None:
    """Copy the trained networks of another model into `model`; axes that do not learn, d and b stay those of the data.

    Raises
    ------
    ParameterError
        If the two differ in their shape.
    """
    own, given = model.state_dict(), warm.state_dict()
    # b, L and d belong to the data, the networks to the earlier fit
    kept = {"coupling.mean"}
    if not model.learns_axes:
        kept |= {"coupling.axes", "coupling.log_variance", "coupling.encoder.whitening"}
    different = [name for name in own if name not in given or given[name].shape != own[name].shape]
    if different or given.keys() != own.keys():
        mine, theirs = ({**asdict(each.config), "k_max": each.k_max} for each in (model, warm))
        names = [name for name in mine if mine[name] != theirs[name]]
        stored, own_shape = (", ".join(f"{name} {shape[name]}" for name in names) for shape in (theirs, mine))
        raise ParameterError(
            f"the fit to start from has another shape: {stored}, and this one {own_shape}",
            fix="give it the same settings, or start without it",
        )
    model.load_state_dict({name: own[name] if name in kept else value for name, value in given.items()})


def tabulate_frames(
    prepared: xr.Dataset,
    config: FitConfig,
    device: torch.device,
    step_s: float | None = None,
    model: DCFModel | None = None,
) -> FrameTable:
    """Index prepared frames by their segments and times, these in steps of `step_s`, for training on `device`.

    Frames are as `model` views them.
    """
    x = _get_frames(prepared, device)
    in_file = is_scratch(prepared["data"].values) and x.device.type == "cpu"
    if model is not None and model.basis is not None:
        x, in_file = torch.cat([model.view(part.to(device)) for part in torch.split(x, FRAMES_READ)]), False
        release_scratch()
    return FrameTable.build(
        x,
        torch.tensor(prepared["segment_index"].values),
        torch.tensor(prepared["time"].values),
        history=config.model.history,
        drop_start=config.model.history_start == "drop",
        step_s=step_s,
        device=device,
        release=release_scratch if in_file else None,
    )


def _get_frames(prepared: xr.Dataset, device: torch.device) -> Tensor:
    """Return frames (time, D), on `device` where they fit."""
    x = torch.as_tensor(flatten_frames(prepared))
    return x.to(device) if fits_on(device, x.nbytes) else x


def fits_on(device: torch.device, n_bytes: int) -> bool:
    """Whether frames of that size may lie on `device`: on a GPU, in `FRACTION_OF_GPU` of what is free there."""
    if device.type != "cuda":
        return True
    return n_bytes <= FRACTION_OF_GPU * torch.cuda.mem_get_info(device)[0]


def note_frame_storage(recording: xr.Dataset, device: torch.device, home: torch.device) -> str:
    """Describe where frames whose tensor is at `home` were held during a fit on `device`."""
    host = "in a scratch file, written block by block" if needs_scratch(recording["data"]) else "in memory"
    if device.type == "cpu":
        return host
    there = home.type == device.type
    return f"on the {device.type} device" if there else f"{host}; sent to the {device.type} device by batches"


def make_heads(
    model: DCFModel, principal: PrincipalAxes, config: FitConfig, device: torch.device
) -> ContextHeads | None:
    """Make the heads of L_context; None where its gradients would not reach the encoder."""
    if not (config.train.gamma and config.model.train_encoder_with_flows):
        return None
    with seed_initial_weights(config.train.seed):
        seen = principal if model.basis is None else model.basis.turn(principal)
        return ContextHeads(seen, config.model.dim, config.train.context_lags).to(device)


def teach_heads(heads: ContextHeads, model: DCFModel, table: FrameTable, config: FitConfig) -> None:
    """Train the heads of L_context on the latents of another fit."""
    with torch.no_grad():
        latents = table.encode(model.coupling)
    heads.follow(
        latents, table, config.model.bridge_noise, torch.Generator(table.device).manual_seed(config.train.seed)
    )


def start_dynamics(model: DCFModel, v: RidgeStartDynamics, table: FrameTable) -> None:
    """Set the autoregression of v to that of the present latents."""
    # every n-th pair: evenly spaced, without a draw
    pairs = table.pairs[:: -(-len(table.pairs) // MOST_PAIRS)]
    past = table.window(pairs)
    with torch.no_grad():
        latents = table.encode(model.coupling, torch.unique(torch.cat([past.flatten(), pairs + 1])))
    later = (latents[pairs + 1] - latents[pairs]) / table.step[pairs][:, None]
    v.start_at(latents[past], later)

"""Where training begins: the device, the frames on it, and a model that stands at what is known in advance.

From a random start L_align needs about 8,000 steps to come within 1 % of its optimum; from the principal axes it is
there at step 0. v starts at a ridge autoregression of the code, so that training adds what is not linear.
"""

from __future__ import annotations

import torch
import xarray as xr

from .config import FitConfig
from .errors import DataError, ParameterError
from .model.coupling import PrincipalAxes, find_principal_axes
from .model.dcf import DCFModel
from .model.dynamical_flow import RidgeStartDynamics
from .recording import flatten_frames, frame_shape
from .train import ContextHeads, FrameTable

K_MAX_FLOOR = 16  # axes kept beyond twice dim
MOST_IMAGE_AXES = 256  # orthonormalising 4,096 axes of 64 x 64 pixels takes 2.5 s a step, 256 of them 28 ms


def choose_device(name: str) -> torch.device:
    """Turn ``auto`` into a GPU where there is one, and refuse one that is absent.

    Raises
    ------
    ParameterError
        If the device is not there.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if not there[name.split(":")[0]]:
        raise ParameterError(f"device is {name!r}, which torch does not find here", fix="use --device cpu")
    return torch.device(name)


def choose_k_max(config: FitConfig, n_channels: int, rank: int, *, images: bool = False) -> int:
    """Number of axes: as asked, or min(D, rank, max(16, 2 dim)); k_max = 0 asks for D, as the paper has it.

    Of images no more than `MOST_IMAGE_AXES` are taken for that D, for a step of so many axes would cost more than
    the networks.
    """
    dim, asked = config.model.dim, config.model.k_max
    if asked == 0:
        return min(n_channels, max(MOST_IMAGE_AXES, dim)) if images else n_channels
    if asked is not None and config.model.start == "random":
        return min(asked, n_channels)
    return min(n_channels, rank, max(K_MAX_FLOOR, 2 * dim) if asked is None else asked)


def start_model(
    prepared: xr.Dataset, config: FitConfig, device: torch.device, step_s: float | None = None
) -> tuple[DCFModel, FrameTable, PrincipalAxes]:
    """Build the model at its start: networks from the seed, the rest from the frames.

    Returns
    -------
    model : DCFModel
    table : FrameTable
        The frames on `device`.
    principal : PrincipalAxes
        Of those frames.

    Raises
    ------
    DataError
        If the frames span too few dimensions, or no segment is longer than the history.
    """
    table = tabulate_frames(prepared, config, device, step_s)
    principal = find_principal_axes(table.x, seed=config.train.seed)
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
    with torch.random.fork_rng(devices=[]):  # initial weights come from torch's global generator
        torch.manual_seed(config.train.seed)
        shape = frame_shape(prepared)
        k_max = choose_k_max(config, table.x.shape[1], principal.rank, images=shape is not None)
        model = DCFModel(table.x.shape[1], k_max, config.model, shape)
    model.to(device)
    model.start_at(principal)
    if len(table.pairs) == 0:
        raise DataError("no segment is longer than the history", fix="choose longer segments or a shorter history")
    return model, table, principal


def tabulate_frames(
    prepared: xr.Dataset, config: FitConfig, device: torch.device, step_s: float | None = None
) -> FrameTable:
    """Put prepared frames on `device`, indexed by their segments and times, these in steps of `step_s`."""
    return FrameTable.build(
        torch.tensor(flatten_frames(prepared), device=device),
        torch.tensor(prepared["segment_index"].values),
        torch.tensor(prepared["time"].values),
        history=config.model.history,
        drop_start=config.model.history_start == "drop",
        step_s=step_s,
    )


def make_heads(principal: PrincipalAxes, config: FitConfig, device: torch.device) -> ContextHeads | None:
    """Make the heads of L_context; None where nothing of it could reach the code."""
    if not (config.train.gamma and config.model.joined):
        return None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.train.seed)
        return ContextHeads(principal, config.model.dim, config.train.context_lags).to(device)


def start_dynamics(model: DCFModel, v: RidgeStartDynamics, table: FrameTable) -> None:
    """Set v's autoregression to that of the code as it is now."""
    with torch.no_grad():
        codes = table.encode(model.coupling)
    later = (codes[table.pairs + 1] - codes[table.pairs]) / table.step[table.pairs][:, None]
    v.start_at(codes[table.window(table.pairs)], later)

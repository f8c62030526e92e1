"""A trained model on NumPy arrays: prepared frames in, latents, states and paths out, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from ..config import FitConfig
from ..data.preprocessing import Preprocessor
from ..data.recording import frame_dims
from ..errors import DataError
from ..model.dcf_model import DCFModel
from ..model.parallel import split_frames, spread
from ..model.precision import multiply_in
from ..model.rollout import compute_velocity, draw_start_noise, place_states, roll_out
from ..model.training import LossCurve
from ..model.training.batches import FrameTable


@dataclass(frozen=True)
class Fitted:
    """A trained model with everything needed to use it on new data.

    Attributes
    ----------
    config : FitConfig
    preparation : Preprocessor
    model : DCFModel
    channels : list
        Ids of the channels, in order; empty for images.
    channel_dim, units, kind : str
        Of the recording that was fitted; ``"pixel"`` for images.
    pixels : dict of str to list, or None
        Ids of the rows and columns of images, ``{"y": [...], "x": [...]}``.
    step_s : float
        Median step between frames in seconds.
    total_variance : float
        Of the prepared training frames, summed over channels.
    k_eff : int
    steps : dict of str to int
        Chosen for u and v.
    search, curve : LossCurve
        Losses while steps were chosen (empty where nothing was held out) and while training on all.
    notes : list of str
    timing : dict of str to float
        ``seconds``, ``samples_per_s``.
    machine : dict
        ``device``, its ``name``, CPU ``threads``, the factors of training's ``products``, and where ``frames``
        were held.
    bin_width_s : float or None
        Of the recording that was fitted, where it was binned.
    chosen_on : dict
        What was held out to choose the steps: ``rule``, ``intervals_s``; empty where nothing was.
    settled : dict of str to int
        Step of the search at which u and v ended by themselves; without those that took the whole schedule.
    finished : dict of str to int
        Steps on all frames that followed the chosen one, of u and v; without those that took none.
    init : dict of str to str
        Fit whose networks training began with: ``fit``, its name, and the ``sha256`` of its weights; empty for none.
    solver_error : dict
        Of the quick solver against dopri5, see `measure_solver`; empty where that is the solver.
    """

    config: FitConfig
    preparation: Preprocessor
    model: DCFModel
    channels: list[Any]
    channel_dim: str
    units: str
    kind: str
    step_s: float
    total_variance: float
    k_eff: int
    steps: dict[str, int]
    search: LossCurve
    curve: LossCurve
    notes: list[str]
    timing: dict[str, float]
    machine: dict[str, Any]
    bin_width_s: float | None
    chosen_on: dict[str, Any]
    pixels: dict[str, list[Any]] | None = None
    settled: dict[str, int] = field(default_factory=dict)
    finished: dict[str, int] = field(default_factory=dict)
    init: dict[str, str] = field(default_factory=dict)
    solver_error: dict[str, Any] = field(default_factory=dict)

    @property
    def frame_ids(self) -> dict[str, list[Any]]:
        """Ids along each dim of a frame: of the channels, or of an image's rows and columns."""
        return self.pixels or {self.channel_dim: self.channels}


def check_channels(recording: xr.Dataset, fitted: Fitted) -> None:
    """Refuse channels or bins that differ from those fitted; bare arrays have no ids to compare.

    Raises
    ------
    DataError
        If they differ.
    """
    width = recording.attrs.get("bin_width_s")
    if width and fitted.bin_width_s and not np.isclose(width, fitted.bin_width_s):
        raise DataError(
            f"the bins are {width:g} s wide and those fitted {fitted.bin_width_s:g} s",
            fix=f"read the recording with bin_width_s={fitted.bin_width_s:g}",
        )
    dim, *others = frame_dims(recording)
    if others or fitted.pixels:
        sizes = tuple(len(ids) for ids in fitted.frame_ids.values())
        if recording["data"].shape[1:] != sizes:
            given, expected_size = (" x ".join(map(str, s)) for s in (recording["data"].shape[1:], sizes))
            raise DataError(
                f"a frame has {given} numbers, and those fitted {expected_size}",
                fix=f"give images of {expected_size} pixels, (time, y, x)" if fitted.pixels else "give (time, channel)",
            )
        return  # where a pixel lies on the image is what names it
    ids, expected = recording[dim].values.tolist(), fitted.channels
    pairs = ((recording.attrs["kind"], ids), (fitted.kind, expected))
    nameless = any(kind == "array" and names == list(range(len(names))) for kind, names in pairs)
    if ids != expected and not nameless:
        missing = [i for i in expected if i not in ids]
        how = f"missing {missing[:8]}" if missing else f"{len(ids)} given and {len(expected)} fitted, or another order"
        raise DataError(f"the {dim}s differ from those fitted: {how}", fix=f"select the fitted {dim}s, in their order")


PATHS_AT_ONCE = 512
NUMBERS_AT_ONCE = 2**24  # of paths in whole states


class Codec:
    """Runs a model on parts of the frames, on whatever device it lives.

    Parameters
    ----------
    model : DCFModel
        Trained.

    Notes
    -----
    x are prepared frames (time, channel), states their like at tau = 0, codes latents (time, k).
    """

    def __init__(self, model: DCFModel) -> None:
        self.model = model.eval()
        self.beside = model.image_shape is None  # of images every operation keeps many threads busy

    def encode(self, x: np.ndarray, segment: np.ndarray, k: int) -> np.ndarray:
        """mu(x), first `k` coordinates; `segment` (time,) says where a frame's surroundings end."""
        return self._encode(self._tensor(x), segment)[:, :k].cpu().numpy()

    def compress(self, x: np.ndarray, k: int) -> np.ndarray:
        """Integrate u from tau = 1 to 0 with prefix `k`: frames to states."""
        return self._run(lambda part: self.model.compress(part, k), x)

    def expand(self, states: np.ndarray, k: int) -> np.ndarray:
        """Integrate u from tau = 0 to 1 with prefix `k`: states to frames."""
        return self._run(lambda part: self.model.expand(part, k), states)

    def read(self, states: np.ndarray, k: int) -> np.ndarray:
        """Coordinates of states on the first `k` axes, (L D^(1/2))^+ (x - b)."""
        return self._run(lambda part: self.model.read(part)[:, :k], states)

    def rebuild(self, codes: np.ndarray, decoder: str = "") -> np.ndarray:
        """Frames from codes alone; see `DCFModel.rebuild`."""
        return self._run(lambda part: self.model.rebuild(part, decoder), codes)

    def find_velocity(self, x: np.ndarray, segment: np.ndarray, time: np.ndarray, k: int) -> np.ndarray:
        """v at tau = 0, s = 0 at the encoder's point, (time, k), per median step."""
        table, codes = self._tabulate(x, segment, time)
        rows = torch.arange(len(codes), device=codes.device)
        return self._run(lambda part: compute_velocity(self.model, codes[table.window(part)], k), rows)

    def find_held_velocity(self, codes: np.ndarray) -> np.ndarray:
        """v at tau = 0, s = 0 at codes (n, k) that have stood still for the whole history, (n, k), per median step."""
        lags, k = self.model.config.history + 1, codes.shape[1]
        spare = self.model.k_max - k

        def find(part: Tensor) -> Tensor:
            return compute_velocity(self.model, nn.functional.pad(part, (0, spare))[:, None].expand(-1, lags, -1), k)

        return self._run(find, codes)

    @torch.no_grad()
    @multiply_in("float32")
    def roll_out(
        self,
        x: np.ndarray,
        segment: np.ndarray,
        k: int,
        n_frames: int,
        *,
        tau: float = 0.0,
        n_paths: int | None = None,
        seed: int = 0,
        total_variance: float = 0.0,
    ) -> np.ndarray:
        """Integrate v at `tau` from the last frame of each segment.

        Returns
        -------
        array, shape (segment, path, n_frames, k), or (..., channel) where tau is above 0
            One path without noise, or `n_paths` whose starts have the bridge's noise, drawn with `seed`.
        """
        model = self.model
        frames = model.view(self._tensor(x))
        table, codes = self._tabulate(x, segment, np.arange(len(x)))
        last = torch.tensor(np.flatnonzero(np.append(np.diff(segment) != 0, True)), device=frames.device)
        generator = torch.Generator(frames.device).manual_seed(seed)
        rows = table.window(last.repeat_interleave(n_paths or 1))
        paths = []
        for part in torch.split(rows, max(1, NUMBERS_AT_ONCE // (n_frames * model.n_channels))):
            past = place_states(model, codes[part], frames[part], tau, k)
            noise = draw_start_noise(model, len(part), tau, k, total_variance, generator) if n_paths else None

            def run(some: slice, past: Tensor = past, noise: Tensor | None = noise) -> np.ndarray:
                path = roll_out(model, past[some], tau, k, n_frames, noise=None if noise is None else noise[some])
                return (model.coupling.read(path)[..., :k] if tau == 0 else model.show(path)).cpu().numpy()

            some = split_frames(len(part), model.n_channels, part.device, PATHS_AT_ONCE)
            paths += spread(run, some, part.device, beside=self.beside)
        return np.concatenate(paths).reshape(len(last), n_paths or 1, n_frames, -1)

    def _tabulate(self, x: np.ndarray, segment: np.ndarray, time: np.ndarray) -> tuple[FrameTable, Tensor]:
        codes = self._encode(self._tensor(x), segment)
        table = FrameTable.build(
            codes, torch.tensor(segment), torch.tensor(time), history=self.model.config.history, drop_start=False
        )
        return table, codes

    @torch.no_grad()
    @multiply_in("float32")
    def _encode(self, x: Tensor, segment: np.ndarray) -> Tensor:
        frames = FrameTable.build(
            self.model.view(x), torch.tensor(segment), torch.arange(len(x)), history=0, drop_start=False
        )
        return frames.encode(self.model.coupling)

    def _tensor(self, values: np.ndarray) -> Tensor:
        return torch.tensor(values, dtype=torch.float32, device=self.model.coupling.mean.device)

    @torch.no_grad()
    @multiply_in("float32")
    def _run(self, function: Callable[[Tensor], Tensor], rows: np.ndarray | Tensor) -> np.ndarray:
        tensor = rows if isinstance(rows, Tensor) else self._tensor(rows)
        parts = split_frames(len(tensor), self.model.n_channels, tensor.device)
        made = spread(lambda part: function(tensor[part]).cpu().numpy(), parts, tensor.device, beside=self.beside)
        return np.concatenate(made)

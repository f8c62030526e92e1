"""A trained model on NumPy arrays: prepared frames in, latents, states and paths out, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from .model.dcf import DCFModel
from .model.precision import multiply_in
from .model.rollout import draw_start_noise, place_states, roll_out
from .spread import split_frames, spread
from .train.windows import FrameTable

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
        return self._run(lambda part: self.model.coupling.read(part)[:, :k], states)

    def rebuild(self, codes: np.ndarray, decoder: str = "") -> np.ndarray:
        """Frames from codes alone; see `DCFModel.rebuild`."""
        return self._run(lambda part: self.model.rebuild(part, decoder), codes)

    def find_velocity(self, x: np.ndarray, segment: np.ndarray, time: np.ndarray, k: int) -> np.ndarray:
        """v at tau = 0, s = 0 at the encoder's point, (time, k), per median step."""
        table, codes = self._tabulate(x, segment, time)
        rows = torch.arange(len(codes), device=codes.device)
        return self._run(lambda part: self.model.find_velocity(codes[table.window(part)], k), rows)

    def find_held_velocity(self, codes: np.ndarray) -> np.ndarray:
        """v at tau = 0, s = 0 at codes (n, k) that have stood still for the whole history, (n, k), per median step."""
        lags, k = self.model.config.history + 1, codes.shape[1]
        spare = self.model.k_max - k

        def find(part: Tensor) -> Tensor:
            return self.model.find_velocity(nn.functional.pad(part, (0, spare))[:, None].expand(-1, lags, -1), k)

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
        model, frames = self.model, self._tensor(x)
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
                return (model.coupling.read(path)[..., :k] if tau == 0 else path).cpu().numpy()

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
        frames = FrameTable.build(x, torch.tensor(segment), torch.arange(len(x)), history=0, drop_start=False)
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

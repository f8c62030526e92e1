"""A fitted model: recordings are prepared once, and everything else is computed from the prepared frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from ..config import FitConfig
from ..data.chunks import count_block_frames, release_scratch
from ..data.preprocessing import Preprocessor
from ..data.recording import flatten_frames, frame_dims
from ..data.records import EncoderChoice, HeldOut, Machine, SolverError
from ..errors import DataError, ParameterError
from ..metrics import r2_score
from ..metrics.rate_calibration import RateCalibration
from ..model.dcf_model import DCFModel
from ..model.parallel import run_parts, split_frames
from ..model.precision import multiply_in
from ..model.rollout import compute_velocity, draw_start_noise, place_states, roll_out
from ..model.training import LossCurve
from ..model.training.batches import FrameTable

if TYPE_CHECKING:
    from jaxtyping import Float, Float32, Int, Real, Shaped

    Frames = Real[np.ndarray, "time channel"]
    Latents = Real[np.ndarray, "time latent"]

PATHS_AT_ONCE = 512
NUMBERS_AT_ONCE = 2**24  # of paths in whole states
COUNT_UNITS = ("count", "counts")


@dataclass(frozen=True)
class PreparedFrames:
    """Frames as the model sees them: transformed, smoothed, scaled.

    Attributes
    ----------
    values : array of float32, shape (time, channel)
        Pixels of images row by row.
    segment : array of int, shape (time,)
        Segment of each frame, 0, 1, ... in blocks.
    time : array of float64, shape (time,)
        Seconds on the session clock.
    """

    values: Float32[np.ndarray, "time channel"]
    segment: Int[np.ndarray, " time"]
    time: Float[np.ndarray, " time"]

    @classmethod
    def of(cls, prepared: xr.Dataset) -> Self:
        """Take the arrays out of a prepared recording."""
        return cls(flatten_frames(prepared), prepared["segment_index"].values, prepared["time"].values)

    def __len__(self) -> int:
        return len(self.values)

    def take(self, frames: slice) -> PreparedFrames:
        """Return some successive frames."""
        return PreparedFrames(self.values[frames], self.segment[frames], self.time[frames])

    def blocks(self, reach: int = 0) -> Iterator[tuple[slice, slice]]:
        """Yield blocks that cover all frames, each as a slice with `reach` frames around, and the block within it."""
        n = count_block_frames(self.values.shape)
        for start in range(0, len(self), n):
            # the window reaches into neighbouring blocks, so that results do not depend on where blocks end
            stop = min(start + n, len(self))
            wide = slice(max(start - reach, 0), min(stop + reach, len(self)))
            yield wide, slice(start - wide.start, stop - wide.start)


@dataclass(frozen=True)
class FittedModel:
    """A trained model with everything needed to use it on new data.

    `prepare` takes a recording; everything else works on prepared frames (time, channel), on latents (time, k), the
    first k coordinates of mu(x), or on states (time, channel), frames at tau = 0. Results are arrays on the host,
    computed in parts on the device of the model.

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
        Axes for 95 % of that variance, noise included (paper 3.1).
    steps : dict of str to int
        Chosen for u and v.
    search, curve : LossCurve
        Losses while steps were chosen (empty where nothing was held out) and while training on all.
    notes : list of str
    timing : dict of str to float
        ``seconds``, ``samples_per_s``.
    machine : Machine
    bin_width_s : float or None
        Of the recording that was fitted, where it was binned.
    chosen_on : HeldOut
        Held-out data on which the steps were chosen; empty where nothing was held out.
    settled : dict of str to int
        Step at which u and v were stopped early; without those that took the whole schedule.
    finished : dict of str to int
        Steps on all frames that followed the chosen one, of u and v; without those that took none.
    init : dict of str to str
        Fit whose networks training started from: ``fit``, its name, and the ``sha256`` of its weights; empty for none.
    solver_error : SolverError
        Empty where the solver is dopri5.
    encoder : EncoderChoice
        Whether an encoder was trained in place of PCA's latents, by what held-out frames say.
    calibration : RateCalibration or None
        Of the rates that `dim` latents give, on the training frames; None for images, values that are no counts, and
        fits stored without it.
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
    machine: Machine
    bin_width_s: float | None
    chosen_on: HeldOut
    pixels: dict[str, list[Any]] | None = None
    settled: dict[str, int] = field(default_factory=dict)
    finished: dict[str, int] = field(default_factory=dict)
    init: dict[str, str] = field(default_factory=dict)
    solver_error: SolverError = field(default_factory=SolverError)
    encoder: EncoderChoice = field(default_factory=EncoderChoice)
    calibration: RateCalibration | None = None

    def __repr__(self) -> str:
        # a dataclass would print every weight
        return f"<FittedModel {self.config.model.dim} latents of {len(self.channels)} {self.channel_dim}s, {self.kind}>"

    def __post_init__(self) -> None:
        # in training mode the encoder's running statistics would move with every call
        self.model.eval()

    # -- what it is ------------------------------------------------------------------------------

    @property
    def dim(self) -> int:
        """Number of latents."""
        return self.config.model.dim

    @property
    def k_max(self) -> int:
        """Number of axes."""
        return self.model.k_max

    @property
    def spectrum(self) -> Float[np.ndarray, " k_max"]:
        """d, the variance of each axis in prepared units squared."""
        return np.asarray(self.model.spectrum.detach().cpu().numpy())

    @property
    def loadings(self) -> Float[np.ndarray, "channel k_max"]:
        """L, the orthonormal axes."""
        return np.asarray(self.model.loadings.detach().cpu().numpy())

    @property
    def mean(self) -> Float[np.ndarray, " channel"]:
        """b, the mean of the prepared training frames."""
        return np.asarray(self.model.mean.detach().cpu().numpy())

    @property
    def frame_ids(self) -> dict[str, list[Any]]:
        """Ids along each dim of a frame: of the channels, or of an image's rows and columns."""
        return self.pixels or {self.channel_dim: self.channels}

    # -- recordings ------------------------------------------------------------------------------

    def check(self, recording: xr.Dataset) -> None:
        """Refuse a recording whose channels, frames or bins are not those fitted.

        Raises
        ------
        DataError
            If they differ.
        """
        check_channels(recording, self)
        self.preparation.check(recording)

    def prepare(self, recording: xr.Dataset) -> PreparedFrames:
        """Prepare a recording of the fitted channels, as the training frames were.

        Raises
        ------
        DataError
            If its channels or bins differ from those fitted.
        """
        self.check(recording)
        return PreparedFrames.of(self.preparation.apply(recording))

    # -- prepared frames to numbers --------------------------------------------------------------

    def encode(self, frames: PreparedFrames, k: int | None = None) -> Float[np.ndarray, "time k"]:
        """Compute mu(x), the first `k` latents of each frame, `dim` by default."""
        k = self.dim if k is None else k
        found = np.empty((len(frames), min(k, self.k_max)), np.float32)
        for wide, inside in frames.blocks(self.config.model.encoder_window):
            latents = self._encode(frames.values[wide], frames.segment[wide])
            found[wide][inside] = latents[inside, :k].cpu().numpy()
            release_scratch()
        return found

    def flow(self, frames: PreparedFrames) -> Float[np.ndarray, "time latent"]:
        """Compute flowed latents: frames integrated by u to tau = 0 and read on the axes (paper, section 4)."""
        return self._run(lambda part: self.model.flow(part, self.dim), frames.values)

    def compress(self, frames: PreparedFrames) -> Float[np.ndarray, "time channel"]:
        """Compute states: frames integrated by u from tau = 1 to 0 (paper 2.3)."""
        return self._run(lambda part: self.model.compress(part, self.dim), frames.values)

    def read_states(self, states: Frames) -> Float[np.ndarray, "time latent"]:
        """Read states on the axes: what `flow` gives of the frames that `compress` made them of."""
        return self._run(lambda part: self.model.read(part)[:, : self.dim], states)

    def velocity(self, frames: PreparedFrames, latents: Latents | None = None) -> Float[np.ndarray, "time dim"]:
        """Compute latent velocity in latent units per second: v at tau = 0, s = 0 at the encoder's point (paper 4).

        Parameters
        ----------
        frames : PreparedFrames
        latents : array, shape (time, k_max), optional
            Of all axes, where `encode` has computed them already.
        """
        table, known = self._tabulate(frames, latents)
        rows = torch.arange(len(known), device=known.device)
        found = self._run(lambda part: compute_velocity(self.model, known[table.window(part)], self.dim), rows)
        return np.asarray(found / self.step_s)

    def velocity_at(self, points: Real[np.ndarray, "point latent"]) -> Float[np.ndarray, "point latent"]:
        """Compute latent velocity in latent units per second at points, with a constant history."""
        lags, k = self.model.config.history + 1, points.shape[1]
        spare = self.k_max - k

        def compute(part: Tensor) -> Tensor:
            # a constant history: the only one that a point alone determines
            held = nn.functional.pad(part, (0, spare))[:, None].expand(-1, lags, -1)
            return compute_velocity(self.model, held, k)

        return np.asarray(self._run(compute, points) / self.step_s)

    def score(self, frames: PreparedFrames) -> float:
        """Compute R2 of frames reconstructed from `dim` latents each (the bottleneck reconstruction)."""
        return r2_score(frames.values, self.reconstruct(self.encode(frames)))

    # -- numbers to frames -----------------------------------------------------------------------

    def expand(self, states: Frames) -> Float[np.ndarray, "time channel"]:
        """Compute frames in prepared units: states integrated by u from tau = 0 to 1, the inverse of `compress`."""
        return self._run(lambda part: self.model.expand(part, self.dim), states)

    def reconstruct(self, latents: Latents, decoder: str = "") -> Float[np.ndarray, "time channel"]:
        """Reconstruct frames in prepared units from latents (time, k), any k up to `k_max`.

        `decoder` is ``"mean"``, ``"flow"`` (u integrated from tau = 0 to 1), or by default the configured one.

        Raises
        ------
        DataError
            If there are more than `k_max` latents a frame.
        ParameterError
            If `decoder` is another word.
        """
        if latents.ndim != 2 or not 1 <= latents.shape[1] <= self.k_max:
            raise DataError(
                f"latents have shape {latents.shape}", fix=f"give (time, K), K at most {self.k_max} (k_max)"
            )
        if decoder not in ("", "mean", "flow"):
            raise ParameterError(f"decoder is {decoder!r}", fix="choose mean or flow")
        return self._run(lambda part: self.model.reconstruct(part, decoder), latents)

    def reconstruct_data(self, latents: Latents) -> Float[np.ndarray, " time *frame"]:
        """Reconstruct frames in the data's own unit and shape: (time, channel) or (time, y, x)."""
        return self.preparation.undo(self._shape(self.reconstruct(latents)))

    def rates(self, latents: Latents) -> Float[np.ndarray, " time *frame"]:
        """Compute the expected counts of each bin from latents (time, k), calibrated where `calibration` is there.

        The calibration is that of `dim` latents, for which mean rates of the training frames equal mean counts.

        Raises
        ------
        DataError
            If the fitted values are no counts, or there are more than `k_max` latents a frame.
        """
        if self.units not in COUNT_UNITS:
            raise DataError(f"rates are of counts, and the fitted values are {self.units}", fix="fit counts")
        # the inverse of a mean square root, not its square: E[sqrt(n)]^2 < E[n]
        rates = self.preparation.expect_counts(self._shape(self.reconstruct(latents)))
        return rates if self.calibration is None else self.calibration.apply(rates)

    @torch.no_grad()
    @multiply_in("float32")
    def simulate(
        self,
        frames: PreparedFrames,
        n_frames: int,
        *,
        tau: float = 0.0,
        n_paths: int | None = None,
        seed: int = 0,
        latents: Latents | None = None,
    ) -> Float[np.ndarray, "segment path frame *state"]:
        """Integrate v at `tau` from the last frame of each segment (paper, section 4).

        Parameters
        ----------
        frames : PreparedFrames
            The known past of each start: a segment for each.
        n_frames, tau, n_paths, seed
            See `nwb_dcf.DCF.simulate`.
        latents : array, shape (time, k_max), optional
            Of all axes, where `encode` has computed them already.

        Returns
        -------
        array, shape (segment, path, frame, dim), or (segment, path, frame, channel) or (..., y, x) where tau is above 0
            One path without noise, or `n_paths` whose starts have the bridge's noise, drawn with `seed`. Prepared units
            between tau = 0 and 1, the data's own at 1.

        Raises
        ------
        DataError
            If a path leaves all bounds.
        """
        model, k, x = self.model, self.dim, frames.values
        table, known = self._tabulate(frames, latents)
        # segments are contiguous: each ends where the label changes
        last = torch.tensor(np.flatnonzero(np.append(np.diff(frames.segment) != 0, True)), device=known.device)
        # drawn part by part in order: the same noise whatever runs in parallel
        generator = torch.Generator(known.device).manual_seed(seed)
        # paths of one start are rows of one batch
        rows = table.window(last.repeat_interleave(n_paths or 1))
        paths = []
        for part in torch.split(rows, max(1, NUMBERS_AT_ONCE // (n_frames * model.n_channels))):
            seen = self._view(x[part.cpu().numpy()]) if tau else None
            past = place_states(model, known[part], seen, tau, k)
            noise = draw_start_noise(model, len(part), tau, k, self.total_variance, generator) if n_paths else None

            def run(some: slice, past: Tensor = past, noise: Tensor | None = noise) -> Float[np.ndarray, "p f s"]:
                path = roll_out(model, past[some], tau, k, n_frames, noise=None if noise is None else noise[some])
                return (model.coupling.read(path)[..., :k] if tau == 0 else model.show(path)).cpu().numpy()

            some = split_frames(len(part), model.n_channels, part.device, PATHS_AT_ONCE)
            paths += run_parts(run, some, part.device, beside=self._beside)
        found = np.concatenate(paths).reshape(len(last), n_paths or 1, n_frames, -1)
        # v is fitted on the visited part of the space; far outside of it rollouts may diverge
        if not np.isfinite(found).all():
            raise DataError(
                f"the simulation leaves all bounds within {n_frames} frames", fix="simulate fewer, or fit longer"
            )
        if tau == 0:
            return found
        return self.preparation.undo(self._shape(found)) if tau == 1 else self._shape(found)

    # -- plumbing --------------------------------------------------------------------------------

    @property
    def _beside(self) -> bool:
        return self.model.image_shape is None  # of images every operation keeps many threads busy

    def _shape(self, values: Float[np.ndarray, "*any channel"]) -> Float[np.ndarray, "*any_frame"]:
        """Give values (..., channel) the shape of a frame: (..., channel) or (..., y, x)."""
        return values.reshape(*values.shape[:-1], *self.preparation.factor.shape)

    def _tabulate(self, frames: PreparedFrames, latents: Latents | None) -> tuple[FrameTable, Tensor]:
        """Index the histories of all frames, and return the latents of all axes on the device."""
        # rollouts need all axes: history enters v as coordinates on every one
        known = self._tensor(self.encode(frames, self.k_max) if latents is None else latents)
        table = FrameTable.build(
            known,
            torch.tensor(frames.segment),
            torch.tensor(frames.time),
            history=self.model.config.history,
            drop_start=False,
        )
        return table, known

    @torch.no_grad()
    @multiply_in("float32")
    def _encode(self, x: Frames, segment: Int[np.ndarray, " time"]) -> Float[Tensor, "time k_max"]:
        table = FrameTable.build(
            self.model.view(self._tensor(x)), torch.tensor(segment), torch.arange(len(x)), history=0, drop_start=False
        )
        return table.encode(self.model.coupling)

    def _view(self, x: Float[np.ndarray, "*any channel"]) -> Float[Tensor, "*any input"]:
        """Frames as the networks see them: their channels, or their coordinates on principal axes."""
        return self.model.view(self._tensor(x.reshape(-1, x.shape[-1]))).reshape(*x.shape[:-1], -1)

    def _tensor(self, values: Real[np.ndarray, "*any"]) -> Float[Tensor, "*any"]:
        return torch.tensor(values, dtype=torch.float32, device=self.model.coupling.mean.device)

    @torch.no_grad()
    @multiply_in("float32")
    def _run(
        self, function: Callable[[Tensor], Tensor], rows: Real[np.ndarray, "row value"] | Shaped[Tensor, " row"]
    ) -> Float[np.ndarray, " row *result"]:
        """Call `function` on parts of the rows, which go to the device part by part, and join the results."""
        device = self.model.coupling.mean.device

        def run(part: slice) -> Float[np.ndarray, " part *result"]:
            some = rows[part]
            result = function(some if isinstance(some, Tensor) else self._tensor(some)).cpu().numpy()
            release_scratch()
            return result

        # frames may be more than a GPU holds; only parts are sent
        first, *others = split_frames(len(rows), self.model.n_channels, device) or [slice(0, 0)]
        begin = run_parts(run, [first], device, beside=self._beside)[0]
        found = np.empty((len(rows), *begin.shape[1:]), begin.dtype)
        found[first] = begin

        def fill(part: slice) -> None:
            found[part] = run(part)

        # results of parts that stay between the blocks of memory of the next ones keep those from being used again
        run_parts(fill, others, device, beside=self._beside)
        return found


def check_channels(recording: xr.Dataset, fitted: FittedModel) -> None:
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
        return  # pixels have no ids: their place on the image identifies them
    ids, expected = recording[dim].values.tolist(), fitted.channels
    pairs = ((recording.attrs["kind"], ids), (fitted.kind, expected))
    # bare arrays have positions for ids, which prove nothing about their channels
    nameless = any(kind == "array" and names == list(range(len(names))) for kind, names in pairs)
    if ids != expected and not nameless:
        missing = [i for i in expected if i not in ids]
        how = f"missing {missing[:8]}" if missing else f"{len(ids)} given and {len(expected)} fitted, or another order"
        raise DataError(f"the {dim}s differ from those fitted: {how}", fix=f"select the fitted {dim}s, in their order")

"""What a fit needs before it is begun: a recording, how it is split, and every setting."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from ..data.recording import frame_dims
from .destination import ReservedDestination
from .fit_memory import estimate_recording
from .fit_repeats import Repeats
from .fit_seconds import Machine, estimate_recording_seconds

if TYPE_CHECKING:
    import xarray as xr

    from ..config import FitConfig, ReadConfig
    from ..data.records import JSON
    from ..data.result import DCFResult
    from ..data.split import Split
    from ..estimator.dimensionality import DimensionChoice
    from ..estimator.smoothing_and_scale import SmoothingChoice

SCHEMA_BYTES = 250_000  # of the cached specification, the grid of v and the provenance


@dataclass(frozen=True)
class FitPlan:
    """A recording, how it is split, and every setting: all that a fit needs.

    Attributes
    ----------
    recording : xarray.Dataset
        All segments, as they were read.
    split : Split or None
        None where nothing is held out.
    held_out : float
        Fraction of the frames that was asked to be held out.
    read : ReadConfig
        How the recording was read.
    config : FitConfig
        Finished: of the recording's kind, with the number of latents.
    dimension : DimensionChoice or None
        How the number of latents was chosen; None where it was given.
    smoothing : SmoothingChoice or None
        How smoothing and scale were chosen; None where they were given, and for values that are no counts.
    repeats : Repeats
        Fits to make beside it.
    warm_start : DCFResult or None
        A stored fit to begin with.
    destination : ReservedDestination or None
        The file that the result goes into; None for recordings that are in none.
    planned_s : float
        Seconds that reading and choosing took.
    """

    recording: xr.Dataset
    split: Split | None
    held_out: float
    read: ReadConfig
    config: FitConfig
    dimension: DimensionChoice | None
    smoothing: SmoothingChoice | None = None
    repeats: Repeats = field(default_factory=Repeats)
    warm_start: DCFResult | None = None
    destination: ReservedDestination | None = None
    planned_s: float = 0.0

    @property
    def kind(self) -> str:
        """Kind of the recording: ``units``, ``series``, ..."""
        return str(self.recording.attrs["kind"])

    @property
    def dim(self) -> int:
        """Number of latents."""
        return self.config.model.dim

    @property
    def training(self) -> xr.Dataset:
        """What is fitted."""
        return self.split.training if self.split else self.recording

    @property
    def unseen(self) -> xr.Dataset:
        """What is scored: the fitted frames themselves where nothing is held out."""
        return self.split.held_out if self.split else self.recording

    def to_dict(self) -> JSON:
        """Return what would be fitted as a JSON-able dict."""
        recording, split, sizes = self.recording, self.split, self.recording.sizes
        return {
            "source": dict(recording.attrs["source"]),
            "kind": self.kind,
            "channels": math.prod(sizes[dim] for dim in frame_dims(recording)),
            "bins": sizes["time"],
            "bin_width_s": recording.attrs["bin_width_s"],
            "segments": sizes["segment"],
            "notes": list(recording.attrs["notes"]),
            "left_out": list(recording.attrs["left_out"]),
            "split": {
                "training": split.training.sizes["segment"] if split else sizes["segment"],
                "held_out": split.held_out.sizes["segment"] if split else 0,
                "rule": split.rule if split else "nothing held out",
            },
            "dim": self.dim,
            "preset": self.config.preset,
            "growth_bytes": self.growth_bytes,
            "dimension": self.dimension.to_dict() if self.dimension else None,
            "smoothing": self.smoothing.to_dict() if self.smoothing else None,
            "memory_bytes": estimate_recording(recording),
            "seconds": estimate_recording_seconds(recording, self.config, self.repeats, self.planned_s),
            "busy": Machine.measure().busy,
            **asdict(self.repeats),
            **(self.destination.to_dict() if self.destination else {}),
        }

    @property
    def growth_bytes(self) -> int | None:
        """About how much a file grows by the fit; None for a U-Net, whose weights depend on its levels."""
        model, frames = self.config.model, self.recording.sizes["time"]
        size = model.network_axes or math.prod(self.recording.sizes[dim] for dim in frame_dims(self.recording))
        if model.network != "mlp" and len(frame_dims(self.recording)) > 1:
            return None
        # first and last layers of u, v with its history, and mu with its window; then the layers between, which are
        # conditioned on tau and K
        ends = size * (model.width * (2 + 2 + model.history) + model.encoder_width * (2 + 2 * model.encoder_window))
        between = 1.6 * (2 * model.depth * model.width**2 + model.encoder_depth * model.encoder_width**2)
        axes = size * (model.k_max or 2 * max(8, model.dim))
        return round(frames * (12 * self.dim + 8) + 4 * (ends + between + axes)) + SCHEMA_BYTES

    def write(self, result: DCFResult) -> DCFResult:
        """Write the result where it is to go, if anywhere, and return it with its name there."""
        return self.destination.write(result) if self.destination else result

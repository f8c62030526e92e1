"""What a fit needs before it is begun: a recording, how it is split, and every setting."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from ..data.recording import frame_dims
from ..estimator.smoothing_and_scale import LEAST_BIN_S, MOST_BIN_S
from .destination import ReservedDestination
from .fit_memory import count_bins, estimate_recording, find_free
from .fit_repeats import Repeats
from .fit_seconds import Machine, estimate_choice_seconds, estimate_recording_seconds

if TYPE_CHECKING:
    import xarray as xr

    from ..config import FitConfig, ReadConfig
    from ..data.records import JSON
    from ..data.result import DCFResult
    from ..data.split import Split
    from ..estimator.dimensionality import DimensionChoice
    from ..estimator.smoothing_and_scale import SmoothingChoice

_WIDTHS_MS = range(round(1000 * LEAST_BIN_S), round(1000 * MOST_BIN_S) + 1)  # of bins that may be chosen
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
        How smoothing and scale were chosen; None where they were given, for values that are no counts, and where a plan
        leaves the choice to the fit.
    choose_bins : bool
        Whether the fit will choose bins of spikes with the smoothing; those of the recording are none of its then.
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
    choose_bins: bool = False
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
        to_choose = self._describe_choices()
        return {
            "source": dict(recording.attrs["source"]),
            "kind": self.kind,
            "channels": math.prod(sizes[dim] for dim in frame_dims(recording)),
            # None where not chosen yet: `to_choose` has what they may be
            "bins": None if self.choose_bins else sizes["time"],
            "bin_width_s": None if self.choose_bins else recording.attrs["bin_width_s"],
            "to_choose": to_choose,
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
            "growth_bytes": self.estimate_growth(self._most_frames),
            "dimension": self.dimension.to_dict() if self.dimension else None,
            "smoothing": self.smoothing.to_dict() if self.smoothing else None,
            "memory_bytes": estimate_recording(recording, self._most_frames),
            "seconds": estimate_recording_seconds(
                recording, self.config, self.repeats, self.planned_s + (to_choose or {}).get("seconds", 0.0)
            ),
            "busy": Machine.measure().busy,
            **asdict(self.repeats),
            **(self.destination.to_dict() if self.destination else {}),
        }

    @property
    def _most_frames(self) -> int:
        return count_bins(self.recording, LEAST_BIN_S) if self.choose_bins else self.recording.sizes["time"]

    def _describe_choices(self) -> JSON | None:
        """Describe what the fit has still to choose: between which values, and how long that takes."""
        prepare, recording = self.config.prepare, self.recording
        if "auto" not in (prepare.smooth, prepare.scale):
            return None
        seconds = estimate_choice_seconds(recording)
        found: JSON = {"smooth": prepare.smooth == "auto", "scale": prepare.scale == "auto", "seconds": seconds}
        if not self.choose_bins:
            return found
        bins = [count_bins(recording, width_s) for width_s in (MOST_BIN_S, LEAST_BIN_S)]
        free = find_free()
        # between all that may be chosen: whether a fit will be refused is not known before
        needs = {ms: estimate_recording(recording, count_bins(recording, ms / 1000)) for ms in _WIDTHS_MS}
        known = [needed for needed in needs.values() if needed is not None]
        fitting = [ms for ms, needed in needs.items() if needed is None or needed <= free]
        return found | {
            "bin_width_s": [LEAST_BIN_S, MOST_BIN_S],
            "bins": bins,
            # not that of the most bins: a recording that is fitted in blocks takes less than one that is just not
            "memory_bytes": [min(known), max(known)] if known else [None, None],
            "growth_bytes": [self.estimate_growth(n) for n in bins],
            "free_bytes": free,
            "least_bin_width_s": min(fitting) / 1000 if fitting else None,
        }

    def estimate_growth(self, frames: int) -> int | None:
        """About how much a file grows by the fit; None for a U-Net, whose weights depend on its levels."""
        model = self.config.model
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

"""The whole way: read, prepare, fit, write. The only place that knows all rooms."""

from __future__ import annotations

import dataclasses
import math
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import xarray as xr

from .config import FitConfig, ReadConfig
from .dimension import DimensionChoice, choose_for_fit
from .errors import ParameterError
from .prepare import check_size
from .presets import make_config
from .read import read_recording
from .recording import frame_dims, median_step_s, name_kind
from .result import DCFResult
from .split import Split, split_recording
from .store import check_writable, write_result

if TYPE_CHECKING:
    from .progress import Progress

GAP_S = 1.0  # least time between training and held-out blocks of one long segment


@dataclass(frozen=True)
class FitPlan:
    """What `fit_nwb` would do with the same arguments.

    Attributes
    ----------
    source : dict
        The object, as ``recording.attrs["source"]``.
    name : str
        Name the fit would get in ``processing/dcf``.
    dimension : dict or None
        How `dim` was chosen, as `nwb_dcf.dimension.DimensionChoice.to_dict` gives it; None where it was given.
    null, seeds : int
        Fits to shifted channels, and fits in all whose axes are compared.
    """

    file: str
    source: dict[str, Any]
    kind: str
    channels: int
    bins: int
    bin_width_s: float | None
    segments: int
    notes: list[str]
    left_out: list[dict[str, Any]]
    split: dict[str, Any]
    dim: int
    preset: str
    name: str
    output: str
    dimension: dict[str, Any] | None = None
    null: int = 0
    seeds: int = 1

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as a JSON-able dict."""
        return asdict(self)


@dataclass(frozen=True)
class _Target:
    """Where a fit is to go."""

    name: str | None
    overwrite: bool
    output: str | Path | None


@dataclass(frozen=True)
class _Repeats:
    """How often a fit is made again."""

    null: int
    seeds: int

    def __post_init__(self) -> None:
        for name, low in (("null", 0), ("seeds", 1)):
            value = getattr(self, name)
            if not isinstance(value, Integral) or isinstance(value, bool) or value < low:
                raise ParameterError(f"{name} is {value!r}", fix=f"give a whole number, {low} or more")


@dataclass(frozen=True)
class _Job:
    """A fit that has passed every check that can be made before training."""

    recording: xr.Dataset
    split: Split | None
    read: ReadConfig
    config: FitConfig
    name: str
    dimension: DimensionChoice | None


def fit_nwb(
    path: str | Path,
    dim: int | Literal["auto"] = 3,
    *,
    held_out: float = 0.2,
    name: str | None = None,
    overwrite: bool = False,
    output: str | Path | None = None,
    null: int = 0,
    seeds: int = 1,
    keep_partial: bool = False,
    progress: Callable[[Progress], None] | None = None,
    **settings: Any,
) -> DCFResult:
    """Fit an NWB file and write the result into it.

    Parameters
    ----------
    path : str or Path
        NWB file. It is replaced by a verified copy that holds the fit, unless `output` is given.
    dim : int or "auto"
        Number of latents; ``auto`` lets the training segments choose (`nwb_dcf.dimension.choose_dimension`) and keeps
        the reason in ``provenance["dimension"]``.
    held_out : float
        Share of the segments that no part of the fit sees, on which its figures are measured.
    name : str, optional
        Of the fit in ``processing/dcf``; KIND_dimN by default.
    overwrite : bool
        Replace a fit of that name (or an existing `output`).
    output : str or Path, optional
        Write a copy with the fit there and leave `path` alone.
    null : int
        Fits to make to the same data with the channels of each segment shifted apart in time, before smoothing, with
        the same settings and number of latents: their figures stand beside the fit's (`nwb_dcf.repeats.measure_null`).
    seeds : int
        Fits in all: those after the first have other seeds and resampled training segments, and the agreement of the
        axes is kept (`nwb_dcf.repeats.measure_agreement`).
    keep_partial : bool
        After Ctrl-C write the fit as far as it came.
    progress : callable, optional
        Called with a `nwb_dcf.progress.Progress` every few steps, of training as of reading a video.
    **settings
        By name: what to read (``source``, ``bin_width_s``, ``trials``, ..., see `nwb_dcf.config.ReadConfig`),
        ``preset``, and any other setting of `nwb_dcf.config` (``seed``, ``device``, ``smooth``, ``steps``, ...).

    Returns
    -------
    DCFResult
        As `nwb_dcf.read_result` would read it.

    Raises
    ------
    DCFError
        If the file, the choice or the data cannot be meant; nothing is written then.
    """
    started = time.perf_counter()
    repeats = _Repeats(null, seeds)
    job = _prepare_job(path, dim, held_out, _Target(name, overwrite, output), settings, progress)
    from .estimator import DCF  # torch is loaded once all that can be refused has been
    from .outcome import make_result
    from .repeats import measure_agreement, measure_null

    config = job.config
    if job.dimension and not job.dimension.supported:
        warnings.warn(job.dimension.rule, UserWarning, stacklevel=2)
    estimator = DCF.from_config(config, progress=progress).set_params(keep_partial=keep_partial)
    training, unseen = (job.split.training, job.split.held_out) if job.split else (job.recording, job.recording)
    estimator.fit(training)
    result = make_result(estimator, job.recording, job.split, job.read, share=held_out)
    if job.dimension:
        result.provenance["dimension"] = job.dimension.to_dict()
    if not result.provenance["interrupted"]:
        listen: dict[str, Any] = {"progress": progress, "keep_partial": keep_partial}
        scores = result.dataset.attrs["scores"]
        if repeats.null:
            scores["null"] = measure_null(estimator, training, unseen, scores, repeats.null, **listen)
        if repeats.seeds > 1:
            scores["agreement"] = measure_agreement(estimator, training, unseen, repeats.seeds, **listen)
    result.provenance["seconds"] = time.perf_counter() - started
    written = write_result(result, path, name=job.name, overwrite=overwrite, output=output)
    report = {"file": Path(written.path).name, "name": written.name, "notes": written.notes}
    return dataclasses.replace(result, name=written.name, provenance={**result.provenance, "written": report})


def plan_fit(
    path: str | Path,
    dim: int | Literal["auto"] = 3,
    *,
    held_out: float = 0.2,
    name: str | None = None,
    overwrite: bool = False,
    output: str | Path | None = None,
    null: int = 0,
    seeds: int = 1,
    keep_partial: bool = False,
    progress: Callable[[Progress], None] | None = None,
    **settings: Any,
) -> FitPlan:
    """Say what `fit_nwb` would do with the same arguments; nothing is fitted or written."""
    repeats = _Repeats(null, seeds)
    job = _prepare_job(path, dim, held_out, _Target(name, overwrite, output), settings, progress)
    recording, split = job.recording, job.split
    return FitPlan(
        file=Path(path).name,
        source=dict(recording.attrs["source"]),
        kind=recording.attrs["kind"],
        channels=math.prod(recording.sizes[dim] for dim in frame_dims(recording)),
        bins=recording.sizes["time"],
        bin_width_s=recording.attrs["bin_width_s"],
        segments=recording.sizes["segment"],
        notes=list(recording.attrs["notes"]),
        left_out=list(recording.attrs["left_out"]),
        split={
            "training": split.training.sizes["segment"] if split else recording.sizes["segment"],
            "held_out": split.held_out.sizes["segment"] if split else 0,
            "rule": split.rule if split else "nothing held out",
        },
        dim=job.config.model.dim,
        preset=job.config.preset,
        name=job.name,
        output=str(output or path),
        dimension=job.dimension.to_dict() if job.dimension else None,
        null=repeats.null,
        seeds=repeats.seeds,
    )


def _prepare_job(
    path: str | Path,
    dim: int | Literal["auto"],
    held_out: float,
    target: _Target,
    settings: dict[str, Any],
    progress: Callable[[Progress], None] | None,
) -> _Job:
    """Read, and refuse whatever can be refused before training."""
    read = ReadConfig.make(**{name: settings.pop(name) for name in ReadConfig.names() & settings.keys()})
    preset, wanted = settings.pop("preset", "default"), {**settings, "dim": 1 if dim == "auto" else dim}
    make_config(preset, wanted)  # refuses what cannot be meant before anything is read
    recording = read_recording(path, **asdict(read), progress=progress)
    config = make_config(preset, wanted, kind=name_kind(recording))
    check_size(recording, config.model.dim)
    gap_s = max(GAP_S, (config.model.history + 1) * median_step_s(recording))
    split = split_recording(recording, held_out, seed=config.train.seed, gap_s=gap_s)
    choice = None
    if dim == "auto":
        choice, config = choose_for_fit(split.training if split else recording, config)
    name = check_writable(path, kind=recording.attrs["kind"], dim=config.model.dim, **asdict(target))
    return _Job(recording, split, read, config, name, choice)

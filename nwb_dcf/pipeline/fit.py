"""The whole way: read, prepare, fit, write. The only place that knows all rooms."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..config import ReadConfig, sort_settings
from ..data.recording import frame_dims
from ..data.result import DCFResult
from ..errors import ParameterError
from ..io.recordings import describe_session, locate, read_recording
from ..io.results import (
    WrittenResult,
    read_result,
    split_address,
    write_derived,
    write_result,
)
from .destination import _Target
from .fit_recording import Job, choose_smoothing, has_own_bins, make_fit_config, prepare_job, run_job

if TYPE_CHECKING:
    from ..config.progress import Progress


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
        How `dim` was chosen, as `estimator.dimensionality.DimensionChoice.to_dict` gives it; None where it was given.
    smoothing : dict or None
        How smoothing and scale were chosen, as `SmoothingChoice.to_dict` gives it; None where they were given.
    null, repeats : int
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
    smoothing: dict[str, Any] | None = None
    null: int = 0
    repeats: int = 1

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as a JSON-able dict."""
        return asdict(self)


@dataclass(frozen=True)
class _Repeats:
    """How often a fit is made again."""

    null: int
    repeats: int

    def __post_init__(self) -> None:
        for name, low in (("null", 0), ("repeats", 1)):
            value = getattr(self, name)
            if not isinstance(value, Integral) or isinstance(value, bool) or value < low:
                raise ParameterError(f"{name} is {value!r}", fix=f"give a whole number, {low} or more")


@dataclass(frozen=True)
class _FileJob:
    """A fit of a file that has passed every check that can be made before training."""

    job: Job
    read: ReadConfig
    name: str
    session: dict[str, Any] | None


def fit_nwb(
    path: str | Path,
    dim: int | Literal["auto"] = 3,
    *,
    held_out: float = 0.2,
    name: str | None = None,
    overwrite: bool = False,
    output: str | Path | None = None,
    results_only: bool = False,
    null: int = 0,
    repeats: int = 1,
    warm_start: str | Path | None = None,
    keep_partial: bool = False,
    progress: Callable[[Progress], None] | None = None,
    **settings: Any,
) -> DCFResult:
    """Fit an NWB file and write the result into it.

    Parameters
    ----------
    path : str or Path
        NWB file, in HDF5 or Zarr. It is replaced by a verified copy that holds the fit, unless `output` is given. Or an
        address (``https://``, ``s3://``, ``dandi://``), of which what is needed is read; it asks for `output`.
    dim : int or "auto"
        Number of latents; ``auto`` lets the training segments choose (`choose_dimension`) and keeps
        the reason in ``provenance["dimension"]``.
    held_out : float
        Share of the segments that no part of the fit sees, on which its figures are measured.
    name : str, optional
        Of the fit in ``processing/dcf``; KIND_dimN by default.
    overwrite : bool
        Replace a fit of that name (or an existing `output`).
    output : str or Path, optional
        Write a copy with the fit there and leave `path` alone.
    results_only : bool
        Write to `output`, in place of a copy, a small file of the same session and subject that holds the fit and no
        data; so it is in any case where `path` is an address.
    null : int
        Fits to make to the same data with the channels of each segment shifted apart in time, before smoothing, with
        the same settings and number of latents: their figures stand beside the fit's (`measure_null`).
    repeats : int
        Fits in all: those after the first have other seeds and resampled training segments, and the agreement of the
        axes is kept (`evaluation.resampling.measure_agreement`).
    warm_start : str or Path, optional
        ``FILE#NAME``, a stored fit of the same channels and dim to begin with; NAME may be left out where there is one.
    keep_partial : bool
        After Ctrl-C write the fit as far as it came.
    progress : callable, optional
        Called with a `nwb_dcf.config.progress.Progress` every few steps, of training as of reading a video.
    **settings
        By name: what to read (``source``, ``bin_width_s``, ``trials``, ..., see `nwb_dcf.config.ReadConfig`; bins of
        spikes are by default a quarter of the smoothing that the data choose, within 10 to 100 ms, as with ``"auto"``),
        ``preset``, and any other setting of `nwb_dcf.config` (``seed``, ``device``, ``smooth``, ``steps``, ...). Those
        of one stage can be given together, as a mapping or its configuration: ``read``, ``prepare``, ``model`` and
        ``train``. A name that two stages own has to be, as in ``read={"align": "go", "window": (-0.5, 1)}`` and
        ``model={"window": 2}``. `held_out` is what no part of the fit sees; what chooses the steps is
        ``train={"held_out": 0.1}``.

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
    counts = _Repeats(null, repeats)
    target = _Target(name, overwrite, output, results_only)
    target.clear(path)
    file_job = _prepare_file_job(path, dim, held_out, target, settings, progress)
    job, warm = file_job.job, None if warm_start is None else _read_warm_start(warm_start)
    estimator, result = run_job(job, file_job.read, warm_start=warm, progress=progress, keep_partial=keep_partial)
    if not result.provenance["interrupted"]:
        listen: dict[str, Any] = {"progress": progress, "keep_partial": keep_partial}
        scores = result.dataset.attrs["scores"]
        from ..evaluation.resampling import measure_agreement, measure_null

        if counts.null:
            scores["null"] = measure_null(estimator, job.training, job.unseen, scores, counts.null, **listen)
        if counts.repeats > 1:
            scores["agreement"] = measure_agreement(estimator, job.training, job.unseen, counts.repeats, **listen)
    result.provenance["arguments"] = {"dim": dim, "held_out": held_out, "null": null, "repeats": repeats}
    result.provenance["seconds"] = time.perf_counter() - started
    written = _write(result, path, file_job, overwrite, output)
    report = {"file": Path(written.path).name, "name": written.name, "notes": written.notes}
    return dataclasses.replace(result, name=written.name, provenance={**result.provenance, "written": report})


def _write(
    result: DCFResult, path: str | Path, job: _FileJob, overwrite: bool, output: str | Path | None
) -> WrittenResult:
    if job.session is not None and output is not None:
        return write_derived(result, job.session, output, name=job.name, overwrite=overwrite)
    return write_result(result, path, name=job.name, overwrite=overwrite, output=output, as_read=True)


def plan_fit(
    path: str | Path,
    dim: int | Literal["auto"] = 3,
    *,
    held_out: float = 0.2,
    name: str | None = None,
    overwrite: bool = False,
    output: str | Path | None = None,
    results_only: bool = False,
    null: int = 0,
    repeats: int = 1,
    warm_start: str | Path | None = None,
    keep_partial: bool = False,
    progress: Callable[[Progress], None] | None = None,
    **settings: Any,
) -> FitPlan:
    """Say what `fit_nwb` would do with the same arguments; nothing is fitted or written."""
    counts = _Repeats(null, repeats)
    if warm_start is not None:
        _read_warm_start(warm_start)
    file_job = _prepare_file_job(
        path, dim, held_out, _Target(name, overwrite, output, results_only), settings, progress
    )
    job = file_job.job
    recording, split = job.recording, job.split
    return FitPlan(
        file=locate(path).name,
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
        name=file_job.name,
        output=str(output or path),
        dimension=job.dimension.to_dict() if job.dimension else None,
        smoothing=job.smoothing.to_dict() if job.smoothing else None,
        null=counts.null,
        repeats=counts.repeats,
    )


def _read_warm_start(address: str | Path) -> DCFResult:
    """Read the fit to begin with; its name is the address by which messages and provenance call it."""
    file, name = split_address(address)
    stored = read_result(file, name)
    return dataclasses.replace(stored, name=f"{Path(file).name}#{stored.name}")


def _prepare_file_job(
    path: str | Path,
    dim: int | Literal["auto"],
    held_out: float,
    target: _Target,
    settings: dict[str, Any],
    progress: Callable[[Progress], None] | None,
) -> _FileJob:
    """Read, and refuse whatever can be refused before training."""
    reading, settings = sort_settings(settings)
    fits_bins = reading.get("bin_width_s", "auto") == "auto"
    if fits_bins:
        reading.pop("bin_width_s", None)
    read = ReadConfig.make(**reading)
    target.check(path)
    make_fit_config(dim, settings)  # refuses what cannot be meant before anything is read
    recording = read_recording(path, **asdict(read), progress=progress)
    smoothing = None
    if fits_bins and has_own_bins(recording):
        smoothing = choose_smoothing(recording, dim, held_out, settings)
        if smoothing is not None and smoothing.chosen:
            read = dataclasses.replace(read, bin_width_s=smoothing.bin_width_s)
            recording = read_recording(path, **asdict(read), progress=progress)
    job = prepare_job(recording, dim, held_out, settings, smoothing=smoothing)
    kind = job.recording.attrs["kind"]
    name = target.choose_name(path, kind, job.config.model.dim)
    # Read before the long work, since a server may be gone after it.
    return _FileJob(job, read, name, describe_session(path) if target.is_derived(path) else None)

"""The whole way from an NWB file to a stored fit: read, plan, fit, resample, write."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..config.presets import resolve_settings
from ..config.request import hash_request
from ..data.result import DCFResult
from .checkpointing import CheckpointPlace, keep_training
from .destination import Destination
from .fit_recording import FitPlan, Repeats, check_device, fit_recording, plan_recording, read_to_fit, resample
from .held_out_score import require_score
from .source import read_warm_start

if TYPE_CHECKING:
    from ..config.progress import Progress


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
    resume: bool = False,
    checkpoint: str | Path | None = None,
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
        Share of the segments that no part of the fit sees, on which its figures are measured. Where they cannot be, the
        file is refused; 0 measures them on the frames that are fitted.
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
    resume : bool
        Go on from the checkpoint of a fit of the same file, name and settings that was ended: on a CPU the result is
        the same to the bit as if it had not been.
    checkpoint : str or Path, optional
        Folder for the checkpoint, which training writes once a minute and when it is asked to end (SIGTERM, SIGHUP);
        by default the hidden work folder beside the file that the fit goes into. It goes once the fit is written.
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
        If the file, the choice or the data cannot be meant; nothing is written then. If the file does not take the
        fit after the training, the fit is kept in a file of its own, which the error names.
    Terminated
        After SIGTERM or SIGHUP, with a checkpoint left.
    """
    started = time.perf_counter()
    asked = {"dim": dim, "held_out": held_out, "null": null, "repeats": repeats}
    request = hash_request({**asked, "warm_start": warm_start, **settings})
    Destination(path, output=output).clear()
    plan = plan_fit(
        path, dim, held_out=held_out, name=name, overwrite=overwrite, output=output, results_only=results_only,
        null=null, repeats=repeats, warm_start=warm_start, resume=resume, checkpoint=checkpoint, progress=progress,
        **settings,
    )  # fmt: skip
    with keep_training(plan, checkpoint, resume=resume) as kept:
        fitted, result = fit_recording(plan, progress=progress, keep_partial=keep_partial)
        if not result.provenance["interrupted"]:
            require_score(result, held_out)
        resample(result, fitted, plan, progress=progress, keep_partial=keep_partial)
        result.provenance.update(arguments=asked, request=request, seconds=time.perf_counter() - started)
        return kept.write(result)


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
    resume: bool = False,
    checkpoint: str | Path | None = None,
    progress: Callable[[Progress], None] | None = None,
    **settings: Any,
) -> FitPlan:
    """Settle all that `fit_nwb` would do with the same arguments; nothing is fitted or written.

    Raises
    ------
    DCFError
        If the file, the choice or the data cannot be meant.
    """
    counts, destination = Repeats(null, repeats), Destination(path, name, overwrite, output, results_only)
    read, config, bins = resolve_settings(dim, settings)  # refuses what is invalid before any file is opened
    destination.check()
    first = read_warm_start(warm_start)
    recording, read, smoothing = read_to_fit(path, read, config, bins=bins, held_out=held_out, progress=progress)
    check_device(config.train.device)
    plan = plan_recording(recording, config, dim, held_out=held_out, read=read, smoothing=smoothing)
    reserved = destination.reserve(plan.kind, plan.dim, recording.attrs["source"].get("object_id"))
    plan = replace(plan, repeats=counts, warm_start=first, destination=reserved)
    CheckpointPlace.of(plan, checkpoint, resume=resume).check()
    return plan

"""The whole way from an NWB file to a stored fit: read, plan, fit, resample, write."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..config import Destination, FitConfig, ReadConfig
from ..data.result import DCFResult
from .beside_imports import plan_beside_imports
from .checkpointing import CheckpointPlace, keep_training
from .fit_plan import FitPlan
from .fit_recording import check_device, fit_recording, plan_recording, read_to_fit, resample
from .fit_request import FitRequest
from .held_out_score import require_score
from .warm_start import read_warm_start

if TYPE_CHECKING:
    from ..config.progress import Listener


def fit_nwb(
    path: str | Path,
    dim: int | Literal["auto"] | None = None,
    *,
    read: ReadConfig | Mapping[str, Any] | None = None,
    config: FitConfig | None = None,
    write: Destination | Mapping[str, Any] | None = None,
    progress: Listener | None = None,
    **options: Any,
) -> DCFResult:
    """Fit an NWB file and write the result into it.

    Parameters
    ----------
    path : str or Path
        NWB file, in HDF5 or Zarr. It is replaced by a verified copy that holds the fit, unless `write` names an output.
        Or an address (``https://``, ``s3://``, ``dandi://``), of which what is needed is read; it needs an output.
    dim : int or "auto", optional
        Number of latents: 3 by default, or that of `config`. ``auto`` lets the training segments choose
        (`choose_dimension`) and keeps the reason in ``provenance["dimension"]``.
    read : ReadConfig or mapping, optional
        What to read and how. Bins of spikes are by default a quarter of the smoothing that the data choose, within 20
        to 100 ms, as with ``bin_width_s="auto"``.
    config : FitConfig, optional
        Every setting of preparation, model and training, taken as it is. Without it, they are those of ``preset`` and
        of the kind of the recording, but for those that are given by name.
    write : Destination or mapping, optional
        Where the fit goes.
    progress : callable, optional
        Called with a `nwb_dcf.config.progress.Progress` every few steps, of training as of reading a video.
    **options
        Settings by name, where one stage alone has that name: of `nwb_dcf.config.ReadConfig` (``source``, ``trials``,
        ...), of `nwb_dcf.config.FitConfig` (``preset``, ``seed``, ``device``, ``smooth``, ``steps``, ...) and of
        `nwb_dcf.config.Destination` (``name``, ``output``, ``overwrite``, ``results_only``). A name that two stages own
        is given with its stage: ``read={"align": "go", "window": (-0.5, 1)}``, ``model={"encoder_window": 2}``.

        held_out : float, 0.2 by default
            Fraction of the segments that no part of the fit sees, on which its figures are measured. Where they cannot
            be, the file is refused; 0 measures them on the frames that are fitted. What chooses the steps is
            ``train={"held_out": 0.1}``.
        null : int
            Fits to make to the same data with the channels of each segment shifted apart in time, before smoothing,
            with the same settings and number of latents: their figures stand beside the fit's
            (`evaluation.resampling.measure_null`).
        repeats : int
            Fits in all: those after the first have other seeds and resampled training segments, and the agreement of
            the axes is kept (`evaluation.resampling.measure_agreement`).
        certify : bool
            Measure the dear lines of the certificate too: ``null=19`` and ``repeats=3``, unless more are asked for.
            Before those 21 fits `progress` receives how long they will take.
        warm_start : str or Path
            ``FILE#NAME``, a stored fit of the same channels and dim to begin with; NAME may be left out where there is
            one.
        keep_partial : bool
            After Ctrl-C write the fit as far as it came.
        resume : bool
            Go on from the checkpoint of a fit of the same file, name and settings that was ended: on a CPU the result
            is the same to the bit as if it had not been.
        checkpoint : str or Path
            Folder for the checkpoint, which training writes once a minute and when it is asked to end (SIGTERM,
            SIGHUP); by default the hidden work folder beside the file that the fit goes into. It goes once the fit is
            written.

    Returns
    -------
    DCFResult
        As `nwb_dcf.read_result` would read it.

    Raises
    ------
    DCFError
        If the file, the choice or the data are invalid; nothing is written then. If the file does not take the fit
        after the training, the fit is kept in a file of its own, which the error names.
    Terminated
        After SIGTERM or SIGHUP, with a checkpoint left.

    Examples
    --------
    >>> fit_nwb("session.nwb", 3, read={"source": "units"}, steps=200, write={"output": "fit.nwb"})  # doctest: +SKIP
    """
    started = time.perf_counter()
    request = FitRequest.make(path, dim, read=read, config=config, write=write, **options)
    # a plan leaves everything as it is; a fit may tidy up after one that was killed
    request.target.clear()
    plan = plan_beside_imports(lambda listener: _follow(request, listener), path, progress)
    # entered once all that can be refused has been: from here on a signal leaves a checkpoint
    with keep_training(plan, request.checkpoint, resume=request.resume) as kept:
        fitted, result = fit_recording(plan, progress=progress, keep_partial=request.keep_partial)
        if not result.provenance["interrupted"]:
            # before hours of null fits, and never stored: a fit without a score on unseen frames looks like any other
            require_score(result, request.held_out)
        resample(result, fitted, plan, progress=progress, keep_partial=request.keep_partial)
        took = time.perf_counter() - started
        result.provenance.update({"arguments": request.arguments, "request": request.hash, "seconds": took})
        return kept.write(result, progress)


def plan_fit(
    path: str | Path,
    dim: int | Literal["auto"] | None = None,
    *,
    read: ReadConfig | Mapping[str, Any] | None = None,
    config: FitConfig | None = None,
    write: Destination | Mapping[str, Any] | None = None,
    progress: Listener | None = None,
    choose: bool = True,
    **options: Any,
) -> FitPlan:
    """Settle all that `fit_nwb` would do with the same arguments; nothing is fitted or written.

    Counts of spikes are made when they are asked for, ``plan.recording["data"].values``, and not before. A fit of that
    name that exists is no obstacle to a plan: ``destination.refusal`` says what `fit_nwb` would be refused with.

    Parameters
    ----------
    path, dim, read, config, write, progress, **options
        As of `fit_nwb`.
    choose : bool
        Whether smoothing, scale and bins that are ``auto`` are chosen even where that takes longer than about a second;
        else they are left to the fit then, and ``to_dict()["to_choose"]`` has what they may be.

    Raises
    ------
    DCFError
        If the file, the choice or the data are invalid.
    """
    request = FitRequest.make(path, dim, read=read, config=config, write=write, **options)
    return _follow(request, progress, planning=True, choose=choose or request.dim == "auto")


def _follow(request: FitRequest, progress: Listener | None, *, planning: bool = False, choose: bool = True) -> FitPlan:
    """Read the file, and refuse before training whatever can be refused."""
    started = time.perf_counter()
    target, held_out = request.target, request.held_out
    target.check()
    # a misspelt name is refused before minutes of reading
    first = read_warm_start(request.warm_start)
    recording, read, smoothing = read_to_fit(
        target.path, request.read, request.config, bins=request.choose_bins, held_out=held_out, progress=progress,
        choose=choose, later=planning,
    )  # fmt: skip
    # a named device loads torch: after all that reading refuses
    check_device(request.config.train.device)
    plan = plan_recording(
        recording, request.config, request.dim, held_out=held_out, read=read, smoothing=smoothing, choose=choose,
        choose_bins=request.choose_bins, progress=progress,
    )  # fmt: skip
    # last, as its default name has the kind and the number of latents
    reserved = target.reserve(plan.kind, plan.dim, recording.attrs["source"].get("object_id"), planning=planning)
    plan = replace(plan, repeats=request.repeats, warm_start=first, destination=reserved)
    CheckpointPlace.of(plan, request.checkpoint, resume=request.resume).check()
    return replace(plan, planned_s=time.perf_counter() - started)

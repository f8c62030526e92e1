"""From a recording and a configuration to a trained model: preparation, initial model, choice of steps, refit."""

from __future__ import annotations

import dataclasses
import hashlib
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
import xarray as xr

from ..config import FitConfig, TrainConfig
from ..config.presets import configure_encoder
from ..config.progress import Progress
from ..data.chunks import take_scattered
from ..data.preprocessing import fit_preprocessor
from ..data.recording import frame_dims, frame_shape, median_step_s, take_frames
from ..data.records import EncoderChoice, SolverError
from ..data.split import Split, split_recording
from ..errors import DataError, ParameterError
from ..metrics import count_variance_axes
from ..metrics.rate_calibration import RateCalibration, calibrate_rates, choose_calibration_frames
from ..model.dcf_model import DCFModel
from ..model.parallel import use_threads
from ..model.precision import multiply_in
from ..model.training import LossCurve
from ..model.training.hardware import choose_products
from .beside_dynamics import BesideDynamics
from .encoder_choice import choose_encoder, close_choice, settle_encoder
from .fitted import COUNT_UNITS, FittedModel, PreparedFrames, check_channels
from .initialization import choose_device, note_frame_storage
from .serialization import unpack_weights
from .train_stages import PART_NAMES, FrameGroups, Training, plan_part

REACH = 4.0  # standard deviations of the smoother that separate training from held-out blocks
SOLVER_FRAMES, SOLVER_IMAGES = 256, 32  # that the error of the quick solver is measured on


def fit(
    recording: xr.Dataset,
    config: FitConfig,
    *,
    warm_start: WarmStart | None = None,
    progress: Callable[[Progress], None] | None = None,
    keep_partial: bool = False,
    latents_only: bool = False,
    beside: BesideDynamics[Any] | None = None,
) -> FittedModel:
    """Fit a recording with exactly the settings of `config`.

    Parameters
    ----------
    recording : xarray.Dataset
        All its segments are trained on; some are held out first to choose the steps. `check_size` accepts it.
    config : FitConfig
    warm_start : WarmStart, optional
        A fit whose networks training starts from.
    progress : callable, optional
        Called with a `nwb_dcf.config.progress.Progress` every few steps.
    keep_partial : bool
        Whether Ctrl-C keeps the partly trained model instead of raising KeyboardInterrupt.
    latents_only : bool
        Whether v, which learns after the encoder and u, is left as it starts, and neither rates nor the solver are
        measured: latents and reconstructions are the same to the bit, in about half the time.
    beside : BesideDynamics, optional
        What is to be done with the fit as soon as all but its v is there.

    Returns
    -------
    FittedModel

    Raises
    ------
    ParameterError
        If a setting does not suit the recording.
    DataError
        If the frames span fewer dimensions than `dim`, or no segment is longer than the history.
    TrainingError
        If a loss is not finite.
    """
    started = time.perf_counter()
    # in a single stage the loss of v reaches the encoder
    if latents_only and not config.train.single_stage:
        config = dataclasses.replace(config, train=dataclasses.replace(config.train, beta=0.0))
    if warm_start is not None:
        check_warm_start(recording, config, warm_start)
    images = frame_shape(recording) is not None
    if config.model.network == "unet" and not images:
        raise ParameterError(
            "network is 'unet', but the frames are no images", fix="give images (time, y, x), or network='mlp'"
        )
    # refused before any frame is prepared
    device = choose_device(config.train.device)
    preparation = fit_preprocessor(recording, config.prepare)
    notes: list[str] = []
    step_s = median_step_s(recording)
    config = settle_encoder(config, warm_start.fitted.config if warm_start else None)
    tried = None if images else configure_encoder(config)
    window = max(each.model.encoder_window for each in (config, tried) if each is not None)
    # frames within the smoother's, the history's and the encoder's reach of held-out blocks would leak into them
    gap_s = REACH * preparation.smooth_s + (config.model.history + window + 1) * step_s
    training = Training(config, device, step_s, progress, keep_partial, warm_start.fitted.model if warm_start else None)
    # frames are prepared once; every later step works on this table
    start = training.start(preparation.apply(recording))
    split, groups = _divide(recording, config.train, gap_s)
    if config.train.early_stopping and groups is None:
        notes.append(f"too short to hold anything out to choose the steps: all {config.train.steps} were taken")
    encoder, first = EncoderChoice(), None
    if tried is not None and split is not None and groups is not None:
        taken, encoder = choose_encoder(training, start, groups, split.held_out)
        training, start, first = taken.training, taken.start, taken.part
    elif tried is not None:
        encoder = {"trained": False, "why": "nothing was held out that could prefer a trained encoder"}
    config = close_choice(training.config)
    model, principal = start.model, start.principal
    ids = {dim: recording[dim].values.tolist() for dim in frame_dims(recording)}

    def describe() -> FittedModel:
        spectrum = model.spectrum if model.learns_axes else principal.variance  # not truncated at k_max
        return FittedModel(
            config=config,
            preparation=preparation,
            model=model,
            channels=[] if images else next(iter(ids.values())),
            channel_dim="pixel" if images else next(iter(ids)),
            pixels=ids if images else None,
            units=str(recording["data"].attrs.get("units", "a.u.")),
            kind=str(recording.attrs.get("kind", "array")),
            step_s=step_s,
            total_variance=principal.total,
            k_eff=count_variance_axes(spectrum.detach().cpu().numpy(), principal.total),
            steps={},
            search=LossCurve(),
            curve=LossCurve(),
            notes=[],
            timing={},
            bin_width_s=recording.attrs.get("bin_width_s"),
            machine={
                "device": str(device),
                "name": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine(),
                "threads": torch.get_num_threads(),
                "products": choose_products(model, config.train.precision),
                "frames": note_frame_storage(recording, device, start.table.x.device),
            },
            chosen_on={"rule": split.rule, "intervals_s": split.held_out_intervals_s} if groups and split else {},
            init=warm_start.about if warm_start else {},
            encoder=encoder,
        )

    def find_rates(fitted: FittedModel) -> RateCalibration | None:
        return calibrate(fitted, recording, start.prepared)

    def begin_beside() -> None:
        if beside is not None:
            beside.start(describe(), find_rates, PreparedFrames.of(start.prepared))

    try:
        trained = training.learn(start, groups, first, begin_beside)
        # measured before what runs beside, the solver's check and the calibration, which are no training
        seconds = time.perf_counter() - started
    finally:
        if beside is not None:
            beside.wait()
    if trained.settled:
        notes.append(_describe_settled(trained.settled, config.train))
    if split is not None and trained.best_step.get("u") == 0:
        notes.append(_describe_unmoved(split))
    if trained.interrupted:
        stage = "in training" if groups is None or trained.finished else "while steps were chosen"
        notes.append(f"interrupted {stage}, after {trained.taken} steps: a partial fit")
    if config.model.k_max == 0 and model.k_max < model.n_channels:
        notes.append(f"{model.k_max} axes of {model.n_channels} pixels, so that a step costs no more than the networks")
    fitted = dataclasses.replace(
        describe(),
        steps=trained.best_step,
        search=trained.curve if groups else LossCurve(),
        curve=trained.curve,
        notes=notes,
        timing={"seconds": seconds, "samples_per_s": trained.samples / seconds},
        settled=trained.settled,
        finished=trained.finished,
        solver_error={} if latents_only else measure_solver(model, start.prepared),
    )
    if latents_only:
        return fitted
    rates = find_rates(fitted) if beside is None else beside.find_rates(fitted, find_rates)
    return dataclasses.replace(fitted, calibration=rates)


def calibrate(fitted: FittedModel, recording: xr.Dataset, prepared: xr.Dataset) -> RateCalibration | None:
    """Calibrate the rates of each unit on its training frames; None for images and for values that are no counts.

    Parameters
    ----------
    fitted : FittedModel
        Without a calibration.
    recording, prepared : xarray.Dataset
        The training frames, as they were read and as the model sees them.
    """
    if fitted.units not in COUNT_UNITS or fitted.pixels:
        return None
    some = choose_calibration_frames(recording.sizes["time"], fitted.model.n_channels)
    latents = fitted.encode(PreparedFrames.of(prepared))[some]
    return calibrate_rates(fitted.rates(latents), take_frames(recording, some))


@dataclass(frozen=True)
class WarmStart:
    """A fit whose networks training starts from.

    Attributes
    ----------
    fitted : FittedModel
    about : dict of str to str
        What the new fit reports of it, see `FittedModel.init`.
    """

    fitted: FittedModel
    about: dict[str, str]

    @classmethod
    def from_weights(cls, weights: bytes, name: str | None) -> Self:
        """Start from the bytes of `pack_weights`; messages call the fit by `name`."""
        about = {"fit": name or "", "sha256": hashlib.sha256(weights).hexdigest()}
        return cls(unpack_weights(weights, "cpu"), about)


def _divide(recording: xr.Dataset, config: TrainConfig, gap_s: float) -> tuple[Split | None, FrameGroups | None]:
    """Hold frames out to choose the steps; None where early stopping is off, or the recording is too short."""
    if not config.early_stopping:
        return None, None
    # positions survive the split as a variable: the parts index the one table that is on the device
    marked = recording.assign(frame_number=("time", np.arange(recording.sizes["time"])))
    split = split_recording(marked, config.held_out, seed=config.seed, gap_s=gap_s)
    if split is None:
        return None, None
    return split, FrameGroups(*(part["frame_number"].values for part in (split.training, split.held_out)))


def _describe_settled(settled: Mapping[str, int], train: TrainConfig) -> str:
    # where v learns alone it has steps of its own
    together = {"u", "v"} if train.single_stage else set()
    most = {name: plan_part(train, together or {name}).steps for name in settled}
    ends = " and ".join(f"{PART_NAMES[name]} at step {step} of {most[name]}" for name, step in settled.items())
    by = f" by {100 * train.early_stopping_tolerance:g} % or more" if train.early_stopping_tolerance else ""
    return f"the search for the number of steps ended by itself, {ends}: the held-out loss no longer fell{by}"


def _describe_unmoved(split: Split) -> str:
    # not a reason to try other seeds: what is chosen by luck does not hold
    frames, segments = (split.held_out.sizes[dim] for dim in ("time", "segment"))
    held_out = f"{frames} held-out frames in {segments} segment{'' if segments == 1 else 's'}"
    return (
        f"no step of training was better than the initial model on {held_out}: reconstructions stay those of the axes "
        "alone; a longer recording would hold out more"
    )


@torch.no_grad()
@multiply_in("float32")
def measure_solver(model: DCFModel, prepared: xr.Dataset) -> SolverError:
    """Compare the quick solver of u with dopri5 on some of the frames, evenly spaced; empty where it is dopri5."""
    settings = model.config
    if settings.solver == "dopri5":
        return {}
    # dopri5 on a few frames costs less than one training step
    n = SOLVER_FRAMES if model.image_shape is None else SOLVER_IMAGES
    places = np.unique(np.linspace(0, prepared.sizes["time"] - 1, n).round().astype(int))
    x = torch.tensor(take_scattered(prepared["data"].values, places).reshape(len(places), -1), device=model.mean.device)
    with use_threads(1 if model.image_shape is None else torch.get_num_threads()):  # few frames
        quick, exact = (model.compress(x, settings.dim, solver=solver) for solver in (settings.solver, "dopri5"))
    latents = model.read(quick - exact + model.mean)[:, : settings.dim]
    size = (x - model.mean).square().mean()
    return {
        "solver": settings.solver,
        "steps": settings.solver_steps,
        "against": "dopri5",
        "frames": len(places),
        "compress": float(((quick - exact).square().mean() / size).sqrt()),
        "latents": float(latents.square().mean().sqrt()),
    }


def check_warm_start(recording: xr.Dataset, config: FitConfig, warm_start: WarmStart) -> None:
    """Refuse to start from a fit of other channels or another dim; bins may be of another width.

    Raises
    ------
    DataError
        If the channels differ.
    ParameterError
        If the dims differ.
    """
    before = warm_start.fitted
    where = warm_start.about.get("fit") or None
    try:
        # bins may differ: networks see prepared values, whose scale hardly depends on the width
        check_channels(recording, dataclasses.replace(before, bin_width_s=None))
        before.preparation.check(recording)
    except DataError as error:
        raise DataError(
            f"cannot start from that fit: {error.what}", where=where, fix="start from a fit of the same ones"
        ) from None
    if before.config.model.dim != config.model.dim:
        raise ParameterError(
            f"dim is {config.model.dim}, and that of the fit to start from {before.config.model.dim}",
            where=where,
            fix=f"give --dim {before.config.model.dim}, or start without it",
        )

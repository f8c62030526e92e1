"""From a recording and a configuration to a trained model: preparation, start, search, refit."""

from __future__ import annotations

import dataclasses
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import xarray as xr

from .blocks import is_lazy
from .config import FitConfig, TrainConfig
from .errors import DataError, ParameterError
from .evaluate import effective_dimension
from .model.coupling import PrincipalAxes
from .model.dcf import DCFModel
from .model.dynamical_flow import RidgeStartDynamics
from .model.precision import choose_products
from .prepare import Preparation, check_size, fit_preparation
from .progress import Progress
from .recording import frame_dims, frame_shape, median_step_s
from .split import split_recording
from .start import choose_device, make_heads, start_dynamics, start_model, tabulate_frames, teach_heads
from .train import FrameTable, LossCurve, Trained, train_model

REACH = 4.0  # standard deviations of the smoother that separate training from held-out blocks
SOLVER_FRAMES, SOLVER_IMAGES = 256, 32  # that the error of the quick solver is measured on
PART_NAMES = {"coupling": "code", "u": "compression", "v": "dynamics"}  # in progress, for people


@dataclass(frozen=True)
class Fitted:
    """A trained model with everything needed to use it on new data.

    Attributes
    ----------
    config : FitConfig
    preparation : Preparation
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
    init : dict of str to str
        Fit whose networks training began with: ``fit``, its name, and the ``sha256`` of its weights; empty for none.
    solver_error : dict
        Of the quick solver against dopri5, see `measure_solver`; empty where that is the solver.
    """

    config: FitConfig
    preparation: Preparation
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
    init: dict[str, str] = field(default_factory=dict)
    solver_error: dict[str, Any] = field(default_factory=dict)

    @property
    def frame_ids(self) -> dict[str, list[Any]]:
        """Ids along each dim of a frame: of the channels, or of an image's rows and columns."""
        return self.pixels or {self.channel_dim: self.channels}


def fit_recording(
    recording: xr.Dataset,
    config: FitConfig,
    *,
    warmth: Warmth | None = None,
    progress: Callable[[Progress], None] | None = None,
    keep_partial: bool = False,
) -> Fitted:
    """Fit `recording`; see `nwb_dcf.DCF.fit`."""
    started = time.perf_counter()
    check_size(recording, config.model.dim)
    if warmth is not None:
        check_warmth(recording, config, warmth)
    images = frame_shape(recording) is not None
    if config.model.network == "unet" and not images:
        raise ParameterError(
            "network is 'unet', but the frames are no images", fix="give images (time, y, x), or network='mlp'"
        )
    device = choose_device(config.train.device)
    preparation = fit_preparation(recording, config.prepare)
    notes: list[str] = []
    step_s = median_step_s(recording)
    gap_s = REACH * preparation.smooth_s + (config.model.history + config.model.window + 1) * step_s
    split = split_recording(recording, config.train.held_out, seed=config.train.seed, gap_s=gap_s)
    found: Trained | None = None
    training = _Training(config, device, step_s, progress, keep_partial, warmth.fitted.model if warmth else None)
    if config.train.early_stopping and split is not None:
        held_out = tabulate_frames(preparation.apply(split.held_out), config, device, step_s)
        prepared = preparation.apply(split.training)
        model, principal, found, home = training.run(
            prepared, "choosing steps", held_out=held_out if len(held_out.pairs) else None
        )
    elif config.train.early_stopping:
        notes.append(f"too short to hold anything out to choose the steps: all {config.train.steps} were taken")
    if found is not None and found.interrupted:
        trained = found
    else:
        stop_at = found.best_step if found else None
        prepared = recording  # lets go of the frames of the search before those of all are made
        prepared = preparation.apply(recording)
        model, principal, trained, home = training.run(prepared, "training", stop_at=stop_at)
    if found is not None and found.settled:
        notes.append(_describe_settled(found.settled, config.train))
    if trained.interrupted:
        stage = "while steps were chosen" if trained is found else "in training"
        notes.append(f"interrupted {stage}, after {trained.samples // config.train.batch} steps: a partial fit")
    if config.model.k_max == 0 and model.k_max < model.n_channels:
        notes.append(f"{model.k_max} axes of {model.n_channels} pixels, so that a step costs no more than the networks")
    samples = trained.samples + (found.samples if found and found is not trained else 0)
    spectrum = model.coupling.variance if model.learns_axes else principal.variance  # not cut off at k_max
    seconds = time.perf_counter() - started
    ids = {dim: recording[dim].values.tolist() for dim in frame_dims(recording)}
    return Fitted(
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
        k_eff=effective_dimension(spectrum.detach().cpu().numpy(), principal.total),
        steps=trained.best_step,
        search=found.curve if found else LossCurve(),
        curve=trained.curve,
        notes=notes,
        timing={"seconds": seconds, "samples_per_s": samples / seconds},
        machine={
            "device": str(device),
            "name": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine(),
            "threads": torch.get_num_threads(),
            "products": choose_products(model, config.train.precision),
            "frames": _say_where_frames_lay(recording, device, home),
        },
        bin_width_s=recording.attrs.get("bin_width_s"),
        chosen_on={"rule": split.rule, "intervals_s": split.held_out_intervals_s} if found and split else {},
        settled=found.settled if found else {},
        init=warmth.about if warmth else {},
        solver_error=measure_solver(model, prepared),
    )


def _say_where_frames_lay(recording: xr.Dataset, device: torch.device, home: torch.device) -> str:
    host = "in a scratch file, written block by block" if is_lazy(recording["data"]) else "in memory"
    if device.type == "cpu":
        return host
    return f"on the {device.type} device" if home == device else f"{host}; sent to the {device.type} device by batches"


@dataclass(frozen=True)
class Warmth:
    """A fit to begin with.

    Attributes
    ----------
    fitted : Fitted
    about : dict of str to str
        What the new fit is to say of it, see `Fitted.init`.
    """

    fitted: Fitted
    about: dict[str, str]


@dataclass(frozen=True)
class _Training:
    """Trains a model from its start, part after part."""

    config: FitConfig
    device: torch.device
    step_s: float
    progress: Callable[[Progress], None] | None
    keep_partial: bool
    warm: DCFModel | None

    def run(
        self,
        prepared: xr.Dataset,
        stage: str,
        *,
        held_out: FrameTable | None = None,
        stop_at: dict[str, int] | None = None,
    ) -> tuple[DCFModel, PrincipalAxes, Trained, torch.device]:
        """Train the parts in `choose_order`, each on what those before it left; say where the frames lay as well."""
        config = self.config
        model, table, principal = start_model(prepared, config, self.device, self.step_s, self.warm)
        done: Trained | None = None
        for learn in choose_order(config, warm=self.warm is not None):
            seen, judged = table, held_out
            if learn == {"v"}:
                seen, judged = table.with_whole_history(), held_out.with_whole_history() if held_out else None
            if isinstance(model.v, RidgeStartDynamics) and "v" in learn:
                start_dynamics(model, model.v, seen)
            flows = [name for name in ("u", "v") if name in learn]
            heads = make_heads(principal, config, self.device) if {"coupling", "u"} <= learn else None
            if heads is not None and self.warm is not None:
                teach_heads(heads, model, table, config)
            trained = train_model(
                model,
                seen,
                config.train if flows else _plan_alignment(config.train),
                learn=learn,
                heads=heads,
                held_out=judged if flows else None,
                stop_at={name: stop_at[name] for name in flows} if stop_at and flows else None,
                stage=stage if config.train.jointly else f"{stage} ({_name_parts(learn)})",
                progress=self.progress,
                keep_partial=self.keep_partial,
                warm=self.warm is not None,
            )
            done = trained if done is None else _join(done, trained)
            if trained.interrupted:
                break
        if done is None:
            raise ParameterError("nothing is to be trained", fix="give alpha or beta above 0")
        return model, principal, done, table.x.device


def choose_order(config: FitConfig, *, warm: bool = False) -> list[set[str]]:
    """Which parts learn together, in order.

    v learns last, on the finished code, so that it starts at that code's own autoregression. A coupling that starts at
    random first finds its axes alone (L_align), but for a `warm` one. `jointly` trains all at once, as the paper does.
    """
    model = config.model
    if config.train.jointly:
        return [{"coupling", "u", "v"}]
    order = [{"coupling", "u"} if model.joined else {"u"}, *([{"v"}] if config.train.beta else [])]
    return [{"coupling"}, *order] if model.start == "random" and not warm else order


def _name_parts(learn: set[str]) -> str:
    return " and ".join(name for part, name in PART_NAMES.items() if part in learn)


def _plan_alignment(train: TrainConfig) -> TrainConfig:
    """Settings with which the coupling learns alone: only L_align, at its own rate."""
    return dataclasses.replace(
        train, steps=max(1, train.align_steps), encoder_rate=train.align_rate, eta=1.0, weight_decay=0.0
    )


def _join(first: Trained, second: Trained) -> Trained:
    return Trained(
        {**first.best_step, **second.best_step},
        first.curve.join(second.curve) if first.best_step else second.curve,
        first.samples + second.samples,
        first.interrupted or second.interrupted,
        {**first.settled, **second.settled},
    )


def _describe_settled(settled: Mapping[str, int], train: TrainConfig) -> str:
    ends = " and ".join(f"{PART_NAMES[name]} at step {step}" for name, step in settled.items())
    fall = f"by more than {100 * train.tolerance:g} %" if train.tolerance else "any further"
    return (
        f"the search for the number of steps ended by itself, {ends} of {train.steps}: the loss fell no longer {fall}"
    )


@torch.no_grad()
def measure_solver(model: DCFModel, prepared: xr.Dataset) -> dict[str, Any]:
    """Compare the quick solver of u with dopri5 on some of the frames, evenly spaced.

    Returns
    -------
    dict
        ``solver`` and its ``steps``, the ``frames`` compared, and two root mean squares: ``compress``, of what differs
        at tau = 0 beside that of the frames about their mean, and ``latents``, of what differs in the flowed latents,
        whose own is about 1. Empty where the solver is dopri5.
    """
    settings = model.config
    if settings.solver == "dopri5":
        return {}
    n = SOLVER_FRAMES if model.image_shape is None else SOLVER_IMAGES
    places = np.unique(np.linspace(0, prepared.sizes["time"] - 1, n).round().astype(int))
    coupling = model.coupling
    x = torch.tensor(prepared["data"].values[places].reshape(len(places), -1), device=coupling.mean.device)
    quick, exact = (model.compress(x, settings.dim, solver=solver) for solver in (settings.solver, "dopri5"))
    latents = coupling.read(quick - exact + coupling.mean)[:, : settings.dim]
    size = (x - coupling.mean).square().mean()
    return {
        "solver": settings.solver,
        "steps": settings.solver_steps,
        "against": "dopri5",
        "frames": len(places),
        "compress": float(((quick - exact).square().mean() / size).sqrt()),
        "latents": float(latents.square().mean().sqrt()),
    }


def check_warmth(recording: xr.Dataset, config: FitConfig, warmth: Warmth) -> None:
    """Refuse a fit to begin with that is of other channels or another dim; bins may be of another width.

    Raises
    ------
    DataError
        If the channels differ.
    ParameterError
        If the dims differ.
    """
    before = warmth.fitted
    where = warmth.about.get("fit") or None
    try:
        check_channels(recording, dataclasses.replace(before, bin_width_s=None))
        before.preparation.check(recording)
    except DataError as error:
        raise DataError(
            f"cannot start there: {error.what}", where=where, fix="start from a fit of the same ones"
        ) from None
    if before.config.model.dim != config.model.dim:
        raise ParameterError(
            f"dim is {config.model.dim}, and that of the fit to start from {before.config.model.dim}",
            where=where,
            fix=f"give --dim {before.config.model.dim}, or start without it",
        )


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

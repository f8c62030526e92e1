"""A fit of one recording, wherever it came from: first what can be refused before training, then the training."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

import xarray as xr

from ..config import FitConfig, ReadConfig
from ..config.presets import adapt_to_kind
from ..config.progress import SCORES, Progress
from ..data.recording import CHANNEL_SOURCE, median_step_s, name_kind
from ..data.result import DCFResult
from ..data.split import Split, split_recording
from ..estimator.data_driven import settle_config
from ..estimator.smoothing_and_scale import MOST_BIN_S, SmoothingChoice, is_to_be_chosen, resolve_smoothing
from .fit_memory import check_fit_memory
from .fit_plan import FitPlan
from .fit_seconds import is_choice_cheap
from .held_out_score import require_held_out

if TYPE_CHECKING:
    from ..estimator.fitted import FittedModel

GAP_S = 1.0  # least time between training and held-out blocks of one long segment


def plan_recording(
    recording: xr.Dataset,
    config: FitConfig,
    dim: int | Literal["auto"] | None = None,
    *,
    held_out: float,
    read: ReadConfig,
    smoothing: SmoothingChoice | None = None,
    choose: bool = True,
    choose_bins: bool = False,
    progress: Callable[[Progress], None] | None = None,
) -> FitPlan:
    """Refuse whatever can be refused before training, and settle what depends on the recording.

    Parameters
    ----------
    recording : xarray.Dataset
    config : FitConfig
        Settings as they were asked for; those of the recording's kind are set where they were not.
    dim : int or "auto", optional
        ``auto`` lets the training segments choose; by default and as a number that of `config`.
    held_out : float
        Fraction of the frames that no part of the fit sees.
    read : ReadConfig
        How the recording was read; kept in the result.
    smoothing : SmoothingChoice, optional
        What stands in place of ``auto``, where it has been chosen already.
    choose : bool
        Whether smoothing and scale that are ``auto`` are chosen from the recording in any case; else they stay
        ``auto`` where that takes longer than about a second.
    choose_bins : bool
        Whether bins of spikes are to be chosen with them.
    progress : callable, optional

    Raises
    ------
    DCFError
        If a setting is invalid, the recording is too small to be fitted or to hold out what is to be, or the fit would
        take more memory than is free.
    """
    choose = choose or smoothing is not None or (not choose_bins and is_choice_cheap(recording))
    # those that are left to the fit
    choose_bins = choose_bins and not choose and leaves_bins(recording, config)
    check_fit_memory(recording, MOST_BIN_S if choose_bins else None)
    config = adapt_to_kind(config, name_kind(recording))
    # before anything is chosen: what is held out must not take part in any choice
    split = _hold_out(recording, held_out, config)
    # on the training segments alone: what is held out chooses nothing
    settled = settle_config(
        split.training if split else recording, config, dim, smoothing=smoothing, choose=choose, progress=progress
    )
    return FitPlan(recording, split, held_out, read, settled.config, settled.dimension, settled.smoothing, choose_bins)


def leaves_bins(recording: xr.Dataset, config: FitConfig) -> bool:
    """Whether bins that are to be chosen with the smoothing are left to the fit: of spikes read alone."""
    prepare = adapt_to_kind(config, name_kind(recording)).prepare
    alone = recording.attrs.get("kind") == "units" and CHANNEL_SOURCE not in recording.coords
    return alone and prepare.smooth == "auto" and is_to_be_chosen(recording, prepare)


def check_device(name: str) -> None:
    """Refuse a device that is not here; torch is loaded only where one is named.

    Raises
    ------
    ParameterError
        If it is not.
    """
    if name not in ("auto", "cpu"):
        from ..estimator.initialization import choose_device

        choose_device(name)


def read_to_fit(
    path: str | Path,
    read: ReadConfig,
    config: FitConfig,
    *,
    bins: bool,
    held_out: float,
    progress: Callable[[Progress], None] | None = None,
    choose: bool = True,
    later: bool = False,
) -> tuple[xr.Dataset, ReadConfig, SmoothingChoice | None]:
    """Read a recording, and where its `bins` are ours to choose, choose them with the smoothing; spikes are read once.

    Parameters
    ----------
    path, read, config, held_out, progress
        As of the fit.
    bins : bool
        Whether bins of spikes are to be chosen.
    choose : bool
        Whether they are in any case; else only where that takes about a second, and are those of `read` otherwise.
    later : bool
        Whether counts of spikes are made when they are asked for.

    Returns
    -------
    recording : xarray.Dataset
    read : ReadConfig
        With the bins that were chosen.
    smoothing : SmoothingChoice or None
        Chosen on what would be fitted of the first bins; None where nothing was to be chosen.
    """
    from ..io.recordings import Counting, read_counting  # pynwb, which fits of analyzers do without

    found: list[SmoothingChoice | None] = []
    # bins are ours to choose for spike times without another source beside them, and with a smoothing to be chosen
    adapted = adapt_to_kind(config, "counts")
    own = bins and adapted.prepare.smooth == "auto"

    def choose_bins(recording: xr.Dataset) -> float | None:
        if not (choose or is_choice_cheap(recording)):
            return None
        split = _hold_out(recording, held_out, adapted)
        found.append(resolve_smoothing(split.training if split else recording, adapted, progress=progress)[0])
        # counted again and not merged: bins start with their trials, and a wider one need not be a multiple
        return found[0].bin_width_s if found[0] is not None and found[0].chosen else None

    counting = Counting(choose_bins if own else None, later=later)
    recording = read_counting(path, read, counting, progress=progress)
    if found:
        read = replace(read, bin_width_s=recording.attrs["bin_width_s"])
    return recording, read, found[0] if found else None


def _hold_out(recording: xr.Dataset, held_out: float, config: FitConfig) -> Split | None:
    # frames of the history across the edge would show v what is held out
    gap_s = max(GAP_S, (config.model.history + 1) * median_step_s(recording))
    split = split_recording(recording, held_out, seed=config.train.seed, gap_s=gap_s)
    require_held_out(recording, split, held_out)
    return split


def fit_recording(
    plan: FitPlan,
    *,
    progress: Callable[[Progress], None] | None = None,
    keep_partial: bool = False,
) -> tuple[FittedModel, DCFResult]:
    """Train as planned, and describe what came of it.

    Parameters
    ----------
    plan : FitPlan
    progress : callable, optional
        Called with a `nwb_dcf.config.progress.Progress` every few steps.
    keep_partial : bool
        Whether Ctrl-C keeps what was learned so far.

    Returns
    -------
    FittedModel
        Of ``plan.training``.
    DCFResult
    """
    from ..estimator.beside_dynamics import BesideDynamics
    from ..estimator.fit import WarmStart, fit  # torch is loaded once all that can be refused has been
    from ..evaluation.latent_measures import measure_latents
    from ..evaluation.result import build_result

    if plan.dimension and not plan.dimension.supported:
        warnings.warn(plan.dimension.rule, UserWarning, stacklevel=3)
    first = WarmStart.from_weights(plan.warm_start.weights, plan.warm_start.name) if plan.warm_start else None
    beside = BesideDynamics(lambda ready, prepared: measure_latents(ready, plan.recording, plan.split, prepared))
    fitted = fit(
        plan.training, plan.config, warm_start=first, progress=progress, keep_partial=keep_partial, beside=beside
    )
    if progress:
        progress(Progress(SCORES, 0, 1))
    result = build_result(
        fitted, plan.recording, plan.split, measured=beside.result(fitted), read=plan.read, held_out=plan.held_out,
        dimension=plan.dimension,
    )  # fmt: skip
    if plan.smoothing:
        result.provenance["smoothing"] = plan.smoothing.to_dict()
    return fitted, result


def resample(
    result: DCFResult,
    fitted: FittedModel,
    plan: FitPlan,
    *,
    progress: Callable[[Progress], None] | None = None,
    keep_partial: bool = False,
) -> None:
    """Make the fits beside it that were planned, and add what they say to the scores; an interrupted fit has none.

    Parameters
    ----------
    result : DCFResult
        Of `fitted`; its scores get ``null`` and ``agreement``, and its certificate the lines that they decide.
    fitted, plan, progress, keep_partial
        As `fit_recording` took and gave them.
    """
    from ..evaluation.certificate import certify_scores
    from ..evaluation.resampling import measure_agreement, measure_null

    if result.provenance["interrupted"]:
        return
    data, scores, repeats = (plan.training, plan.unseen), result.scores, plan.repeats
    if progress and repeats.n_more:
        announced = _announce(repeats.n_more, fitted.timing["seconds"])
        progress(Progress(announced, 0, repeats.n_more, unit="fit", at_once=True))
    if repeats.null:
        null = measure_null(
            fitted, *data, cast("dict[str, float]", scores), repeats.null, progress=progress, keep_partial=keep_partial
        )
        scores["null"] = null
    if repeats.repeats > 1:
        agreement = measure_agreement(fitted, *data, repeats.repeats, progress=progress, keep_partial=keep_partial)
        scores["agreement"] = agreement
    mean, scale = result.dataset["mean"], fitted.config.prepare.scale
    scores["certificate"] = certify_scores(scores, channel=str(mean.dims[0]), scale=scale, n_channels=mean.size)


def _announce(n_fits: int, seconds: float) -> str:
    """Say how long the fits beside the first will take, before they begin; without v they take less than it did."""
    total = n_fits * seconds
    shown = f"{total / 60:.0f} min" if total >= 90 else f"{total:.0f} s"
    return f"{n_fits} more fit{'' if n_fits == 1 else 's'}, at most {shown}"

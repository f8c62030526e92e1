"""A fit of one recording, wherever it came from: first what can be refused before training, then the training."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import xarray as xr

from ..config import FitConfig, ReadConfig
from ..config.presets import make_config
from ..data.preprocessing import check_size
from ..data.recording import CHANNEL_SOURCE, median_step_s, name_kind
from ..data.result import DCFResult
from ..data.split import Split, split_recording
from ..estimator.dimensionality import DimensionChoice, choose_for_fit
from ..estimator.smoothing_and_scale import SmoothingChoice, apply_choice, resolve_smoothing

if TYPE_CHECKING:
    from ..config.progress import Progress
    from ..estimator.dcf import DCF

GAP_S = 1.0  # least time between training and held-out blocks of one long segment


@dataclass(frozen=True)
class Job:
    """A recording, how it is split, and every setting: all that a fit needs.

    Attributes
    ----------
    recording : xarray.Dataset
    split : Split or None
        None where nothing is held out.
    share : float
        Share of the frames that was asked to be held out.
    config : FitConfig
    dimension : DimensionChoice or None
        How the number of latents was chosen; None where it was given.
    smoothing : SmoothingChoice or None
        How smoothing and scale were chosen; None where they were given, and for values that are no counts.
    """

    recording: xr.Dataset
    split: Split | None
    share: float
    config: FitConfig
    dimension: DimensionChoice | None
    smoothing: SmoothingChoice | None = None

    @property
    def training(self) -> xr.Dataset:
        """What is fitted."""
        return self.split.training if self.split else self.recording

    @property
    def unseen(self) -> xr.Dataset:
        """What is scored: the fitted frames themselves where nothing is held out."""
        return self.split.held_out if self.split else self.recording


def prepare_job(
    recording: xr.Dataset,
    dim: int | Literal["auto"],
    held_out: float,
    settings: Mapping[str, Any],
    *,
    smoothing: SmoothingChoice | None = None,
) -> Job:
    """Refuse whatever can be refused before training.

    Parameters
    ----------
    recording : xarray.Dataset
    dim : int or "auto"
        Number of latents.
    held_out : float
        Share of the frames that no part of the fit sees.
    settings : mapping
        ``preset``, and settings of `nwb_dcf.config` by name.
    smoothing : SmoothingChoice, optional
        What stands in place of ``auto``, where it has been chosen already.

    Raises
    ------
    DCFError
        If a setting cannot be meant, or the recording is too small.
    """
    config = make_fit_config(dim, settings, kind=name_kind(recording))
    check_size(recording, config.model.dim)
    split = _hold_out(recording, held_out, config)
    training, choice = split.training if split else recording, None
    if smoothing is None:
        smoothing, config = resolve_smoothing(training, config)
    else:
        config = apply_choice(config, smoothing)
    if dim == "auto":
        choice, config = choose_for_fit(training, config)
    return Job(recording, split, held_out, config, choice, smoothing)


def choose_smoothing(
    recording: xr.Dataset, dim: int | Literal["auto"], held_out: float, settings: Mapping[str, Any]
) -> SmoothingChoice | None:
    """Choose smoothing and scale on what `prepare_job` would fit of these bins, so that bins can be chosen by them.

    Returns
    -------
    SmoothingChoice or None
        None where the smoothing was given: bins are not chosen then.
    """
    config = make_fit_config(dim, settings, kind=name_kind(recording))
    if config.prepare.smooth != "auto":
        return None
    split = _hold_out(recording, held_out, config)
    return resolve_smoothing(split.training if split else recording, config)[0]


def has_own_bins(recording: xr.Dataset) -> bool:
    """Whether the bins of a recording were ours to choose: of spike times, and of no other source beside them."""
    return recording.attrs.get("kind") == "units" and CHANNEL_SOURCE not in recording.coords


def _hold_out(recording: xr.Dataset, held_out: float, config: FitConfig) -> Split | None:
    gap_s = max(GAP_S, (config.model.history + 1) * median_step_s(recording))
    return split_recording(recording, held_out, seed=config.train.seed, gap_s=gap_s)


def make_fit_config(dim: int | Literal["auto"], settings: Mapping[str, Any], *, kind: str = "values") -> FitConfig:
    """Build the configuration of a fit; ``auto`` stands at 1 until the data have chosen."""
    wanted = {**settings, "dim": 1 if dim == "auto" else dim}
    return make_config(wanted.pop("preset", "default"), wanted, kind=kind)


def run_job(
    job: Job,
    read: ReadConfig,
    *,
    warm_start: DCFResult | None = None,
    progress: Callable[[Progress], None] | None = None,
    keep_partial: bool = False,
) -> tuple[DCF, DCFResult]:
    """Train and describe.

    Parameters
    ----------
    job : Job
    read : ReadConfig
        How the recording was read; kept in the result.
    warm_start : DCFResult, optional
        Fit to begin with, see `nwb_dcf.DCF`.
    progress : callable, optional
        Called with a `nwb_dcf.config.progress.Progress` every few steps.
    keep_partial : bool
        Whether Ctrl-C keeps what was learned so far.

    Returns
    -------
    DCF
        Fitted to ``job.training``.
    DCFResult
    """
    from ..estimator.dcf import DCF  # torch is loaded once all that can be refused has been
    from ..evaluation.result import make_result

    if job.dimension and not job.dimension.supported:
        warnings.warn(job.dimension.rule, UserWarning, stacklevel=3)
    estimator = DCF.from_config(job.config, progress=progress).set_params(
        warm_start=warm_start, keep_partial=keep_partial
    )
    estimator.fit(job.training)
    result = make_result(estimator, job.recording, job.split, read, share=job.share)
    if job.dimension:
        result.provenance["dimension"] = job.dimension.to_dict()
    if job.smoothing:
        result.provenance["smoothing"] = job.smoothing.to_dict()
    return estimator, result

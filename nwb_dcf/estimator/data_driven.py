"""Settings that are chosen from the data: latents, smoothing and scale, where they are ``auto``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import xarray as xr

from ..config import FitConfig
from ..config.progress import Listener
from ..data.preprocessing import check_size, check_smoothing
from .dimensionality import DimensionChoice, choose_for_fit
from .smoothing_and_scale import SmoothingChoice, apply_choice, is_to_be_chosen, resolve_smoothing


@dataclass(frozen=True)
class SettledConfig:
    """A finished configuration, and the choices that led to it.

    Attributes
    ----------
    config : FitConfig
        Without ``auto`` where the data choose.
    dimension : DimensionChoice or None
        How the number of latents was chosen; None where it was given.
    smoothing : SmoothingChoice or None
        How smoothing and scale were chosen; None where they were given, and for values that are no counts.
    """

    config: FitConfig
    dimension: DimensionChoice | None
    smoothing: SmoothingChoice | None


def settle_config(
    training: xr.Dataset,
    config: FitConfig,
    dim: int | Literal["auto"] | None,
    *,
    smoothing: SmoothingChoice | None = None,
    choose: bool = True,
    progress: Listener | None = None,
) -> SettledConfig:
    """Choose settings that are ``auto`` from the training data, and refuse data that are too small.

    Parameters
    ----------
    training : xarray.Dataset
        Training segments alone.
    config : FitConfig
        Of the recording's kind; its number of latents is 1 where `dim` is ``auto``.
    dim : int, "auto" or None
        As it was requested.
    smoothing : SmoothingChoice, optional
        The choice in place of ``auto``, where it has been made already.
    choose : bool
        Whether smoothing and scale are chosen; else they stay ``auto``, as for a plan that nobody waits for.
    progress : callable, optional

    Raises
    ------
    ParameterError
        If there are more latents than channels that vary.
    DataError
        If there is a single channel, or no segment has two frames.
    """
    check_size(training, config.model.dim)
    check_smoothing(training, config.prepare.smooth)
    if smoothing is None and (choose or not is_to_be_chosen(training, config.prepare)):
        # before the dimension: dimensions are counted on smoothed and scaled values
        smoothing, config = resolve_smoothing(training, config, progress=progress)
    elif smoothing is not None:
        config = apply_choice(config, smoothing)
    choice = None
    if dim == "auto" and choose:
        choice, config = choose_for_fit(training, config)
    return SettledConfig(config, choice, smoothing)

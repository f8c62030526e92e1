"""Fit the counts of an analyzer, and pack the result as its extension stores it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from ..config import FitConfig, ReadConfig
from ..config.presets import make_config
from ..data.result import DCFResult
from ..pipeline.fit_plan import FitPlan
from ..pipeline.fit_recording import fit_recording, plan_recording
from ..pipeline.progress_bar import ProgressBar

if TYPE_CHECKING:
    from jaxtyping import Float64

    from ..estimator.fitted import FittedModel

StoredData = dict[str, Any]
"""Arrays by their names, and JSON: what SpikeInterface stores of an extension without a pickle."""
NOT_SETTINGS = ("dim", "bin_width_s", "held_out", "extent", "valid_unit_periods", "curation")


def make_params_config(params: Mapping[str, Any]) -> FitConfig:
    """Build the configuration of ``analyzer.compute``'s parameters, as `nwb_dcf.fit_nwb` would.

    Raises
    ------
    ParameterError
        If a parameter is unknown or invalid.
    """
    settings = {**_read_settings(params), "dim": params["dim"]}
    return make_config(settings.pop("preset", "default"), settings, kind="counts")


def _read_settings(params: Mapping[str, Any]) -> dict[str, object]:
    # JSON, in which the folder of an analyzer keeps parameters, has no tuples
    return {k: tuple(v) if isinstance(v, list) else v for k, v in params.items() if k not in NOT_SETTINGS}


def fit_latents(
    recording: xr.Dataset,
    params: Mapping[str, Any],
    *,
    label: str = "dcf_latents",
    verbose: bool = False,
    n_jobs: int = 1,
    progress_bar: bool = False,
) -> StoredData:
    """Fit `recording` by the steps of `nwb_dcf.fit_nwb`, and pack what the extension stores.

    Parameters
    ----------
    recording : xarray.Dataset
    params : dict
        Of ``analyzer.compute("dcf_latents", ...)``.
    label : str
        Stands before the bar.
    verbose, progress_bar : bool
        As SpikeInterface has them.
    n_jobs : int
        Threads of the fit on a CPU; the numbers do not depend on it.

    Returns
    -------
    dict
        See `pack_result`, and ``unit_r2`` (unit,): fraction of the variance of each unit that is reconstructed, on
        held-out frames where there are any.
    """
    from ..model.parallel import use_threads  # which loads torch

    # segments are the analyzer's: a table of trials is nothing that SpikeInterface has
    read = ReadConfig(bin_width_s=recording.attrs["bin_width_s"], trials="none")
    config = make_params_config(params)
    plan = plan_recording(recording, config, params["dim"], held_out=params["held_out"], read=read)
    if verbose:
        sizes = recording.sizes
        print(
            f"{label}: {sizes['time']} bins of {params['bin_width_s']:g} s, {sizes['unit']} units, dim {params['dim']}"
        )
    with use_threads(max(1, n_jobs)), ProgressBar(hidden=not progress_bar, label=label, only_in_terminal=False) as bar:
        fitted, result = fit_recording(plan, progress=bar)
        unit_r2 = score_units(fitted, plan)
    if verbose:
        scores = result.dataset.attrs["scores"]
        print(f"{label}: R2 {scores['bottleneck_r2']:.3f}, PCA {scores['pca_r2']:.3f} ({scores['on']})")
    return {**pack_result(result), "unit_r2": unit_r2}


def score_units(fitted: FittedModel, plan: FitPlan) -> Float64[np.ndarray, " unit"]:
    """Return the fraction of the variance of each unit that the latents reconstruct, shape (unit,).

    In prepared units (square roots, smoothed), on held-out frames where there are any; 1 is all, below 0 is worse than
    the unit's mean, NaN where a unit does not vary there.
    """
    frames = fitted.prepare(plan.unseen)
    x, reconstruction = frames.values, fitted.reconstruct(fitted.encode(frames))
    # float64: frames are float32, and a sum over a long session loses digits
    total = np.square(x - x.mean(axis=0), dtype=np.float64).sum(axis=0)
    rest = np.square(x - reconstruction, dtype=np.float64).sum(axis=0)
    return np.asarray(np.where(total > 0, 1 - rest / np.where(total > 0, total, 1), np.nan))


def pack_result(result: DCFResult) -> StoredData:
    """Turn a result into arrays and dicts, which SpikeInterface stores without a pickle.

    Returns
    -------
    dict
        Every variable of ``result.dataset`` by its name, ``weights`` (uint8), and the dicts ``config``, ``provenance``
        and ``layout``, which says how the arrays make a Dataset.
    """
    data, plain = result.dataset, {}
    for name, variable in data.variables.items():
        # SpikeInterface pickles unknown objects, and a pickle that is loaded runs what is in it
        if variable.dtype.kind not in "biufU":
            raise TypeError(f"{name} is of type {variable.dtype}")  # a defect here, not in what was given
        plain[str(name)] = np.ascontiguousarray(variable.values)
    layout = {
        "variables": {
            str(name): {"dims": list(map(str, v.dims)), "attrs": dict(v.attrs), "coord": name in data.coords}
            for name, v in data.variables.items()
        },
        "attrs": dict(data.attrs),
    }
    texts = {"config": result.config, "provenance": result.provenance, "layout": layout}
    return {
        **plain,
        "weights": np.frombuffer(result.weights, np.uint8).copy(),
        # as a folder gives it back, so that what is in memory equals what is loaded
        **{name: json.loads(json.dumps(value, default=_to_json)) for name, value in texts.items()},
    }


def unpack_result(data: Mapping[str, Any]) -> DCFResult:
    """Turn what `pack_result` packed back into a result; arrays that are loaded lazily are read."""
    layout = data["layout"]
    variables = {
        name: (about["dims"], np.asarray(data[name]), about["attrs"]) for name, about in layout["variables"].items()
    }
    coords = {name: variables.pop(name) for name, about in layout["variables"].items() if about["coord"]}
    # dims come from the layout: SpikeInterface stores bare arrays
    dataset = xr.Dataset(variables, coords=coords, attrs=layout["attrs"])
    return DCFResult(dataset, data["config"], data["provenance"], np.asarray(data["weights"]).tobytes())


def _to_json(value: Any) -> Any:
    return value.tolist()

"""From a fitted model and the whole recording to a result: latents, figures, provenance."""

from __future__ import annotations

import importlib.metadata
import json
import math
import platform
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

import numpy as np
import xarray as xr

from ..config import ReadConfig
from ..data import records
from ..data.gaussian_filter import TRUNCATE
from ..data.recording import CHANNEL_SOURCE, frame_dims
from ..data.records import Provenance, SourceRecord, Support
from ..data.result import DCFResult
from ..data.split import Split
from ..estimator.dimensionality import DimensionChoice
from ..estimator.fitted import FittedModel
from ..estimator.serialization import pack_weights
from .certificate import certify_scores
from .channel_table import summarise_channels
from .forecast import describe_horizon
from .velocity_field import sample_field

if TYPE_CHECKING:
    from jaxtyping import Float

    from ..model.training import LossCurve
    from .latent_measures import LatentMeasures

PACKAGES = ("nwb_dcf", "torch", "torchdiffeq", "numpy", "scipy", "xarray", "pynwb", "hdmf", "h5py", "safetensors")


def build_result(
    fitted: FittedModel,
    recording: xr.Dataset,
    split: Split | None,
    *,
    measured: LatentMeasures,
    read: ReadConfig,
    held_out: float,
    dimension: DimensionChoice | None = None,
) -> DCFResult:
    """Describe a fit: its latents of every frame, its scores on held-out frames, its provenance.

    Parameters
    ----------
    fitted : FittedModel
        Of ``split.training``, or of `recording` where `split` is None.
    recording : xarray.Dataset
        All segments, as they were read.
    split : Split or None
    measured : LatentMeasures
        `nwb_dcf.evaluation.latent_measures.measure_latents` of these three.
    read : ReadConfig
        How the recording was read.
    held_out : float
        Fraction of the frames that was requested to be held out.
    dimension : DimensionChoice, optional
        How the number of latents was chosen; None where it was given.

    Returns
    -------
    DCFResult
    """
    encoded, latents, scores, curve = measured.encoded, measured.latents, measured.scores, measured.curve
    velocity = fitted.velocity(encoded.whole.frames, encoded.whole.latents)
    scores["rollout"] = describe_horizon(fitted, encoded.training, encoded.unseen)
    dims = frame_dims(recording)
    shape = tuple(recording.sizes[dim] for dim in dims)
    per_latent = {"latents": (latents, "1"), "flowed": (measured.flowed, "1"), "velocity": (velocity, "1/s")}
    losses = fitted.curve
    segment_held_out = split.held_out_segments if split else np.zeros(recording.sizes["segment"], bool)
    dataset = recording.drop_vars("data").assign(
        {
            **{n: (("time", "latent"), part, {"units": u}) for n, (part, u) in per_latent.items()},
            "segment_held_out": ("segment", segment_held_out),
            "spectrum": ("component", fitted.spectrum, {"units": "prepared units squared"}),
            "bottleneck_r2": ("component", curve["bottleneck_r2"]),
            "pca_r2": ("component", curve["pca_r2"]),
            "loadings": ((*dims, "component"), fitted.loadings.reshape(*shape, -1)),
            "mean": (dims, fitted.mean.reshape(shape)),
            "loss_cf": ("step", np.array(losses.cf)),
            "loss_df": ("step", np.array(losses.df)),
            "loss_align": ("step", np.array(losses.align)),
            **{name: ("step", values) for name, values in _align_search(fitted.search, losses.step).items()},
            **sample_field(fitted, latents, velocity).variables,
        }
    )
    dataset = dataset.assign_coords(
        {
            "latent": np.arange(1, fitted.dim + 1),
            "component": np.arange(1, fitted.k_max + 1),
            **{dim: recording[dim] for dim in dims},
            "step": np.array(losses.step, np.int64),
        }
    )
    if CHANNEL_SOURCE in recording.coords:
        dataset = dataset.assign(compute_source_fractions(dataset))
    fractions = measured.decoder_fractions
    if fractions is not None:
        dataset = dataset.assign({"decoder_share": ((*dims, "latent"), fractions)})
        loadings = fitted.loadings[:, : fitted.dim]
        scores["channels"] = summarise_channels(recording[dims[0]].values, loadings, fractions)
    if measured.shared is not None:
        scores["left_out"], scores["shifted_apart"] = measured.shared
    scores["certificate"] = certify_scores(
        cast("records.Scores", scores), channel=str(dims[0]), scale=fitted.config.prepare.scale, n_channels=shape[0]
    )
    dataset.attrs = {
        "k_eff": fitted.k_eff,
        "dim": fitted.dim,
        "total_variance": fitted.total_variance,
        "scores": scores,
        "kind": recording.attrs["kind"],
    }
    # tuples become lists, so that what is read back from a file equals what is returned
    config = json.loads(json.dumps({**fitted.config.to_dict(), "read": read.to_record()}))
    provenance = _trace(fitted, recording, split, held_out)
    if dimension is not None:
        provenance["dimension"] = dimension.to_dict()
    return DCFResult(dataset, config, provenance, pack_weights(fitted))


def compute_source_fractions(dataset: xr.Dataset) -> xr.Dataset:
    """Compute each source's fraction of each axis: the sum of its squared loadings, 1 over all sources.

    Parameters
    ----------
    dataset : xarray.Dataset
        With ``loadings`` (channel, component), orthonormal columns, and ``channel_source``.

    Returns
    -------
    xarray.Dataset
        One variable (component, source), sources in the order of their channels.
    """
    label = dataset[CHANNEL_SOURCE].values
    names = list(dict.fromkeys(label.tolist()))
    # columns of L have length 1, so that squares are fractions
    squared = np.square(dataset["loadings"].values.astype(np.float64))
    energy = np.stack([squared[label == name].sum(axis=0) for name in names], axis=1)
    fractions = energy / energy.sum(axis=1, keepdims=True)
    return xr.Dataset({"source_share": (("component", "source"), fractions)}, coords={"source": names})


def _align_search(search: LossCurve, steps: list[int]) -> dict[str, Float[np.ndarray, " step"]]:
    """Held-out losses at the first recorded step of the final training that is not before theirs, else NaN."""
    columns = {name: np.full(len(steps), np.nan) for name in ("held_out_cf", "held_out_df")}
    for step, cf, df in zip(search.held_out_step, search.held_out_cf, search.held_out_df, strict=True):
        # both series have one axis of steps in the file; each held-out loss goes to the next recorded step
        at = np.searchsorted(steps, step)
        if at < len(steps):
            columns["held_out_cf"][at], columns["held_out_df"][at] = cf, df
    return columns


def _trace(fitted: FittedModel, recording: xr.Dataset, split: Split | None, held_out: float) -> Provenance:
    """Provenance of the result: no user, host or absolute path, since archives publish it."""
    model = fitted.model
    source: SourceRecord = recording.attrs.get("source", {})
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"python": platform.python_version(), **_list_versions()},
        "machine": fitted.machine,
        "seed": fitted.config.train.seed,
        "source": {**source},
        "kind": recording.attrs["kind"],
        "channels": fitted.pixels or fitted.channels,
        "notes": [*recording.attrs.get("notes", []), *fitted.notes],
        "left_out": list(recording.attrs.get("left_out", [])),
        "preparation": fitted.preparation.to_dict(),
        "support": describe_support(fitted),
        "split": {
            "training": split.training.sizes["segment"] if split else recording.sizes["segment"],
            "held_out": split.held_out.sizes["segment"] if split else 0,
            "rule": split.rule if split else "nothing held out",
            "share": held_out,
            "held_out_intervals_s": split.held_out_intervals_s if split else [],
        },
        "steps": fitted.steps,
        "search": {
            "held_out": fitted.chosen_on,
            "tolerance": fitted.config.train.early_stopping_tolerance,
            "settled": fitted.settled,
            "finished": fitted.finished,
            "step": fitted.search.held_out_step,
            "held_out_cf": _without_nan(fitted.search.held_out_cf),
            "held_out_df": _without_nan(fitted.search.held_out_df),
        },
        "init": fitted.init,
        "solver_error": fitted.solver_error,
        "learned": {"encoder": model.learns_encoder, "axes": model.learns_axes},
        "encoder": fitted.encoder,
        "training": fitted.timing,
        "interrupted": any("interrupted" in note for note in fitted.notes),
    }


def _without_nan(values: list[float]) -> list[float | None]:
    """None where a flow did not learn, since JSON has no NaN."""
    return [None if math.isnan(value) else value for value in values]


def describe_support(fitted: FittedModel) -> Support:
    """Describe the frames that a latent depends on: the encoder's window, the smoother's Gaussian, the ends.

    A window makes the encoder depend on more than x_t: equation 1 and the argument for identifiability (paper 3.1)
    then hold for the windowed frames alone, and latencies below the reach cannot be read from latents.
    """
    # readers of latencies need it: smoothed latents respond before the data do
    window, sigma_s = fitted.config.model.encoder_window, fitted.preparation.smooth_s
    return {
        "frames_before": window,
        "frames_after": window,
        "seconds": window * fitted.step_s,
        "flowed": {"frames_before": 0, "frames_after": 0},
        "velocity": {"frames_before": window + fitted.config.model.history, "frames_after": window},
        "causal": window == 0 and sigma_s == 0,
        "edges": "a segment's ends repeat",
        "smoothing": {"sigma_s": sigma_s, "reach_s": TRUNCATE * sigma_s, "edges": "weights sum to 1 within a segment"},
    }


def _list_versions() -> dict[str, str]:
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:  # run from a checkout
            continue
    return versions

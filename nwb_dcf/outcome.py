"""From a fitted estimator and the whole recording to a result: latents, figures, provenance."""

from __future__ import annotations

import importlib.metadata
import platform
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import numpy as np
import xarray as xr

from .config import ReadConfig
from .estimator import DCF
from .evaluate import find_pca_axes, measure_energy_outside, r2_score
from .horizon import describe_horizon
from .recording import frame_dims
from .result import DCFResult
from .split import Split

CURVE_FRAMES = {"mean": 2_000, "flow": 200}  # that the curve over K is measured on: integrating takes its time
PACKAGES = ("nwb_dcf", "torch", "torchdiffeq", "numpy", "scipy", "xarray", "pynwb", "hdmf", "h5py", "safetensors")


def make_result(
    estimator: DCF, recording: xr.Dataset, split: Split | None, read: ReadConfig, *, share: float
) -> DCFResult:
    """Describe a fit: what it says of every frame, how well it does on frames it has not seen, how it came to be.

    Parameters
    ----------
    estimator : DCF
        Fitted to ``split.training``, or to `recording` where `split` is None.
    recording : xarray.Dataset
        All segments, as they were read.
    split : Split or None
    read : ReadConfig
    share : float
        Share of the frames that was asked to be held out.

    Returns
    -------
    DCFResult
    """
    training, unseen = (split.training, split.held_out) if split else (recording, recording)
    latents, flowed, velocity = estimator.transform(recording), estimator.flow(recording), estimator.velocity(recording)
    scores, curve = _score(estimator, training, unseen)
    scores["rollout"] = describe_horizon(estimator, training, unseen)
    fitted = estimator.fitted_
    dims = frame_dims(recording)
    shape = tuple(recording.sizes[dim] for dim in dims)
    per_latent = {"latents": (latents, "1"), "flowed": (flowed, "1"), "velocity": (velocity, "1/s")}
    losses = fitted.curve
    held_out = split.held_out_segments if split else np.zeros(recording.sizes["segment"], bool)
    dataset = recording.drop_vars("data").assign(
        {
            **{n: (("time", "latent"), part["data"].values, {"units": u}) for n, (part, u) in per_latent.items()},
            "segment_held_out": ("segment", held_out),
            "spectrum": ("component", estimator.spectrum_, {"units": "prepared units squared"}),
            "bottleneck_r2": ("component", curve["bottleneck_r2"]),
            "pca_r2": ("component", curve["pca_r2"]),
            "loadings": ((*dims, "component"), estimator.loadings_.reshape(*shape, -1)),
            "mean": (dims, estimator.mean_.reshape(shape)),
            "loss_cf": ("step", np.array(losses.cf)),
            "loss_df": ("step", np.array(losses.df)),
            "loss_align": ("step", np.array(losses.align)),
            **{name: ("step", values) for name, values in _align_search(fitted.search, losses.step).items()},
        }
    )
    dataset = dataset.assign_coords(
        {
            "latent": np.arange(1, estimator.dim_ + 1),
            "component": np.arange(1, estimator.k_max_ + 1),
            **{dim: recording[dim] for dim in dims},
            "step": np.array(losses.step, np.int64),
        }
    )
    dataset.attrs = {
        "k_eff": estimator.k_eff_,
        "dim": estimator.dim_,
        "total_variance": fitted.total_variance,
        "scores": scores,
        "kind": recording.attrs["kind"],
    }
    config = {**estimator.config_.to_dict(), "read": asdict(read)}
    return DCFResult(dataset, config, _trace(estimator, recording, split, share), estimator.to_bytes())


def _score(estimator: DCF, training: xr.Dataset, unseen: xr.Dataset) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Figures on `unseen`; the curve over K on some of its frames, evenly spaced."""
    x, dim = estimator.prepare(unseen), estimator.dim_
    states = estimator.compress(unseen)
    codes = estimator.transform(unseen, dim=estimator.k_max_)["data"].values
    some = np.linspace(0, len(x) - 1, min(CURVE_FRAMES[estimator.config_.model.decoder], len(x))).round().astype(int)
    lengths = range(1, estimator.k_max_ + 1)
    mean, axes = find_pca_axes(estimator.prepare(training), estimator.k_max_)

    def project(frames: np.ndarray, k: int) -> np.ndarray:
        return np.asarray(mean + (frames - mean) @ axes[:, :k] @ axes[:, :k].T)

    curve = {
        "bottleneck_r2": np.array([r2_score(x[some], estimator.rebuild(codes[some, :k])) for k in lengths]),
        "pca_r2": np.array([r2_score(x[some], project(x[some], k)) for k in lengths]),
    }
    scores = {
        "on": "held-out data" if unseen is not training else "training data (nothing was held out)",
        "frames": len(x),
        "bottleneck_r2": r2_score(x, estimator.rebuild(codes[:, :dim])),
        "flow_r2": r2_score(x, estimator.rebuild(codes[:, :dim], decoder="flow")),
        "pca_r2": r2_score(x, project(x, dim)),
        "round_trip_r2": r2_score(x, estimator.expand(states)),
        "energy_outside": measure_energy_outside(states, estimator.mean_, estimator.loadings_, dim),
    }
    return scores, curve


def _align_search(search: Any, steps: list[int]) -> dict[str, np.ndarray]:
    """Held-out losses of the search at the first noted step of the refit that is not before them, else NaN."""
    columns = {name: np.full(len(steps), np.nan) for name in ("held_out_cf", "held_out_df")}
    for step, cf, df in zip(search.held_out_step, search.held_out_cf, search.held_out_df, strict=True):
        at = np.searchsorted(steps, step)
        if at < len(steps):
            columns["held_out_cf"][at], columns["held_out_df"][at] = cf, df
    return columns


def _trace(estimator: DCF, recording: xr.Dataset, split: Split | None, held_out: float) -> dict[str, Any]:
    """Everything needed to say how the result came to be: no user, host or absolute path, since archives publish it."""
    fitted = estimator.fitted_
    model = fitted.model
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"python": platform.python_version(), **_find_versions()},
        "machine": fitted.machine,
        "seed": fitted.config.train.seed,
        "source": dict(recording.attrs.get("source", {})),
        "kind": recording.attrs["kind"],
        "channels": fitted.pixels or fitted.channels,
        "notes": [*recording.attrs.get("notes", []), *fitted.notes],
        "left_out": list(recording.attrs.get("left_out", [])),
        "preparation": fitted.preparation.to_dict(),
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
            "step": fitted.search.held_out_step,
            "held_out_cf": fitted.search.held_out_cf,
            "held_out_df": fitted.search.held_out_df,
        },
        "learned": {"encoder": model.learns_encoder, "axes": model.learns_axes},
        "training": fitted.timing,
        "interrupted": any("interrupted" in note for note in fitted.notes),
    }


def _find_versions() -> dict[str, str]:
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:  # run from a checkout
            continue
    return versions

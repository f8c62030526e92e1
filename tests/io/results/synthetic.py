"""Results made of random arrays, so that the store can be tested without fitting anything."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import safetensors.numpy
import xarray as xr

from nwb_dcf.data.result import DCFResult

SCORES = {
    "bottleneck_r2": 0.5,
    "intervals": {"bottleneck_r2": [0.4, 0.6], "level": 0.95, "n": 9, "over": "blocks"},
    "null": {
        "fits": 2,
        "bottleneck_r2": [0.1, 0.2],
        "pca_r2": [0.1, 0.2],
        "p": 1 / 3,
        "pca_p": None,
        "survives": "means",
    },
    "agreement": {
        "fits": 3,
        "over": "segments",
        "groups": [[1, 2], [3]],
        "axes": [0.9, 0.8, 0.7],
        "planes": [0.99, 0.7],
        "pca_axes": [0.9, 0.9, 0.9],
        "pca_planes": [0.9, 0.9],
    },
}


def make_result(
    channel: np.ndarray,
    *,
    dim: int = 3,
    kind: str = "units",
    regular: bool = False,
    source: dict[str, Any] | None = None,
    seed: int = 0,
    start_s: float = 1000.0,
) -> DCFResult:
    """Make a result of `channel`s: one regular segment, or six of unequal length with gaps between them."""
    rng = np.random.default_rng(seed)
    lengths = np.array([120]) if regular else np.array([11, 7, 20, 2, 13, 9])
    n_segments, n_frames, n_channels = len(lengths), int(lengths.sum()), len(channel)
    index = np.repeat(np.arange(n_segments), lengths)
    gaps = rng.uniform(0.3, 2.0, n_segments)
    time = start_s + 0.02 * (np.arange(n_frames) + 0.5) + np.repeat(np.cumsum(gaps), lengths)
    first = np.searchsorted(index, np.arange(n_segments))
    last = np.searchsorted(index, np.arange(n_segments), side="right") - 1
    k_max = min(n_channels, 16)
    loadings = np.linalg.qr(rng.normal(size=(n_channels, k_max)))[0].astype(np.float32)
    curve = np.sort(rng.uniform(size=k_max))
    grid = [f"grid_{axis + 1}" for axis in range(min(dim, 3))]
    points = (5, 4, 3)[: len(grid)]
    frames = rng.integers(0, 3, points).astype(np.int32)
    mean = np.where(frames[..., None] > 0, rng.normal(size=(*points, dim)), np.nan)
    channel_dim = "unit" if kind == "units" else "channel"
    variables = {
        "latents": (("time", "latent"), rng.normal(size=(n_frames, dim)).astype(np.float32), {"units": "a.u."}),
        "flowed": (("time", "latent"), rng.normal(size=(n_frames, dim)).astype(np.float32), {"units": "a.u."}),
        "velocity": (("time", "latent"), rng.normal(size=(n_frames, dim)).astype(np.float32), {"units": "a.u./s"}),
        "segment_start": ("segment", time[first] - 0.01, {"units": "s"}),
        "segment_stop": ("segment", time[last] + 0.01, {"units": "s"}),
        "segment_row": ("segment", np.arange(n_segments) + 10),
        "segment_held_out": ("segment", np.arange(n_segments) % 3 == 1),
        "trial_direction": ("segment", rng.uniform(size=n_segments)),
        "trial_outcome": ("segment", np.array(["hit", "miss", "früh"] * 9)[:n_segments]),
        "spectrum": ("component", np.sort(rng.uniform(0.1, 3, k_max))[::-1].copy(), {"units": "1"}),
        "bottleneck_r2": ("component", curve),
        "pca_r2": ("component", 0.9 * curve),
        "loadings": ((channel_dim, "component"), loadings),
        "mean": (channel_dim, rng.normal(size=n_channels)),
        "loss_cf": ("step", rng.uniform(size=5)),
        "loss_df": ("step", rng.uniform(size=5)),
        "loss_align": ("step", rng.uniform(size=5)),
        "held_out_cf": ("step", np.array([1.0, 0.5, np.nan, 0.2, np.nan])),
        "held_out_df": ("step", rng.uniform(size=5)),
        "field_velocity": ((*grid, "latent"), rng.normal(size=mean.shape), {"units": "1/s", "history": "held"}),
        "field_mean_velocity": ((*grid, "latent"), mean, {"units": "1/s"}),
        "field_frames": (grid, frames),
    }
    dataset = xr.Dataset(
        variables,
        coords={
            "time": ("time", time, {"units": "s"}),
            "segment_index": ("time", index),
            "segment": ("segment", np.arange(n_segments)),
            "component": ("component", np.arange(1, k_max + 1)),
            "step": ("step", np.array([0, 10, 20, 30, 40])),
            **{name: (name, np.linspace(-2, 2, n), {"units": "1"}) for name, n in zip(grid, points, strict=True)},
            channel_dim: (channel_dim, np.asarray(channel)),
        },
        attrs={"k_eff": 4, "dim": dim, "total_variance": 12.5, "scores": dict(SCORES), "kind": kind},
    )
    provenance = {
        "source": source or {},
        "seed": seed,
        "statistics": {"mean": rng.normal(size=n_channels).tolist()},
        "created": "2026-11-23T20:00:00+00:00",
    }
    return DCFResult(dataset, {"model": {"dim": dim}, "train": {"seed": seed}}, provenance, make_weights(seed))


def make_weights(seed: int = 0) -> bytes:
    """A model of a few small tensors, laid out as `DCF.to_bytes` lays out its own."""
    rng = np.random.default_rng(seed)
    shapes = {"u.last.weight": (40, 3), "u.last.bias": (3,), "v.ridge": (12, 3, 3), "coupling.mean": (5,)}
    tensors = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    tensors |= {"noise.seen": np.array([True, False]), "coupling.steps": np.array(7)}
    architecture = {"u": {"class": "U"}, "v": {"class": "V"}, "coupling": {"class": "C", "description": "früh"}}
    about = json.dumps({"format": 1, "architecture": architecture})
    return safetensors.numpy.save(tensors, metadata={"nwb_dcf": about})


def result_for(path: Path, **settings: Any) -> DCFResult:
    """Make a result of the units of the file at `path`."""
    with h5py.File(path) as file:
        units = file["units"]
        source = {"path": "/units", "type": "Units", "object_id": units.attrs["object_id"]}
        ids = units["id"][()]
    return make_result(ids, source=source, **{"dim": min(3, len(ids)), **settings})


def assert_same_result(stored: DCFResult, meant: DCFResult) -> None:
    """Compare everything; a regular clock is stored as start and rate, so times may differ by a nanosecond."""
    np.testing.assert_allclose(stored.dataset["time"], meant.dataset["time"], rtol=0, atol=1e-9)
    xr.testing.assert_identical(stored.dataset.assign_coords(time=meant.dataset["time"]), meant.dataset)
    for name, variable in meant.dataset.variables.items():
        assert variable.dtype.kind == "U" or stored.dataset[name].dtype == variable.dtype, name
    assert stored.config == meant.config
    assert {**stored.provenance, **meant.provenance} == stored.provenance
    assert stored.weights == meant.weights


def digest(path: Path) -> str:
    """Hash of a file's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()

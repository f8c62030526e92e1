"""The fit of one session of a cohort, as it is written into its file: the coupling is its encoder."""

from __future__ import annotations

import dataclasses
import json
from typing import TypedDict

import numpy as np
import xarray as xr

from ..config import ReadConfig
from ..data.recording import frame_dims
from ..data.records import Provenance, SourceRecord
from ..data.result import DCFResult
from ..evaluation.velocity_field import sample_field
from ..io.results import write_tensors
from .anchors import Floats
from .cohort import Cohort
from .compressive_flow import fit_compressive_flow
from .coupled_session import SessionModel

FORMAT = "cohort 1"
HISTORY = "none: v of a cohort depends on the state alone"
ARCHITECTURE = {
    "coupling": {
        "class": "Coupling",
        "formula": "z = (w - centre) weights + offset; w: prepared units of the frames t - n ... t + n, earliest first",
    },
    "u": {
        "class": "CompressiveFlow",
        "formula": "flowed = (x - mean) weights + centre; x: prepared units at t; u is integrated in closed form",
    },
    "v": {
        "class": "QuadraticField",
        "formula": "v(z) = [1, s, s_i s_j for i <= j] weights, s = (z - centre) / scale; latent units per bin",
    },
}


class CohortIdentity(TypedDict):
    """The cohort that a session belongs to, as its fit names it."""

    file: str
    name: str
    sha256: str


class SessionIdentity(CohortIdentity):
    """A session of a cohort, as its fit names both."""

    session: str
    in_axes: bool
    trials: int


def make_fit_in_cohort(
    cohort: Cohort, recording: xr.Dataset, name: str, *, of: CohortIdentity, read: ReadConfig, n_sessions: int
) -> DCFResult:
    """Describe the session `name` of a cohort of `n_sessions` as a fit, see `make_session_fit`."""
    session = cohort.sessions_[name]
    role = "the axes were found with it" if session.in_axes else "it was coupled to axes found without it"
    note = (
        f"a session of a cohort of {n_sessions}: {role}; ridge {session.coupling.ridge:g}, window of "
        f"{session.coupling.window} bins to either side"
    )
    about: SessionIdentity = {**of, "session": name, "in_axes": session.in_axes, "trials": session.n_trials}
    model = SessionModel(session, cohort.field_, cohort.clock_.bin_width_s)
    values, latents = session.preprocessor.apply(recording)["data"].values, model.transform(recording)["latents"].values
    model = dataclasses.replace(model, flow=fit_compressive_flow(values, latents))
    return make_session_fit(model, recording, about=about, read=read, note=note)


def make_session_fit(
    model: SessionModel, recording: xr.Dataset, *, about: SessionIdentity, read: ReadConfig, note: str
) -> DCFResult:
    """Describe a coupled session as a fit.

    Parameters
    ----------
    model : SessionModel
    recording : xarray.Dataset
        As it was coupled.
    about : dict
        ``file``, ``name`` and ``sha256`` of the cohort; ``session``, ``in_axes`` and ``trials`` of the session.
    read : ReadConfig
    note : str
        On the role of the session.

    Returns
    -------
    DCFResult
        ``latents`` in the shared space; ``velocity``, the shared v there; ``flowed`` by the session's own u, where the
        model has one. ``loadings`` are the orthonormal axes nearest
        to the regression of the units on the latents, ``spectrum`` the variance of each latent.
    """
    session, dim = model.session, model.dim
    transformed = model.transform(recording)
    latents, velocity = transformed["latents"].values, transformed["velocity"].values
    values = session.preprocessor.apply(recording)["data"].values.astype(np.float64)
    # loadings and curves are no part of the coupling: made here so that every fit can be read alike
    mean, loadings, curve, pca_curve = _reconstruct(values, latents)
    (dim_name,) = frame_dims(recording)
    component = np.arange(1, dim + 1)
    dataset = transformed.assign(
        # the coupling saw all trials: scores here are those of fitted frames, and say so
        segment_held_out=("segment", np.zeros(recording.sizes["segment"], bool)),
        spectrum=("component", latents.var(axis=0), {"units": "1"}),
        bottleneck_r2=("component", curve),
        pca_r2=("component", pca_curve),
        loadings=((dim_name, "component"), loadings),
        mean=((dim_name,), mean),
        # the closed form has one step: its error is what L_align would be
        loss_align=("step", np.array([(1 - curve[-1]) * values.var(axis=0).sum()])),
    )
    # on a grid, as of every fit: pictures need no model
    field = sample_field(model, latents, velocity)
    dataset = dataset.assign({str(key): variable for key, variable in field.variables.items()})
    dataset["field_velocity"].attrs["history"] = HISTORY
    dataset = dataset.assign_coords(component=component, step=np.zeros(1, np.int64))
    dataset.attrs = {
        "k_eff": dim,
        "dim": dim,
        "total_variance": float(values.var(axis=0).sum()),
        "scores": {
            "on": "trials that were coupled, none held out",
            "frames": len(latents),
            "bottleneck_r2": float(curve[-1]),
            "pca_r2": float(pca_curve[-1]),
            "difference_r2": float(curve[-1] - pca_curve[-1]),
        },
        "kind": recording.attrs["kind"],
    }
    config = {"read": read.to_record()}
    source: SourceRecord = recording.attrs.get("source", {})
    provenance: Provenance = {
        "source": {**source},
        "kind": recording.attrs["kind"],
        "channels": session.channels.tolist(),
        "notes": [*recording.attrs.get("notes", []), note],
        "left_out": list(recording.attrs.get("left_out", [])),
        "preparation": session.preprocessor.to_dict(),
        "support": {
            "frames_before": session.coupling.window,
            "frames_after": session.coupling.window,
            "seconds": session.coupling.window * model.bin_width_s,
            **({} if model.flow is None else {"flowed": {"frames_before": 0, "frames_after": 0}}),
            "causal": False,
            "edges": "a segment's ends repeat",
            "smoothing": {"sigma_s": session.preprocessor.smooth_s},
        },
        "split": {"training": recording.sizes["segment"], "held_out": 0, "rule": "nothing held out"},
        "cohort": {**about},
        "interrupted": False,
    }
    return DCFResult(dataset, json.loads(json.dumps(config)), provenance, _pack(model))


def _reconstruct(values: Floats, latents: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Mean, orthonormal axes nearest to the regression on the latents, and R2 from the first K latents and of PCA."""
    mean = values.mean(axis=0)
    centred, z = values - mean, latents - latents.mean(axis=0)
    total = np.square(centred).sum()
    # from the first K, each K anew: latents are not orthogonal over the frames of one session
    regression = np.linalg.lstsq(z, centred, rcond=None)[0].T  # (unit, latent)
    left, _, right = np.linalg.svd(regression, full_matrices=False)
    curve = []
    for k in range(1, z.shape[1] + 1):
        weights = np.linalg.lstsq(z[:, :k], centred, rcond=None)[0]
        curve.append(1 - np.square(centred - z[:, :k] @ weights).sum() / total)
    # PCA of the session itself has the most that K numbers linear in the units can reconstruct
    variances = np.linalg.eigvalsh(centred.T @ centred)[::-1]
    return mean, left @ right, np.array(curve), np.cumsum(variances[: z.shape[1]]) / total


def _pack(model: SessionModel) -> bytes:
    """Coupling and fields as safetensors bytes, with what they compute as metadata."""
    coupling, field = model.session.coupling, model.field
    tensors = {
        "coupling.weights": coupling.weights,
        "coupling.centre": coupling.centre,
        "coupling.offset": coupling.offset,
        "coupling.slope": coupling.slope,
        "v.weights": field.weights,
        "v.centre": field.centre,
        "v.scale": field.scale,
    }
    if model.flow is not None:
        tensors |= {"u.weights": model.flow.weights, "u.mean": model.flow.mean, "u.centre": model.flow.centre}
    # formulas beside the tensors: who has the file and not this package can still compute latents
    about = {"format": FORMAT, "ridge": coupling.ridge, "architecture": ARCHITECTURE}
    return write_tensors({k: np.asarray(v, np.float64) for k, v in tensors.items()}, {"nwb_dcf": json.dumps(about)})

"""Conversion of a fitted `Cohort` to plain values, and back to a cohort that can couple new sessions."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Mapping

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from ..data.cohort_record import CohortRecord
from .axes import SharedAxes
from .behavior_bins import BehaviorBins
from .cohort import Cohort
from .groups import GroupComparison
from .labels import TrialClock
from .vector_field import QuadraticField
from .within import KindComparison

PACKAGES = ("nwb_dcf", "numpy", "scipy", "scikit-learn", "xarray")
RATIO_IS = "a lower bound of the difference: couplings absorb part of it"


def to_record(
    cohort: Cohort,
    *,
    config: Mapping[str, object] | None = None,
    sources: Mapping[str, Mapping[str, object]] | None = None,
    left_out: Mapping[str, str] | None = None,
) -> CohortRecord:
    """Convert a fitted cohort to plain values.

    Parameters
    ----------
    cohort : Cohort
        Fitted.
    config : mapping, optional
        How sessions were read, beside the cohort's own settings.
    sources : mapping of str to mapping, optional
        Of each session its ``file``, ``identifier`` and ``sha256``, as in the ``source`` of a recording.
    left_out : mapping of str to str, optional
        Files that could not be read, and why.
    """
    table = cohort.table
    names = [str(name) for name in table.index]
    about = {name: dict((sources or {}).get(name, {})) for name in names}
    columns: dict[str, tuple[tuple[str, ...], ArrayLike]] = {
        str(column): (("session",), table[column].to_numpy()) for column in table.columns
    }
    for key in ("file", "identifier", "sha256"):
        # text throughout: a column of objects cannot be stored
        columns[key] = (("session",), np.array([str(about[name].get(key) or "") for name in names], np.str_))
    dataset = xr.Dataset(
        {
            "anchors": cohort.anchors,
            "variance": (("latent",), cohort.axes_.variance),
            "persistence": (("latent",), cohort.axes_.persistence),
            "means": cohort.means,
            "field_weights": (("feature", "latent"), cohort.field_.weights),
            "field_centre": (("latent",), cohort.field_.centre),
            "field_scale": (("latent",), cohort.field_.scale),
            **columns,
        }
    )
    settings = {**describe_settings(cohort), **(config or {})}
    provenance = {
        "sha256": hash_cohort(cohort, settings),
        "versions": {"python": platform.python_version(), **_list_versions()},
        "seed": cohort.seed,
        "sources": about,
        "left_out": dict(left_out or {}),
    }
    return CohortRecord(dataset, settings, provenance, describe_statistics(cohort))


def from_record(record: CohortRecord) -> Cohort:
    """Make a cohort that couples new sessions from plain values; those of its own sessions are in their files."""
    config, dataset = record.config, record.dataset
    cohort = Cohort(
        record.dim,
        window=config["window"],
        ridge=config["ridge"],
        smooth_bins=config["smooth_bins"],
        n_permutations=config["n_permutations"],
        repeats=config["repeats"],
        force=config["force"],
        seed=config["seed"],
    )
    cohort.axes_ = SharedAxes(dataset["anchors"].values, dataset["variance"].values, dataset["persistence"].values)
    cohort.conditions_ = [str(label) for label in dataset["condition"].values]
    clock = config["clock"]
    cohort.clock_ = TrialClock(clock["bin_width_s"], clock["n_bins"], clock["smooth_s"])
    cohort.field_ = QuadraticField(
        dataset["field_weights"].values, dataset["field_centre"].values, dataset["field_scale"].values
    )
    cohort.bins_ = BehaviorBins.from_dict(config["behavior"]) if config.get("behavior") else None
    # none of its sessions: their couplings are in their own files, and nothing here can read them
    cohort.sessions_, cohort.findings_ = {}, []
    cohort.animals_, cohort.group_of_ = {}, {}
    return cohort


def describe_settings(cohort: Cohort) -> dict[str, object]:
    """Return the cohort's own settings, JSON-able."""
    clock = cohort.clock_
    return {
        "dim": cohort.dim,
        "window": cohort.window,
        "ridge": cohort.ridge,
        "smooth_bins": cohort.smooth_bins,
        "n_permutations": cohort.n_permutations,
        "repeats": cohort.repeats,
        "force": cohort.force,
        "seed": cohort.seed,
        "clock": {"bin_width_s": clock.bin_width_s, "n_bins": clock.n_bins, "smooth_s": clock.smooth_s},
        **({} if cohort.bins_ is None else {"behavior": cohort.bins_.to_dict()}),
    }


def describe_statistics(cohort: Cohort) -> dict[str, object]:
    """Return findings and the figures behind them, with the floor of every p, JSON-able."""
    over_trials, over_sessions = cohort.axes_over_trials_, cohort.axes_over_sessions_
    report: dict[str, object] = {
        "findings": [finding.to_dict() for finding in cohort.findings_],
        "unshared": cohort.unshared_,
        "axes": {
            "over_trials": None if over_trials is None else over_trials.mean(axis=0).tolist(),
            "over_sessions": None if over_sessions is None else over_sessions.mean(axis=0).tolist(),
            "variance": cohort.axes_.variance.tolist(),
            "persistence": cohort.axes_.persistence.tolist(),
        },
    }
    if cohort.dynamics_ is not None:
        report["dynamics"] = {
            "verdict": cohort.dynamics_.verdict,
            "ratio": cohort.dynamics_.ratio,
            "own_r2": cohort.dynamics_.own.tolist(),
            "shared_r2": cohort.dynamics_.shared.tolist(),
        }
    if cohort.sharing_ is not None:
        test = cohort.sharing_
        report["sharing"] = {
            "p": test.p,
            "floor": test.floor,
            "p_session": test.p_session.tolist(),
            "floor_session": test.floor_session.tolist(),
            "similarity": test.similarity.tolist(),
            "n_permutations": test.n_permutations,
        }
    if cohort.groups_ is not None:
        report["groups"] = describe_groups(cohort.groups_)
    return report


def describe_groups(groups: GroupComparison) -> dict[str, object]:
    """Return a comparison of groups, JSON-able; without p where the design allows no verdict."""
    return {
        "groups": list(groups.groups),
        "animals": list(groups.animals),
        "speed": groups.speed.tolist(),
        "ratio": groups.ratio,
        "ratio_is": RATIO_IS,
        # no p is stored that could not have been small: a reader would take it for a negative result
        "p_speed": groups.p_speed if groups.can_tell else None,
        "p_field": groups.p_field if groups.can_tell else None,
        "p_turned": groups.p_turned if groups.can_tell else None,
        "floor": groups.floor,
        "verdict_allowed": groups.can_tell,
        "n_divisions": groups.n_divisions,
        "exact": groups.exact,
        "difference": groups.difference.tolist(),
        "threshold": groups.threshold,
    }


def describe_kinds(kinds: KindComparison) -> dict[str, object]:
    """Return a comparison of two kinds of trials, JSON-able."""
    return {
        "kinds": list(kinds.kinds),
        "sessions": list(kinds.sessions),
        "ratio": kinds.ratio.tolist(),
        "p_session": kinds.p_session.tolist(),
        "mean_ratio": kinds.mean_ratio,
        "ratio_is": RATIO_IS,
        "p_speed": kinds.p_speed,
        "p_field": kinds.p_field,
        "floor": kinds.floor,
        "n_permutations": kinds.n_permutations,
        "fields": kinds.fields.tolist(),
        "difference": kinds.difference.tolist(),
        "threshold": kinds.threshold,
        "left_out": kinds.left_out,
    }


def hash_cohort(cohort: Cohort, settings: Mapping[str, object]) -> str:
    """Return the SHA-256 of anchors, field, conditions and settings, by which each session names its cohort."""
    digest = hashlib.sha256()
    for values in (cohort.axes_.anchors, cohort.field_.weights, cohort.field_.centre, cohort.field_.scale):
        # of one type and order of bytes on every machine
        digest.update(np.ascontiguousarray(values, "<f8").tobytes())
    digest.update(json.dumps([cohort.conditions_, dict(settings)], sort_keys=True, default=str).encode())
    return digest.hexdigest()


def _list_versions() -> dict[str, str]:
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:  # run from a checkout
            continue
    return versions

"""Latents of another file whose units are those of a session of a stored cohort; nothing is fitted."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr

from ..data.cohort_record import CohortRecord
from ..data.far_frames import MAX_DISTANCE, refuse_far_frames
from ..data.preprocessing import Preprocessor
from ..data.recording import median_step_s, name_source
from ..data.records import ModelRecord, WrittenRecord
from ..data.result import DCFResult
from ..data.safetensors_header import read_header
from ..errors import DOUBT, DataError, DCFError, ParameterError, StoreError
from ..io.recordings import describe_session
from ..io.results import check_writable, read_cohort, read_result, read_tensors, split_address, write_result
from ..pipeline.stored_source import check_kind, choose_reading, read_matched
from .cohort import Cohort
from .compressive_flow import CompressiveFlow
from .coupled_session import CoupledSession, SessionModel
from .coupling import Coupling
from .record import from_record
from .session_fit import FORMAT, SessionIdentity, make_session_fit
from .stored import require_session
from .vector_field import QuadraticField

TENSORS = {*(f"coupling.{key}" for key in ("weights", "centre", "offset", "slope")), "v.weights", "v.centre", "v.scale"}
FLOW = ("u.weights", "u.mean", "u.centre")
LEAST_COMPARED = 10  # units, below which a correlation over them says nothing
LEAST_ALIKE = 0.5  # correlation over units of their mean values, here and in the session


@dataclass(frozen=True)
class _Kind:
    """What the session's coupling was fitted to, for `nwb_dcf.pipeline.stored_source.check_kind`."""

    kind: str
    step_s: float
    units: str


def is_cohort_model(model: str | Path) -> bool:
    """Whether ``FILE#NAME`` names a stored cohort, a session of one, or the fit of a session of one."""
    file, name = split_address(model)
    try:
        read_cohort(file)
        return True
    except (DCFError, OSError):
        pass
    try:
        return "cohort" in read_result(file, name).provenance
    # whatever cannot be read is no cohort's; those that read it say why
    except (DCFError, OSError):
        return False


def load_cohort(cohort_file: str | Path, *, sessions: str | Path | None = None) -> Cohort:
    """Load a stored cohort with the couplings of its sessions, to couple and to transform.

    Parameters
    ----------
    cohort_file : str or Path
    sessions : str or Path, optional
        Folder of the sessions' files, see `nwb_dcf.cohort.list_cohort`.

    Returns
    -------
    Cohort
        ``transform(recording, session)`` reads latents of recordings of a session's units.

    Raises
    ------
    DCFError
        If a session's file is not there, or its fit is no longer of this cohort.
    """
    record = read_cohort(cohort_file)
    cohort = from_record(record)
    for session in map(str, record.dataset["session"].values):
        stored = _read_session(cohort_file, record, session, sessions)[1]
        # a mean is NaN where the session has no trial
        means = record.dataset["means"].sel(session=session).values
        seen = np.isfinite(means).all(axis=(1, 2))
        cohort.sessions_[session] = dataclasses.replace(_unpack(stored).session, means=means, seen=seen)
    return cohort


def transform_session(
    path: str | Path,
    model: str | Path,
    *,
    match: str = "id",
    impute: Literal["mean"] | None = None,
    max_distance: float = MAX_DISTANCE,
    sessions: str | Path | None = None,
    name: str | None = None,
    overwrite: bool = False,
    output: str | Path | None = None,
    **reading: Any,
) -> DCFResult:
    """Read latents of a file whose units are those of a session of a cohort, and write them there.

    Nothing is fitted and no labels are needed: other trials, rest, or another recording of the same units. A file with
    units of its own is coupled by `add_to_cohort`.

    Parameters
    ----------
    path : str or Path
        NWB file to transform. It is replaced by a verified copy that holds the result, unless `output` is given.
    model : str or Path
        ``COHORT#SESSION``: the cohort's file, and the file name of the session whose units they are, which may be left
        out where `path` is that session by its identifier. Or ``FILE#NAME``: a session's file and its fit.
    match : str
        How units are found: ``"id"``, or columns whose values name one (`data.channel_matching.match_channels`).
    impute : {"mean"}, optional
        Set missing units to their mean in the session; without it they are refused.
    max_distance : float
        How far from the mean of the session's frames a frame may lie, in units of their own RMS distance from it.
    sessions : str or Path, optional
        Folder of the sessions' files, see `nwb_dcf.cohort.list_cohort`.
    name, overwrite, output
        Of the result in ``processing/dcf``, as for `nwb_dcf.fit_nwb`.
    **reading
        What to read in `path` where that differs from the session, as for `nwb_dcf.transform_nwb`.

    Returns
    -------
    DCFResult

    Raises
    ------
    DCFError
        If it cannot be known whose units these are, or units, bins or values do not fit; nothing is written then.
    """
    if impute not in (None, "mean"):
        raise ParameterError(f"impute is {impute!r}", fix="choose mean, or leave it out")
    fit_file, stored = _choose_session(path, model, sessions)
    kind = str(stored.dataset.attrs.get("kind", "array"))
    check_writable(path, name=name, kind=kind, dim=stored.dim, overwrite=overwrite, output=output)
    read = choose_reading(stored, reading)
    address = f"{fit_file}#{stored.name}"
    recording, read, matching = read_matched(path, stored, read, address, match, impute is not None)
    loaded = _unpack(stored)
    # of values the unit is not kept with the fit: the note on another one cannot be made
    check_kind(recording, _Kind(kind, loaded.bin_width_s, str(recording["data"].attrs.get("units", ""))))
    recording.attrs["notes"] = [*recording.attrs["notes"], *_check_frames(stored, loaded, recording, max_distance)]
    if (
        matching
        and match == "id"
        and stored.provenance["source"]["identifier"] != recording.attrs["source"]["identifier"]
    ):
        recording.attrs["notes"].append("units are matched by id: the same ids are taken to name the same units")
    about: SessionIdentity = stored.provenance["cohort"]  # type: ignore[assignment]
    own = stored.provenance["source"].get("sha256") == recording.attrs["source"].get("sha256")
    note = f"latents by the coupling of {about['session']} in the cohort {about['file']}; nothing was fitted"
    result = make_session_fit(loaded, recording, about=about, read=read, note=note)
    result = _mark(result, stored, fit_file, own=own)
    if matching is not None:
        result.provenance["matching"] = matching.to_dict()
        dim = str(result.dataset["mean"].dims[0])
        result = dataclasses.replace(
            result, dataset=result.dataset.assign_coords({dim: np.asarray(matching.name_channels())})
        )
    written = write_result(result, path, name=name, overwrite=overwrite, output=output, as_read=True)
    report: WrittenRecord = {"file": Path(written.path).name, "name": written.name, "notes": written.notes}
    return dataclasses.replace(result, name=written.name, provenance={**result.provenance, "written": report})


def _mark(result: DCFResult, stored: DCFResult, fit_file: Path, *, own: bool) -> DCFResult:
    """Say of a result whose coupling made it, and that its frames were not fitted."""
    n_segments = result.dataset.sizes["segment"]
    on = "the session that was coupled" if own else "data that no part of the cohort was fitted to"
    scores = {**result.dataset.attrs["scores"], "on": on}
    dataset = result.dataset.assign_attrs(scores=scores).assign(
        segment_held_out=("segment", np.full(n_segments, not own))
    )
    seen, unseen = (n_segments, 0) if own else (0, n_segments)
    model: ModelRecord = {
        "file": fit_file.name,
        "name": stored.name,
        "sha256": hashlib.sha256(stored.weights).hexdigest(),
        "created": stored.provenance.get("created"),
        "source": stored.provenance["source"],
    }
    provenance = {**result.provenance, "model": model, "channels": stored.provenance["channels"]}
    provenance["split"] = {"training": seen, "held_out": unseen, "rule": on}
    return dataclasses.replace(result, dataset=dataset, provenance=provenance, weights=stored.weights)  # type: ignore[arg-type]


def _check_frames(stored: DCFResult, model: SessionModel, recording: xr.Dataset, max_distance: float) -> list[str]:
    """Refuse frames far outside those of the session, and doubt units whose rates are others."""
    values = model.session.preprocessor.apply(recording)["data"].values
    mean = stored.dataset["mean"].values
    distance = np.linalg.norm(values - mean, axis=1) / np.sqrt(float(stored.dataset.attrs["total_variance"]))
    notes = refuse_far_frames(distance, max_distance=max_distance, where=name_source(recording))
    here = values.mean(axis=0)
    # ids are whatever a sorter counted: the same numbers may be other units, whose latents would mean nothing. Of dF/F
    # and other values the mean is a baseline, which says nothing of the cell.
    counted = recording.attrs["kind"] == "units"
    if counted and len(mean) >= LEAST_COMPARED and mean.std() > 0 and here.std() > 0:
        alike = float(np.corrcoef(mean, here)[0, 1])
        if alike < LEAST_ALIKE:
            notes.append(
                f"{DOUBT}the mean values of its {recording['data'].dims[1]}s do not go with those of the session "
                f"(correlation {alike:.2f}): are they the same?"
            )
    return notes


def _choose_session(path: str | Path, model: str | Path, sessions: str | Path | None) -> tuple[Path, DCFResult]:
    """Find the fit whose coupling is meant: of the session that is named, or of that which `path` is."""
    file, name = split_address(model)
    try:
        record = read_cohort(file)
    except StoreError:
        stored = read_result(file, name)
        if "cohort" not in stored.provenance:
            raise StoreError(f"{stored.name} is no fit of a cohort", where=file, fix="name a cohort's file") from None
        return Path(file), stored
    known = dict(
        zip(map(str, record.dataset["session"].values), map(str, record.dataset["identifier"].values), strict=True)
    )
    if name is None:
        identifier = str(describe_session(path).get("identifier") or "")
        name = next((session for session, own in known.items() if own and own == identifier), None)
    if name is None:
        raise ParameterError(
            "it is none of the cohort's sessions, and the session with its units is not named",
            where=str(path),
            fix=f"name it as --model '{file}#{next(iter(known))}'; a session with other units is coupled by "
            "nwb-dcf cohort add",
        )
    if name not in known:
        raise ParameterError(
            f"no session {name!r} in the cohort", where=file, fix=f"its sessions are {', '.join(list(known)[:8])}"
        )
    return _read_session(file, record, name, sessions)


def _read_session(
    cohort_file: str | Path, record: CohortRecord, session: str, folder: str | Path | None
) -> tuple[Path, DCFResult]:
    """Read the fit of a session, which must be of this very cohort."""
    place = require_session(cohort_file, record, session, folder, fit=True)
    stored = read_result(place, str(record.config.get("fit_name") or ""))
    if (stored.provenance.get("cohort") or {}).get("sha256") != record.sha256:
        raise StoreError(f"its fit {stored.name} is of another cohort", where=str(place), fix="fit the cohort again")
    return place, stored


def _unpack(stored: DCFResult) -> SessionModel:
    """Coupling and field of the fit of a session.

    Raises
    ------
    StoreError
        If its model is none of a cohort, or damaged.
    """
    try:
        about = json.loads(read_header(stored.weights).metadata["nwb_dcf"])
        tensors = read_tensors(stored.weights)
    except (KeyError, ValueError, IndexError, TypeError) as error:
        raise StoreError("the coupling cannot be read", where=stored.name, fix="fit the cohort again") from error
    if about.get("format") != FORMAT:
        raise StoreError(f"the model is of format {about.get('format')!r}", fix="upgrade nwb_dcf to read it")
    if missing := sorted(TENSORS - tensors.keys()):
        raise StoreError(f"the coupling has no {missing[0]}", where=stored.name, fix="fit the cohort again")
    if not all(np.isfinite(values).all() for values in tensors.values()):
        raise DataError("the coupling holds values that are not finite", where=stored.name, fix="fit the cohort again")
    provenance = stored.provenance
    identity: Any = provenance["cohort"]
    coupling = Coupling(
        tensors["coupling.weights"],
        tensors["coupling.centre"],
        tensors["coupling.offset"],
        ridge=float(about["ridge"]),
        slope=tensors["coupling.slope"],
    )
    field = QuadraticField(tensors["v.weights"], tensors["v.centre"], tensors["v.scale"])
    session = CoupledSession(
        Preprocessor.from_dict(provenance["preparation"]),
        coupling,
        np.asarray(provenance["channels"]),
        int(identity["trials"]),
        np.ones(0, bool),
        bool(identity["in_axes"]),
        np.empty((0, 0, len(coupling.offset))),
    )
    read = stored.config["read"]
    width = read["bin_width_s"] if stored.dataset.attrs.get("kind") == "units" else median_step_s(stored.dataset)
    # fits of earlier versions have none
    flow = CompressiveFlow(*(tensors[key] for key in FLOW)) if tensors.keys() >= set(FLOW) else None
    return SessionModel(session, field, float(width), flow)

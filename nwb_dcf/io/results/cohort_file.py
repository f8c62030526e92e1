"""A cohort's own NWB file: results only, made in a clean process, verified in another, put in its place in one step."""

from __future__ import annotations

import datetime
import io
import json
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ... import __version__
from ...data.cohort_record import CohortRecord
from ...data.stored_json import dump_json
from ...errors import StoreError
from .atomic import lock_work_folder, remove_leftovers, replace, sync
from .clean_process import explain_failure, run_clean, start_clean
from .destination import check_target
from .read import MODULE, NAMESPACE, SCHEMA_VERSION, open_nwb, refuse_newer_schema
from .safetensors_bytes import read_tensors, write_tensors
from .scripts.items import is_group, read_attribute, read_text, read_values
from .write import WrittenResult, check_fit_name

TYPE = "CohortSpace"
ARRAYS = ("anchors", "variance", "persistence", "means")
FIELD = ("field_weights", "field_centre", "field_scale")
_TEXTS = ("config", "provenance", "statistics")
_MALFORMED = (KeyError, ValueError, TypeError, AttributeError, IndexError, OSError)
FORMULA = "v(z) = [1, s, s_i s_j for i <= j] weights, s = (z - centre) / scale; latent units per bin"


def check_cohort_output(output: str | Path, *, overwrite: bool = False) -> None:
    """Check, before the long work, that a cohort can be written.

    Raises
    ------
    StoreError
        If the folder is missing or read-only, or the file exists and may not be replaced, or is no cohort.
    """
    target = Path(output).resolve()
    if target.suffix != ".nwb":
        raise StoreError("is no name of an NWB file", where=str(output), fix="end it with .nwb")
    remove_leftovers(target)
    if target.exists() and overwrite:
        # Only a cohort is replaced by a cohort: a session of that name would be lost with its data.
        read_cohort(target)
    check_target(target.with_name(f"{target.stem}_2{target.suffix}"), target, overwrite=overwrite)


def write_cohort(
    record: CohortRecord, output: str | Path, *, name: str = "cohort", overwrite: bool = False
) -> WrittenResult:
    """Write a cohort into an NWB file of its own, which holds nothing else.

    Parameters
    ----------
    record : CohortRecord
    output : str or Path
        The file to make.
    name : str
        In ``processing/dcf``.
    overwrite : bool
        Whether a cohort there may be replaced.

    Returns
    -------
    WrittenResult

    Raises
    ------
    StoreError
        If it cannot be written or does not verify; what was there is still there then.
    """
    check_fit_name(name)
    check_cohort_output(output, overwrite=overwrite)
    target = Path(output).resolve()
    with lock_work_folder(target) as folder:
        made = folder / f"{uuid.uuid4().hex}.nwb"
        payload = folder / "payload.npz"
        try:
            payload.write_bytes(_make_payload(record))
            request = {"copy": str(made), "payload": str(payload), "name": name, "identifier": str(uuid.uuid4())}
            with start_clean(target.parent) as clean:
                run_clean("write_cohort.py", request, folder=target.parent, where=str(target), started=clean)
                sync(made)
                run_clean("verify_cohort.py", request, folder=target.parent, where=str(target), started=clean)
            read_cohort(made, name)
            # Another process may have made a file there since the first check.
            check_target(target.with_name(f"{target.stem}_2{target.suffix}"), target, overwrite=overwrite)
            replace(made, target, None)
            sync(target.parent)
        except OSError as error:
            raise explain_failure(str(error), error.errno, where=str(target)) from error
    return WrittenResult(str(output), name, [])


def find_cohorts(file: Any) -> list[str]:
    """Return the names of the cohorts in an open file, sorted."""
    group = file.get(MODULE)
    if not is_group(group):
        return []
    return sorted(
        name
        for name in group
        if read_attribute(group[name], "neurodata_type") == TYPE
        and read_attribute(group[name], "namespace") == NAMESPACE
    )


def read_cohort(path: str | Path, name: str | None = None) -> CohortRecord:
    """Read a stored cohort.

    Parameters
    ----------
    path : str or Path
    name : str, optional
        Needed only where there are several.

    Raises
    ------
    StoreError
        If there is none, its schema is newer than this package, or it cannot be read.
    """
    with open_nwb(path) as file:
        names = find_cohorts(file)
        # A newer schema may have moved what is read here.
        refuse_newer_schema(file, path, also=names)
        if name is None and len(names) == 1:
            name = names[0]
        if name is None or name not in names:
            has = f"its cohorts are {', '.join(names)}" if names else "it holds none"
            fix = "name one of them" if names else "make one with nwb-dcf cohort fit"
            raise StoreError(f"no cohort {name or ''}: {has}".replace(" :", ":"), where=str(path), fix=fix)
        try:
            return _read(file[f"{MODULE}/{name}"], name)
        except _MALFORMED as error:
            what = f"the cohort cannot be read ({type(error).__name__}: {error})"
            raise StoreError(what, where=str(path), fix="fit it again with --overwrite") from error


def _make_payload(record: CohortRecord) -> bytes:
    dataset = record.dataset
    arrays = {key: np.ascontiguousarray(dataset[key].values, np.float64) for key in ARRAYS}
    arrays["bins"] = np.asarray(dataset["bin"].values, np.float64)
    arrays["conditions/label"] = dataset["condition"].values.astype(np.str_)
    arrays["sessions/session"] = dataset["session"].values.astype(np.str_)
    for key, variable in dataset.data_vars.items():
        if variable.dims == ("session",):
            values = variable.values
            # Texts of xarray may be objects, which would need a pickle.
            arrays[f"sessions/{key}"] = values if values.dtype.kind in "biuf" else values.astype(np.str_)
    # The field is stored as every model is, so that readers of safetensors know it.
    tensors = {key.removeprefix("field_"): np.asarray(dataset[key].values, np.float64) for key in FIELD}
    arrays["dynamical_flow/weights"] = np.frombuffer(write_tensors(tensors), np.uint8)
    shapes = {key: {"dtype": "F64", "shape": list(values.shape)} for key, values in tensors.items()}
    created = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    document = {
        "texts": {
            "config": dump_json("config", record.config),
            "provenance": dump_json("provenance", {"created": created, **record.provenance}),
            "statistics": dump_json("statistics", record.statistics),
        },
        "architecture": json.dumps({"symbol": "v", "class": "QuadraticField", "formula": FORMULA, "tensors": shapes}),
        "attributes": {
            "schema_version": SCHEMA_VERSION,
            "package_version": __version__,
            "dim": record.dim,
            "sha256": record.sha256,
        },
    }
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, __document__=np.array(json.dumps(document)), **arrays)
    return buffer.getvalue()


def _read(group: Any, name: str) -> CohortRecord:
    texts: Mapping[str, Any] = {key: json.loads(read_text(group, key)) for key in _TEXTS}
    dims = {
        "anchors": ("condition", "bin", "latent"),
        "variance": ("latent",),
        "persistence": ("latent",),
        "means": ("session", "condition", "bin", "latent"),
    }
    variables = {key: (dims[key], read_values(group[key])) for key in ARRAYS if key in group}
    sessions = {column: read_values(group["sessions"][column]) for column in group["sessions"].attrs["colnames"]}
    labels = sessions.pop("session")
    variables |= {column: (("session",), values) for column, values in sessions.items()}
    tensors = read_tensors(read_values(group["dynamical_flow"]["weights"]).tobytes())
    variables["field_weights"] = (("feature", "latent"), tensors["weights"])
    variables |= {f"field_{key}": (("latent",), tensors[key]) for key in ("centre", "scale")}
    dataset = xr.Dataset(
        variables,
        coords={
            "condition": read_values(group["conditions"]["label"]),
            "bin": read_values(group["bins"]),
            "session": labels,
            "latent": np.arange(1, len(variables["variance"][1]) + 1),
        },
    )
    dataset["bin"].attrs["units"] = "s"
    return CohortRecord(dataset, texts["config"], texts["provenance"], texts["statistics"], name)

"""A result, or simulated paths, in the formats that others already read: csv, parquet, netCDF, npz and mat.

========== ================================ ====================================================
suffix     read it with                     holds
========== ================================ ====================================================
.csv       anything                         one row a frame: time, segment, its columns, the series
.parquet   pandas, polars, R                the same with exact types; ``attrs`` of the DataFrame
.nc        xarray, MATLAB, R                every variable with its dims and units (netCDF 3)
.npz       numpy                            every variable by name, ``attrs`` as JSON text
.mat       MATLAB, Octave                   the same as ``.npz``; texts are cells (MAT-file 5)
========== ================================ ====================================================

The model itself stays in the NWB file: `nwb_dcf.DCF.from_result` brings it back, ``DCF.save`` writes it alone.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from ..data.result import DCFResult
from ..errors import ParameterError, StoreError, clean_text
from .special_files import name_special

if TYPE_CHECKING:
    from jaxtyping import Shaped

FORMATS = (".csv", ".npz", ".nc", ".parquet", ".mat")
FORMULA = ("=", "+", "-", "@", "\t", "\r", "|", "%", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a cell begins with that a spreadsheet runs; the last four are wide forms, which some take as well."""
LARGEST_INT = 2**31 - 1  # of netCDF 3
LARGEST_MAT = 2**32 - 1  # bytes of one variable in a MAT-file of version 5
LONGEST_NAME = 63  # of a variable in MATLAB


def export_result(result: DCFResult, path: str | Path, *, overwrite: bool = False) -> Path:
    """Write a result in the format that the suffix of `path` names.

    Parameters
    ----------
    result : DCFResult
        Of `nwb_dcf.read_result` or a fit.
    path : str or Path
        Ends in ``.csv``, ``.npz``, ``.nc``, ``.parquet`` or ``.mat``; see the module's table.
    overwrite : bool
        Replace a file that exists.

    Returns
    -------
    Path
        What was written.

    Raises
    ------
    ParameterError
        If the suffix names no format.
    StoreError
        If the file exists, cannot be written, or parquet is asked for without pyarrow.

    Examples
    --------
    >>> export_result(nwb_dcf.read_result("session.nwb"), "latents.csv")  # doctest: +SKIP
    PosixPath('latents.csv')
    """
    attrs = {
        **result.dataset.attrs,
        "name": result.name,
        "config": result.config,
        "provenance": result.provenance,
    }
    frames = result.dataset.assign(frame_held_out=("time", result.held_out))
    return export_dataset(frames.assign_attrs(attrs), path, overwrite=overwrite)


def export_dataset(dataset: xr.Dataset, path: str | Path, *, overwrite: bool = False) -> Path:
    """Write the dataset of a result, or a recording such as simulated paths; see `export_result`."""
    path = Path(path)
    check_export(path, overwrite=overwrite)
    writers: dict[str, Callable[[xr.Dataset, str], None]] = {
        ".csv": _write_csv,
        ".npz": _write_npz,
        ".nc": _write_netcdf,
        ".parquet": _write_parquet,
        ".mat": _write_mat,
    }
    write_whole(path, lambda beside: writers[path.suffix.lower()](dataset, beside))
    return path


def check_export(path: str | Path, *, overwrite: bool = False, formats: tuple[str, ...] = FORMATS) -> None:
    """Refuse, before any long work, a path that cannot be written.

    Raises
    ------
    ParameterError, StoreError
        See `export_result`.
    """
    path = Path(path)
    if path.suffix.lower() not in formats:
        raise ParameterError(f"{path.name!r} names no format", fix=f"end the output in {', '.join(formats)}")
    if path.is_dir():
        raise StoreError("the output is a folder", where=str(path), fix="name a file in it")
    if kind := name_special(path):
        raise StoreError(f"the output is {kind}", where=str(path), fix="name a file")
    if path.exists() and not overwrite:
        raise StoreError("the output exists", where=str(path), fix="name another, or replace it with --overwrite")
    if not path.parent.is_dir():
        raise StoreError("no such folder", where=str(path.parent), fix="make it first, or write elsewhere")
    if path.suffix.lower() == ".parquet":
        try:
            import pyarrow  # noqa: F401
        except ImportError as error:
            raise StoreError("parquet needs pyarrow", fix="pip install 'nwb-dcf[parquet]', or write .csv") from error


def write_whole(path: Path, write: Callable[[str], None]) -> None:
    """Let `write` make a file beside `path`, then give it that name: nobody sees half of it.

    Raises
    ------
    StoreError
        If it cannot be written.
    """
    try:
        # Beside it, since only on one file system a rename is a single step.
        with tempfile.TemporaryDirectory(prefix=f".{path.stem}-", dir=path.parent) as folder:
            beside = os.path.join(folder, path.name)
            write(beside)
            os.replace(beside, path)
    except OSError as error:
        raise StoreError(
            f"cannot be written: {error.strerror or error}", where=str(path), fix="free space, or write elsewhere"
        ) from error


def tabulate_frames(dataset: xr.Dataset) -> pd.DataFrame:
    """Lay out what `dataset` holds of each frame as a table, one row a frame.

    Returns
    -------
    pandas.DataFrame
        ``time`` (s), ``segment``, ``frame_held_out`` (whether no part of the fit has seen the frame, with or without
        trials), the columns of its segment (``segment_row``, ``segment_held_out``, ``trial_NAME``),
        and a column for each coordinate of each series: ``latents_1``, ``latents_2``, ..., ``velocity_1``, ...
        ``attrs`` holds those of the dataset and ``units`` by column.

    Notes
    -----
    What has no time (spectrum, loadings, curves) has no place in a table of frames.
    ``.nc``, ``.npz`` and ``.mat`` hold it.
    """
    index = dataset["segment_index"].values
    columns: dict[str, Shaped[np.ndarray, " time"]] = {"time": dataset["time"].values, "segment": index}
    units = {"time": "s"}
    for name, variable in dataset.variables.items():
        if variable.dims == ("segment",) and name != "segment":
            # What holds of a segment is repeated for each of its frames: a table has rows of one kind.
            columns[str(name)] = variable.values[index]
            units |= {str(name): variable.attrs["units"]} if "units" in variable.attrs else {}
    for name, series in dataset.data_vars.items():
        if name == "frame_held_out":
            columns[str(name)] = series.values
        if series.dims[:1] != ("time",) or series.ndim == 1:
            continue
        flat = series.values.reshape(dataset.sizes["time"], -1)
        dim = series.dims[1]
        labels = dataset[dim].values if series.ndim == 2 and dim in dataset.coords else range(1, flat.shape[1] + 1)
        for label, values in zip(labels, flat.T, strict=True):
            columns[f"{name}_{label}"] = values
            units[f"{name}_{label}"] = str(series.attrs.get("units", ""))
    table = pd.DataFrame(columns)
    # parquet keeps attributes as JSON, which knows no arrays.
    table.attrs = {**json.loads(_dump(dataset.attrs)), "units": units}
    return table


def _write_csv(dataset: xr.Dataset, path: str) -> None:
    defuse_table(tabulate_frames(dataset)).to_csv(path, index=False)


def defuse_table(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose texts and names of columns no spreadsheet takes for a formula, and that have no controls.

    A leading apostrophe marks text for spreadsheets. Names and texts come out of a file, which may be
    anybody's; numbers stay as they are.
    """
    safe = table.copy()
    for name in safe:
        if safe[name].dtype.kind not in "biuf":
            safe[name] = [defuse_cell(cell) for cell in safe[name]]
    return safe.rename(columns=defuse_cell)


def defuse_cell(cell: Any) -> Any:
    """Put an apostrophe before text that begins as a formula does; what is no text stays as it is.

    Examples
    --------
    >>> defuse_cell("=1+1"), defuse_cell("left"), defuse_cell(-2.5)
    ("'=1+1", 'left', -2.5)
    """
    if not isinstance(cell, str):
        return cell
    text = clean_text(cell)
    return f"'{text}" if text.startswith(FORMULA) or cell.lstrip()[:1] in FORMULA else text


def _write_parquet(dataset: xr.Dataset, path: str) -> None:
    tabulate_frames(dataset).to_parquet(path, index=False)


def _write_npz(dataset: xr.Dataset, path: str) -> None:
    arrays = {str(name): _to_plain(variable.values) for name, variable in dataset.variables.items()}
    np.savez_compressed(path, allow_pickle=False, attrs=np.array(_dump(_describe_variables(dataset))), **arrays)


def _describe_variables(dataset: xr.Dataset) -> dict[str, object]:
    """Return the attributes with the dims and units of every variable, for formats that hold bare arrays."""
    dims = {str(name): list(variable.dims) for name, variable in dataset.variables.items()}
    units = {str(name): v.attrs["units"] for name, v in dataset.variables.items() if "units" in v.attrs}
    return {**dataset.attrs, "dims": dims, "units": units}


def _write_mat(dataset: xr.Dataset, path: str) -> None:
    from scipy.io import savemat

    names = name_for_matlab([str(name) for name in dataset.variables])
    contents: dict[str, object] = {}
    for name, variable in dataset.variables.items():
        values = _to_plain(variable.values)
        if values.nbytes > LARGEST_MAT:
            raise StoreError(f"{name} is larger than a MAT-file holds, 4 GiB", fix="end the output in .nc or .npz")
        # Texts of unequal length are cells in MATLAB, not rows of characters with blanks behind.
        contents[names[str(name)]] = values.astype(object) if values.dtype.kind == "U" else values
    about = {**_describe_variables(dataset), "names": {to: name for name, to in names.items() if to != name}}
    savemat(path, {**contents, "attrs": _dump(about)}, do_compression=True, oned_as="column", long_field_names=True)


def name_for_matlab(names: list[str]) -> dict[str, str]:
    """Return for each of `names` one that MATLAB takes for a variable, all of them different.

    Examples
    --------
    >>> name_for_matlab(["time", "trial_go cue", "trial_go-cue"])
    {'time': 'time', 'trial_go cue': 'trial_go_cue', 'trial_go-cue': 'trial_go_cue_2'}
    """
    chosen: dict[str, str] = {}
    taken = {"attrs"}
    for name in names:
        plain = re.sub(r"[^A-Za-z0-9_]", "_", name)
        plain = (plain if re.match("[A-Za-z]", plain) else f"x{plain}")[:LONGEST_NAME]
        candidate, number = plain, 1
        while candidate in taken:
            number += 1
            ending = f"_{number}"
            candidate = plain[: LONGEST_NAME - len(ending)] + ending
        chosen[name] = candidate
        taken.add(candidate)
    return chosen


def _write_netcdf(dataset: xr.Dataset, path: str) -> None:
    plain = dataset.copy()
    for name in dataset.variables:
        values = _to_plain(dataset[name].values)
        if values.dtype.kind in "iu" and values.size and np.abs(values).max() > LARGEST_INT:
            values = values.astype(np.float64)  # netCDF 3 has no integers of 64 bits
        plain[name] = (dataset[name].dims, values, dict(dataset[name].attrs))
    # Attributes of netCDF 3 are texts and numbers.
    plain.attrs = {
        name: value if type(value) in (str, int, float) else _dump(value) for name, value in dataset.attrs.items()
    }
    # scipy's netCDF 3 rather than HDF5: it needs no further package, and every netCDF reader knows it.
    plain.to_netcdf(path, engine="scipy", format="NETCDF3_64BIT")


def _to_plain(values: Shaped[np.ndarray, "*shape"]) -> Shaped[np.ndarray, "*shape"]:
    """Return numbers, bools and text as they are, and any other object as text, so that nothing is pickled."""
    return values if values.dtype.kind in "biufU" else np.array([str(v) for v in values.flat]).reshape(values.shape)


def _dump(value: Any) -> str:
    def plain(item: Any) -> Any:
        return item.tolist() if hasattr(item, "tolist") else str(item)

    return json.dumps(value, default=plain)

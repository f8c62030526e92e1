"""Colours of trajectories: by time, by trial, or by any column of the segments table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from ..errors import ParameterError

if TYPE_CHECKING:
    from jaxtyping import Shaped

MOST_GROUPS = 12  # values that get a colour of their own; more numbers become a scale
# Paul Tol's bright scheme, extended: distinct with any colour vision, and in print
PALETTE = (
    "#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377",
    "#e07b39", "#555555", "#44aa99", "#882255", "#999933", "#332288",
)  # fmt: skip
COLORMAP = "viridis"


@dataclass(frozen=True)
class Coloring:
    """A value for each frame.

    Attributes
    ----------
    name : str
        As `choose_coloring` takes it.
    label : str
        For a legend or a scale, with its unit.
    values : array, shape (time,)
        Numbers; of groups their number, 0, 1, ..., in the order of `groups`.
    groups : list of str
        Names of the groups; empty for a scale.
    """

    name: str
    label: str
    values: Shaped[np.ndarray, " time"]
    groups: list[str]

    def pick(self, group: int) -> str:
        """Return the colour of a group; groups beyond the palette begin it again."""
        return PALETTE[group % len(PALETTE)]


def list_colorings(dataset: xr.Dataset) -> list[str]:
    """List the names that `choose_coloring` accepts: ``time``, ``trial``, and the columns of the segments."""
    columns = [str(name) for name, v in dataset.data_vars.items() if v.dims == ("segment",)]
    names = [name.removeprefix("trial_") if name.startswith("trial_") else name for name in columns]
    hidden = {"segment_start", "segment_stop", "segment_row", "start_time", "stop_time"}
    return ["time", "trial", *(name.removeprefix("segment_") for name in names if name not in hidden)]


def choose_coloring(dataset: xr.Dataset, name: str = "time") -> Coloring:
    """Return a value for each frame, by which it is coloured.

    Parameters
    ----------
    dataset : xarray.Dataset
        Of a result.
    name : str
        ``time`` (seconds on the session clock), ``trial`` (number of the segment), ``held_out``, or a column of the
        table that the segments came from, such as ``direction``.

    Raises
    ------
    ParameterError
        If there is no such column.
    """
    index = dataset["segment_index"].values
    if name == "time":
        return Coloring("time", "time (s)", dataset["time"].values, [])
    if name == "trial":
        return Coloring("trial", "segment", index, [])
    found = next((c for c in (f"trial_{name}", f"segment_{name}", name) if c in dataset), None)
    if found is None or dataset[found].dims != ("segment",):
        known = ", ".join(list_colorings(dataset))
        raise ParameterError(f"there is no column {name!r} to colour by", fix=f"choose one of {known}")
    # text and booleans are always groups; numbers become a scale once they are too many for a legend
    values, label = dataset[found].values, name.replace("_", " ")
    unit = dataset[found].attrs.get("units")
    label = f"{label} ({unit})" if unit else label
    # as text: columns of objects may mix types, which do not sort
    kinds, group = np.unique(values.astype(str) if values.dtype.kind in "OUSb" else values, return_inverse=True)
    if values.dtype.kind in "OUSb" or len(kinds) <= MOST_GROUPS:
        return Coloring(name, label, group.ravel()[index], [_format_value(kind) for kind in kinds])
    return Coloring(name, label, values.astype(np.float64)[index], [])


def _format_value(value: object) -> str:
    return f"{value:g}" if isinstance(value, (float, np.floating)) else str(value)

"""Arrays as the schema defines them, whichever way round they are stored.

Readers of this package go by three rules, and a file that is opened is brought to them here, once for all of them:

======================== ============================= ===========================================
stored                   read as                       why
======================== ============================= ===========================================
photon series            frames of (row, column)       by the schema they are (frame, x, y), and
(frame, x, y)                                          players, crops and masks are (y, x)
a column or timestamps   (n,)                          MATLAB and some exporters write no vectors
of shape (n, 1)
a series of (channel,    (time, channel), if asked     other tools have it so, and nothing in the
time)                                                  file says which axis is time
======================== ============================= ===========================================

Nothing is read from the disk: each view takes the values from the stored array where it is sliced.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from hdmf.common import ElementIdentifiers, VectorData
from pynwb import NWBFile, TimeSeries
from pynwb.ophys import OnePhotonSeries, TwoPhotonSeries

if TYPE_CHECKING:
    from jaxtyping import Shaped


class View:
    """A stored array seen in another shape; every other attribute is that of the array.

    Parameters
    ----------
    stored : array-like
        As h5py, zarr or numpy give it.
    """

    shape: tuple[int, ...]

    def __init__(self, stored: Any) -> None:
        self._stored = stored

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> Any:
        raise NotImplementedError

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Shaped[np.ndarray, "*_"]:
        return np.asarray(self[:], dtype)

    def __getattr__(self, name: str) -> Any:
        # dtype, chunks and filters are asked of arrays too.
        if name.startswith("__"):  # numpy's protocols would take the array as it is stored
            raise AttributeError(name)
        return getattr(self._stored, name)


class Column(View):
    """An array of shape (n, 1) as one of shape (n,)."""

    def __init__(self, stored: Any) -> None:
        super().__init__(stored)
        self.shape = (int(np.shape(stored)[0]),)

    def __getitem__(self, key: Any) -> Any:
        values: Any = np.asarray(self._stored[key])[..., 0]
        return values[()] if values.ndim == 0 else values


class Turned(View):
    """An array of shape (channel, time) as one of shape (time, channel)."""

    def __init__(self, stored: Any) -> None:
        super().__init__(stored)
        n_channels, n_samples = (int(n) for n in np.shape(stored))
        self.shape = (n_samples, n_channels)

    def __getitem__(self, key: Any) -> Any:
        # HDF5 reads what is asked for alone, so the slice of times goes to the axis on which they are stored.
        time, rest = (key[0], key[1:]) if isinstance(key, tuple) else (key, ())
        if time is Ellipsis or (isinstance(time, tuple) and not time):
            time = slice(None)
        values = np.asarray(self._stored[:, time]).T
        if not rest:
            return values
        return values[(slice(None), *rest)] if values.ndim == 2 else values[rest]


class Rows(View):
    """Frames of shape (frame, x, y) as frames of (frame, y, x)."""

    def __init__(self, stored: Any) -> None:
        super().__init__(stored)
        n_frames, width, height = (int(n) for n in np.shape(stored))
        self.shape = (n_frames, height, width)

    def __getitem__(self, key: Any) -> Any:
        keys = key if isinstance(key, tuple) else (key,)
        frames, rows, columns = (*keys, *[slice(None)] * (3 - len(keys)))[:3]
        # Lists and Ellipsis mean other axes once they are exchanged, so the frames are read whole.
        if not isinstance(rows, slice) or not isinstance(columns, slice) or frames is Ellipsis:
            return np.swapaxes(np.asarray(self._stored[:]), -1, -2)[key]
        return np.swapaxes(np.asarray(self._stored[frames, columns, rows]), -1, -2)


def straighten_timestamps(group: Any) -> None:
    """Bring timestamps to the rules above in the builders below `group`: pynwb would make no object of others."""
    stamps = group.datasets.get("timestamps")
    if stamps is not None and _is_column(stamps.data):
        dict.__setitem__(stamps, "data", np.asarray(stamps.data)[:, 0])  # a builder allows no second value by itself
    for child in group.groups.values():
        straighten_timestamps(child)


def straighten(nwbfile: NWBFile) -> None:
    """Bring the arrays of an open file to the rules above; views take the place of those that differ."""
    for obj in nwbfile.objects.values():
        if isinstance(obj, TimeSeries):
            data = obj.fields.get("data")
            if isinstance(obj, (OnePhotonSeries, TwoPhotonSeries)) and len(np.shape(data)) == 3:
                obj.fields["data"] = Rows(data)
        elif isinstance(obj, (VectorData, ElementIdentifiers)) and _is_column(obj.data):
            obj.transform(lambda data: Column(data))  # hdmf takes no class


def turn(series: TimeSeries) -> bool:
    """Let the data of an open series, stored as (channel, time), be read as (time, channel); say whether it was done.

    Data of one axis, and those that are turned already, stay.
    """
    data = series.data
    if len(np.shape(data)) != 2 or isinstance(data, Turned):
        return False
    series.fields["data"] = Turned(data)
    return True


def as_stored(data: Any) -> Any:
    """Return the array behind a view of this module; other arrays as they are."""
    while isinstance(data, View):
        data = data._stored
    return data


def is_turned(series: Any) -> bool:
    """Whether the data of a series are read the other way round than they are stored."""
    return isinstance(getattr(series, "data", None), Turned)


def is_by_rows(series: Any) -> bool:
    """Whether the frames of a series are stored as (frame, x, y)."""
    return isinstance(getattr(series, "data", None), Rows)


def _is_column(data: Any) -> bool:
    shape = getattr(data, "shape", None)
    if isinstance(data, list) and data and isinstance(data[0], list):
        shape = np.shape(data)
    return shape is not None and len(shape) == 2 and shape[1] == 1 and not isinstance(data, View)

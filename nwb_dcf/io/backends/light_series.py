"""Series of a file that are listed without pynwb: their metadata alone, read by h5py.

pynwb takes 3 ms and more to read and build an object, of which a session may have thousands: sweeps of patch clamp,
or one series a signal. What ``info`` shows of a plain series stands in four of its attributes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import h5py
import numpy as np
from pynwb import NWBHDF5IO, TimeSeries
from pynwb.icephys import (
    CurrentClampSeries,
    CurrentClampStimulusSeries,
    IZeroClampSeries,
    VoltageClampSeries,
    VoltageClampStimulusSeries,
)

FEW = 100
"""Where a file has fewer plain series, pynwb reads them too: that is quick, and it checks more."""

_PLAIN = {
    cls.__name__: cls
    for cls in (
        TimeSeries, VoltageClampSeries, VoltageClampStimulusSeries, CurrentClampSeries, CurrentClampStimulusSeries,
        IZeroClampSeries,
    )
}  # fmt: skip
_PARENTS = ("acquisition", "stimulus/presentation", "stimulus/templates")
_INSTALLED = {"core", "hdmf-common", "hdmf-experimental"}  # which pynwb takes from itself, whatever a file has of them
_SPECIFICATIONS = "specifications"
_PRIVATE = ("read_group",)  # methods of hdmf 6.1 to 6.2, which `LightIO` calls
_TEXT, _NUMBER = h5py.string_dtype(), np.dtype(np.float64)


class LightIO(NWBHDF5IO):  # type: ignore[misc]
    """Read a file, except for groups that are read apart from it.

    Parameters
    ----------
    file : h5py.File
        Open for reading.
    apart : tuple of str
        Paths of those groups. Where a link or a reference leads to one of them, it is read all the same.
    """

    def __init__(self, file: h5py.File, apart: tuple[str, ...]) -> None:
        cached = file.get(_SPECIFICATIONS)
        # to load them, hdmf asks for names of objects behind a reference, for which HDF5 searches the whole file
        has_others = not isinstance(cached, h5py.Group) or not _INSTALLED.issuperset(cached)
        super().__init__(mode="r", file=file, load_namespaces=has_others)
        self._apart = apart

    def read_builder(self) -> Any:
        """Read all groups but those."""
        # hdmf has no public way to leave a group out; it knows one for the specifications.
        file, known = self._HDF5IO__file, self._HDF5IO__read
        if file not in known:
            location = file.attrs.get(".specloc")
            ignored = {*self._apart, *([_name_specifications(file, location)] if location is not None else [])}
            known[file] = self._HDF5IO__read_group(file, "root", ignore=ignored)
        return known[file]


def _name_specifications(file: h5py.File, location: h5py.Reference) -> str:
    usual = file.get(_SPECIFICATIONS)
    return f"/{_SPECIFICATIONS}" if usual == file[location] else str(file[location].name)


class LightSeries:
    """What a series of pynwb has, of which only data, clock and unit were read."""

    fields: Mapping[str, Any] = {}
    light_path = ""
    name = ""


def read_plain_series(file: h5py.File) -> list[Any]:
    """Read the series of an open file that are listed without pynwb; none where they are few."""
    if not all(hasattr(NWBHDF5IO, f"_HDF5IO__{name}") for name in _PRIVATE):  # an hdmf that we do not know
        return []
    found = [series for path, group in _list_groups(file) if (series := _read_plain(path, group)) is not None]
    return found if len(found) >= FEW else []


def _list_groups(file: h5py.File) -> Iterator[tuple[str, h5py.h5g.GroupID]]:
    parents = [file[path] for path in _PARENTS if isinstance(file.get(path), h5py.Group)]
    modules = file.get("processing")
    parents += [modules[name] for name in modules or () if isinstance(modules.get(name), h5py.Group)]
    for parent in parents:
        place = parent.name
        for name in parent:
            group = _open_own(parent.id, name.encode())
            if isinstance(group, h5py.h5g.GroupID):
                yield f"{place}/{name}", group


# By the low interface of h5py below: it takes a third of the time of the other.
def _open_own(group: h5py.h5g.GroupID, key: bytes) -> Any:
    """Open the item of that name that lies in `group` itself; None where there is none or a link leads elsewhere."""
    try:
        return h5py.h5o.open(group, key) if group.links.get_info(key).type == h5py.h5l.TYPE_HARD else None
    except (KeyError, RuntimeError):  # h5py has the second for a name that is not there
        return None


def _read_attribute(item: Any, key: bytes, dtype: np.dtype) -> Any:
    """Return an attribute of one value of that type; None where there is none."""
    value = np.empty((), dtype)
    try:
        h5py.h5a.open(item, key).read(value)
    except (KeyError, TypeError, ValueError, OSError):  # not there, of several values, or of a type that is not alike
        return None
    return value[()]


def _read_text(item: Any, key: bytes) -> str:
    text = _read_attribute(item, key, _TEXT)
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else ""


def _read_plain(path: str, group: h5py.h5g.GroupID) -> Any:
    """Make what stands for a series of a known type whose data and clock are its own; None where it is none."""
    kind = _PLAIN.get(_read_text(group, b"neurodata_type"))
    if kind is None:
        return None
    data, start = _open_own(group, b"data"), _open_own(group, b"starting_time")
    stamps = None if start is not None else _open_own(group, b"timestamps")
    # One of the two clocks, and the other not even as a link.
    clock, other = (start, b"timestamps") if stamps is None else (stamps, b"starting_time")
    if not all(isinstance(item, h5py.h5d.DatasetID) for item in (data, clock)) or group.links.exists(other):
        return None
    unit = _read_text(data, b"unit")
    fields: dict[str, Any] = {"data": h5py.Dataset(data), "unit": unit}
    if stamps is not None:
        fields["timestamps"] = h5py.Dataset(stamps)
        is_known = stamps.rank == 1
    else:
        fields |= {"starting_time": _read_number(start), "rate": _read_attribute(start, b"rate", _NUMBER)}
        is_known = fields["rate"] is not None and fields["starting_time"] is not None
    if not unit or data.rank == 0 or not is_known:
        return None
    series: Any = object.__new__(_lighten(kind))
    series.fields, series.light_path, series.name = fields, path, path.rpartition("/")[2]
    return series


def _read_number(dataset: h5py.h5d.DatasetID) -> float | None:
    if dataset.rank or dataset.dtype.kind not in "iuf":
        return None
    value = np.empty((), np.float64)
    dataset.read(h5py.h5s.ALL, h5py.h5s.ALL, value)
    return float(value)


@cache
def _lighten(kind: type) -> type:
    return type(kind.__name__, (LightSeries, kind), {"__module__": __name__})

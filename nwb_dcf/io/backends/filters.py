"""Filters of HDF5: which ones an array needs to be read, and those that a package brings.

HDF5 compresses by filters that are found when a value is read, not when the file is opened. h5py has gzip, LZF and
szip; what acquisition systems write beside them comes with the package ``hdf5plugin``.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import h5py

from ...errors import StoreError
from .layout import as_stored

FROM_HDF5PLUGIN = {
    307: "bzip2",
    32001: "Blosc",
    32004: "LZ4",
    32008: "Bitshuffle",
    32013: "ZFP",
    32015: "Zstandard",
    32017: "SZ",
    32018: "FCIDECOMP",
    32024: "SZ3",
    32026: "Blosc2",
    32028: "SPERR",
}
"""Filters that the package brings, by the number under which the HDF Group has registered them."""


@dataclass(frozen=True)
class MissingFilter:
    """A filter that an array needs and that is not installed.

    Attributes
    ----------
    array : str
        Path of the array in its file.
    number : int
        As registered with the HDF Group.
    name : str
        Its name; empty where it is not known here.
    """

    array: str
    number: int
    name: str

    @property
    def what(self) -> str:
        """What is wrong, as a statement."""
        return f"compressed by filter {self.number}{f' ({self.name})' if self.name else ''}, which is not installed"

    @property
    def fix(self) -> str:
        """The way out, as an imperative."""
        if self.number in FROM_HDF5PLUGIN:
            return "pip install hdf5plugin"
        return "ask who wrote the file for the plugin of HDF5 that reads it, and name its folder in HDF5_PLUGIN_PATH"


def load_filters() -> None:
    """Make the filters of ``hdf5plugin`` known to HDF5, where that package is installed."""
    if importlib.util.find_spec("hdf5plugin") is not None:
        try:
            importlib.import_module("hdf5plugin")
        except Exception as error:  # of a library that does not fit this machine: the file is not at fault
            what = f"hdf5plugin is installed and cannot be imported ({type(error).__name__}: {error})"
            raise StoreError(
                what, fix="pip install --force-reinstall hdf5plugin, or pip uninstall hdf5plugin"
            ) from error


def find_missing_filter(array: Any) -> MissingFilter | None:
    """Return the filter that an array of HDF5 lacks; None where it can be read, and for arrays of another kind."""
    if not isinstance(array, h5py.Dataset) or not array:  # the file has been closed, or is too damaged to ask
        return None
    settings = array.id.get_create_plist()
    # The filters of an array are listed in it, and asking needs none of them.
    for i in range(settings.get_nfilters()):
        number, _, _, label = settings.get_filter(i)
        if not h5py.h5z.filter_avail(number):
            # Writers may leave a label; what follows ";" in it is a licence or an address.
            name = FROM_HDF5PLUGIN.get(number) or label.decode("utf-8", "replace").partition(";")[0]
            return MissingFilter(str(array.name), number, name)
    return None


def find_unreadable(obj: Any) -> MissingFilter | None:
    """Return the first filter that an array of a TimeSeries or a table lacks; None where all can be read."""
    return next((found for array in _list_arrays(obj) if (found := find_missing_filter(array)) is not None), None)


def _list_arrays(obj: Any) -> Iterator[Any]:
    """Arrays of a TimeSeries, or of the columns of a table and of what their indices point to."""
    # hdmf gives arrays as they are, and columns with their array as `data`.
    for name in ("data", "timestamps", "id"):
        held = getattr(obj, "fields", {}).get(name)
        yield as_stored(getattr(held, "data", held))
    for column in getattr(obj, "columns", None) or ():
        yield as_stored(column.data)


def list_filters() -> tuple[list[str], list[str]]:
    """Return the names of the filters of ``hdf5plugin`` that HDF5 has, and of those that it lacks."""
    load_filters()
    there = [name for number, name in FROM_HDF5PLUGIN.items() if h5py.h5z.filter_avail(number)]
    return there, [name for name in FROM_HDF5PLUGIN.values() if name not in there]

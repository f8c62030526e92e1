"""Open an NWB file over the network: only the parts that are read are fetched, and kept on the disk.

`RangeFile` turns what h5py reads into ranges of bytes; `Connection` fetches these, and decides when to try again and
when to give up.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import h5py
from pynwb import NWBHDF5IO

from ...errors import SourceError
from .filters import load_filters
from .hdf5 import Opened, check_version
from .location import Address, to_https

if TYPE_CHECKING:
    from .block_cache import BlockCache
    from .http import Connection
    from .range_file import RangeFile


@contextmanager
def open_remote(address: Address) -> Iterator[Opened]:
    """Open the HDF5 file at `address`.

    Raises
    ------
    SourceError
        If the address leads nowhere, its server refuses, fails or knows no ranges, what is there is not NWB 2 in
        HDF5, or requests is not installed.
    """
    where = str(address)
    _require_requests(where)
    from .dandi import find_asset
    from .http import Connection

    load_filters()  # a filter that is missing shows only when values are read
    with Connection(where) as connection:
        url = find_asset(address, connection) if address.scheme == "dandi" else to_https(address)
        file, cache = open_ranges(connection, url)
        try:
            h5file = _open_hdf5(file, where)
            with h5file:
                version = check_version(h5file, where)
                with NWBHDF5IO(file=h5file, mode="r", load_namespaces=True) as io:
                    yield Opened(io, version)
        finally:
            # At the end, since what this session has kept counts too.
            if cache is not None:
                cache.prune()


def list_dandiset(address: Address) -> list[str]:
    """List the addresses of the NWB files of a dandiset, or of a folder in it.

    Raises
    ------
    SourceError
        If the archive has none, or does not answer, or requests is not installed.
    """
    where = str(address)
    _require_requests(where)
    from .dandi import list_assets
    from .http import Connection

    with Connection(where) as connection:
        return list_assets(address, connection)


def _require_requests(where: str) -> None:
    if importlib.util.find_spec("requests") is None:
        raise SourceError("reading over the network needs requests", where=where, fix="pip install 'nwb-dcf[stream]'")


def open_ranges(connection: Connection, url: str) -> tuple[RangeFile, BlockCache | None]:
    """Return a file object that fetches what is read of `url`, and the cache that keeps it.

    Raises
    ------
    SourceError
        If the file is not there or is served as a whole only.
    """
    # Late, since requests is an extra and slow to load.
    from .block_cache import open_cache
    from .range_file import RangeFile

    about = connection.probe(url)
    cache = open_cache(about)
    return RangeFile(about.size, lambda start, stop: connection.fetch(about, start, stop), cache), cache


def _open_hdf5(file: RangeFile, where: str) -> h5py.File:
    try:
        return h5py.File(file, "r")
    except OSError as error:
        if error.__cause__ is not None or error.__context__ is not None:  # the connection has failed, and explains why
            raise
        damaged = "truncated" in str(error)
        raise SourceError(
            f"this HDF5 file is damaged: {error}" if damaged else "this is not an HDF5 file",
            where=where,
            fix="compare it with its origin"
            if damaged
            else "give the address of an NWB 2 file in HDF5 itself, not of a page about it",
        ) from error

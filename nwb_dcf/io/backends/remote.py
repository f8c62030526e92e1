"""Open an NWB file over the network: only the parts that are read are fetched, and kept on the disk.

remfile turns reads into range requests; the requests themselves are made by `Connection`, which knows when to try
again, when to give up and how to say so.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import h5py
from pynwb import NWBHDF5IO

from ...errors import SourceError
from .dandi import find_asset
from .hdf5 import Opened, check_version
from .http import ChunkCache, Connection, find_cache
from .location import Address, to_https

READ_AHEAD_BYTES = 2 * 2**20
"""At most fetched beyond what was asked for: remfile alone would go up to 100 MB."""


@contextmanager
def open_remote(address: Address) -> Iterator[Opened]:
    """Open the HDF5 file at `address`.

    Raises
    ------
    SourceError
        If the address leads nowhere, its server refuses, fails or knows no ranges, what is there is not NWB 2 in
        HDF5, or remfile is not installed.
    """
    where = str(address)
    if importlib.util.find_spec("remfile") is None:
        raise SourceError("reading over the network needs remfile", where=where, fix="pip install 'nwb-dcf[stream]'")
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
            if cache is not None:
                cache.prune()


def open_ranges(connection: Connection, url: str) -> tuple[Any, ChunkCache | None]:
    """Return a file-like object that fetches what is read of `url`, and the cache that keeps it.

    Raises
    ------
    SourceError
        If the file is not there or is served as a whole only.
    """
    import remfile

    about = connection.probe(url)
    cache = find_cache(about)
    file = remfile.File(about.url, disk_cache=cache, _size=about.size, _max_chunk_size=READ_AHEAD_BYTES)
    file.session.close()
    file.session = connection
    return file, cache


def _open_hdf5(file: Any, where: str) -> h5py.File:
    try:
        return h5py.File(file, "r")
    except OSError as error:
        if error.__cause__ is not None or error.__context__ is not None:
            raise
        damaged = "truncated" in str(error)
        raise SourceError(
            f"this HDF5 file is damaged: {error}" if damaged else "this is not an HDF5 file",
            where=where,
            fix="compare it with its origin"
            if damaged
            else "give the address of an NWB 2 file in HDF5 itself, not of a page about it",
        ) from error

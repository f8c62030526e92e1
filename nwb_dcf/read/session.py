"""Open an NWB file for reading, and know the path of every object in it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
from pynwb import NWBHDF5IO, NWBFile

from ..errors import SourceError

OWN_MODULE = "/processing/dcf"  # fits live here: results, never sources


@dataclass(frozen=True)
class Session:
    """An NWB file open for reading.

    Attributes
    ----------
    path : Path
        The file as it was given; it appears in errors, never in a recording.
    nwbfile : pynwb.NWBFile
        Its contents; arrays stay on disk until they are sliced.
    nwb_version : str
        Version of the NWB schema that the file was written with.
    """

    path: Path
    nwbfile: NWBFile
    nwb_version: str
    _io: NWBHDF5IO = field(repr=False)

    def path_of(self, obj: Any) -> str:
        """Path of a container inside the file, as HDF5 has it: ``/processing/behavior/Position``."""
        return "/" + str(self._io.manager.get_builder(obj).path).removeprefix("root").lstrip("/")

    def where(self, path: str) -> str:
        """Name the object at `path` for an error."""
        return f"{self.path}: {path}"

    def find_object(self, path: str) -> Any:
        """Return the object at `path`, which must exist."""
        return next(obj for obj in self.nwbfile.objects.values() if self.path_of(obj) == path)

    def find_objects(self, *types: type) -> list[tuple[str, Any]]:
        """Return (path, object) of every object of `types`, by path, the fits of this package aside."""
        found = [(self.path_of(obj), obj) for obj in self.nwbfile.objects.values() if isinstance(obj, types)]
        return sorted(
            ((path, obj) for path, obj in found if not f"{path}/".startswith(f"{OWN_MODULE}/")),
            key=lambda item: item[0],
        )


@contextmanager
def open_session(path: str | Path) -> Iterator[Session]:
    """Open the NWB file at `path` and close it at the end of the block.

    Raises
    ------
    SourceError
        If there is no such file, or it is a folder, not HDF5, not NWB 2, damaged, or open for
        writing in another process.
    """
    path = Path(path)
    version = check_file(path)
    with warnings.catch_warnings():
        # pynwb remarks here on the age of the file and on its cached schema: nothing a reader can act upon.
        warnings.simplefilter("ignore")
        io = NWBHDF5IO(str(path), "r")
        try:
            nwbfile = io.read()
        except Exception as error:
            io.close()
            lines = str(error).strip().splitlines() or [type(error).__name__]
            raise SourceError(
                f"pynwb cannot read this file: {lines[0]}",
                where=str(path),
                fix=f"see what is wrong in it with: python -m pynwb.validate {path.name}",
            ) from error
    try:
        yield Session(path, nwbfile, version, io)
    finally:
        io.close()


def check_file(path: Path) -> str:
    """Return the NWB version of the file at `path`, once it is known to be NWB 2 in HDF5.

    Raises
    ------
    SourceError
        See `open_session`.
    """
    where = str(path)
    if path.is_dir():
        fix = "give one .nwb file in it" if not (path / ".zattrs").exists() else "convert it from Zarr to HDF5 first"
        raise SourceError("this is a folder, not a file", where=where, fix=fix)
    if not path.exists():
        raise SourceError("no such file", where=where, fix="check the path")
    try:
        with h5py.File(path, "r") as file:
            version = file.attrs.get("nwb_version")
            old = "nwb_version" in file
    except BlockingIOError as error:
        raise SourceError(
            "another process has this file open for writing",
            where=where,
            fix="close it there and try again (HDF5_USE_FILE_LOCKING=FALSE in the environment reads it all the same, "
            "at the risk of half-written data)",
        ) from error
    except PermissionError as error:
        raise SourceError("this file may not be read", where=where, fix="check its permissions") from error
    except OSError as error:
        if h5py.is_hdf5(path):
            raise SourceError(
                f"this HDF5 file is damaged: {error}", where=where, fix="copy or download it again"
            ) from error
        raise SourceError("this is not an HDF5 file", where=where, fix="give an NWB 2 file in HDF5") from error
    if isinstance(version, bytes):
        version = version.decode()
    if isinstance(version, str) and version.removeprefix("NWB-").startswith("2"):
        return version
    raise SourceError(
        "this is an NWB 1 file" if old or version else "this is HDF5 but not NWB: it states no NWB version",
        where=where,
        fix="convert it to NWB 2 first (neuroconv and pynwb write it)",
    )

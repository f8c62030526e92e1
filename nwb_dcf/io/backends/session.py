"""Open an NWB file for reading, wherever and in whatever format it is, and know the path of every object in it."""

from __future__ import annotations

import errno
import re
import traceback
import warnings
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from hdmf.backends.warnings import BrokenLinkWarning
from hdmf.build import GroupBuilder
from hdmf.query import ReferenceResolver
from pynwb import NWBFile

from ...config.time_scale import TimeScales
from ...errors import DCFError, SourceError
from .filters import MissingFilter, find_missing_filter
from .hdf5 import Opened, name_target, open_hdf5
from .layout import straighten, straighten_timestamps
from .light_series import LightSeries
from .links import Places, find_places
from .location import Location, locate
from .remote import open_remote
from .zarr import open_zarr

LONGEST_REASON = 300
IDS = "ElementIdentifiers"  # the type of the ids of a table's rows
# h5py and zarr raise OSError, RuntimeError or ValueError for damage and for misuse; only the text differs.
_SIGNS = (
    "synchronously read data",
    "filter returned failure",
    "decompression",
    "can't open directory",
    "cannot reshape array",
    "buffer",
    "truncated",
)


def explain_damage(error: BaseException, location: Location) -> SourceError | None:
    """Turn what h5py, zarr or a server raised while values were read into an error for people.

    Parameters
    ----------
    error : BaseException
        As raised.
    location : Path or Address
        What was read.

    Returns
    -------
    SourceError or None
        None if the error does not look like damage: then it is a defect of this package.
    """
    for cause in _causes(error):
        if isinstance(cause, SourceError):  # raised by the connection, below h5py
            return cause
    array, missing = _find_array(error)
    if missing is not None and isinstance(error, OSError):
        return SourceError(missing.what, where=f"{location}: {missing.array}", fix=missing.fix)
    where = f"{location}: {array}" if array else str(location)
    if isinstance(error, UnpicklingError):
        return SourceError(f"refused to read: {error}", where=where, fix="do not trust this file; ask who made it")
    if isinstance(error, PermissionError) or getattr(error, "errno", None) == errno.EACCES:
        return SourceError("it may not be read", where=where, fix="check its permissions")
    message = " ".join(str(error).split())
    broken = "bad link" in message or type(error).__name__ in ("PathNotFoundError", "GroupNotFoundError")
    if broken or (isinstance(error, FileNotFoundError) and getattr(error, "filename", None)):
        return SourceError(f"it links to what is missing: {message}", where=where, fix="put that back in its place")
    if array and (isinstance(error, (OSError, RuntimeError, ValueError, zlib.error))):
        known = isinstance(error, (OSError, zlib.error)) or any(sign in message.lower() for sign in _SIGNS)
        if known:
            return SourceError(f"its values are damaged: {message}", where=where, fix="copy or download the file again")
    return None


def _causes(error: BaseException | None) -> list[BaseException]:
    # h5py raises its own error for what a file object raises, with that as its context.
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return [cause for cause in found if isinstance(cause, DCFError)]


def explain_malformed(error: BaseException, location: Location) -> SourceError:
    """Turn an error that nothing else explains into one for people: what is in the file is not as it should be.

    The object is named by what the code was reading. Whether the file or this package is wrong cannot be known here.
    """
    text = f"{type(error).__name__}: {str(error)[:LONGEST_REASON]}"
    if isinstance(error, MemoryError):
        text = "it does not fit into memory"
    place = _find_array(error)[0] or _find_subject(error)
    where = place if place.startswith(str(location)) else f"{location}: {place}" if place else str(location)
    fix = f"see what is wrong in it with: pynwb-validate {location.name}; if nothing, report this line"
    return SourceError(f"this cannot be read ({text})", where=where, fix=fix)


def _find_subject(error: BaseException) -> str:
    """Name what the innermost function of this package that knows it was reading."""
    found = ""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if not str(frame.f_globals.get("__name__", "")).startswith("nwb_dcf"):
            continue
        source = frame.f_locals.get("source")
        for value in (frame.f_locals.get("where"), frame.f_locals.get("path"), getattr(source, "path", None)):
            if isinstance(value, str) and "/" in value and value.isprintable():
                found = value
                break
    return found


def _find_array(error: BaseException) -> tuple[str, MissingFilter | None]:
    """Name the array that was read when `error` was raised, and the filter it lacks: neither h5py nor zarr gives it."""
    name, missing = "", None
    # Their methods are still on the stack of the error, with the array as `self`.
    for frame, _ in traceback.walk_tb(error.__traceback__):
        owner: Any = frame.f_locals.get("self")
        if type(owner).__module__.partition(".")[0] in ("h5py", "zarr", "hdmf_zarr") and hasattr(owner, "dtype"):
            name = "/" + str(getattr(owner, "name", "")).lstrip("/")
            missing = find_missing_filter(owner)
    return name, missing


OWN_MODULE = "/processing/dcf"  # fits live here: results, never sources


@dataclass(frozen=True)
class Session:
    """An NWB file open for reading.

    Attributes
    ----------
    path : Path or Address
        The file, the Zarr folder or the address as it was given; it appears in errors, its ``name`` in recordings.
    nwbfile : pynwb.NWBFile
        Its contents; arrays stay where they are until they are sliced.
    nwb_version : str
        Version of the NWB schema that the file was written with.
    time_scales : TimeScales
        What stored times are multiplied by, as asked.
    reading : tuple of str
        Paths of the objects that are being read as one recording.
    allow_outside : bool
        Whether paths of video files may leave the folder of the file.
    reads_several : bool
        Whether these are of more than one source.
    """

    path: Location
    nwbfile: NWBFile
    nwb_version: str
    _io: Any = field(repr=False)
    _lost: Mapping[str, str] = field(default_factory=dict, repr=False)
    _places: Places = field(default_factory=lambda: Places({}, {}), repr=False)
    _apart: tuple[Any, ...] = field(default=(), repr=False)
    time_scales: TimeScales = field(default_factory=TimeScales, repr=False)
    reading: tuple[str, ...] = ()
    allow_outside: bool = False
    reads_several: bool = False

    @property
    def folder(self) -> Path | None:
        """The folder in which the file lies, where relative paths of other files start; None for an address."""
        return self.path.absolute().parent if isinstance(self.path, Path) else None

    def path_of(self, obj: Any) -> str:
        """Path of a container inside the file, as HDF5 has it: ``/processing/behavior/Position``.

        What lies in another file goes by the path of the link that leads there, and what lies in this file by its own,
        wherever else links lead to it.
        """
        if isinstance(obj, LightSeries):
            return obj.light_path
        builder = self._io.manager.get_builder(obj)
        known = self._places.path_of.get(id(builder))
        return known or "/" + str(builder.path).removeprefix("root").lstrip("/")

    def resolve(self, path: str) -> str:
        """Return the path of the object that `path` names, which may be that of a link; else `path` itself."""
        return self._places.target_of.get("/" + path.lstrip("/"), path)

    def where(self, path: str) -> str:
        """Name the object at `path` for an error."""
        return f"{self.path}: {path}"

    def scale_of(self, path: str) -> float | None:
        """What the stored times of the object at `path` are multiplied by; None where nothing was asked."""
        return self.time_scales.of(path, is_fitted=path in self.reading)

    def name_scale(self, path: str) -> str:
        """What a time scale for the object at `path` is given for; empty where one source is read, of which it is."""
        return path.rsplit("/", 1)[-1] if self.reads_several or path not in self.reading else ""

    def find_members(self, paths: Sequence[str]) -> list[tuple[str, Any]]:
        """Return (path, object) of each of `paths`, in their order; they must exist."""
        return [(path, self._by_path[path]) for path in paths]

    def check_links(self, path: str) -> None:
        """Refuse to go on if the object at `path`, or something directly in it, is a link that leads nowhere.

        Raises
        ------
        SourceError
            That names the link and where it should lead; pynwb leaves such an object out without a word.
        """
        for link, target in self._lost.items():
            if link == path or link.rpartition("/")[0] == path:
                fix = "put what it links to back in its place, or choose another source with --source"
                raise SourceError(f"this links to {target}, which is missing", where=self.where(link), fix=fix)

    def find_lost(self, name: str) -> str | None:
        """Path of a link that leads nowhere and is called `name`; None if there is none."""
        return next((link for link in self._lost if name in (link, link[1:], link.rpartition("/")[2])), None)

    def find_objects(self, *types: type) -> list[tuple[str, Any]]:
        """Return (path, object) of every object of `types`, by path, the fits of this package aside."""
        return [(path, obj) for path, obj in self._objects if isinstance(obj, types)]

    @cached_property
    def _objects(self) -> list[tuple[str, Any]]:
        """Every (path, object), by path; asked for once for each source, of which a file may have thousands."""
        # What a link leads to was read by pynwb all the same.
        every = {self.path_of(obj): obj for obj in self._apart}
        every |= {self.path_of(obj): obj for obj in self.nwbfile.objects.values()}
        return sorted(
            ((path, obj) for path, obj in every.items() if not f"{path}/".startswith(f"{OWN_MODULE}/")),
            key=lambda item: item[0],
        )

    @cached_property
    def _by_path(self) -> dict[str, Any]:
        return dict(self._objects)


@contextmanager
def open_session(path: str | Path, *, light: bool = False) -> Iterator[Session]:
    """Open the NWB file at `path` and close it at the end of the block.

    Parameters
    ----------
    path : str or Path
        An HDF5 file, a Zarr folder, or an address: ``https://``, ``s3://BUCKET/KEY``, ``dandi://DANDISET/PATH``.
    light : bool
        Read of plain series only what is listed of them, where they are many: enough for a catalog, not for a fit.

    Raises
    ------
    SourceError
        If nothing is there or can be reached, it is not NWB 2, damaged, or open for writing in another process;
        inside the block, if what is read there is damaged or the connection is lost.
    """
    location = locate(path)
    with ExitStack() as stack:
        try:
            opened = stack.enter_context(_open(location, light))
            nwbfile, lost = _read(opened, location)
            straighten(nwbfile)
            places = find_places(opened.io.manager.get_builder(nwbfile))
            yield Session(location, nwbfile, opened.nwb_version, opened.io, lost, places, opened.apart)
        except DCFError:
            raise
        except Exception as error:
            raise explain_damage(error, location) or explain_malformed(error, location) from error


def _open(location: Location, light: bool) -> AbstractContextManager[Opened]:
    if not isinstance(location, Path):
        return open_remote(location)
    return open_zarr(location) if location.is_dir() else open_hdf5(location, light=light)


def _read(opened: Opened, location: Location) -> tuple[NWBFile, dict[str, str]]:
    """Read the file; return it and the links in it that lead nowhere, each with its target."""
    with warnings.catch_warnings(record=True) as caught:
        # pynwb remarks here on the age of the file and on its cached schema: nothing a reader can act upon.
        warnings.simplefilter("always")
        try:
            # pynwb reads the builders that hdmf has cached, so what is changed in them is what it sees.
            root = opened.io.read_builder()
            _refuse_ids_that_refer(root, location)
            straighten_timestamps(root)
            nwbfile = opened.io.read()
        except DCFError:
            raise
        except Exception as error:
            raise explain_damage(error, location) or _explain_unreadable(error, location) from error
    broken = [str(one.message).partition(" at ")[2] for one in caught if issubclass(one.category, BrokenLinkWarning)]
    return nwbfile, {path: name_target(opened.io, path) for path in broken}


def _refuse_ids_that_refer(group: GroupBuilder, location: Location) -> None:
    """Refuse ids of rows that are references, which hdmf follows as it makes the table.

    Where they lead to the table itself it goes round until the memory is full.
    """
    for dataset in group.datasets.values():
        if dataset.attributes.get("neurodata_type") == IDS and isinstance(dataset.data, ReferenceResolver):
            where = f"{location}: {dataset.path.removeprefix('root')}"
            raise SourceError("ids of rows are references, not whole numbers", where=where, fix="write the table again")
    for child in group.groups.values():
        _refuse_ids_that_refer(child, location)


def _explain_unreadable(error: Exception, location: Location) -> SourceError:
    extension = re.search(r"'([\w.-]+)' not a namespace", str(error))
    if extension:
        return SourceError(
            f"it uses the extension {extension[1]}, whose specification is not in the file",
            where=str(location),
            fix=f"write it again by a pynwb that has imported {extension[1]}: the specification is kept with it then",
        )
    # hdmf raises with the builder of an object, printed with all that it holds, and the reason last.
    reason = next((arg for arg in reversed(error.args) if isinstance(arg, str)), str(error))
    place = next((f"{arg.path}: " for arg in error.args if hasattr(arg, "path")), "").removeprefix("root")
    lines = reason.strip().splitlines() or [type(error).__name__]
    return SourceError(
        f"pynwb cannot read this file: {place}{lines[0]}",
        where=str(location),
        fix=f"see what is wrong in it with: pynwb-validate {location.name}",
    )

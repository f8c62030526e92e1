"""The file that a result goes into: what is refused before anything is read, and the writing."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..config import Destination
from ..data.records import JSON, WrittenRecord
from ..data.result import DCFResult
from ..errors import ParameterError, StoreError
from ..io.backends.location import is_remote, locate
from ..io.results import (
    CleanProcess,
    check_derived,
    check_writable,
    rehearse_append,
    remove_leftovers,
    restore_folder,
    start_clean,
    write_derived,
    write_result,
)


@dataclass(frozen=True)
class Target:
    """The file that a fit of `path` is asked to go into.

    Attributes
    ----------
    path : str or Path
        The file that is read.
    asked : Destination
        Where its fit goes.
    """

    path: str | Path
    asked: Destination

    def check(self) -> None:
        """Refuse, before anything is read, what cannot be written; bring back what a killed write has set aside.

        Raises
        ------
        ParameterError
            If `path` cannot be written to and no `output` is given, or that is an address.
        """
        # a write that was killed between two renames has the file under another name
        if not is_remote(self.path):
            restore_folder(Path(self.path))
        output = self.asked.output
        if output is None and self.is_derived:
            what = (
                "results alone go into a file of their own"
                if self.asked.results_only
                else "an address cannot be written to"
            )
            raise ParameterError(
                what, where=str(locate(self.path)), fix="say where the result is to go, with -o RESULT.nwb"
            )
        if output is not None and is_remote(output):
            raise ParameterError(
                "the output is an address", where=str(locate(output)), fix="give a path, -o RESULT.nwb"
            )

    def clear(self) -> None:
        """Remove what killed writes have left where the fit is to go: a fit writes there, a plan does not."""
        place = self.path if self.asked.output is None else self.asked.output
        if not is_remote(place):
            restore_folder(Path(place))
            remove_leftovers(Path(place).resolve())

    def find_file(self) -> Path:
        """The file that is to hold the fit, links followed."""
        return Path(self.path if self.asked.output is None else self.asked.output).resolve()

    @property
    def is_derived(self) -> bool:
        """Whether the result goes into a file without the data: of an address, nobody asked for a whole copy."""
        return self.asked.results_only or is_remote(self.path)

    def reserve(
        self, kind: str, dim: int, source_id: str | None = None, *, planning: bool = False
    ) -> ReservedDestination:
        """Check that a fit can be written, before the long work, and settle its name.

        Parameters
        ----------
        kind : str
            Of the recording.
        dim : int
            Number of latents.
        source_id : str, optional
            Object id of what is fitted, to which the fit will link.
        planning : bool
            Nothing is to be written: what stands in the way of `overwrite` alone is kept as ``refusal`` and not raised,
            and the session is not read.

        Raises
        ------
        StoreError
            See `nwb_dcf.io.results.check_writable`.
        """
        if planning and not self.asked.overwrite:
            try:
                return self._reserve(kind, dim, source_id, planning)
            except StoreError as error:
                # raised again if it is anything else than what is there already
                over = Target(self.path, dataclasses.replace(self.asked, overwrite=True))
                reserved = over._reserve(kind, dim, source_id, planning)
                return dataclasses.replace(reserved, target=self, refusal=f"{error.what}; {error.fix}")
        return self._reserve(kind, dim, source_id, planning)

    def _reserve(self, kind: str, dim: int, source_id: str | None, planning: bool) -> ReservedDestination:
        # The session is read now, since the file or its server may be gone after the long work.
        from ..io.recordings import describe_session  # pynwb

        asked = self.asked
        if asked.output is not None and self.is_derived:
            name = check_derived(asked.output, name=asked.name, kind=kind, dim=dim, overwrite=asked.overwrite)
        else:
            name = check_writable(
                self.path, name=asked.name, kind=kind, dim=dim, overwrite=asked.overwrite, output=asked.output
            )
            original = Path(self.path).resolve()
            # what the file would refuse after hours of training it refuses now: tried on a skeleton of it
            with rehearse_append(original, name=name, kind=kind, dim=dim, source_id=source_id, where=str(self.path)):
                return ReservedDestination(self, name, {} if planning else describe_session(self.path))
        return ReservedDestination(self, name, {} if planning else describe_session(self.path))


@dataclass(frozen=True)
class ReservedDestination:
    """Where a fit will go: checked, with its name, and the session that a file without the data would be about.

    `refusal` is what a fit would be refused with, where only a plan was asked for; empty if it would not. `started` is
    the process that will append and verify, while it waits.
    """

    target: Target
    name: str
    session: JSON
    refusal: str = ""
    started: CleanProcess | None = None

    @contextmanager
    def start_writer(self) -> Iterator[ReservedDestination]:
        """Start the process that will write, for the length of the block: it loads pynwb while torch is loaded here."""
        zarr = not self.target.is_derived and Path(self.target.path).is_dir()
        with start_clean(self.target.find_file().parent, zarr=zarr) as started:
            yield dataclasses.replace(self, started=started)

    def to_dict(self) -> dict[str, str]:
        """Return the file that is read, and where the result goes in which."""
        path = self.target.path
        where = {"file": locate(path).name, "name": self.name, "output": str(self.target.asked.output or path)}
        return where | ({"refusal": self.refusal} if self.refusal else {})

    def write(self, result: DCFResult) -> DCFResult:
        """Write, and return the result with its name and ``provenance["written"]``.

        Raises
        ------
        StoreError
            See `nwb_dcf.write_result`.
        """
        path, asked = self.target.path, self.target.asked
        name, overwrite, started = self.name, asked.overwrite, self.started
        if self.target.is_derived and asked.output is not None:
            written = write_derived(result, self.session, asked.output, name=name, overwrite=overwrite, started=started)
        else:
            written = write_result(
                result, path, output=asked.output, as_read=True, name=name, overwrite=overwrite, started=started
            )
        # base name only: archives publish the provenance
        report: WrittenRecord = {"file": Path(written.path).name, "name": written.name, "notes": written.notes}
        return dataclasses.replace(result, name=written.name, provenance={**result.provenance, "written": report})

"""Where a fit is to be written, and what is refused before anything is read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ParameterError
from ..io.recordings import is_remote, locate
from ..io.results import check_derived, check_writable, remove_leftovers, restore_folder


@dataclass(frozen=True)
class _Target:
    """Where a fit is to go."""

    name: str | None
    overwrite: bool
    output: str | Path | None
    results_only: bool

    def check(self, path: str | Path) -> None:
        """Refuse, before anything is read, what cannot be written; bring back what a killed write has set aside."""
        if not is_remote(path):
            restore_folder(Path(path))
        if self.output is None and (self.results_only or is_remote(path)):
            what = (
                "results alone go into a file of their own" if self.results_only else "an address cannot be written to"
            )
            raise ParameterError(what, where=str(locate(path)), fix="say where the result is to go, with -o RESULT.nwb")
        if self.output is not None and is_remote(self.output):
            raise ParameterError(
                "the output is an address", where=str(locate(self.output)), fix="give a path, -o RESULT.nwb"
            )

    def clear(self, path: str | Path) -> None:
        """Remove what killed writes have left where the fit is to go: a fit writes there, a plan does not."""
        place = path if self.output is None else self.output
        if not is_remote(place):
            remove_leftovers(Path(place).resolve())

    def choose_name(self, path: str | Path, kind: str, dim: int) -> str:
        """Return the name of the fit, once it is known that it can be written."""
        about: dict[str, Any] = {"name": self.name, "kind": kind, "dim": dim, "overwrite": self.overwrite}
        if self.output is not None and self.is_derived(path):
            return check_derived(self.output, **about)
        return check_writable(path, output=self.output, **about)

    def is_derived(self, path: str | Path) -> bool:
        """Whether the result goes into a file without the data: of an address, nobody asked for a whole copy."""
        return self.results_only or is_remote(path)

"""An extension whose stored data change in one step, once a new run is whole.

SpikeInterface empties an extension's folder before it computes, and removes it when the computation fails: a wrong
parameter, Ctrl-C or a killed process would lose the latents of an earlier run, and the rest that a kill leaves makes
``copy`` of the analyzer fail. Here everything is computed first, written beside, and moved into place by a rename.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
from pathlib import Path
from time import perf_counter
from typing import Any

import zarr
from spikeinterface.core import AnalyzerExtension

from ..errors import StoreError


class SafeExtension(AnalyzerExtension):  # type: ignore[misc]
    """Base of `DCFLatents`: an extension of SpikeInterface that is saved in one step."""

    _unsaved = False  # between set_params and the end of run, when the folder is still that of an earlier run
    _staged = False  # while a folder or group beside is written

    def set_params(self, save: bool = True, **params: Any) -> None:
        """Check parameters; nothing is written before `run` has ended."""
        self._unsaved = True
        if save:
            # before the fit: minutes of work are not to end in a folder that cannot be written
            refuse_read_only(self.sorting_analyzer)
        # save=True would empty the folder of the earlier run now
        super().set_params(save=False, **params)

    def run(self, save: bool = True, **kwargs: Any) -> None:
        """Compute, then save."""
        started = perf_counter()
        self._run(**kwargs)
        # SpikeInterface takes an extension on disk without this mark for the rest of a run that failed
        self.run_info.update(runtime_s=perf_counter() - started, run_completed=True)
        if save and not self.sorting_analyzer.is_read_only():
            self.save()
        self._unsaved = False

    def save(self) -> None:
        """Write params, data and run info beside, and put them in place by a rename."""
        if self.format == "memory":
            return
        self._staged = True
        try:
            super().save()
        finally:
            self._staged = False
        if self.format == "zarr":
            self._place_group()
        else:
            self._place_folder()

    def _delete_extension_folder(self) -> None:
        if not self._unsaved:  # else the folder holds an earlier run
            super()._delete_extension_folder()

    # -- paths: beside while they are written ----------------------------------------------------

    @property
    def _stage_name(self) -> str:
        return f".{self.extension_name}.partial"

    def _get_binary_extension_folder(self) -> Path:
        # beside `extensions` and not in it: SpikeInterface takes what lies in there for extensions
        if self._staged:
            return Path(self.folder) / self._stage_name
        return Path(super()._get_binary_extension_folder())

    def _get_zarr_extension_group(self, mode: str = "r+") -> Any:
        if self._staged:
            return self.sorting_analyzer._get_zarr_root(mode="r+")[self._stage_name]
        return super()._get_zarr_extension_group(mode=mode)

    def _reset_extension_folder(self) -> None:
        if self._staged and self.format == "zarr":
            self.sorting_analyzer._get_zarr_root(mode="r+").create_group(self._stage_name, overwrite=True)
        else:
            super()._reset_extension_folder()

    def _place_folder(self) -> None:
        new, place = Path(self.folder) / self._stage_name, self._get_binary_extension_folder()
        old = Path(self.folder) / f".{self.extension_name}.old"
        shutil.rmtree(old, ignore_errors=True)
        # os.replace takes no folder that is not empty: the old one steps aside first, by a rename too
        place.parent.mkdir(exist_ok=True)
        if place.exists():
            os.replace(place, old)
        os.replace(new, place)
        shutil.rmtree(old, ignore_errors=True)

    def _place_group(self) -> None:
        root = self.sorting_analyzer._get_zarr_root(mode="r+")
        place = f"extensions/{self.extension_name}"
        # Readers go by the consolidated metadata, and zarr gives zeros for chunks that are gone: out of sight first.
        metadata = json.loads(bytes(root.store[".zmetadata"])) if ".zmetadata" in root.store else {"metadata": {}}
        metadata["metadata"] = {k: v for k, v in metadata["metadata"].items() if not k.startswith(f"{place}/")}
        if ".zmetadata" in root.store:
            root.store[".zmetadata"] = json.dumps(metadata).encode()
        root.require_group("extensions")
        if place in root:
            del root[place]
        root.move(self._stage_name, place)
        zarr.consolidate_metadata(root.store)


def refuse_read_only(analyzer: Any) -> None:
    """Refuse, before the long work, an analyzer whose folder cannot be written.

    Raises
    ------
    StoreError
        If the folder or its ``extensions`` is read-only.

    Notes
    -----
    The mode is asked too, since to root every folder seems writable.
    """
    if analyzer.format == "memory" or "://" in str(analyzer.folder):
        return
    folder = Path(analyzer.folder)
    for place in (folder, folder / "extensions"):
        if place.exists() and (not stat.S_IMODE(place.stat().st_mode) & 0o222 or not os.access(place, os.W_OK)):
            raise StoreError(
                "the analyzer's folder is read-only",
                where=str(place),
                fix="make it writable (chmod u+w), or keep the latents in memory: compute(..., save=False)",
            )

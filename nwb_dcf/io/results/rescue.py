"""A fit whose file cannot take it goes into a small file of its own, so that the training is not lost."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import platformdirs

from ...data.result import DCFResult
from ...errors import DCFError
from .write import write_derived


def rescue_result(result: DCFResult, session: Mapping[str, Any], target: Path, name: str) -> Path | None:
    """Write `result` into a file of results alone: beside `target`, or in the next folder that takes it.

    Parameters
    ----------
    result : DCFResult
    session : mapping
        As `describe_session` gave it before the training.
    target : Path
        The file that could not take the fit.
    name : str
        Of the fit.

    Returns
    -------
    Path or None
        The new file; None where none of the folders took it.
    """
    for folder in list_rescue_folders(target):
        try:
            # Latents of a session are as private as the session.
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            path = _name_free(folder, f"{target.stem}_{name}")
            write_derived(result, session, path, name=name)
            return path
        except (DCFError, OSError):  # the next one may have what this one lacks
            continue
    return None


def list_rescue_folders(target: Path) -> list[Path]:
    """Folders in which a fit may be kept: that of its file, the user's own for such things, the temporary one."""
    return [target.parent, platformdirs.user_state_path("nwb-dcf"), Path(tempfile.gettempdir())]


def _name_free(folder: Path, stem: str) -> Path:
    # File systems take 255 bytes, and a number and an ending follow.
    short = stem.encode()[:150].decode("utf-8", "ignore")
    number = 1
    while (path := folder / f"{short}{'' if number == 1 else f'_{number}'}.nwb").exists():
        number += 1
    return path

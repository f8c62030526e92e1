"""Run a script of this room in a clean Python process.

Clean, because pynwb writes every extension that happens to be imported into the file it writes, and because
only a process without nwb_dcf shows that others can read the file.
"""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from ..errors import StoreError

_FOLDER = Path(__file__).resolve().parent
_DISK_FULL = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}


def run_clean(script: str, request: dict[str, Any], *, folder: Path, where: str) -> dict[str, Any]:
    """Call ``run(request)`` of `script`, a file of this folder, in a clean process and return its report.

    Parameters
    ----------
    script : str
        ``"append.py"`` or ``"verify.py"``.
    request : dict
        Arguments, JSON-able.
    folder : Path
        Working directory: where the file will lie, so that its relative links to other files lead where they will.
    where : str
        The file that errors name: the user's, not the copy.

    Raises
    ------
    StoreError
        If the script fails or dies.
    """
    paths = [os.path.abspath(entry) for entry in sys.path]
    process = subprocess.run(  # noqa: S603 - this interpreter on two files of this folder
        [sys.executable, "-I", str(_FOLDER / "child.py"), str(_FOLDER / script)],
        input=json.dumps({**request, "sys_path": [str(_FOLDER.parents[1]), *paths]}),
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )
    try:
        report: dict[str, Any] = json.loads(process.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        last = (process.stderr.strip().splitlines() or ["no message"])[-1]
        what = f"the process that runs {script} ended with {process.returncode}: {last}"
        raise StoreError(what, where=where, fix="the file is unchanged") from None
    if "error" in report:
        raise explain_failure(report["message"], report.get("errno"), kind=report["error"], where=where)
    return report


def explain_failure(message: str, number: int | None = None, *, kind: str = "", where: str) -> StoreError:
    """Say what an error of the system or of HDF5 means and what to do about it."""
    text = message.lower()
    if number in _DISK_FULL or any(sign in text for sign in ("no space left", "file too large", "quota exceeded")):
        return StoreError(
            "no room to write the copy: the disk is full, or a quota or file-size limit is reached",
            where=where,
            fix="free some space, or write elsewhere with output (-o); the file is unchanged",
        )
    if number in (errno.EAGAIN, errno.EWOULDBLOCK) or "unable to lock file" in text or "already open" in text:
        return StoreError(
            "the file is open for writing in another program",
            where=where,
            fix="close it there and try again; if nothing has it open, the file system may lack locks: "
            "set the environment variable HDF5_USE_FILE_LOCKING=FALSE",
        )
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return StoreError(f"no permission: {message}", where=where, fix="change the permissions, or use output (-o)")
    return StoreError(f"writing failed: {message or kind}", where=where, fix="the file is unchanged")

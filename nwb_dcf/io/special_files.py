"""What is no file though it has the name of one: pipes, sockets and devices."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def name_special(path: str | Path) -> str | None:
    """Name what is at `path` if it is a pipe, a socket or a device, else None.

    To open one may wait for ever, and to replace one may harm what others do with it.
    """
    # Links are followed: what is opened is what they lead to.
    try:
        mode = Path(path).stat().st_mode
    except (OSError, ValueError):
        return None
    kinds = {stat.S_ISFIFO: "a pipe", stat.S_ISSOCK: "a socket", stat.S_ISCHR: "a device", stat.S_ISBLK: "a device"}
    return next((name for is_kind, name in kinds.items() if is_kind(mode)), None)


def is_inside(file: Path, folder: Path) -> bool:
    """Whether a path stays in a folder, by its words: links in the folder are of whoever has it on this machine."""
    inner, outer = (os.path.normpath(Path(path).absolute()) for path in (file, folder))
    return inner.startswith(os.path.join(outer, ""))

"""How much memory this machine has free."""

from __future__ import annotations

import os
from pathlib import Path

UNKNOWN = 2**62  # more than any machine has: what asks for less is not refused
# control groups of version 2 and 1
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
_USED = ("/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory/memory.usage_in_bytes")


def find_free_memory() -> int:
    """Bytes that a process can still take without swapping; `UNKNOWN` where the system does not tell.

    A container's limit counts, since the machine's own figure says nothing of it.
    """
    free = _find_available()
    for limit, used in zip(_LIMITS, _USED, strict=True):
        most, taken = _read_number(limit), _read_number(used)
        if most is not None and taken is not None:
            free = min(free, max(most - taken + _find_cached(Path(used).parent), 0))
    return free


def _find_available() -> int:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            name, _, rest = line.partition(":")
            if name == "MemAvailable":
                return int(rest.split()[0]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2  # half: what others hold is not known
    except (AttributeError, OSError, ValueError):
        return UNKNOWN


def _find_cached(folder: Path) -> int:
    """Bytes of files that a container's count holds and gives up when asked."""
    try:
        words = dict(line.split()[:2] for line in (folder / "memory.stat").read_text().splitlines())
        return int(words.get("inactive_file", 0)) + int(words.get("active_file", 0))
    except (OSError, ValueError):
        return 0


def _read_number(path: str) -> int | None:
    try:
        # "max", where a container has no limit, is no number
        return int(Path(path).read_text())
    except (OSError, ValueError):
        return None

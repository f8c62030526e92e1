"""Where the objects of a file are, links into other files included.

hdmf gives an object that is linked from another file the path that it has there: two of one name would have one path,
and neither a path in the file that was opened.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Places:
    """The paths of the groups of a file.

    Attributes
    ----------
    path_of : mapping of int to str
        From the ``id`` of a builder to its path in the file that was opened: its own, or that of a link to it.
    target_of : mapping of str to str
        From the path of each link to the path by which its target goes.
    """

    path_of: Mapping[int, str]
    target_of: Mapping[str, str]


def find_places(root: Any) -> Places:
    """Walk the groups of a file from its root builder, and then where its links lead."""
    path_of: dict[int, str] = {}
    links: list[tuple[str, Any]] = []

    def walk(group: Any, path: str) -> None:
        if id(group) in path_of:  # links may lead in a circle
            return
        path_of[id(group)] = path or "/"
        for name, child in group.groups.items():
            walk(child, f"{path}/{name}")
        links.extend((f"{path}/{link.name}", link.builder) for link in group.links.values())

    walk(root, "")
    target_of: dict[str, str] = {}
    # What links lead to may hold links itself; those that are closer to the root come first.
    while links:
        path, target = links.pop(0)
        if hasattr(target, "groups"):
            walk(target, path)
            target_of[path] = path_of[id(target)]
    return Places(path_of, target_of)

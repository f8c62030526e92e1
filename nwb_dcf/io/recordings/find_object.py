"""Find an object of a file by its path or by its name: the one rule for sources, tables, events and behaviour."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from ...errors import SourceError
from ..backends.session import Session


class NamedObject(NamedTuple):
    """An object and its path in the file."""

    path: str
    object: Any


def match_paths(paths: Iterable[str], name: str, *, ignore_case: bool = False) -> list[str]:
    """Return those of `paths` that `name` stands for.

    These are, by the first that holds for any path: the path itself, the end of a path. With `ignore_case` the end of a
    path whatever its letters, and what lies in a container of that name, come last.

    Examples
    --------
    >>> paths = ["/acquisition/wheel", "/processing/behavior/Position/hand"]
    >>> match_paths(paths, "wheel"), match_paths(paths, "Position/hand"), match_paths(paths, "position")
    (['/acquisition/wheel'], ['/processing/behavior/Position/hand'], [])
    >>> match_paths(paths, "position", ignore_case=True)
    ['/processing/behavior/Position/hand']
    """
    known, whole = list(paths), name.strip("/")
    if not whole:
        return []
    found = [path for path in known if path.strip("/") == whole]
    # Names of objects hold no slash, so that the end of a path begins at one.
    found = found or [path for path in known if path.endswith(f"/{whole}")]
    if ignore_case:
        whole = whole.lower()
        found = found or [path for path in known if path.lower().endswith(f"/{whole}")]
        found = found or [path for path in known if f"/{whole}/" in path.lower()]
    return found


def match_objects(
    session: Session, name: str, types: tuple[type, ...], *, ignore_case: bool = False
) -> list[NamedObject]:
    """Return every object of `types` that `name` stands for, see `match_paths`; a link stands for what it leads to."""
    known = session.find_objects(*types)
    # A link goes by the path of its target, which objects of pynwb have.
    wanted = set(match_paths([path for path, _ in known], session.resolve(name), ignore_case=ignore_case))
    return [NamedObject(path, obj) for path, obj in known if path in wanted]


def find_object(
    session: Session,
    name: str,
    types: tuple[type, ...],
    *,
    what: str = "object",
    otherwise: str = "",
    ignore_case: bool = False,
) -> NamedObject:
    """Find the one object of `types` that `name` stands for.

    Parameters
    ----------
    session : Session
        The open file.
    name : str
        Its path, or the end of its path where that is unique in the file.
    types : tuple of type
        Classes of pynwb.
    what : str
        What is sought, for errors.
    otherwise : str
        Advice where the file has no object of `types` at all.
    ignore_case : bool
        Whether letters of both cases are alike, and the name of a container stands for the only such object in it.

    Raises
    ------
    SourceError
        If there is none, or more than one.
    """
    # More than one is refused, never resolved by order: the wrong object would be read in silence.
    found = match_objects(session, name, types, ignore_case=ignore_case)
    if len(found) == 1:
        return found[0]
    several = what if what.endswith("s") else f"{what}s"
    if found:
        raise SourceError(
            f"{len(found)} {several} are called {name!r}",
            where=str(session.path),
            fix=f"give the path of one of them: {', '.join(path for path, _ in found)}",
        )
    known = ", ".join(path for path, _ in session.find_objects(*types))
    raise SourceError(
        f"there is no {what} {name!r}",
        where=str(session.path),
        fix=f"{several} are: {known}" if known else otherwise or "give another file",
    )

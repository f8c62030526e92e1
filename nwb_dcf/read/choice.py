"""Which source of a file is meant: the one that is named, or the first by rank."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from ..errors import SourceError
from .families import group_sources
from .session import Session
from .sources import DEFAULT_KINDS, Source, rank
from .video_files import list_tracked

FIRST = {
    "units": "units with spikes",
    "dff": "dF/F",
    "fluorescence": "fluorescence, but no spikes and no dF/F",
    "roi": "ROI responses, but no spikes, dF/F or fluorescence",
    "family": "a family of one-column series, but no spikes and no ROI responses",
    "pose": "pose, but no spikes, no ROI responses and no family of one-column series",
    "video": "video, but no spikes, no ROI responses and no pose",
    "imaging": "imaging, but no spikes, no ROI responses, no pose and no video",
    "lfp": "voltages, but nothing that comes before them",
}


def choose_source(session: Session, sources: Sequence[Source], name: str | None) -> Source:
    """Return the source called `name`, or the one that is fitted by default.

    Parameters
    ----------
    session : Session
        The open file, for errors.
    sources : sequence of Source
        As `describe_sources` gives them.
    name : str or None
        ``"units"``, a path, a name that is unique in the file, ``"video"`` where there is one, or None.

    Raises
    ------
    SourceError
        If there is none, or more than one.
    """
    if name is None:
        return _choose_default(session, sources)
    exact = [source for source in sources if source.path in (name, f"/{name}")]
    found = exact or [source for source in sources if source.name == name]
    if len(found) > 1:
        raise SourceError(
            f"{len(found)} objects are called {name!r}",
            where=str(session.path),
            fix=f"give the path of one of them: {', '.join(source.path for source in found)}",
        )
    together = [source for source in group_sources(sources) if source.members]
    found = found or [source for source in together if name in (source.path, source.path[1:], source.name)]
    found = found or _find_kind(session, sources, name)
    if not found:
        session.check_links(session.find_lost(name) or name)
        raise SourceError(f"there is no source {name!r}", where=str(session.path), fix=_list_names(sources))
    return dataclasses.replace(found[0], why="as named")  # a problem is told by the reader, with what to do about it


def _find_kind(session: Session, sources: Sequence[Source], name: str) -> list[Source]:
    """Return the only video of the file where `name` asks for it.

    Raises
    ------
    SourceError
        If there are more, or if there is none, though poses were tracked in one.
    """
    if name != "video":
        return []
    videos = [source for source in sources if source.kind == "video"]
    if len(videos) > 1:
        raise SourceError(
            f"{len(videos)} videos are in this file",
            where=str(session.path),
            fix=f"give the path of one of them: {', '.join(source.path for source in videos)}",
        )
    tracked = [
        (source.path, files)
        for source in sources
        if source.kind == "pose" and (files := list_tracked(session, source.path))
    ]
    if not videos and tracked:
        path, files = tracked[0]
        raise SourceError(
            f"the file holds no video: it merely says that this pose was tracked in {', '.join(files)}",
            where=session.where(path),
            fix=f"write that video into it as an ImageSeries with an external_file; {_list_names(sources)}",
        )
    return videos


def _choose_default(session: Session, sources: Sequence[Source]) -> Source:
    grouped = group_sources(sources)
    for kind in DEFAULT_KINDS:
        usable = [source for source in grouped if source.kind == kind and not source.problem]
        if usable:
            others = [source.path for source in usable[1:]]
            why = f"no source was named, and this file has {FIRST[kind]}"
            if others:
                why += f", this one first by name; --source chooses another: {', '.join(others)}"
            before = [source for source in grouped if source.problem and rank(source) <= rank(usable[0])]
            passed = [f"{source.path} ({source.problem})" for source in before]
            if passed:
                why += f"; passed over: {', '.join(passed)}"
            return dataclasses.replace(usable[0], why=why)
    blocked = next((s for s in sources if s.kind in ("video", "imaging") and s.problem), None)
    if blocked:
        raise SourceError(f"{blocked.path} would be fitted by default, but {blocked.problem}", where=str(session.path))
    raise SourceError(
        "nothing here is fitted by default: no units with spikes, no ROI responses, no family of one-column series, "
        "no video",
        where=str(session.path),
        fix=_list_names(sources),
    )


def _list_names(sources: Sequence[Source], limit: int = 8) -> str:
    """Say what the file holds and how to name it."""
    grouped = group_sources(sources)
    usable = [source for source in grouped if not source.problem]
    others = [source for source in grouped if source.problem]
    says = []
    if usable:
        short = [source.name if sum(s.name == source.name for s in sources) == 1 else source.path for source in usable]
        listed = [
            f"{_quote(name)} ({source.neurodata_type}, shape {source.shape})"
            for name, source in zip(short[:limit], usable, strict=False)
        ]
        more = f" and {len(usable) - limit} more (nwb-dcf info lists them)" if len(usable) > limit else ""
        says.append(f"name one with --source: {', '.join(listed)}{more}")
    if others:
        listed = [f"{source.path} ({source.kind}: {source.problem})" for source in others[:limit]]
        says.append(f"also here: {', '.join(listed)}")
    return "; ".join(says) or "the file holds no other units or TimeSeries: give another file"


def _quote(name: str) -> str:
    return f"'{name}'" if " " in name else name

"""A source: an object that can be fitted, its kind, its rank among others and its members."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass


def name_together(paths: Sequence[str]) -> str:
    """Return what several paths have in common, with ``*`` in place of the rest.

    Examples
    --------
    >>> name_together(["/acquisition/cell_07", "/acquisition/cell_11"])
    '/acquisition/cell_*'
    """
    # Letter by letter, but numbers stay whole: cell_10 and cell_11 are cell_*.
    prefix = os.path.commonprefix(paths).rstrip("0123456789")  # noqa: RUF071
    suffix = os.path.commonprefix([path[len(prefix) :][::-1] for path in paths])[::-1]  # noqa: RUF071
    suffix = suffix.lstrip("0123456789")
    return f"{prefix}*{suffix}"


def name_members(paths: Sequence[str]) -> list[str]:
    """Return short names of members: the last part of their paths where those differ, else the part that differs."""
    # Names of members become ids of channels, which people read in plots.
    names = [path.rsplit("/", 1)[-1] for path in paths]
    if len(set(names)) == len(names):
        return names
    prefix, _, suffix = name_together(paths).partition("*")
    return [path[len(prefix) : len(path) - len(suffix)] for path in paths]


FRAME_KINDS = ("video", "imaging", "stimulus")
"""Images in time: of a camera or a microscope, or those that were shown."""


ROI_KINDS = ("dff", "fluorescence", "roi", "neuropil", "baseline", "deconvolved")
"""Kinds of RoiResponseSeries."""


DEFAULT_KINDS = ("units", "binned", "dff", "fluorescence", "roi", "family", "pose", "video", "imaging", "lfp")
"""Kinds that are fitted without being named, the first of them that the file has; never neuropil, baseline, events or
sweeps, and behaviour only by name."""

NAMED_KINDS = ("neuropil", "baseline", "deconvolved", "series", "sweep", "stimulus")
"""Kinds that are fitted only by name, in the order in which they are listed."""

SERIES_KINDS = (*ROI_KINDS, "family", "pose", "lfp", "series", "sweep")
"""Kinds whose data have samples along one axis and channels along the other."""


@dataclass(frozen=True)
class Source:
    """An object of the file that could be fitted.

    Attributes
    ----------
    kind : str
        One of `DEFAULT_KINDS` or of `NAMED_KINDS`: ``sweep`` is a trial of patch clamp, ``stimulus`` frames that were
        shown.
    path : str
        Path in the file; of several series that are read as one, with ``*`` in place of what differs.
    neurodata_type : str
        Its type in NWB.
    shape : tuple of int
        (unit,) for units, else of the data.
    unit : str
        Unit of the values.
    rate_hz, median_step_s : float or None
        The rate, or the median step of explicit timestamps.
    start_s, duration_s : float or None
        First spike or sample on the session clock, and the time to the last.
    problem : str
        Why it cannot be fitted; empty if it can.
    why : str
        How it is read, or why it was chosen.
    members : tuple of str
        Paths of the series that are read as one: a family, the planes of a session.
    plane : str
        Path of the imaging plane of ROI responses.
    emission_nm : tuple of float
        Emission wavelengths of that plane, nm; empty where they are unknown.
    doubt : str
        What looks wrong about data that can be fitted, and what to do about it; empty if nothing does.
    """

    kind: str
    path: str
    neurodata_type: str
    shape: tuple[int, ...]
    unit: str = ""
    rate_hz: float | None = None
    median_step_s: float | None = None
    start_s: float | None = None
    duration_s: float | None = None
    problem: str = ""
    why: str = ""
    members: tuple[str, ...] = ()
    plane: str = ""
    emission_nm: tuple[float, ...] = ()
    doubt: str = ""

    @property
    def name(self) -> str:
        """Last part of the path."""
        return self.path.rsplit("/", 1)[-1]

    @property
    def recording_kind(self) -> str:
        """Kind of a recording of it, from which its fits are named."""
        # Fits are named by what was recorded, not by how it was stored.
        if self.kind in (*ROI_KINDS, "imaging"):
            return "ophys"
        return {"family": "series", "sweep": "series", "binned": "units", "stimulus": "video"}.get(self.kind, self.kind)


def sort_key(source: Source) -> tuple[int, float, str]:
    """Return a key that sorts by rank, then voltages by rate, LFP before the raw signal, then by path."""
    return rank(source), (source.rate_hz or 0.0) if source.kind == "lfp" else 0.0, source.path


def rank(source: Source) -> int:
    """Return the place of the kind of a source in the order in which kinds are listed and chosen."""
    return (*DEFAULT_KINDS, *NAMED_KINDS).index(source.kind)

"""Where on this machine the files beside an NWB file are: named by who calls, never by a stored fit."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FilePlaces:
    """What a fit that is read again needs to know, since it opens no other files by itself.

    Attributes
    ----------
    video_dir : str or None
        Folder that holds the videos, where they are not where the NWB file says.
    mask : str or None
        The image that hid parts of their frames, if there was one.
    allow_outside : bool
        Open videos by paths that leave the folder of the NWB file.
    """

    video_dir: str | None = None
    mask: str | None = None
    allow_outside: bool = False


NOWHERE_ELSE = FilePlaces()
"""Every file is where the NWB file says, within its folder."""

"""From an NWB file to a recording: choose a source, find its clock, cut it into segments."""

from ..backends.dandi import is_dandiset
from ..backends.location import Address, is_remote, locate
from ..backends.remote import list_dandiset
from .behavior import read_behavior
from .catalog import Catalog, list_sources
from .channel_table import ChannelTable, read_channels
from .provenance import describe_session
from .reader import read_counting, read_recording
from .tables import IntervalTable, read_tables
from .unit_matching import match_units
from .units import Counting
from .video.frame_access import NO_VIDEO, FrameAccess, open_frames

__all__ = [
    "NO_VIDEO",
    "Address",
    "Catalog",
    "ChannelTable",
    "Counting",
    "FrameAccess",
    "IntervalTable",
    "describe_session",
    "is_dandiset",
    "is_remote",
    "list_dandiset",
    "list_sources",
    "locate",
    "match_units",
    "open_frames",
    "read_behavior",
    "read_channels",
    "read_counting",
    "read_recording",
    "read_tables",
]

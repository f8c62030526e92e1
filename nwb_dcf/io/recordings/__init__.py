"""From an NWB file to a recording: choose a source, find its clock, cut it into segments."""

from ..backends.location import is_remote, locate
from .catalog import Catalog, list_sources
from .channel_table import ChannelTable, read_channels
from .provenance import describe_session
from .reader import read_recording
from .units import match_units

__all__ = [
    "Catalog",
    "ChannelTable",
    "describe_session",
    "is_remote",
    "list_sources",
    "locate",
    "match_units",
    "read_channels",
    "read_recording",
]

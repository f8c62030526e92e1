"""From an NWB file to a recording: choose a source, find its clock, cut it into segments."""

from .catalog import Catalog, list_sources
from .channels import ChannelTable, read_channels
from .reader import read_recording
from .units import match_units

__all__ = ["Catalog", "ChannelTable", "list_sources", "match_units", "read_channels", "read_recording"]

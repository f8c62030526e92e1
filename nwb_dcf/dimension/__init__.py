"""How many dimensions the channels of a recording share: the choice behind ``dim="auto"``."""

from .choice import DimensionChoice, choose_dimension, choose_for_fit
from .halves import HalvedRecording

__all__ = ["DimensionChoice", "HalvedRecording", "choose_dimension", "choose_for_fit"]

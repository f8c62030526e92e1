"""The settings of every stage: frozen, checked when made, stored whole in the result.

Starting values are those of the method's measurements; the presets ``paper`` (sections 2 to 3 of
Wei et al. 2026 as written) and ``authors`` (as their research code ran) are settings of the same
code.
"""

from __future__ import annotations

from .destination import Destination
from .fit import FitConfig, ModelConfig, PrepareConfig, TrainConfig
from .read import ReadConfig
from .sort_settings import sort_settings

__all__ = ["Destination", "FitConfig", "ModelConfig", "PrepareConfig", "ReadConfig", "TrainConfig", "sort_settings"]

"""Latents as one more post-processing step of SpikeInterface.

Importing this module registers the extension ``dcf_latents``, so that ``analyzer.compute("dcf_latents", dim=3)``
works and analyzers that hold latents load them. In this package ``import spikeinterface`` is the library.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ..errors import compose_install

try:
    import spikeinterface.core as _library
except ImportError as error:
    raise ImportError(f"spikeinterface is not installed: {compose_install('spikeinterface')}") from error

from .cohort import fit_cohort
from .extension import DCFLatents
from .recordings import from_analyzer, from_sorting
from .to_nwb import to_nwb
from .unit_table import tabulate_units

if TYPE_CHECKING:
    from .widget import DCFLatentsWidget, plot_dcf_latents

__all__ = [
    "DCFLatents",
    "DCFLatentsWidget",
    "compute_dcf_latents",
    "fit_cohort",
    "from_analyzer",
    "from_sorting",
    "plot_dcf_latents",
    "tabulate_units",
    "to_nwb",
]

# SpikeInterface 0.105 has no entry points: without this import load warns, and save_as drops the latents in silence
_library.sortinganalyzer.register_result_extension(DCFLatents)
compute_dcf_latents = DCFLatents.function_factory()

_WIDGETS = ("DCFLatentsWidget", "plot_dcf_latents")  # spikeinterface.widgets takes a second to import


def __getattr__(name: str) -> Any:
    if name in _WIDGETS:
        return getattr(importlib.import_module(".widget", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

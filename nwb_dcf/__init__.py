"""Dynamic Compression Flows for recordings in NWB files.

Every public name is loaded when it is first used, so that importing the package costs nothing and
reading a stored result loads no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

__all__ = [
    "DCF",
    "DCFError",
    "DCFResult",
    "__version__",
    "fit_nwb",
    "list_results",
    "list_sources",
    "plan_fit",
    "read_recording",
    "read_result",
    "refit",
    "remove_result",
    "run_demo",
    "write_result",
]

# Public too, but out of `import *`: they need the extra `spikeinterface`.
_OPTIONAL = ("from_analyzer", "from_sorting")

if TYPE_CHECKING:
    from .data.result import DCFResult
    from .errors import DCFError
    from .estimator.dcf import DCF
    from .io.recordings import list_sources, read_recording
    from .io.results import list_results, read_result, remove_result, write_result
    from .pipeline.demo import run_demo
    from .pipeline.fit import fit_nwb, plan_fit
    from .pipeline.refit import refit
    from .spikeinterface import from_analyzer as from_analyzer
    from .spikeinterface import from_sorting as from_sorting

_ROOMS = {
    "DCF": "estimator",
    "DCFError": "errors",
    "DCFResult": "result",
    "fit_nwb": "pipeline",
    "from_analyzer": "spikeinterface",
    "from_sorting": "spikeinterface",
    "list_results": "store",
    "list_sources": "read",
    "plan_fit": "pipeline",
    "read_recording": "read",
    "read_result": "store",
    "refit": "refitting",
    "remove_result": "store",
    "run_demo": "demo",
    "write_result": "store",
}


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_ROOMS[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_OPTIONAL})

"""Dynamic Compression Flows for recordings in NWB files.

Every public name stands in ``__init__.pyi`` and is loaded when it is first used, so that importing the package costs
nothing and reading a stored result loads no torch.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, _listed = lazy_loader.attach_stub(__name__, __file__)
_PACKAGES = ("batch", "cohort", "view")  # reached as `nwb_dcf.batch.run`, and no names of a star import
__all__ = [name for name in _listed if name not in _PACKAGES]

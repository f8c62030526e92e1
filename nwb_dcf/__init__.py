"""Dynamic Compression Flows for recordings in NWB files.

Every public name stands in ``__init__.pyi`` and is loaded when it is first used, so that importing the package costs
nothing and reading a stored result loads no torch.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

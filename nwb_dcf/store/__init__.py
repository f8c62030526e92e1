"""DCFResult <-> NWB: safe writing, listing and reading of fits.

A fit is one container in ``processing/dcf``. `payload` says what goes where in it, `append` and `verify` are
the two scripts that run in clean processes, `replacement` keeps the user's file safe meanwhile.
"""

from __future__ import annotations

from .fits import list_results, read_result
from .session import write_session
from .write import WrittenResult, check_writable, write_result

__all__ = ["WrittenResult", "check_writable", "list_results", "read_result", "write_result", "write_session"]

"""Exit codes of ``nwb-dcf``; a fit that a signal ends has 128 and the signal's number, as a shell reports it."""

from __future__ import annotations

DEFECT = 1
"""Of this package: to be reported."""
BAD_INPUT = 2
"""Or bad usage, reported in one line."""
SOME_FAILED = 3
"""Of several files; a table names them."""
NO_OUTPUT = 74
"""Standard output cannot be written: EX_IOERR of sysexits.h."""
INTERRUPTED = 130
"""By Ctrl-C."""

"""A script, run as ``python -I child.py SCRIPT``: call ``run(request)`` of SCRIPT in this fresh process.

Two lines of JSON come on standard input: where modules are found, on which the script and what it imports are loaded
at once; then the request, perhaps seconds later. The report leaves as one line of JSON on standard output, an error as
``{"error": ...}``. Nothing of nwb_dcf is imported here.
"""

from __future__ import annotations

import json
import os
import runpy
import signal
import sys

_PR_SET_PDEATHSIG = 1  # of prctl(2)


def end_with_parent() -> None:
    """Let the system end this process when the one that started it is killed: nobody would take its report."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    end_with_parent()
    # An isolated start ignores PYTHONPATH and the user's site folder, where the caller may have found pynwb.
    sys.path[:] = json.loads(sys.stdin.readline())
    try:
        run = runpy.run_path(sys.argv[1])["run"]
        report = run(json.loads(sys.stdin.readline()))
    except BaseException as error:
        report = {"error": type(error).__name__, "message": str(error), "errno": getattr(error, "errno", None)}
    sys.stdout.write("\n" + json.dumps(report) + "\n")
    sys.stdout.flush()
    # Leave at once: HDF5 tries to flush again at exit what a full disk has refused, and may abort.
    os._exit("error" in report)

"""A script, run as ``python -I child.py SCRIPT``: call ``run(request)`` of SCRIPT in this fresh process.

The request comes as JSON on standard input, the report leaves as one line of JSON on standard output, an
error as ``{"error": ...}``. Nothing of nwb_dcf is imported here.
"""

from __future__ import annotations

import json
import os
import runpy
import sys

if __name__ == "__main__":
    request = json.load(sys.stdin)
    # An isolated start ignores PYTHONPATH and the user's site folder, where the caller may have found pynwb.
    sys.path[:] = request.pop("sys_path")
    try:
        report = runpy.run_path(sys.argv[1])["run"](request)
    except BaseException as error:
        report = {"error": type(error).__name__, "message": str(error), "errno": getattr(error, "errno", None)}
    sys.stdout.write("\n" + json.dumps(report) + "\n")
    sys.stdout.flush()
    # Leave at once: HDF5 tries to flush again at exit what a full disk has refused, and may abort.
    os._exit("error" in report)

"""A script, run as ``python -I child.py``: call ``run(request)`` of scripts beside it in fresh processes.

Lines of JSON come on standard input. The first has the paths on which modules are found, and modules to load at once.
Each of the others has a script and its request, and is answered in a fork of this process, where the system has forks:
what one script imports or leaves open is in no other, and nothing is loaded twice. The fork's number, its report or
error, and the code that it ended with leave as lines of JSON on standard output. Nothing of nwb_dcf is imported here.
"""

from __future__ import annotations

import importlib
import json
import os
import runpy
import signal
import sys
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

FORKS = sys.platform == "linux"
_HERE = Path(__file__).resolve().parent
_PR_SET_PDEATHSIG = 1  # of prctl(2)


def end_with_parent() -> None:
    """Let the system end this process when the one that started it is killed: nobody would take its report."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _answer(script: str, request: dict[str, Any], answers: int) -> int:
    try:
        report = runpy.run_path(str(_HERE / script))["run"](request)
    except BaseException as error:
        report = {"error": type(error).__name__, "message": str(error), "errno": getattr(error, "errno", None)}
    _send(answers, {"report": report})
    return int("error" in report)


def _send(answers: int, message: dict[str, Any]) -> None:
    line = (json.dumps(message) + "\n").encode()
    while line:
        line = line[os.write(answers, line) :]


def _listen() -> None:
    # An isolated start ignores PYTHONPATH and the user's site folder, where the caller may have found pynwb.
    sys.path[:], modules = json.loads(sys.stdin.readline())
    # Libraries print to standard output too: what they print goes elsewhere.
    answers = os.dup(1)
    os.dup2(2, 1)
    with suppress(BaseException):  # the script that needs the module reports it
        for module in modules:
            importlib.import_module(module)
    for line in iter(sys.stdin.readline, ""):
        script, request = json.loads(line)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads, of which this has none
            child = os.fork() if FORKS else 0
        if child == 0:
            end_with_parent()
            signal.signal(signal.SIGINT, signal.default_int_handler)
            # Leave at once: HDF5 tries to flush again at exit what a full disk has refused, and may abort.
            os._exit(_answer(script, request, answers))
        _send(answers, {"process": child})
        _send(answers, {"ended": os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])})


if __name__ == "__main__":
    end_with_parent()
    # A terminal sends Ctrl-C to this process too, which waits while a fit trains: its parent decides whether it ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _listen()

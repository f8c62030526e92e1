"""``python cohort_driver.py ARGUMENTS``: the command line in a process group of its own, which a test can kill.

``KILL_PLACE`` names the file that gets the number of the process; ``KILL_CLEAN`` is what stands in for the interpreter
that clean processes are started with.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from nwb_dcf.cli import main
from nwb_dcf.io.results import clean_process


def start(command: list[str], **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen([*json.loads(os.environ["KILL_CLEAN"]), *command[1:]], **options)


if __name__ == "__main__":
    os.setsid()
    clean_process.subprocess = SimpleNamespace(Popen=start, PIPE=subprocess.PIPE)  # type: ignore[attr-defined]
    Path(os.environ["KILL_PLACE"]).write_text(str(os.getpid()))
    sys.exit(main(sys.argv[1:]))

"""The command line, marking each step of a training and each checkpoint in a file: ``MARKS EVERY_S ARGUMENTS...``.

A process of its own that is killed cannot say how far it was: what it wrote before stays.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any

from nwb_dcf.cli import main
from nwb_dcf.model.training.checkpoint import Checkpoints, Run
from nwb_dcf.pipeline.checkpointing import KeptTraining


def mark(file: int, *words: object) -> None:
    """Append a line with the time, at once: nothing waits in a buffer for a kill."""
    os.write(file, (" ".join(map(str, (f"{time.monotonic():.4f}", *words))) + "\n").encode())


def run(marks: str, every_s: str, *arguments: str) -> None:
    file = os.open(marks, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    kwdefaults: dict[str, Any] = Checkpoints.__init__.__kwdefaults__
    kwdefaults["every_s"] = float(every_s)  # a minute is longer than the whole fit
    visit, write, keep = Run.visit, Checkpoints.write, KeptTraining.write

    def visit_marked(self: Run, collect: Callable[[], dict[str, Any]]) -> None:
        mark(file, "step", f"{self.name}: {collect()['step']}")
        visit(self, collect)

    def write_marked(self: Checkpoints) -> None:
        write(self)
        mark(file, "checkpoint")

    def keep_marked(self: KeptTraining, result: Any) -> Any:
        mark(file, "trained")
        return keep(self, result)

    Run.visit, Checkpoints.write, KeptTraining.write = visit_marked, write_marked, keep_marked  # type: ignore[method-assign]
    sys.argv = ["nwb-dcf", *arguments]
    sys.exit(main())


if __name__ == "__main__":
    run(*sys.argv[1:])

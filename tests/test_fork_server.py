"""A fork of the server behaves as the process it stands for: streams, folder, variables, exit code, death."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .fork_server import ForkServer

SCRIPT = """
import os, sys
print(sys.argv[1], sys.stdin.readline(), os.getcwd(), os.environ["WHO"], "json" in sys.modules, "csv" in sys.modules)
print("to people", file=sys.stderr)
if sys.argv[1] == "fail":
    raise ValueError("no")
if sys.argv[1] == "wait":
    import time
    open("started", "w").write(str(os.getpid()))
    time.sleep(60)
sys.exit(int(sys.argv[1]))
"""


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServer]:
    server = ForkServer("csv")
    yield server
    server.stop()


def start(server: ForkServer, folder: Path, argument: str) -> subprocess.Popen[str]:
    (folder / "script.py").write_text(SCRIPT)
    return subprocess.Popen(
        [*server.command, "-I", "script.py", argument],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env={**os.environ, "WHO": "me"},
    )


@pytest.mark.parametrize(("argument", "code"), [("0", 0), ("3", 3), ("fail", 1)])
def test_a_fork_reads_writes_and_ends_as_asked(server: ForkServer, tmp_path: Path, argument: str, code: int) -> None:
    process = start(server, tmp_path, argument)
    out, err = process.communicate("a line")
    assert process.returncode == code
    assert out == f"{argument} a line {tmp_path} me True True\n"
    assert err.startswith("to people\n")
    assert ("ValueError: no" in err) == (code == 1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_signal_to_the_client_ends_the_fork(server: ForkServer, tmp_path: Path, number: int) -> None:
    process = start(server, tmp_path, "wait")
    process.stdin.write("\n")  # type: ignore[union-attr]
    process.stdin.flush()  # type: ignore[union-attr]
    marker = tmp_path / "started"
    while not marker.exists() or not marker.read_text():
        time.sleep(0.01)
    process.send_signal(number)
    process.communicate()
    assert process.returncode == -number
    fork = int(marker.read_text())
    for _ in range(500):
        try:
            os.kill(fork, 0)
        except ProcessLookupError:
            return
        time.sleep(0.01)
    pytest.fail("the fork lives on")

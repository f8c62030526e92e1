"""A process that has loaded what many short processes load, and forks one of them for each that is asked for.

A Python that imports pynwb or torch takes two seconds to be there, and the tests start hundreds. Those that are
about starting, dying or what a clean process has imported start a real one; the others ask this server, which is
itself such a process, started once a worker. `ForkServer.command` stands in for ``[sys.executable]``: a small client
that hands its streams, folder, environment and arguments to a fork, and ends as the fork ends.

This file is the server (``python -I fork_server.py serve SOCKET MODULES``), the client (``run SOCKET ...``), and
what tests import.
"""

from __future__ import annotations

import json
import os
import runpy
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

_SIZE = struct.Struct("!I")


def serve(address: str, modules: list[str], paths: list[str]) -> None:
    """Load `modules`, then fork a process for each client; end with the process that started the server."""
    sys.path[:] = paths
    for module in modules:
        __import__(module)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"{address}.new")
    listener.listen(64)
    os.rename(f"{address}.new", address)  # who sees it may connect
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # keepers are reaped by the system
    parent = os.getppid()
    listener.settimeout(5)
    while os.getppid() == parent:
        try:
            client, _ = listener.accept()
        except TimeoutError:
            continue
        if os.fork():
            client.close()
            continue
        listener.close()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        client.settimeout(None)
        _keep(client)


def _keep(client: socket.socket) -> None:
    """Fork what is asked for, tell the client how it ended, and end it if the client ends first."""
    message, handles, _, _ = socket.recv_fds(client, _SIZE.size, 3)
    wanted = json.loads(_receive(client, _SIZE.unpack(message)[0]))
    child = os.fork()
    if not child:
        client.close()
        for number, handle in enumerate(handles):
            os.dup2(handle, number)
            os.close(handle)
        os.chdir(wanted["folder"])
        os.environ.clear()
        os.environ.update(wanted["environment"])
        _become(wanted["arguments"])
    for handle in handles:
        os.close(handle)
    try:
        client.sendall(_SIZE.pack(child))
    except OSError:  # killed before it knew whom it started, who would work on beside those that follow
        os.kill(child, signal.SIGKILL)
        os._exit(0)
    watcher = os.fork()
    if not watcher:
        client.recv(1)  # nothing comes but the end of the client
        os.kill(child, signal.SIGKILL)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    os.kill(watcher, signal.SIGKILL)
    with suppress(OSError):  # a client that was killed waits for nothing
        client.sendall(_SIZE.pack(os.waitstatus_to_exitcode(status) % 2**32))
    os._exit(0)


def _become(arguments: list[str]) -> None:
    """Do what ``python ARGUMENTS`` does, after options without a value: ``-m MODULE ...`` or ``SCRIPT ...``."""
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w", buffering=1)  # noqa: SIM115
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr
    code = 1
    try:
        isolated = "-I" in arguments[:2]
        while arguments[0] in ("-I", "-u"):
            del arguments[0]
        if not isolated:
            first = os.getcwd() if arguments[0] == "-m" else os.path.dirname(os.path.abspath(arguments[0]))
            sys.path[:0] = [first, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
        if arguments[0] == "-m":
            sys.argv = arguments[1:]
            runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv = arguments
            runpy.run_path(arguments[0], run_name="__main__")
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _receive(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise ConnectionError("the other side has ended")
        data += part
    return data


def run(address: str, arguments: list[str]) -> int:
    """Let the server at `address` run ``python ARGUMENTS`` on the streams of this process, and return its exit code."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(address)
    wanted = {"arguments": arguments, "folder": os.getcwd(), "environment": dict(os.environ)}
    message = json.dumps(wanted).encode()
    socket.send_fds(connection, [_SIZE.pack(len(message))], [0, 1, 2])
    connection.sendall(message)
    child = _SIZE.unpack(_receive(connection, _SIZE.size))[0]
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _: os.kill(child, received))
    code = _SIZE.unpack(_receive(connection, _SIZE.size))[0]
    if code >= 2**31:  # as the fork, which a signal has ended
        number = 2**32 - code
        signal.signal(number, signal.SIG_DFL) if number != signal.SIGKILL else None
        os.kill(os.getpid(), number)
    return int(code)


class ForkServer:
    """A server that has loaded `modules`; started by the first `command`, ended by `stop`."""

    def __init__(self, *modules: str) -> None:
        self._modules = modules
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def command(self) -> list[str]:
        """What takes the place of ``[sys.executable]``."""
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="nwb-dcf-fork-")
            paths = json.dumps([os.path.abspath(entry) for entry in sys.path])
            self._process = subprocess.Popen(
                [sys.executable, "-I", __file__, "serve", self._address, ",".join(self._modules), paths],
                stdin=subprocess.DEVNULL,
            )
            while not os.path.exists(self._address):
                assert self._process.poll() is None, "the fork server has died"
                time.sleep(0.02)
        return [sys.executable, "-I", "-S", __file__, "run", self._address]

    @property
    def _address(self) -> str:
        assert self._folder is not None
        return str(Path(self._folder.name) / "socket")

    def stop(self) -> None:
        """End the server."""
        if self._process is not None and self._folder is not None:
            self._process.kill()
            self._process.wait()
            self._folder.cleanup()


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2], sys.argv[3].split(","), json.loads(sys.argv[4]))
    else:
        sys.exit(run(sys.argv[2], sys.argv[3:]))

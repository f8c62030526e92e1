"""Run scripts beside this file in a clean Python process, or in clean forks of one.

Clean, because pynwb writes every extension that happens to be imported into the file it writes, and because
only a process without nwb_dcf shows that others can read the file.
"""

from __future__ import annotations

import errno
import json
import os
import runpy
import select
import signal
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn, TextIO

from ...data.records import JSON
from ...errors import StoreError

_SCRIPTS = Path(__file__).resolve().parent / "scripts"
_IMPORTED_FROM = Path(__file__).resolve().parents[3]  # the folder that holds the package
MODULES, ZARR_MODULES = ("h5py", "numpy", "pynwb"), ("hdmf_zarr.nwb",)
FORK_WAIT_S = 120.0
FORK_ANSWER = 60_000  # bytes that a pipe takes at once
_DISK_FULL = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}


class CleanProcess:
    """A process that has loaded what scripts need and nothing of this package, and a fork of it for each request.

    Where the system does not fork it answers one request, and the next one has another process.

    Parameters
    ----------
    folder : Path
        Working directory of the scripts.
    modules : sequence of str
        To be loaded while other work is done.
    errors : file
        For what the scripts print. A pipe that nobody reads would fill, and stop them.
    """

    def __init__(self, folder: Path, modules: Sequence[str], errors: TextIO) -> None:
        self._folder, self._modules, self._errors = folder, list(modules), errors
        self._worker, self._asked = 0, False
        self.process = self._start()

    def _start(self) -> subprocess.Popen[str]:
        # The process starts isolated and elsewhere: relative entries would lead to other folders there.
        paths = [os.path.abspath(entry) for entry in sys.path]
        process = subprocess.Popen(  # noqa: S603 - this interpreter on a file of this folder
            [sys.executable, "-I", str(_SCRIPTS / "child.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            cwd=self._folder,
        )
        _send(process, [[str(_IMPORTED_FROM), *paths], self._modules])
        return process

    def ask(self, script: str, request: Mapping[str, object]) -> tuple[JSON | None, int, str]:
        """Return the report of `script`, the code that its process ended with, and the last line of its errors."""
        # one that waited for hours of training may have been ended meanwhile
        if (self._asked and sys.platform != "linux") or (not self._asked and self.process.poll() is not None):
            self.end()
            self.process = self._start()
        self._asked = True
        _send(self.process, [script, request])
        report: JSON | None = None
        for line in self.process.stdout or ():
            message = json.loads(line)
            self._worker = message.get("process", self._worker)
            report = message.get("report", report)
            if "ended" in message:
                self._worker, code = 0, int(message["ended"])
                break
        else:
            code = self.process.wait()
        self._errors.seek(0)
        last = (self._errors.read().strip().splitlines() or ["no message"])[-1]
        return report, code, last

    def end(self) -> None:
        """End the process, and the fork that is still at work for it."""
        for number in (self._worker, self.process.pid if self.process.returncode is None else 0):
            if number:
                with suppress(ProcessLookupError):
                    os.kill(number, signal.SIGTERM if os.name == "nt" else signal.SIGKILL)
        # closes its pipes, where a request may be left that it has not read, and waits
        with suppress(BrokenPipeError), self.process:
            pass


@contextmanager
def start_clean(folder: Path, *, zarr: bool = False) -> Iterator[CleanProcess]:
    """Start the process of `run_clean` ahead of its requests, so that it loads pynwb while other work is done.

    It ends with the block. With `zarr` it loads what sessions in Zarr need too.
    """
    with tempfile.TemporaryFile("w+") as errors:
        started = CleanProcess(folder, [*MODULES, *(ZARR_MODULES if zarr else ())], errors)
        try:
            yield started
        finally:
            started.end()


def _send(process: subprocess.Popen[str], message: Any) -> None:
    if process.stdin is not None:
        with suppress(BrokenPipeError):  # it has died, which its report will show
            process.stdin.write(json.dumps(message) + "\n")
            process.stdin.flush()


def run_clean(
    script: str,
    request: Mapping[str, object],
    *,
    folder: Path,
    where: str,
    started: CleanProcess | None = None,
) -> JSON:
    """Call ``run(request)`` of `script`, a file of the folder of scripts, in a clean process and return its report.

    Parameters
    ----------
    script : str
        ``"append.py"``, ``"verify.py"``, ...
    request : mapping
        Arguments, JSON-able; each script describes its own.
    folder : Path
        Working directory: where the file will lie, so that its relative links to other files lead where they will.
    where : str
        The file that errors name: the user's, not the copy.
    started : CleanProcess, optional
        The process, where `start_clean` has started it in that folder.

    Raises
    ------
    StoreError
        If the script fails or dies.
    """
    if started is None:
        with start_clean(folder) as process:
            return run_clean(script, request, folder=folder, where=where, started=process)
    report, code, last = started.ask(script, request)
    if report is None:
        what = f"the process that runs {script} ended with {code}: {last}"
        raise StoreError(what, where=where, fix="the file is unchanged")
    if "error" in report:
        raise explain_failure(report["message"], report.get("errno"), kind=report["error"], where=where)
    return report


@contextmanager
def run_forked(script: str, request: JSON, *, folder: Path, where: str) -> Iterator[None]:
    """Do as `run_clean`, where the system can in a fork of this process, which has pynwb loaded: a tenth of the time.

    It runs beside the block, at the end of which its report is awaited. What the script imports stays in the fork. The
    file that it writes is not to be kept, since extensions that are loaded here are cached in it.

    Raises
    ------
    StoreError
        At the end of the block, if the script fails or dies.
    """
    if sys.platform != "linux":
        yield
        run_clean(script, request, folder=folder, where=where)
        return
    receiver, sender = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads: what hangs is ended below
        child = os.fork()
    if child == 0:
        _answer_in_fork(script, request, folder, sender)
    os.close(sender)
    try:
        yield
        answer = _await_answer(receiver)
    finally:
        os.close(receiver)
        # After an answer there is nothing left to end; where the block failed, or none came, there is.
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    try:
        report: JSON = json.loads(answer)
    except ValueError:
        report = run_clean(script, request, folder=folder, where=where)
    if "error" in report:
        raise explain_failure(report["message"], report.get("errno"), kind=report["error"], where=where)


def _await_answer(receiver: int) -> bytes:
    answer = b""
    while select.select([receiver], [], [], FORK_WAIT_S)[0]:
        piece = os.read(receiver, 2**16)
        if not piece:
            break
        answer += piece
    return answer


def _answer_in_fork(script: str, request: JSON, folder: Path, sender: int) -> NoReturn:
    try:
        for name in ("SIGTERM", "SIGHUP", "SIGINT"):
            signal.signal(getattr(signal, name), signal.SIG_DFL)
        runpy.run_path(str(_SCRIPTS / "child.py"))["end_with_parent"]()
        nowhere = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(nowhere, number)
        os.chdir(folder)
        report = runpy.run_path(str(_SCRIPTS / script))["run"](request)
    except BaseException as error:
        report = {"error": type(error).__name__, "message": str(error), "errno": getattr(error, "errno", None)}
    with suppress(BaseException):
        os.write(sender, json.dumps(report).encode()[:FORK_ANSWER])
    os._exit(0)


def explain_failure(message: str, number: int | None = None, *, kind: str = "", where: str) -> StoreError:
    """Return the error that explains one of the system or of HDF5, and what to do about it."""
    # HDF5 gives the system's error as text, and zarr wraps it: a number is not always there.
    text = message.lower()
    if number in _DISK_FULL or any(sign in text for sign in ("no space left", "file too large", "quota exceeded")):
        return StoreError(
            "no space to write the copy: the disk is full, or a quota or file-size limit is reached",
            where=where,
            fix="free some space, or write elsewhere with output (-o); the file is unchanged",
        )
    if number in (errno.EAGAIN, errno.EWOULDBLOCK) or "unable to lock file" in text or "already open" in text:
        return StoreError(
            "the file is open for writing in another program",
            where=where,
            fix="close it there and try again; if nothing has it open, the file system may lack locks: "
            "set the environment variable HDF5_USE_FILE_LOCKING=FALSE",
        )
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return StoreError(f"no permission: {message}", where=where, fix="change the permissions, or use output (-o)")
    return StoreError(f"writing failed: {message or kind}", where=where, fix="the file is unchanged")

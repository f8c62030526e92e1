"""The one place through which the command line writes: text out of a file cannot steer a terminal or fake a line."""

from __future__ import annotations

import datetime
import errno
import json
import math
import os
import sys
from collections.abc import Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Any, TextIO

import click

from ..errors import StoreError, clean_text, find_controls, name_options

LOG: ContextVar[TextIO | None] = ContextVar("log", default=None)
"""The file of ``--log``, while a command runs."""


class OutputError(Exception):
    """Standard output takes no more: a full disk, or a reader that has gone.

    Parameters
    ----------
    error : OSError
        As the system raised it.
    """

    def __init__(self, error: OSError) -> None:
        self.is_closed = error.errno == errno.EPIPE
        super().__init__(f"standard output cannot be written: {error.strerror or error}")


def write_text(text: str, *, to_stderr: bool = False) -> None:
    """Write lines of text; control characters in them, but for the breaks between lines, are shown as escapes.

    Arguments of Python's functions that notes name are shown as options.

    Raises
    ------
    OutputError
        If standard output does not take it.
    """
    try:
        # click.echo flushes, so that a pipe that was closed is noticed here
        click.echo(clean_text(name_options(text), keep="\n"), err=to_stderr)
    # stderr that takes nothing is no reason to fail: the exit code is still there
    except OSError as error:
        if not to_stderr:
            raise OutputError(error) from error


def open_log(path: str) -> None:
    """Append all that is reported from now on to a text file, each line with its time, until `close_log`.

    Raises
    ------
    StoreError
        If it cannot be written, or holds something else than text, such as a session.
    """
    try:
        if Path(path).exists() and b"\0" in Path(path).read_bytes()[:4096]:
            raise StoreError("this is no text file", where=path, fix="name another file for the log")
        LOG.set(Path(path).open("a", encoding="utf-8", buffering=1))  # noqa: SIM115 - until `close_log`
    except OSError as error:
        raise StoreError(f"the log cannot be written: {error.strerror}", where=path, fix="name another file") from error


def close_log() -> None:
    """Close the file of ``--log``, if there is one."""
    file = LOG.get()
    if file is not None:
        file.close()
        LOG.set(None)


def write_log(text: str) -> None:
    """Write lines into the file of ``--log``, where one was asked for; a disk that is full stops no fit."""
    file = LOG.get()
    if file is None:
        return
    now = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
    try:
        for line in clean_text(name_options(text), keep="\n").splitlines():
            file.write(f"{now} {line}\n")
    except OSError:
        LOG.set(None)


def print_json(report: Mapping[str, Any]) -> None:
    """Print `report` as the one JSON document on stdout; NaN and infinity become null.

    Raises
    ------
    OutputError
        If standard output does not take it.
    """
    # NaN is no JSON, and other languages refuse a document that has it
    text = json.dumps(_to_plain(report), indent=2, ensure_ascii=False, allow_nan=False)
    # JSON's own escapes, which leave the values as they are
    write_text(text.translate({ord(char): json.dumps(char)[1:-1] for char in find_controls(text) - {"\n"}}))


def clean_report(value: Any) -> Any:
    """Return a report whose texts have no control characters and no breaks of lines, for text to be made of it."""
    if isinstance(value, str):
        return clean_text(value)
    if value is None or isinstance(value, bool | int | float):  # most values, and a Mapping is asked for slowly
        return value
    if isinstance(value, Mapping):
        return {clean_report(key): clean_report(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        # a tuple is a shape in a table, a list is a list
        return type(value)([clean_report(item) for item in value])
    return value


def flush() -> None:
    """Write what is still held back.

    Raises
    ------
    OutputError
        If standard output does not take it.
    """
    try:
        sys.stdout.flush()
    except OSError as error:
        raise OutputError(error) from error


def abandon_stdout() -> None:
    """Let Python's own flush at its end go nowhere: it would report the same failure once more, with a traceback."""
    try:
        number = sys.stdout.fileno()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        # the number stays open: Python flushes it at its end whatever was done before
        os.dup2(nowhere, number)
        os.close(nowhere)
    except (OSError, ValueError):  # no file, as in a notebook or a test
        return


def _to_plain(value: Any) -> Any:
    """Turn arrays and their scalars, paths and tuples into what JSON knows."""
    if isinstance(value, Mapping):
        return {str(key): _to_plain(item) for key, item in value.items()}
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, str):
        return name_options(value)
    if hasattr(value, "tolist"):  # numpy, which is not imported here
        return _to_plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_to_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value

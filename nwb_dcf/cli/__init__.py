"""The command line: parse, call the public API, print.

`exit_codes` has what a command ends with; 143 and 129 follow SIGTERM and SIGHUP during a fit. With ``--json`` exactly
one JSON document is written to stdout, errors included, and all text for people goes to stderr.
"""

from __future__ import annotations

import atexit
import errno
import gc
import logging
import os
import sys
import traceback
import warnings
from collections.abc import Sequence

import click

from ..errors import CACHE_FIX, PYNWB_CACHE, DCFError, Terminated, clean_text, compose_message
from .apply import COMMANDS as USE
from .cohort import COMMANDS as COHORT
from .compare import COMMANDS as COMPARE
from .doctor import COMMANDS as DOCTOR
from .exit_codes import BAD_INPUT, DEFECT, INTERRUPTED, NO_OUTPUT
from .fit import cli
from .output import OutputError, abandon_stdout, close_log, flush, print_json, write_log, write_text
from .results import COMMANDS as STORED
from .scan import COMMANDS as SCAN
from .view import COMMANDS as VIEW

for command in (*SCAN, *STORED, *USE, *VIEW, *COHORT, *COMPARE, *DOCTOR):
    cli.add_command(command)

LOADED_AT_ONCE = 100_000  # new objects between two searches for cycles


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Parameters
    ----------
    arguments : sequence of str, optional
        What follows ``nwb-dcf``; from ``sys.argv`` by default.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    # torch and pynwb make a million objects as they load; to look among them for cycles takes a fifth of that time
    gc.set_threshold(max(gc.get_threshold()[0], LOADED_AT_ONCE))
    # and as long once more when Python ends, for memory that goes back with the process
    atexit.unregister(gc.freeze)
    atexit.register(gc.freeze)
    debug = bool(os.environ.get("NWB_DCF_DEBUG"))
    if not debug:
        # warnings of pynwb and others concern those who wrote the file; what matters here is a note of the report
        warnings.simplefilter("ignore")
        # without a handler Python prints warnings of loggers on stderr by itself
        logging.getLogger().addHandler(logging.NullHandler())
    try:
        # what is still held back is a part of the run: a full disk is noticed at the last flush alone
        code = _run(arguments, debug)
        flush()
    except OutputError as error:
        if not error.is_closed:  # who closes a pipe knows it, as head does
            write_text(f"nwb-dcf: error: {error}; free space there, or write elsewhere", to_stderr=True)
        abandon_stdout()
        return NO_OUTPUT
    finally:
        close_log()
    return code


def _run(arguments: Sequence[str], debug: bool) -> int:
    """Run a command; every error but that of the output becomes a line and a code."""
    # before click, to which an empty text is a value like any other, as the name of a file
    empty = _find_empty(arguments)
    if empty:
        fix = "leave it out, or look at the variable of the shell that should fill it"
        what = f"{empty} is empty"
        return _fail(arguments, f"error: {what}; {fix}", BAD_INPUT, "UsageError", what=what, where=None, fix=fix)
    try:
        # standalone_mode=False: click would else print errors and exit by itself
        return int(cli.main(arguments, prog_name="nwb-dcf", standalone_mode=False, obj=arguments) or 0)
    except OutputError:
        raise
    except OSError as error:
        if error.filename is None and error.errno in (errno.EPIPE, errno.ENOSPC, errno.EIO):  # of click's own help
            raise OutputError(error) from error
        if error.filename is None:
            return _fail_defect(arguments, error, debug)
        # of a path that was given: the reader's to mend, not a defect
        what, where = str(error.strerror), os.fsdecode(error.filename)
        fix = CACHE_FIX if PYNWB_CACHE in where else "check that path"
        return _fail_input(arguments, DCFError(what, where=where, fix=fix))
    except MemoryError:
        fix = "read less, with wider bins (--bin), fewer channels (--units, --rois) or smaller frames (--size, --every)"
        return _fail_input(arguments, DCFError("there is not enough memory", fix=fix))
    # raised anywhere, as by an expression with a thousand brackets: what was given is at fault, not this package
    except RecursionError:
        return _fail_input(arguments, DCFError("what was given is nested too deep", fix="write it with less nesting"))
    except DCFError as error:
        # what an error was made from, as the exception of pynwb behind "cannot be read"
        if debug and error.__cause__ is not None:
            traceback.print_exc()
        return _fail_input(arguments, error)
    except click.ClickException as error:
        # of the command that was typed: its help names the options
        command = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "nwb-dcf"
        what = error.format_message().rstrip(".")
        what = what[:1].lower() + what[1:]
        fix = f"see {command} --help"
        return _fail(arguments, f"error: {what}; {fix}", BAD_INPUT, "UsageError", what=what, where=None, fix=fix)
    except (click.Abort, KeyboardInterrupt):
        return _fail(arguments, "interrupted; nothing was written", INTERRUPTED, "Interrupted")
    except Terminated as error:
        # 128 and the signal, as a shell reports it: batch systems tell an end by request from a failure by it
        line = f"ended by signal {error.signal}; the same command with --resume goes on from the checkpoint"
        return _fail(arguments, line, 128 + error.signal, "Terminated")
    except Exception as error:
        return _fail_defect(arguments, error, debug)


def _fail_input(arguments: Sequence[str], error: DCFError) -> int:
    details = error.describe_options()
    line = compose_message(str(details["what"]), details["where"], details["fix"])
    return _fail(arguments, f"error: {line}", BAD_INPUT, type(error).__name__, **details)


def _fail_defect(arguments: Sequence[str], error: Exception, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    fix = "this is a defect of nwb_dcf, please report it with what the same command prints under NWB_DCF_DEBUG=1"
    return _fail(arguments, f"error: {what}; {fix}", DEFECT, "Defect", what=what, where=None, fix=fix)


def _find_empty(arguments: Sequence[str]) -> str:
    """Name an option or an argument that is given as nothing, as an unset variable of a shell gives it."""
    for i, argument in enumerate(arguments):
        if not argument.strip():
            before = arguments[i - 1] if i else ""
            return before if before.startswith("-") else "an argument"
        # with a blank it is text, as an expression that was cut off
        if argument.startswith("--") and argument.endswith("=") and " " not in argument:
            return argument[:-1]
    return ""


def _fail(arguments: Sequence[str], line: str, code: int, kind: str, **details: str | None) -> int:
    """Report an error in one line on stderr, and under ``--json`` in one document too."""
    line = clean_text(line)
    write_text(f"nwb-dcf: {line}", to_stderr=True)
    write_log(f"nwb-dcf: {line}")
    # by the arguments, since click may have failed before it read them
    if "--json" in arguments:
        message = line.removeprefix("error: ")
        print_json({"error": {"type": kind, "message": message, "exit_code": code, **details}})
    return code

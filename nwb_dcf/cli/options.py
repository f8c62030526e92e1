"""What options of several commands have in common: how their values are read, and how a report is printed."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Any

import click

from .output import clean_report, open_log, print_json, write_log, write_text
from .text_layout import Report

FILE = click.Path(readable=False)
"""Type of what names a file or folder, which a shell then completes. Whether it is there, and can be read, is asked by
those who open it: it may be an address."""


def parse_seconds(ctx: click.Context, param: click.Parameter, value: str | None) -> float | str | None:
    """Read seconds, or ``auto``."""
    if value is None or value == "auto":
        return value
    try:
        return float(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is neither a number of seconds nor 'auto'.", ctx, param) from None


def parse_size(ctx: click.Context, param: click.Parameter, value: str | None) -> int | tuple[int, ...] | None:
    """Read a number of pixels, or WIDTHxHEIGHT."""
    if value is None:
        return None
    try:
        sides = tuple(int(side) for side in value.lower().split("x"))
    except ValueError:
        raise click.BadParameter(f"{value!r} is neither a number of pixels nor WIDTHxHEIGHT.", ctx, param) from None
    return sides[0] if len(sides) == 1 else sides


def parse_dim(ctx: click.Context, param: click.Parameter, value: str) -> int | str:
    """Read a number of latents, or ``auto``."""
    if value == "auto":
        return value
    try:
        return int(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is neither a whole number nor 'auto'.", ctx, param) from None


def join_names(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> str | tuple[str, ...] | None:
    """Return the values of a repeatable option: None, one name, or several."""
    # None and not (): the package's own default stands for what was not given
    return value if len(value) > 1 else next(iter(value), None)


def with_file_places(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add to a command on a stored fit the options that say where the files beside the NWB file are."""
    for option in (
        click.option("--mask", metavar="IMAGE", help="The image that hid parts of their frames, if there was one."),
        click.option("--allow-outside", is_flag=True, help="Open videos by paths that leave the folder of FILE."),
        click.option("--video-dir", metavar="FOLDER", help="Where its video files are, if they were moved."),
    ):
        command = option(command)
    return command


def with_output_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--json``, ``--quiet`` and ``--log`` to a command."""
    command = click.option(
        "--log",
        metavar="FILE",
        expose_value=False,
        is_eager=True,
        callback=_open_log,
        help="Append progress and report to FILE, each line with its time.",
    )(command)
    command = click.option("--quiet", is_flag=True, help="Print no progress and no report.")(command)
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")(command)


def _open_log(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value is not None and not ctx.resilient_parsing:
        open_log(value)
        write_log(f"nwb-dcf {shlex.join(ctx.find_root().obj or ())}")


def print_report(report: Report, describe: Callable[[Report], str], as_json: bool, quiet: bool) -> None:
    """Print a report as text, or with ``--json`` as one document and its text on stderr."""
    # cleaned before it is laid out: a name with a newline in it would make a line of its own in the report
    text = describe(clean_report(report))
    write_log(text)
    if not quiet:
        write_text(text, to_stderr=as_json)
    if as_json:
        print_json(report)

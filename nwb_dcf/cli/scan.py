"""``scan``: scores of every smoothing and scale of a source."""

from __future__ import annotations

from typing import Any

import click

import nwb_dcf

from ..pipeline.progress_bar import ProgressBar
from .options import FILE, print_report, with_output_options
from .output import write_log
from .reading_options import with_reading_options
from .smoothing_report import describe_scan


@click.command()
@click.argument("file", type=FILE)
@click.option("--against", metavar="SERIES", help="Behaviour to decode beside it, as behavior/position.")
@with_reading_options
@click.option("--transformation", type=click.Choice(["auto", "sqrt", "none"]), help="As for fit.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of halves of the channels and of blocks.")
@with_output_options
def scan(file: str, as_json: bool, quiet: bool, **options: Any) -> None:
    """Score each smoothing and scale of a source in FILE, before anything is fitted.

    Half of the channels predict the other half on held-out blocks of time; behaviour has no part in it.

    Example: nwb-dcf scan session.nwb --against behavior/position
    """
    # no smoothing and no scale among the options: all of them are what is scanned
    given = {name: value for name, value in options.items() if value is not None}
    with ProgressBar(hidden=quiet, log=write_log) as bar:
        report = nwb_dcf.scan_nwb(file, progress=bar, **given)
    print_report(report.to_dict(), describe_scan, as_json, quiet)


COMMANDS = (scan,)

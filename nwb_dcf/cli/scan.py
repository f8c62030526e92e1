"""``scan``: scores of every smoothing and scale of a source."""

from __future__ import annotations

from typing import Any

import click

import nwb_dcf

from .options import join_names, parse_seconds, print_report, with_output_options
from .smoothing_report import describe_scan


@click.command()
@click.argument("file")
@click.option("--against", metavar="SERIES", help="Behaviour to decode beside it, as behavior/position.")
@click.option("--source", multiple=True, callback=join_names, metavar="NAME", help="As for fit.")
@click.option(
    "--bin", "bin_width_s", callback=parse_seconds, metavar="SECONDS", help="Width of a bin; 0.02 by default."
)
@click.option("--resample", "resample_hz", type=float, metavar="HZ", help="As for fit.")
@click.option("--trials", multiple=True, callback=join_names, metavar="auto|none|TABLE", help="As for fit.")
@click.option("--tags", multiple=True, callback=join_names, metavar="TAG", help="As for fit.")
@click.option("--align", metavar="COLUMN|SERIES", help="As for fit.")
@click.option("--window", type=float, nargs=2, metavar="A B", help="As for fit.")
@click.option("--where", metavar="EXPRESSION", help="As for fit.")
@click.option("--units", metavar="EXPRESSION|IDS", help="As for fit.")
@click.option("--rois", metavar="EXPRESSION|IDS|all", help="As for fit.")
@click.option("--max-gap", "max_gap_s", type=float, metavar="SECONDS", help="As for fit.")
@click.option("--dff", is_flag=True, default=None, help="As for fit.")
@click.option("--bands", metavar="LOW-HIGH,...|none", help="As for fit.")
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
    print_report(nwb_dcf.scan_nwb(file, **given).to_dict(), describe_scan, as_json, quiet)


COMMANDS = (scan,)

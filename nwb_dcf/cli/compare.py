"""``compare``: DCF and other methods side by side on one file."""

from __future__ import annotations

from typing import Any

import click

import nwb_dcf

from ..pipeline.progress_bar import ProgressBar
from .compare_report import describe_comparison
from .options import FILE, parse_dim, parse_seconds, print_report, with_output_options
from .output import write_log
from .reading_options import with_reading_options


@click.command()
@click.argument("file", type=FILE)
@click.option("--dim", callback=parse_dim, default="3", show_default=True, metavar="N|auto", help="Latents of each.")
@click.option("--against", metavar="SERIES", help="Behaviour to decode, as behavior/position.")
@click.option(
    "--method",
    "methods",
    multiple=True,
    metavar="NAME",
    help="pca, fa, autoencoder, vae, gpfa, umap, cebra; repeat it. By default all that are installed.",
)
@click.option(
    "--rival",
    "rivals",
    multiple=True,
    metavar="MODULE:CLASS",
    help="An estimator of yours with fit, transform and, if it can, inverse_transform; repeat it.",
)
@click.option("--certify", is_flag=True, help="Three more fits a method: left-out channels, and other segments.")
@click.option("--longest", type=float, metavar="SECONDS", help="Of one fit of CEBRA at most; 300 by default.")
@click.option("-o", "--output", metavar="PAGE.html", help="Write the table and a picture as a page.")
@click.option("--overwrite", is_flag=True, help="Replace that page.")
@with_reading_options
@click.option("--smooth", callback=parse_seconds, metavar="SECONDS|auto", help="As for fit.")
@click.option("--scale", metavar="auto|global|soft|zscore|none", help="As for fit.")
@click.option("--held-out", type=float, help="As for fit.")
@click.option("--steps", type=int, help="Of DCF's training at most.")
@click.option("--seed", type=int, help="Of all methods that can be seeded; 0 by default.")
@with_output_options
def compare(file: str, as_json: bool, quiet: bool, output: str | None, overwrite: bool, **options: Any) -> None:
    """Fit DCF and other methods to FILE and ask the same of each; FILE stays as it is.

    All have the same split, bins, smoothing, scale and number of latents.

    Example: nwb-dcf compare session.nwb --dim 3 --against behavior/position
    """
    # () is what click gives for an option that can be repeated and was not given
    given = {name: value for name, value in options.items() if value not in (None, ())}
    with ProgressBar(hidden=quiet, log=write_log) as bar:
        report = nwb_dcf.compare_nwb(file, output=output, overwrite=overwrite, progress=bar, **given)
    print_report(report.to_dict(), describe_comparison, as_json, quiet)


COMMANDS = (compare,)

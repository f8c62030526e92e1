"""``cohort fit | add | show | list | evaluate | compare | plot``: many sessions in one space."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from nwb_dcf import cohort as cohorts

from ..pipeline.progress_bar import ProgressBar
from .cohort_report import (
    describe_added,
    describe_cohort,
    describe_comparison,
    describe_evaluation,
    describe_page,
    describe_sessions,
)
from .exit_codes import SOME_FAILED
from .options import FILE, join_names, print_report, with_output_options
from .output import write_log


def with_sessions(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--sessions``."""
    return click.option(
        "--sessions", metavar="FOLDER", help="Where the sessions' files are, if they or COHORT.nwb were moved."
    )(command)


@click.group()
def cohort() -> None:
    """Put many sessions whose trials have the same conditions into one latent space."""


@cohort.command("fit")
@click.argument("files", type=FILE, nargs=-1, required=True, metavar="FILE...|FOLDER")
@click.option("--dim", type=int, default=3, show_default=True, help="Number of latents.")
@click.option(
    "--align-on",
    metavar="trials.COLUMN|SERIES|none",
    help="Column of trials that names the condition; or behaviour, as behavior/position, in bins; none: align by the "
    "dynamics, or refuse.",
)
@click.option("--match", metavar="COLUMNS", help="In place of that: what names a cell in every session, as roi_id.")
@click.option("--align", metavar="COLUMN|SERIES", help="Event at which trials begin; needs --window.")
@click.option("--window", type=float, nargs=2, metavar="A B", help="Around the event: seconds to its edges.")
@click.option("--source", multiple=True, callback=join_names, metavar="NAME", help="What to fit, as for fit.")
@click.option("--bin", "bin_width_s", type=float, help="Width of a bin of units, seconds; 0.05 by default.")
@click.option("--trials", multiple=True, callback=join_names, metavar="TABLE", help="Table of trials.")
@click.option("--where", metavar="EXPRESSION", help="Which trials, as \"outcome == 'hit'\".")
@click.option("--units", metavar="EXPRESSION|IDS", help="Which units, as \"location == 'M1'\".")
@click.option("--groups", metavar="CSV", help="Columns file and group, perhaps animal: two groups to compare.")
@click.option("--animal", type=click.Choice(["subject_id"]), help="Sessions of one subject are one animal.")
@click.option("--name", help="Name of the fit in each session's file; cohort_dimN by default.")
@click.option("-o", "--output", required=True, metavar="COHORT.nwb", help="The cohort's file: results only.")
@click.option("--sessions-to", metavar="FOLDER", help="Small files of results there; sessions' files stay as they are.")
@click.option("--overwrite", is_flag=True, help="Replace fits of that name and the cohort's file.")
@click.option(
    "--force",
    is_flag=True,
    help="Fit sessions whose conditions differ in no common way; marked 'unshared'.",
)
@click.option("--permutations", "n_permutations", type=int, default=199, show_default=True, help="Of the conditions.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of permutations and draws.")
@click.option("--jobs", type=int, metavar="N", help="Processes that read files; from 40 files on the number of cores.")
@with_output_options
def fit_(files: tuple[str, ...], as_json: bool, quiet: bool, **options: Any) -> int:
    """Fit FILES, or all NWB files in FOLDER; each session's latents go into its own file.

    A file that cannot be read is named and left out; the command ends with 3 then.

    Example: nwb-dcf cohort fit animals/ --align-on trials.direction --align go_cue --window -0.2 0.8 -o cohort.nwb
    """
    given = {name: value for name, value in options.items() if value is not None}
    if not {"align_on", "match"} & set(given):
        raise click.UsageError("What sessions have in common is not named: give --align-on or --match.")
    with ProgressBar(hidden=quiet, log=write_log) as bar:
        result = cohorts.fit_cohort(files, progress=bar, **given)
    print_report(result.to_dict(), describe_cohort, as_json, quiet)
    return SOME_FAILED if result.left_out else 0


@cohort.command()
@click.argument("cohort_file", type=FILE, metavar="COHORT.nwb")
@click.argument("file", type=FILE)
@click.option(
    "--source", multiple=True, callback=join_names, metavar="NAME", help="What to read, if not as the others."
)
@click.option("--units", metavar="EXPRESSION|IDS", help="Which units.")
@click.option("--name", help="Name of the fit; that of the cohort's sessions by default.")
@click.option("-o", "--output", metavar="OUT.nwb", help="Write a copy with the fit and leave FILE alone.")
@click.option("--overwrite", is_flag=True, help="Replace a fit of that name.")
@with_output_options
def add(cohort_file: str, file: str, as_json: bool, quiet: bool, **options: Any) -> None:
    """Couple the session in FILE to a cohort; its axes stay fixed.

    Example: nwb-dcf cohort add cohort.nwb new_animal.nwb
    """
    given = {name: value for name, value in options.items() if value is not None}
    print_report(cohorts.add_to_cohort(cohort_file, file, **given), describe_added, as_json, quiet)


@cohort.command()
@click.argument("cohort_file", type=FILE, metavar="COHORT.nwb")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
def show(cohort_file: str, as_json: bool) -> None:
    """Show a cohort: its sessions, conditions, axes and findings."""
    report = {"output": cohort_file, **cohorts.summarise_cohort(cohorts.read_cohort(cohort_file))}
    print_report(report, describe_cohort, as_json, quiet=False)


@cohort.command("list")
@click.argument("cohort_file", type=FILE, metavar="COHORT.nwb")
@with_sessions
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
def list_(cohort_file: str, sessions: str | None, as_json: bool) -> None:
    """List a cohort's sessions, and whether their files have changed since."""
    report = {"cohort": cohort_file, "sessions": cohorts.list_cohort(cohort_file, sessions=sessions)}
    print_report(report, describe_sessions, as_json, quiet=False)


@cohort.command()
@click.argument("cohort_file", type=FILE, metavar="COHORT.nwb")
@click.option("--against", required=True, metavar="SERIES", help="Behaviour to decode, as behavior/position.")
@with_sessions
@click.option("--seed", type=int, default=0, show_default=True, help="Of the trials held out and drawn.")
@with_output_options
def evaluate(cohort_file: str, as_json: bool, quiet: bool, **options: Any) -> None:
    """Decode behaviour across animals, and in each as if it were new; the cohort stays as it is.

    Example: nwb-dcf cohort evaluate cohort.nwb --against behavior/hand_velocity
    """
    with ProgressBar(hidden=quiet, log=write_log) as bar:
        report = cohorts.evaluate_cohort(cohort_file, progress=bar, **options)
    print_report(report.to_dict(), describe_evaluation, as_json, quiet)


def _with_comparison(command: Callable[..., Any]) -> Callable[..., Any]:
    command = click.option(
        "--compare", metavar="COLUMN", help="Column of trials with two values, as outcome: compared in each session."
    )(command)
    command = click.option(
        "--animal", type=click.Choice(["subject_id"]), help="Sessions of one subject are one animal."
    )(command)
    return click.option("--groups", metavar="CSV", help="Columns file and group, perhaps animal: two groups.")(command)


@cohort.command()
@click.argument("cohort_file", type=FILE, metavar="COHORT.nwb")
@_with_comparison
@with_sessions
@click.option("--permutations", "n_permutations", type=int, default=999, show_default=True, help="Of the trials.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the permutations.")
@with_output_options
def compare(cohort_file: str, as_json: bool, quiet: bool, **options: Any) -> None:
    """Compare groups of animals, or two kinds of trials within sessions; nothing is fitted anew.

    Example: nwb-dcf cohort compare cohort.nwb --groups animals.csv

    Example: nwb-dcf cohort compare cohort.nwb --compare outcome
    """
    print_report(cohorts.compare_cohort(cohort_file, **options).to_dict(), describe_comparison, as_json, quiet)


@cohort.command()
@click.argument("cohort_file", type=FILE, metavar="COHORT.nwb")
@click.option("-o", "--output", required=True, metavar="PAGE.html", help="One file that opens offline.")
@click.option("--against", metavar="SERIES", help="Behaviour to decode across the animals, as behavior/position.")
@_with_comparison
@with_sessions
@click.option("--seed", type=int, default=0, show_default=True, help="Of draws and permutations.")
@click.option("--overwrite", is_flag=True, help="Replace that file.")
@with_output_options
def plot(cohort_file: str, as_json: bool, quiet: bool, **options: Any) -> None:
    """Draw a cohort on one page: all sessions in one view, decoding across animals, fields of groups.

    Example: nwb-dcf cohort plot cohort.nwb -o cohort.html --against behavior/hand_velocity
    """
    with ProgressBar(hidden=quiet, log=write_log) as bar:
        report = cohorts.plot_cohort(cohort_file, progress=bar, **options)
    print_report(report, describe_page, as_json, quiet)


COMMANDS = (cohort,)

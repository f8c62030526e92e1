"""``cohort fit | add | show | list``: many sessions in one space."""

from __future__ import annotations

from typing import Any

import click

from nwb_dcf import cohort as cohorts

from ..pipeline.progress_bar import ProgressBar
from .options import join_names, print_report, with_output_options
from .text import Report, format_number, label_lines, lay_out_table

# before a sentence; what is as it should be has no mark
MARKS = {"good": "", "note": "note: ", "warning": "warning: ", "refused": "no: "}


@click.group()
def cohort() -> None:
    """Put many sessions whose trials have the same conditions into one latent space."""


@cohort.command("fit")
@click.argument("files", nargs=-1, required=True, metavar="FILE...|FOLDER")
@click.option("--dim", type=int, default=3, show_default=True, help="Number of latents.")
@click.option("--align-on", required=True, metavar="trials.COLUMN", help="Column of trials that names the condition.")
@click.option("--align", metavar="COLUMN|SERIES", help="Event at which trials begin; needs --window.")
@click.option("--window", type=float, nargs=2, metavar="A B", help="Around the event: seconds to its edges.")
@click.option("--source", multiple=True, callback=join_names, metavar="NAME", help="What to fit, as for fit.")
@click.option("--bin", "bin_width_s", type=float, default=0.05, show_default=True, help="Width of a bin, seconds.")
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
    help="Fit sessions whose conditions differ in no common way; the result is marked 'unshared'.",
)
@click.option("--permutations", "n_permutations", type=int, default=199, show_default=True, help="Of the conditions.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of permutations and draws.")
@with_output_options
def fit_(files: tuple[str, ...], as_json: bool, quiet: bool, **options: Any) -> None:
    """Fit FILES, or all NWB files in FOLDER; each session's latents go into its own file.

    Example: nwb-dcf cohort fit animals/ --align-on trials.direction --align go_cue --window -0.2 0.8 -o cohort.nwb
    """
    given = {name: value for name, value in options.items() if value is not None}
    with ProgressBar(hidden=quiet) as bar:
        result = cohorts.fit_cohort(files, progress=bar, **given)
    print_report(result.to_dict(), describe_cohort, as_json, quiet)


@cohort.command()
@click.argument("cohort_file", metavar="COHORT.nwb")
@click.argument("file")
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
@click.argument("cohort_file", metavar="COHORT.nwb")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
def show(cohort_file: str, as_json: bool) -> None:
    """Show a cohort: its sessions, conditions, axes and findings."""
    report = {"output": cohort_file, **cohorts.summarise_cohort(cohorts.read_cohort(cohort_file))}
    print_report(report, describe_cohort, as_json, quiet=False)


@cohort.command("list")
@click.argument("cohort_file", metavar="COHORT.nwb")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
def list_(cohort_file: str, as_json: bool) -> None:
    """List a cohort's sessions, and whether their files beside it have changed since."""
    report = {"cohort": cohort_file, "sessions": cohorts.list_cohort(cohort_file)}
    print_report(report, describe_sessions, as_json, quiet=False)


def describe_cohort(report: Report) -> str:
    """Return a cohort as text."""
    conditions = report["conditions"]
    listed = ", ".join(conditions[:8]) + (" ..." if len(conditions) > 8 else "")
    axes = report["statistics"]["axes"]
    lines = label_lines(
        "cohort", [f"{len(report['sessions'])} sessions in {report['dim']} latents; {report['output']}"]
    )
    lines += label_lines(
        "anchors", [f"{len(conditions)} conditions ({listed}), {report['bins']} bins of {report['bin_width_s']:g} s"]
    )
    fractions = ", ".join(format_number(value, 2) for value in axes["variance"])
    lines += label_lines("axes", [f"slowest first; fraction of the means' energy {fractions}"])
    if report["statistics"]["unshared"]:
        lines += label_lines("mark", ["unshared: fitted by force"])
    lines += label_lines("findings", [MARKS[f["severity"]] + f["sentence"] for f in report["statistics"]["findings"]])
    groups = report["statistics"].get("groups")
    # speeds of so few animals that no verdict is allowed would be read as one
    if groups and groups["verdict_allowed"]:
        speeds = zip(groups["animals"], groups["speed"], strict=True)
        lines += label_lines("speed", [", ".join(f"{name} {speed:.2f}" for name, speed in speeds)])
    written = [about["state"] for about in report.get("files", {}).values()]
    if written:
        text = f"{written.count('written')} written, {written.count('there')} there already"
        lines += label_lines("files", [text])
    lines += label_lines("left out", [f"{name}: {why}" for name, why in report.get("left_out", {}).items()])
    rows = [_shorten(row) for row in report["sessions"]]
    return "\n".join([*lines, "", *lay_out_table(rows)])


def _shorten(row: Report) -> dict[str, object]:
    """Shorten the row of a session for a table: three digits, no hashes."""
    # longer than all else in the row; --json has them
    hidden = ("sha256", "identifier", "file")
    shown = {key: value for key, value in row.items() if key not in hidden}
    for key in ("p", "own_r2", "shared_r2"):
        shown[key] = format_number(row.get(key))
    return {key.replace("_r2", " R2"): value for key, value in shown.items()}


def describe_added(report: Report) -> str:
    """Return what was coupled as text."""
    lines = label_lines("added", [f"{report['session']} to {report['cohort']['file']}; axes and field are unchanged"])
    lines += label_lines(
        "session",
        ["{units} units, {trials} trials, {conditions} of {of_conditions} conditions".format_map(report)],
    )
    lines += label_lines("written", [f"{report['fit']} in {report['file']}"])
    lines += label_lines("findings", [MARKS[f["severity"]] + f["sentence"] for f in report["findings"]])
    return "\n".join(lines)


def describe_sessions(report: Report) -> str:
    """Return the list of sessions as text."""
    return "\n".join(
        [
            f"{report['cohort']}: {len(report['sessions'])} sessions",
            "",
            *lay_out_table([_shorten(row) for row in report["sessions"]]),
        ]
    )


COMMANDS = (cohort,)

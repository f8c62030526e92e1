"""``fit`` of many files: its options, and the table that it prints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click

from ..pipeline.progress_bar import ProgressBar
from .exit_codes import SOME_FAILED
from .options import print_report
from .output import write_log
from .text_layout import Report, format_number, label_lines, lay_out_table

OF_ONE_FILE = ("output", "keep_partial")
"""Options of ``fit`` that have no meaning for many files."""
NOT_SAVED = (*OF_ONE_FILE, "resume", "checkpoint")
"""Options of one run, which the next one is not to have."""
OF_MANY_FILES = ("engine", "jobs", "engine_kwargs", "threads", "overrides", "output_folder", "report")
"""Options of ``fit`` with which one file, too, gets a row of a table."""


def _split_pairs(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> dict[str, str | int]:
    """Parse NAME=VALUE; whole numbers become int."""
    pairs: dict[str, str | int] = {}
    for text in value:
        name, mark, rest = text.partition("=")
        if not mark or not name:
            raise click.BadParameter(f"{text!r} is not NAME=VALUE.", ctx, param)
        try:
            # engines check types, and their numbers are whole: cores, minutes, tasks
            pairs[name] = int(rest)
        except ValueError:
            pairs[name] = rest
    return pairs


def with_batch_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of ``fit`` for several files."""
    options = (
        click.option("--config", metavar="TOML", help="Settings from a file; options given here come before them."),
        click.option("--save-config", metavar="TOML", help="Write the settings there, to be used again."),
        click.option("--overrides", metavar="CSV", help="Column file, and a column for each setting that differs."),
        click.option("--output-folder", metavar="FOLDER", help="Write copies with the fits there; FILEs stay."),
        click.option("--csv", "report", metavar="TABLE.csv", help="Also write the table of all files there."),
        click.option(
            "--engine",
            type=click.Choice(["loop", "joblib", "processpoolexecutor", "dask", "slurm"]),
            default="joblib",
            show_default=True,
            help="Library that runs the fits of several files.",
        ),
        click.option("--jobs", type=int, metavar="N", help="Files at a time, of joblib and processpoolexecutor."),
        click.option(
            "--engine-option",
            "engine_kwargs",
            multiple=True,
            callback=_split_pairs,
            metavar="NAME=VALUE",
            help="The engine's own.",
        ),
        click.option("--threads", type=int, default=1, show_default=True, help="Of the processor, for each of them."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def is_batch(files: Sequence[str], given: Report) -> bool:
    """Whether a table is asked for: of several files, a folder, a dandiset, or by an option that tables alone have.

    Raises
    ------
    click.UsageError
        If an option of one file is given beside.
    """
    from nwb_dcf.batch.run import stands_for_many

    many = len(files) > 1 or any(map(stands_for_many, files)) or any(name in given for name in OF_MANY_FILES)
    misplaced = [name for name in OF_ONE_FILE if given.get(name)] if many else []
    if misplaced:
        option = {"output": "-o"}.get(misplaced[0], f"--{misplaced[0].replace('_', '-')}")
        instead = "; name --output-folder" if option == "-o" else ""
        raise click.UsageError(f"{option} is for one file{instead}.")
    return many


def fit_many(
    files: Sequence[str], settings: Report, of_batch: Report, *, dry_run: bool, as_json: bool, quiet: bool
) -> int:
    """Fit each file and print the table; return the exit code."""
    from nwb_dcf import batch

    options = dict(of_batch)
    engine, kwargs = options.pop("engine", "joblib"), dict(options.pop("engine_kwargs", {}))
    jobs = options.pop("jobs", None)
    # one option for what engines call by different names
    if jobs is not None:
        kwargs[_name_jobs(engine)] = jobs
    with ProgressBar(hidden=quiet, log=write_log) as bar:
        result = batch.run(files, engine, kwargs, progress=bar, dry_run=dry_run, **options, **settings)
    print_report(result.to_dict(), describe_batch, as_json, quiet)
    # not 2: the files that could be fitted were
    return SOME_FAILED if result.failed else 0


def with_config(given: Report, config: str | None, save_config: str | None) -> dict[str, Any]:
    """Put the settings of a file below those given, and write them all to another file."""
    from nwb_dcf import batch

    settings = {**(batch.load_config(config) if config else {}), **given}
    # before the fits, so that a batch that is ended can be run again as it was
    if save_config:
        batch.save_config({key: value for key, value in settings.items() if key not in NOT_SAVED}, save_config)
    return settings


def _name_jobs(engine: str) -> str:
    """Return the name that an engine has for the number of parallel jobs."""
    names = {"joblib": "n_jobs", "processpoolexecutor": "max_workers"}
    if engine not in names:
        raise click.UsageError(f"--jobs has no meaning for {engine}.")
    return names[engine]


def describe_batch(report: Report) -> str:
    """Return the table as text."""
    counts = report["counts"]
    rows = [
        {
            **{key: row[key] for key in ("file", "state", "name", "dim")},
            "R2": format_number(row["bottleneck_r2"]) if row["bottleneck_r2"] is not None else None,
            "PCA R2": format_number(row["pca_r2"]) if row["pca_r2"] is not None else None,
            "seconds": f"{row['seconds']:.1f}",
            "message": row["message"],
        }
        for row in report["files"]
    ]
    total = label_lines("files", [", ".join(f"{n} {state}" for state, n in counts.items())])
    nothing = ["nothing was fitted or written"] if "planned" in counts else []
    return "\n".join([*lay_out_table(rows), "", *total, *nothing])

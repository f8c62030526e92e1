"""``batch``: one fit for each of many files."""

from __future__ import annotations

from typing import Any

import click

from ..pipeline.progress_bar import ProgressBar
from .fit import fit as fit_command
from .options import print_report, with_output_options
from .text import Report, format_number, label_lines, lay_out_table

SOME_FAILED = 3  # exit code
OF_ONE_FILE = ("file", "files", "output", "dry_run", "as_json", "quiet", "keep_partial", "warm_start")
"""Parameters of ``fit`` that have no meaning for many files."""


def _split_pairs(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> dict[str, str | int]:
    """Parse NAME=VALUE; whole numbers become int."""
    pairs: dict[str, str | int] = {}
    for text in value:
        name, mark, rest = text.partition("=")
        if not mark or not name:
            raise click.BadParameter(f"{text!r} is not NAME=VALUE.", ctx, param)
        try:
            pairs[name] = int(rest)
        except ValueError:
            pairs[name] = rest
    return pairs


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...|FOLDER")
@click.option(
    "--engine",
    type=click.Choice(["loop", "joblib", "processpoolexecutor", "dask", "slurm"]),
    default="joblib",
    show_default=True,
    help="Library that runs the fits.",
)
@click.option("--jobs", type=int, metavar="N", help="Files at a time, of joblib and processpoolexecutor.")
@click.option(
    "--engine-option",
    "engine_kwargs",
    multiple=True,
    callback=_split_pairs,
    metavar="NAME=VALUE",
    help="The engine's own.",
)
@click.option("--threads", type=int, default=1, show_default=True, help="Of the processor, for each file.")
@click.option("--config", metavar="TOML", help="Settings for all files; options given here come before them.")
@click.option("--save-config", metavar="TOML", help="Write the settings there, to be used again.")
@click.option("--overrides", metavar="CSV", help="Column file, and a column for each setting that differs.")
@click.option("--output-folder", metavar="FOLDER", help="Write copies with the fits there; FILEs stay as they are.")
@click.option("--report", metavar="CSV|JSON", help="Also write the table there.")
@with_output_options
@click.pass_context
def batch(
    ctx: click.Context,
    /,
    files: tuple[str, ...],
    engine: str,
    jobs: int | None,
    engine_kwargs: dict[str, str | int],
    threads: int,
    config: str | None,
    save_config: str | None,
    overrides: str | None,
    output_folder: str | None,
    report: str | None,
    as_json: bool,
    quiet: bool,
    **options: Any,
) -> int:
    """Fit each of FILES, or each NWB file in FOLDER, and print a table.

    A file with the same fit is skipped: to resume, run again. Ends with 3 where some files failed. All options of fit
    are options here too.

    Example: nwb-dcf batch sessions/ --dim 3 --trials trials --report table.csv
    """
    from nwb_dcf import batch as batches

    # options of the command line come before the file; its defaults must not
    given = {
        name: value
        for name, value in options.items()
        if value is not None and ctx.get_parameter_source(name) == click.core.ParameterSource.COMMANDLINE
    }
    settings = {**(batches.load_config(config) if config else {}), **given}
    if save_config:
        batches.save_config(settings, save_config)
    if jobs is not None:
        engine_kwargs = {**engine_kwargs, _name_jobs(engine): jobs}
    with ProgressBar(hidden=quiet) as bar:
        result = batches.run(
            files,
            engine,
            engine_kwargs,
            overrides=overrides,
            output_folder=output_folder,
            report=report,
            threads=threads,
            progress=bar,
            **settings,
        )
    print_report(result.to_dict(), describe_batch, as_json, quiet)
    return SOME_FAILED if result.failed else 0


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
    return "\n".join([*lay_out_table(rows), "", *total])


# the same objects as those of `fit`: one name and one help for one setting
_own = {param.name for param in batch.params}
batch.params += [param for param in fit_command.params if param.name not in {*_own, *OF_ONE_FILE}]

COMMANDS = (batch,)

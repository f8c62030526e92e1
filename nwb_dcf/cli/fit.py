"""``info``, ``fit`` and ``demo``: options in, one call of the public API, one report out."""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

import click

import nwb_dcf

from ..pipeline.progress_bar import ProgressBar
from .batch import OF_MANY_FILES, fit_many, is_batch, with_batch_options, with_config
from .doctor import print_versions
from .fit_report import describe_demo, describe_fit, describe_info, describe_plan, summarise_fit
from .options import FILE, parse_dim, parse_seconds, print_report, with_output_options
from .output import write_log
from .reading_options import with_reading_options


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120}, no_args_is_help=False)
@click.option(
    "--version",
    is_flag=True,
    callback=print_versions,
    expose_value=False,
    is_eager=True,
    help="Print versions and end.",
)
def cli() -> None:
    """Fit Dynamic Compression Flows to a recording in an NWB file.

    Latents, velocities and the model are written back into processing/dcf of that file.
    """


@cli.command()
@click.argument("file", type=FILE)
@click.option("--video-dir", metavar="FOLDER", help="Where its video files are, if they were moved.")
@click.option("--allow-outside", is_flag=True, help="Open videos by paths that leave the folder of FILE.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
def info(file: str, video_dir: str | None, allow_outside: bool, as_json: bool) -> None:
    """List what FILE holds that can be fitted, and what `fit` would take.

    FILE is in HDF5, a folder in Zarr, or an address: https://, s3://BUCKET/KEY, dandi://DANDISET/PATH.
    """
    from ..data.memory import find_free_memory
    from ..io.results import find_unfinished
    from ..pipeline.fit_memory import estimate_source
    from ..pipeline.fit_seconds import estimate_source_seconds

    catalog = nwb_dcf.list_sources(file, video_dir=video_dir, allow_outside=allow_outside)
    taken = next((source for source in catalog.sources if source.path == catalog.default), None)
    needs = {
        "memory_bytes": estimate_source(taken) if taken else None,
        "free_bytes": find_free_memory(),
        "seconds": estimate_source_seconds(taken) if taken else None,
    }
    print_report({**catalog.to_dict(), **needs, **find_unfinished(file)}, describe_info, as_json, quiet=False)


@cli.command()
@click.argument("files", type=FILE, nargs=-1, required=True, metavar="FILE...|FOLDER|dandi://ID")
@click.option(
    "--dim",
    callback=parse_dim,
    default="3",
    show_default=True,
    metavar="N|auto",
    help="Number of latents; auto: as many as the data support.",
)
@with_reading_options
@click.option("--transformation", metavar="auto|sqrt|none", help="Of values; auto: sqrt of counts.")
@click.option(
    "--smooth",
    callback=parse_seconds,
    metavar="SECONDS|auto",
    help="Gaussian's standard deviation; auto: chosen by how well spikes of left-out units are predicted.",
)
@click.option(
    "--scale",
    metavar="auto|global|soft|zscore|none",
    help="Of channels; global: by one number; auto: soft or zscore for spikes, chosen with the smoothing.",
)
@click.option(
    "--held-out", type=float, default=0.2, show_default=True, help="Fraction of the segments kept for scoring."
)
@click.option("--preset", metavar="default|paper|authors", help="Settings of the model and training.")
@click.option("--network", metavar="auto|mlp|unet", help="Of the flows; unet for images alone.")
@click.option("--seed", type=int, help="Seed of all randomness; 0 by default.")
@click.option("--device", metavar="auto|cpu|cuda|mps", help="Where to train; auto by default.")
@click.option("--steps", type=int, help="Optimiser steps at most.")
@click.option("--null", type=int, metavar="N", help="Fits to channels shifted apart in time, to compare with.")
@click.option("--repeats", type=int, metavar="N", help="Fits in all, to resampled segments, to compare their axes.")
@click.option(
    "--certify",
    is_flag=True,
    help="Measure every line of the certificate: 21 more fits, whose time is printed before they begin.",
)
@click.option("--warm-start", metavar="FILE#NAME", help="A fit of the same channels and dim to begin with.")
@click.option("--name", help="Name of the fit; KIND_dimN by default, as units_dim3.")
@click.option("--overwrite", is_flag=True, help="Replace a fit of that name.")
@click.option("-o", "--output", metavar="OUT.nwb", help="Write a copy with the fit and leave FILE alone.")
@click.option("--results-only", is_flag=True, help="Write the fit to OUT.nwb without the data of FILE.")
@click.option("--keep-partial", is_flag=True, help="After Ctrl-C write the fit as far as it has come.")
@click.option("--resume", is_flag=True, help="Go on from the checkpoint of the same fit, which was ended.")
@click.option("--checkpoint", metavar="DIR", help="Keep checkpoints there; beside FILE, hidden, by default.")
@click.option("--dry-run", is_flag=True, help="Show what would be fitted, and stop.")
@click.option("--verbose", is_flag=True, help="Print every line of the certificate, with its number.")
@with_batch_options
@with_output_options
@click.pass_context
def fit(
    ctx: click.Context,
    /,
    files: tuple[str, ...],
    config: str | None,
    save_config: str | None,
    dry_run: bool,
    verbose: bool,
    as_json: bool,
    quiet: bool,
    **options: Any,
) -> int:
    """Fit latents to FILE and write them into it; of several files print a table.

    FILE is in HDF5, a folder in Zarr, or an address (https://, s3://, dandi://), which needs -o. Of several files, or
    all in FOLDER, a fit that is there is skipped: to resume, run again. A file that fails stops no other; the command
    ends with 3 then.

    Example: nwb-dcf fit session.nwb --dim 3 --trials trials --where "outcome == 'hit'"
    """
    # what was not given is left to the package: its defaults depend on the data and the preset, and one request has
    # one hash
    given = {name: value for name, value in options.items() if _is_given(ctx, name)}
    many = is_batch(files, given)
    of_batch = {name: given.pop(name) for name in OF_MANY_FILES if name in given}
    settings = with_config(given, config, save_config)
    if many:
        return fit_many(files, settings, of_batch, dry_run=dry_run, as_json=as_json, quiet=quiet)
    (file,) = files
    # everything up to the training, refusals included; what may take longer than all else only where it was asked for
    if dry_run:
        from ..config.request import asks_to_choose  # pydantic

        with ProgressBar(hidden=quiet, log=write_log) as bar:
            plan = nwb_dcf.plan_fit(file, progress=bar, choose=asks_to_choose(settings), **settings)
        print_report(plan.to_dict(), describe_plan, as_json, quiet)
        return 0
    from ..pipeline.beside_imports import own_process

    n_fits = 1 + int(settings.get("null") or 0) + max(int(settings.get("repeats") or 1) - 1, 0)
    with (
        ProgressBar(hidden=quiet, n_fits=n_fits, log=write_log) as bar,
        own_process(sys.argv[1:] == ctx.find_root().obj),
    ):
        result = nwb_dcf.fit_nwb(file, progress=bar, **settings)
    describe = partial(describe_fit, verbose=verbose)
    print_report(summarise_fit(result, settings.get("output") or file), describe, as_json, quiet)
    # a partial fit was written, and the command was interrupted all the same: scripts stop
    return 130 if result.provenance.get("interrupted") else 0


def _is_given(ctx: click.Context, name: str) -> bool:
    return ctx.get_parameter_source(name) == click.core.ParameterSource.COMMANDLINE


@cli.command()
@click.argument("folder", type=FILE, default=".")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the simulated session and of the fit.")
@with_output_options
def demo(folder: str, seed: int, as_json: bool, quiet: bool) -> None:
    """Simulate a small session with known latents in FOLDER, fit it, and compare.

    The NWB file stays in FOLDER, the current one by default.
    """
    from ..pipeline.demo import run_demo

    with ProgressBar(hidden=quiet, log=write_log) as bar:
        report = run_demo(folder, seed=seed, progress=bar)
    print_report(report.to_dict(), describe_demo, as_json, quiet)

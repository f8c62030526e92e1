"""``info``, ``fit`` and ``demo``: options in, one call of the public API, one report out."""

from __future__ import annotations

from typing import Any

import click

import nwb_dcf

from ..pipeline.progress_bar import ProgressBar
from .batch import OF_MANY_FILES, fit_many, is_batch, with_batch_options, with_config
from .doctor import print_versions
from .fit_report import describe_demo, describe_fit, describe_info, describe_plan, summarise_fit
from .options import join_names, parse_dim, parse_seconds, parse_size, print_report, with_output_options


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
@click.argument("file")
@click.option("--video-dir", metavar="FOLDER", help="Where its video files are, if they were moved.")
@click.option("--allow-outside", is_flag=True, help="Open videos by paths that leave the folder of FILE.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
def info(file: str, video_dir: str | None, allow_outside: bool, as_json: bool) -> None:
    """List what FILE holds that can be fitted, and what `fit` would take.

    FILE is in HDF5, a folder in Zarr, or an address: https://, s3://BUCKET/KEY, dandi://DANDISET/PATH.
    """
    from ..io.results import find_unfinished

    report = nwb_dcf.list_sources(file, video_dir=video_dir, allow_outside=allow_outside).to_dict()
    print_report({**report, **find_unfinished(file)}, describe_info, as_json, quiet=False)


@cli.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...|FOLDER|dandi://ID")
@click.option(
    "--dim",
    callback=parse_dim,
    default="3",
    show_default=True,
    metavar="N|auto",
    help="Number of latents; auto: as many as the data support.",
)
@click.option(
    "--source",
    multiple=True,
    callback=join_names,
    metavar="NAME",
    help="What to fit: 'units', 'video', or the path or name of a series; repeat it to join several.",
)
@click.option(
    "--bin",
    "bin_width_s",
    callback=parse_seconds,
    metavar="SECONDS|auto",
    help="Width of a bin; auto: a quarter of the smoothing that the data choose, 0.01 to 0.1 s.",
)
@click.option("--resample", "resample_hz", type=float, metavar="HZ", help="Put a series on a regular clock.")
@click.option(
    "--trials",
    multiple=True,
    callback=join_names,
    metavar="auto|none|TABLE",
    help="Intervals to fit within, auto by default; repeat it to join several tables.",
)
@click.option(
    "--tags", multiple=True, callback=join_names, metavar="TAG", help="Which epochs: those tagged so; repeat it."
)
@click.option("--align", metavar="COLUMN|SERIES", help="Cut a window about these times; needs --window.")
@click.option("--window", type=float, nargs=2, metavar="A B", help="That window: seconds from the time to its edges.")
@click.option("--where", metavar="EXPRESSION", help="Which trials, as \"outcome == 'hit' and direction < 90\".")
@click.option("--overlap", metavar="refuse|first", help="Of intervals; first: leave later ones out.")
@click.option("--min-length", "min_length_s", type=float, metavar="SECONDS", help="Leave shorter segments out.")
@click.option(
    "--time-scale",
    multiple=True,
    callback=join_names,
    metavar="[NAME=]FACTOR",
    help="What times are multiplied by to be seconds, as 0.001, 1/30000 or trials=0.001; repeat it.",
)
@click.option("--gaps/--no-gaps", "cut_gaps", default=True, help="Cut, or keep, pauses where no unit was recorded.")
@click.option("--keep-invalid", is_flag=True, help="Read what the file marks as invalid too.")
@click.option(
    "--external/--no-external", "allow_external", default=True, help="Read, or refuse, values in other files."
)
@click.option("--units", metavar="EXPRESSION|IDS", help="Which units, as \"location == 'M1'\" or 3,5,9.")
@click.option("--rois", metavar="EXPRESSION|IDS|all", help="Which ROIs; by default those accepted in their table.")
@click.option("--transpose", is_flag=True, default=None, help="The data are stored as (channel, time): read them so.")
@click.option("--max-gap", "max_gap_s", type=float, metavar="SECONDS", help="Bridge NaN up to this; longer ones cut.")
@click.option("--dff", is_flag=True, help="Turn fluorescence into dF/F; F0 is a running quantile.")
@click.option("--dff-window", "dff_window_s", type=float, default=60.0, show_default=True, help="Its window, seconds.")
@click.option("--dff-quantile", type=float, default=0.1, show_default=True, help="The quantile, 0 to 1.")
@click.option(
    "--size", callback=parse_size, metavar="N|WxH", help="Of a video's frames at most, pixels; 64 by default."
)
@click.option("--crop", type=int, nargs=4, metavar="X Y W H", help="The part of them that is read, pixels.")
@click.option("--every", type=int, metavar="N", help="Read one frame of every N.")
@click.option("--mask", metavar="IMAGE", help="Hide what is black in this image, as large as the frames.")
@click.option("--video-dir", metavar="FOLDER", help="Where the video files are, if they were moved.")
@click.option("--allow-outside", is_flag=True, help="Open videos by paths that leave the folder of FILE.")
@click.option("--frame-times", metavar="auto|nwb|file", help="Whose clock, if they disagree.")
@click.option("--keep-frames", is_flag=True, default=None, help="Keep the frames as read beside the video.")
@click.option("--min-confidence", type=float, default=0.6, show_default=True, help="Of a position, to be trusted.")
@click.option("--egocentric", nargs=2, metavar="A B", help="Body part A is the origin, B lies in the direction of x.")
@click.option("--bands", metavar="LOW-HIGH,...|none", help="Of power, in Hz; none: fit the voltages themselves.")
@click.option("--power-rate", "power_rate_hz", type=float, default=20.0, show_default=True, help="Of power, in Hz.")
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
@click.option("--warm-start", metavar="FILE#NAME", help="A fit of the same channels and dim to begin with.")
@click.option("--name", help="Name of the fit; KIND_dimN by default, as units_dim3.")
@click.option("--overwrite", is_flag=True, help="Replace a fit of that name.")
@click.option("-o", "--output", metavar="OUT.nwb", help="Write a copy with the fit and leave FILE alone.")
@click.option("--results-only", is_flag=True, help="Write the fit to OUT.nwb without the data of FILE.")
@click.option("--keep-partial", is_flag=True, help="After Ctrl-C write the fit as far as it has come.")
@click.option("--resume", is_flag=True, help="Go on from the checkpoint of the same fit, which was ended.")
@click.option("--checkpoint", metavar="DIR", help="Keep checkpoints there; beside FILE, hidden, by default.")
@click.option("--dry-run", is_flag=True, help="Show what would be fitted, and stop.")
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
    many = is_batch(files, {**given, "dry_run": dry_run})
    of_batch = {name: given.pop(name) for name in OF_MANY_FILES if name in given}
    settings = with_config(given, config, save_config)
    if many:
        return fit_many(files, settings, of_batch, as_json=as_json, quiet=quiet)
    (file,) = files
    # everything up to the training, refusals included
    if dry_run:
        with ProgressBar(hidden=quiet) as bar:
            plan = nwb_dcf.plan_fit(file, progress=bar, **settings)
        print_report(plan.to_dict(), describe_plan, as_json, quiet)
        return 0
    with ProgressBar(hidden=quiet) as bar:
        result = nwb_dcf.fit_nwb(file, progress=bar, **settings)
    print_report(summarise_fit(result, settings.get("output") or file), describe_fit, as_json, quiet)
    # a partial fit was written, and the command was interrupted all the same: scripts stop
    return 130 if result.provenance.get("interrupted") else 0


def _is_given(ctx: click.Context, name: str) -> bool:
    return ctx.get_parameter_source(name) == click.core.ParameterSource.COMMANDLINE


@cli.command()
@click.argument("folder", default=".")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the simulated session and of the fit.")
@with_output_options
def demo(folder: str, seed: int, as_json: bool, quiet: bool) -> None:
    """Simulate a small session with known latents in FOLDER, fit it, and compare.

    The NWB file stays in FOLDER, the current one by default.
    """
    from ..pipeline.demo import run_demo

    with ProgressBar(hidden=quiet) as bar:
        report = run_demo(folder, seed=seed, progress=bar)
    print_report(report.to_dict(), describe_demo, as_json, quiet)

"""``transform``, ``simulate``, ``evaluate``, ``export`` and ``plot``: uses of a stored fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

import nwb_dcf
from nwb_dcf import cohort as cohorts

from .apply_report import (
    describe_decoding,
    describe_plot,
    describe_simulation,
    describe_transform,
    describe_written,
    summarise_simulation,
)
from .fit_report import summarise_fit
from .options import FILE, join_names, print_report, with_file_places, with_output_options


def _parse_starts(ctx: click.Context, param: click.Parameter, value: str) -> str | list[float]:
    if value in ("last", "first"):
        return value
    try:
        return [float(part) for part in value.split(",")]
    except ValueError:
        raise click.BadParameter(f"{value!r} is neither last, first nor times in seconds.", ctx, param) from None


if TYPE_CHECKING:
    from ..config.validation import Settings
    from ..data.result import DCFResult


@click.command()
@click.argument("file", type=FILE)
@click.option(
    "--model",
    required=True,
    metavar="FILE#NAME",
    help="The fit to apply, NAME where FILE has several; or a cohort's file, NAME the session whose units FILE has.",
)
@click.option("--source", metavar="NAME", help="What to read in FILE; what was fitted by default.")
@click.option("--trials", metavar="auto|none|TABLE", help="As for fit; the fit's, if none of the next three is given.")
@click.option("--align", metavar="COLUMN", help="As for fit.")
@click.option("--window", type=float, nargs=2, metavar="A B", help="As for fit.")
@click.option("--where", metavar="EXPRESSION", help='Which trials, as "direction == 3".')
@click.option("--time-scale", multiple=True, callback=join_names, metavar="[NAME=]FACTOR", help="As for fit.")
@click.option("--video-dir", metavar="FOLDER", help="Where its video files are, if they were moved.")
@click.option("--allow-outside", is_flag=True, default=None, help="Open videos by paths that leave the folder of FILE.")
@click.option("--mask", metavar="IMAGE", help="As for fit; no stored fit chooses it.")
@click.option(
    "--match",
    default="id",
    show_default=True,
    metavar="id|COLUMNS",
    help="What names a channel, as unit_name or x,y,z.",
)
@click.option("--impute", type=click.Choice(["mean"]), help="Set missing channels to the model's mean.")
@click.option(
    "--max-distance",
    type=float,
    default=10.0,
    show_default=True,
    help="How far frames may lie from those fitted, in their RMS distance from their mean.",
)
@click.option("--name", help="Name of the result; KIND_dimN by default.")
@click.option("--overwrite", is_flag=True, help="Replace a result of that name.")
@click.option("-o", "--output", metavar="OUT.nwb", help="Write a copy with the result and leave FILE alone.")
@click.option("--device", metavar="auto|cpu|cuda|mps", help="Where to compute; auto by default.")
@click.option("--sessions", metavar="FOLDER", help="Where a cohort's sessions are, if they were moved.")
@with_output_options
def transform(file: str, model: str, as_json: bool, quiet: bool, **options: Any) -> None:
    """Apply a stored fit to FILE, another session or other trials, and write the latents into it.

    Example: nwb-dcf transform tuesday.nwb --model monday.nwb#units_dim3

    Example: nwb-dcf transform rest.nwb --model cohort.nwb#animal1.nwb
    """
    # what is not given is left to the fit's own way of reading
    given = {name: value for name, value in options.items() if value is not None}
    result = _apply_cohort(file, model, given) if cohorts.is_cohort_model(model) else _apply_model(file, model, given)
    summary = {**summarise_fit(result, given.get("output") or file), "model": result.provenance["model"]}
    print_report(summary, describe_transform, as_json, quiet)


def _apply_model(file: str, model: str, given: Settings) -> DCFResult:
    from ..pipeline.transform import transform_nwb

    if "sessions" in given:
        raise click.UsageError("--sessions is for a cohort, and the model is none.")
    return transform_nwb(file, model, **given)


def _apply_cohort(file: str, model: str, given: Settings) -> DCFResult:
    if "device" in given:
        raise click.UsageError("--device has no meaning for a cohort: its coupling is computed on the processor.")
    return cohorts.transform_session(file, model, **given)


@click.command()
@click.argument("file", type=FILE)
@click.argument("name", required=False)
@click.option("--data", metavar="OTHER.nwb", help="Continue this recording instead; channels matched by id.")
@click.option("--frames", "n_frames", type=int, default=50, show_default=True, help="Frames to simulate.")
@click.option("--tau", type=float, default=0.0, show_default=True, help="0: latents; 1: the data themselves.")
@click.option(
    "--starts",
    callback=_parse_starts,
    default="last",
    show_default=True,
    metavar="last|first|S,S,...",
    help="Frame of each segment, or times in seconds.",
)
@click.option("--paths", "n_paths", type=int, metavar="N", help="Paths from each start, with noise; one without.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of that noise.")
@with_file_places
@click.option("-o", "--output", metavar="OUT.csv|npz|nc|parquet|mat", help="Write the paths there.")
@click.option("--overwrite", is_flag=True, help="Replace that file.")
@click.option("--device", metavar="auto|cpu|cuda|mps", help="Where to compute; auto by default.")
@with_output_options
def simulate(
    file: str, name: str | None, output: str | None, overwrite: bool, as_json: bool, quiet: bool, **options: Any
) -> None:
    """Continue the recording in FILE by the dynamics of its fit NAME.

    Example: nwb-dcf simulate session.nwb units_dim3 --frames 100 -o paths.csv
    """
    from ..io.export import check_export, export_dataset
    from ..pipeline.simulate import simulate_nwb

    if output:
        # before the model is loaded and the paths are simulated
        check_export(output, overwrite=overwrite)
    paths = simulate_nwb(file, name, **{key: value for key, value in options.items() if value is not None})
    if output:
        export_dataset(paths, output, overwrite=overwrite)
    # for the report alone, which names how far rollouts of this fit can be trusted
    stored = nwb_dcf.read_result(file, name)
    print_report(summarise_simulation(paths, stored, output), describe_simulation, as_json, quiet)


@click.command()
@click.argument("file", type=FILE)
@click.argument("name", required=False)
@click.option("--against", required=True, metavar="SERIES", help="What to decode, as behavior/position.")
@click.option("--data", metavar="DATA.nwb", help="What was fitted, with the behaviour, where it is not in FILE.")
@click.option("--time-scale", multiple=True, callback=join_names, metavar="FACTOR", help="Of SERIES, as for fit.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of folds and intervals.")
@with_file_places
@with_output_options
def evaluate(
    file: str, name: str | None, against: str, data: str | None, as_json: bool, quiet: bool, **options: Any
) -> None:
    """Decode behaviour in FILE from the latents of its fit NAME, and from PCA.

    Example: nwb-dcf evaluate session.nwb units_dim3 --against behavior/position
    """
    from ..pipeline.evaluate import evaluate_nwb

    report = evaluate_nwb(file, name, against=against, data=data, **options)
    print_report(report.to_dict(), describe_decoding, as_json, quiet)


@click.command()
@click.argument("file", type=FILE)
@click.argument("name", required=False)
@click.option(
    "-o", "--output", required=True, metavar="OUT.csv|npz|nc|parquet|mat", help="What to write; its end decides."
)
@click.option("--overwrite", is_flag=True, help="Replace that file.")
@with_output_options
def export(file: str, name: str | None, output: str, overwrite: bool, as_json: bool, quiet: bool) -> None:
    """Write the fit NAME of FILE for other programs.

    csv and parquet hold a row for each frame; npz, nc (netCDF, for xarray) and mat (MATLAB) hold
    everything but the model.
    """
    from ..io.export import check_export, export_result

    check_export(output, overwrite=overwrite)
    result = nwb_dcf.read_result(file, name)
    export_result(result, output, overwrite=overwrite)
    sizes = {str(dim): int(n) for dim, n in result.dataset.sizes.items()}
    print_report(
        {"file": file, "name": result.name, "written": output, "sizes": sizes}, describe_written, as_json, quiet
    )


@click.command()
@click.argument("file", type=FILE)
@click.argument("name", required=False)
@click.option("-o", "--output", required=True, metavar="OUT.png|html|svg|pdf", help="What to write; its end decides.")
@click.option(
    "--color",
    default="auto",
    metavar="time|trial|COLUMN",
    show_default="the conditions of the trials, or time",
    help="Of the trajectories.",
)
@click.option(
    "--figure",
    metavar="NAME",
    help="One of latents, conditions, trajectories, spectrum, curve, loadings, smoothing, examples, paths, field, "
    "clusters; by default all, clusters of images alone.",
)
@click.option("--data", metavar="DATA.nwb", help="What was fitted, where it is not in FILE or beside it.")
@with_file_places
@click.option("--clusters", "n_clusters", type=int, default=4, show_default=True, help="Groups to sort the latents in.")
@click.option("--overwrite", is_flag=True, help="Replace that file.")
@with_output_options
def plot(file: str, name: str | None, as_json: bool, quiet: bool, **options: Any) -> None:
    """Draw the fit NAME of FILE: one HTML page that holds all it needs, or a picture.

    Example: nwb-dcf plot session.nwb units_dim3 -o fit.html --color direction
    """
    from ..pipeline.plot import plot_nwb

    done = plot_nwb(file, name, **options)
    print_report({"file": file, **done}, describe_plot, as_json, quiet)


COMMANDS = (transform, simulate, evaluate, export, plot)

"""``list``, ``show``, ``remove`` and ``refit``: the fits that a file holds."""

from __future__ import annotations

from functools import partial
from typing import Any

import click

import nwb_dcf

from ..pipeline.progress_bar import ProgressBar
from .fit_report import describe_fit, summarise_fit
from .options import FILE, print_report, with_file_places, with_output_options
from .output import write_log
from .text_layout import Report, format_number, label_lines, lay_out_table

STATE = ("created", "stale", "stale_because", "altered", "unreadable")


@click.command("list")
@click.argument("file", type=FILE)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
def list_(file: str, as_json: bool) -> None:
    """List the fits in FILE; 'stale' marks one whose source has changed since, 'altered' one that has itself.

    Example: nwb-dcf list session.nwb
    """
    print_report({"file": file, "fits": nwb_dcf.list_results(file)}, describe_fits, as_json, quiet=False)


@click.command()
@click.argument("file", type=FILE)
@click.argument("name", required=False)
@click.option("--verbose", is_flag=True, help="Print every line of the certificate, with its number.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
def show(file: str, name: str | None, verbose: bool, as_json: bool) -> None:
    """Show the fit NAME in FILE: what may be believed of it, its scores, and whether its source has changed since.

    Example: nwb-dcf show session.nwb units_dim3
    """
    result = nwb_dcf.read_result(file, name)
    # the list compares the fit with its source, which reading a result does not
    listed: dict[str, object] = {**next(fit for fit in nwb_dcf.list_results(file) if fit["name"] == result.name)}
    report = {**summarise_fit(result, file), **{key: listed[key] for key in STATE}}
    report |= {"schema_version": listed["schema_version"], "config": result.config, "provenance": result.provenance}
    print_report(report, partial(describe_shown, verbose=verbose), as_json, quiet=False)


@click.command()
@click.argument("file", type=FILE)
@click.argument("name")
@with_output_options
def remove(file: str, name: str, as_json: bool, quiet: bool) -> None:
    """Remove the fit NAME from FILE; everything else stays as it is.

    HDF5 keeps the space for what is written next.

    Example: nwb-dcf remove session.nwb units_dim3
    """
    removed = nwb_dcf.remove_result(file, name)
    report = {
        "file": file,
        "removed": removed.name,
        "fits": removed.fits,
        "bytes_before": removed.bytes_before,
        "bytes_after": removed.bytes_after,
        "notes": removed.notes,
    }
    print_report(report, describe_removed, as_json, quiet)


@click.command()
@click.argument("result", type=FILE)
@click.argument("file", type=FILE)
@click.option("--name", help="Name of the fit in FILE; its own by default.")
@click.option("--overwrite", is_flag=True, help="Replace a fit of that name.")
@with_output_options
def attach(result: str, file: str, name: str | None, overwrite: bool, as_json: bool, quiet: bool) -> None:
    """Put the fit in RESULT, a file of results alone, into FILE, the session that was fitted.

    RESULT is FILE.nwb or FILE.nwb#NAME, as printed by a fit that could not be written into its own file; it is kept.

    Example: nwb-dcf attach session_units_dim3.nwb session.nwb
    """
    from ..pipeline.attach import attach_nwb

    written = attach_nwb(result, file, name=name, overwrite=overwrite)
    report = {"file": file, "name": written.name, "from": result, "notes": written.notes}
    print_report(report, describe_attached, as_json, quiet)


@click.command()
@click.argument("file", type=FILE)
@click.argument("name", required=False)
@click.option("--data", metavar="DATA.nwb", help="What was fitted, where it is not in FILE or beside it.")
@with_file_places
@with_output_options
def refit(file: str, name: str | None, as_json: bool, quiet: bool, **options: Any) -> int:
    """Repeat the fit NAME in FILE from its stored settings, and compare; nothing is written.

    Ends with 2 where the data have changed since, or the repeated fit differs.

    Example: nwb-dcf refit session.nwb units_dim3
    """
    with ProgressBar(hidden=quiet, log=write_log) as bar:
        compared = nwb_dcf.refit(file, name, progress=bar, **options)
    print_report(compared.to_dict(), describe_refit, as_json, quiet)
    # a code of its own kind is not needed: scripts ask whether it came back
    return 0 if compared.repeated else 2


def describe_fits(report: Report) -> str:
    """Return the list of fits as text."""
    if not report["fits"]:
        return f"{report['file']}: no fits in processing/dcf"
    rows = [
        {
            "name": fit["name"],
            "kind": fit["kind"],
            "dim": fit["dim"] or "",
            "axes for 95 %": fit["k_eff"] or "",
            **_describe_certificate(fit),
            "source": fit["source"],
            "created": fit["created"],
            "schema": fit["schema_version"],
            "state": _describe_state(fit),
        }
        for fit in report["fits"]
    ]
    best = [f"best by the certificate: {fit['name']}" for fit in report["fits"] if fit["best"]]
    count = f"{report['file']}: {len(rows)} fit{'' if len(rows) == 1 else 's'}"
    return "\n".join([count, "", *lay_out_table(rows), *(["", *best] if best else [])])


def _describe_certificate(fit: Report) -> dict[str, str]:
    """The verdict on each of a reader's three questions, as cells; empty for fits without a certificate."""
    from ..data.certificate import GROUPS, summarise_verdicts  # --help need not wait for it

    return {**dict.fromkeys(GROUPS, ""), **summarise_verdicts(fit["certificate"])}


def _describe_state(fit: Report) -> str:
    if fit["unreadable"]:
        return f"cannot be read: {fit['unreadable']}"
    if fit["stale"] is None:
        state = f"unknown: {fit['stale_because']}"
    else:
        state = f"stale: {fit['stale_because']}" if fit["stale"] else "current"
    # first: of a fit that was changed itself, it hardly matters whether its source was
    if fit["altered"]:
        return f"altered: {', '.join(fit['altered'])} of the fit are not what was written; {state}"
    return state


def describe_shown(fit: Report, *, verbose: bool = False) -> str:
    """Return a stored fit as text."""
    # before any verdict: that of a fit whose data have changed is of other data
    state = label_lines("state", [f"{_describe_state(fit)}; fitted {fit['created']}, schema {fit['schema_version']}"])
    return "\n".join([*state, describe_fit(fit, verbose=verbose)])


def describe_removed(report: Report) -> str:
    """Return what was removed as text."""
    left = ", ".join(report["fits"]) or "none"
    before, after = (f"{report[key] / 1e6:.2f} MB" for key in ("bytes_before", "bytes_after"))
    return "\n".join(
        [
            *label_lines("removed", [f"/processing/dcf/{report['removed']} from {report['file']}"]),
            *label_lines("left", [left]),
            *label_lines("size", [f"{before}, now {after}"]),
            *label_lines("note", report["notes"]),
        ]
    )


def describe_attached(report: Report) -> str:
    """Return where a fit was put as text."""
    place = f"/processing/dcf/{report['name']} of {report['file']}, from {report['from']}"
    return "\n".join([*label_lines("attached", [place]), *label_lines("note", report["notes"])])


def describe_refit(compared: Report) -> str:
    """Return the comparison of a repeated fit as text."""
    if compared["equal"]:
        verdict = "equal to the bit: latents, velocities, axes, curves and every weight"
    else:
        verb = "within" if compared["repeated"] else "beyond"
        verdict = (
            f"not to the bit, {verb} the tolerance: latents differ by {compared['difference']:.3g} of their standard "
            f"deviation, the tolerance is {compared['tolerance']:g}"
        )
    then, now = (format_number(value) for value in compared["bottleneck_r2"])
    lines = label_lines("refit", [f"{compared['name']} of {compared['file']}, data of {compared['data']}", verdict])
    lines += label_lines("score", [f"R2 {then} stored, {now} now"])
    if not compared["equal"]:
        same = ["nothing of versions, device and threads differs"]
        lines += label_lines("differs", compared["environment"] or same)
    return "\n".join(lines)


COMMANDS = (list_, show, remove, attach, refit)

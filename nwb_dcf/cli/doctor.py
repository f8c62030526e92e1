"""``doctor`` and ``--version``: what is installed, and whether it works."""

from __future__ import annotations

import click

from .options import print_report
from .output import write_text
from .text_layout import Report, label_lines

VERSIONS_SHOWN = ("torch", "pynwb", "hdmf", "numpy")
MARKS = {"ok": "", "missing": "missing: ", "broken": "BROKEN: "}


def print_versions(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    """Print the versions that a report of a defect needs, a line each, and end; none of the packages is imported."""
    if not value or ctx.resilient_parsing:
        return
    from ..pipeline.installation import list_versions

    for name, version in list_versions(VERSIONS_SHOWN).items():
        write_text(f"{name} {version}")
    ctx.exit()


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
def doctor(as_json: bool) -> None:
    """Check the installation: packages, extras, devices, formats, and folders that are written.

    Every package is imported, which takes some seconds. Ends with 0 whatever is found.
    """
    from ..pipeline.installation import check_installation

    print_report(check_installation().to_dict(), describe_installation, as_json, quiet=False)


def describe_installation(report: Report) -> str:
    """Return the report of `doctor` as text."""
    versions: dict[str, str] = report["versions"]
    about = f"nwb-dcf {versions['nwb-dcf']}, Python {versions['Python']}, {report['platform']}"
    checks: list[Report] = report["checks"]
    width = max(len(check["about"]) for check in checks) + 2
    lines = [about, ""]
    for check in checks:
        lines.append(f"{check['about']:<{width}}{MARKS[check['state']]}{check['text']}")
        if check["fix"]:
            lines.append(f"{'':<{width}}{check['fix']}")
    n = report["broken"]
    verdict = "everything that is installed works" if not n else f"{n} broken: see above"
    return "\n".join([*lines, "", *label_lines("verdict", [verdict])])


COMMANDS = (doctor,)

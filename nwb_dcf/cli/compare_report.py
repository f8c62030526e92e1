"""What ``compare`` reports, as text."""

from __future__ import annotations

from .text_layout import Report, format_number, label_lines, lay_out_table


def describe_comparison(report: Report) -> str:
    """Lay out the table of methods, what it amounts to first."""
    from ..compare.table import describe_certificates, describe_row, list_failures  # --help need not wait for it

    source = report["source"]
    lines = [
        *label_lines("verdict", [report["verdict"]]),
        *label_lines("source", [f"{source.get('path', '?')} of {report['file']}: {report['channels']} channels"]),
        *label_lines("split", [f"{report['split']}; {report['settings']}; {report['dim']} latents each"]),
    ]
    if report["against"]:
        lines += label_lines("behaviour", [report["against"]])
    lines += ["", *lay_out_table([describe_row(row) for row in report["rows"]]), ""]
    lines += [*lay_out_table(describe_certificates(report["rows"])), ""]
    lines += label_lines("why", list_failures(report["rows"]))
    # below the table, whose columns a long reason would push apart
    lines += label_lines("chance", [_describe_chance(key, one) for key, one in report["chance"].items()])
    failed = [f"{row['method']}: {row['failed']}" for row in report["rows"] if row.get("failed")]
    lines += label_lines("failed", failed) if failed else []
    lines += label_lines(
        "read it",
        [
            f"in brackets DCF's score less the method's, with 95 % over {report['n']} held-out {report['over']}",
            "certificate: the lines of a fit's certificate, asked of each; - was not measured: found again and not "
            "invented want --certify, and only DCF has dynamics of its own",
            "one channel: the largest fraction of a latent that one channel has; above 0.5 it is that channel's latent",
        ],
    )
    lines += label_lines("note", report["notes"]) if report["notes"] else []
    return "\n".join(lines)


def _describe_chance(question: str, chance: Report) -> str:
    """Describe what DCF's latents give of behaviour that was shifted in time."""
    p = "" if chance["p"] is None else f", p {chance['p']:.2g}"
    how = "linear" if question == "linear" else "by neighbours"
    ends = f"R2 {format_number(chance['median'])}, {format_number(chance['highest'])} at most"
    return f"{ends} of {chance['shifts']} from DCF's latents with behaviour shifted in time, {how}{p}"

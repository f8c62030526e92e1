"""Methods side by side: a score of each, with its interval, for every question."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .color import PALETTE
from .html import escape_words, lay_out_page

if TYPE_CHECKING:
    from matplotlib.figure import FigureBase

TITLES = {
    "reconstruction": "reconstruction of held-out data, R²",
    "linear": "behaviour decoded linearly, R²",
    "neighbours": "behaviour decoded by neighbours, R²",
    "left_out": "left-out channels predicted, R²",
}


def draw_comparison(figure: FigureBase, rows: Sequence[Mapping[str, Any]]) -> None:
    """Draw one panel a question: a point and its interval for each method that answers it."""
    asked = [key for key in TITLES if any(key in (row.get("scores") or {}) for row in rows)]
    panels = figure.subplots(1, len(asked), sharey=True, squeeze=False)[0]
    names = [row["method"] for row in rows]
    for panel, key in zip(panels, asked, strict=True):
        for i, row in enumerate(rows):
            score = (row.get("scores") or {}).get(key)
            if not score:
                panel.text(0.02, i, "cannot" if not row.get("failed") else "failed", color="#888888", va="center",
                           transform=panel.get_yaxis_transform())  # fmt: skip
                continue
            color = PALETTE[0] if row["method"] == "DCF" else "#555555"
            panel.plot([score["low"], score["high"]], [i, i], color=color, linewidth=2, solid_capstyle="butt")
            panel.plot(score["value"], i, "o", color=color, markersize=6)
        ours = (rows[0].get("scores") or {}).get(key)
        if ours:
            panel.axvline(ours["value"], color=PALETTE[0], linewidth=0.8, linestyle=":")
        panel.set_title(TITLES[key])
        panel.grid(axis="x", color="#eeeeee")
    panels[0].set_yticks(range(len(names)), names)
    # half a row above the first and below the last: at the edge of the frame words would be struck through
    panels[0].set_ylim(len(names) - 0.5, -0.5)


def write_comparison_page(
    report: Mapping[str, Any],
    table: Sequence[Mapping[str, str]],
    certificates: Sequence[Mapping[str, str]] = (),
    failures: Sequence[str] = (),
) -> str:
    """Make a page of a comparison, with everything in it.

    Parameters
    ----------
    report : mapping
        As `nwb_dcf.compare.compare.ComparisonReport.to_dict` gives it.
    table : sequence of mapping
        Its rows as text, one a method.
    certificates : sequence of mapping
        The verdicts of all methods, one row a line of the certificate.
    failures : sequence of str
        What follows where a line fails or is doubtful.
    """
    from matplotlib.figure import Figure

    rows = report["rows"]
    n = sum(any(key in (row.get("scores") or {}) for row in rows) for key in TITLES)
    figure = Figure(figsize=(4.2 * max(n, 1), 1.2 + 0.42 * len(rows)), layout="constrained")
    draw_comparison(figure, rows)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=130)
    picture = base64.b64encode(file.getvalue()).decode()
    failed = [f"{row['method']}: {row['failed']}" for row in rows if row.get("failed")]
    notes = "".join(f'<p class="note">{escape_words(note)}</p>' for note in [*failed, *report["notes"]])
    facts = {
        "verdict": report["verdict"],
        "source": f"{report['source'].get('path', '?')} of {report['file']}: {report['channels']} channels",
        "split": report["split"],
        "settings": f"{report['settings']}; {report['dim']} latents each",
        **({"behaviour": report["against"]} if report["against"] else {}),
        **{
            f"chance, {name}": f"R² {one['median']:.3f}, {one['highest']:.3f} at most of {one['shifts']} from DCF's "
            "latents with behaviour shifted in time"
            for name, one in report["chance"].items()
        },
    }
    caption = (
        f"Points are scores on {report['n']} held-out {report['over']}; bars are 95 % intervals over them. "
        f"Methods are best compared by the differences in the table, which are taken on the same {report['over']}. "
        "The dotted line is DCF's score."
    )
    sections = [
        # not as wide as the page: of one panel the picture would be blown up
        '<section><h2>Scores</h2><img alt="scores of each method" style="width:auto;max-width:100%" '
        f'src="data:image/png;base64,{picture}">'
        f'<p class="caption">{caption}</p></section>',
        f"<section><h2>Table</h2>{_lay_out_rows(table)}{notes}</section>",
    ]
    if certificates:
        note = (
            "The lines of a fit's certificate, asked of every method. A dash: not measured; found again and not "
            "invented want --certify, and only DCF has dynamics of its own."
        )
        follows = "".join(f"<li>{escape_words(one)}</li>" for one in failures)
        why = f'<p class="caption">What follows where a line fails or is doubtful:</p><ul>{follows}</ul>'
        sections.append(
            f'<section><h2>Certificates</h2>{_lay_out_rows(certificates)}<p class="caption">{note}</p>'
            f"{why if follows else ''}</section>"
        )
    return lay_out_page(f"{report['file']}: methods compared", facts, sections)


def _lay_out_rows(table: Sequence[Mapping[str, str]]) -> str:
    """Make a table of HTML; names come from files and from users, and are escaped."""
    columns = list(dict.fromkeys(name for row in table for name in row))
    head = "".join(f"<th>{html.escape(name)}</th>" for name in columns)
    body = "".join(
        "<tr>"
        + "".join(f'<td style="padding-right:1rem">{html.escape(row.get(name, ""))}</td>' for name in columns)
        + "</tr>"
        for row in table
    )
    return f"<table><tr>{head}</tr>{body}</table>"

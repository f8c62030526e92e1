"""The HTML page around the pictures of a fit."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

from ..data.certificate import CertificateLine, show_number, summarise_certificate
from ..data.result import DCFResult
from ..data.summary import describe_encoder
from ..errors import DOUBT, name_options


def lay_out_page(title: str, facts: Mapping[str, str], sections: Sequence[str], *, doubts: Sequence[str] = ()) -> str:
    """Return a page as HTML: title, doubts and facts, which are escaped here, and sections, which are HTML already."""
    rows = "".join(
        f"<tr><th>{html.escape(key)}</th><td>{escape_words(value)}</td></tr>" for key, value in facts.items()
    )
    warnings = "".join(f'<p class="doubt" role="alert">Doubt: {escape_words(doubt)}</p>' for doubt in doubts)
    return PAGE.format(title=html.escape(title), doubts=warnings, rows=rows, sections="\n".join(sections))


def escape_words(text: str) -> str:
    """Escape a sentence for HTML, with the options of the command line, which the rest of a page speaks.

    Examples
    --------
    >>> escape_words("p < .05: record longer, or hold more out with `held_out=`")
    'p &lt; .05: record longer, or hold more out with --held-out'
    """
    return html.escape(name_options(text))


def lay_out_certificate(lines: Sequence[CertificateLine]) -> str:
    """Return the verdicts on a fit as a section of HTML: three answers, and every line behind a click."""
    if not lines:
        return ""
    answers = "".join(
        f'<li class="{_name_class(one["verdict"])}"><b>{html.escape(one["group"])}: {html.escape(one["verdict"])}.</b> '
        f"{escape_words(one['sentence'])}</li>"
        for one in summarise_certificate(lines)
    )
    rows = "".join(
        f'<tr class="{_name_class(one["verdict"])}">'
        + "".join(f'<td class="cell">{escape_words(text)}</td>' for text in _list_cells(one))
        + "</tr>"
        for one in lines
    )
    heads = "".join(f"<th>{head}</th>" for head in ("line", "verdict", "number", "over", "what follows"))
    return (
        f'<section id="certificate"><h2>What may be believed</h2><ul class="verdicts">{answers}</ul>'
        f"<details><summary>every line</summary><table><tr>{heads}</tr>{rows}</table></details></section>"
    )


def _list_cells(one: CertificateLine) -> tuple[str, ...]:
    over = f"{one['n']} {one['over']}" if one["n"] else ""
    return one["line"], one["verdict"], show_number(one), over, one["sentence"]


def _name_class(verdict: str) -> str:
    return verdict.replace(" ", "-")


def list_doubts(result: DCFResult) -> list[str]:
    """Return what looked wrong when the data were read, and the way out; it stands above all else on the page."""
    notes = [str(note) for note in result.provenance.get("notes", ())]
    return [note.removeprefix(DOUBT) for note in notes if note.startswith(DOUBT)]


def describe_fit(result: DCFResult, file: str) -> dict[str, str]:
    """Describe in a few lines what was fitted, and how well."""
    data, provenance = result.dataset, result.provenance
    scores, source = data.attrs.get("scores", {}), provenance.get("source", {})
    dims = [str(dim) for dim in data["mean"].dims]
    channels = f"{data['mean'].size} {dims[0]}s" if len(dims) == 1 else " x ".join(map(str, data["mean"].shape))
    segments = f"{data.sizes['segment']} segment{'s' if data.sizes['segment'] > 1 else ''}"
    lines = {
        "source": f"{source.get('path', '?')} of {source.get('file', file)}: {channels}, {data.sizes['time']} frames "
        f"in {segments}",
        "made": f"{provenance.get('created', '?')} with nwb_dcf {provenance.get('versions', {}).get('nwb_dcf', '?')}, "
        f"seed {provenance.get('seed', '?')}",
    }
    if provenance.get("model"):
        model = provenance["model"]
        lines["model"] = f"{model['name']} of {model['file']}, sha256 {model['sha256'][:12]}"
    if scores.get("bottleneck_r2") is not None:
        lines["reconstruction"] = (
            f"R² {_show(scores, 'bottleneck_r2')} of {scores.get('on', 'the data')} from {result.dim} numbers a frame; "
            f"PCA {_show(scores, 'pca_r2')}, difference {_show(scores, 'difference_r2')}"
        )
    if encoder := describe_encoder(provenance):
        lines["encoder"] = encoder
    smoothing = result.smoothing_s
    if smoothing:
        lines["latencies"] = f"none can be read off: smoothed by a Gaussian of {smoothing:g} s to either side"
    return lines


def _show(scores: Mapping[str, Any], name: str) -> str:
    value, interval = scores.get(name), (scores.get("intervals") or {}).get(name)
    text = "unknown" if value is None else f"{value:.3f}"
    return f"{text} [{interval[0]:.3f}, {interval[1]:.3f}]" if interval and None not in interval else text


# No script, font or style from elsewhere: a page is read offline, and years later.
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font-family: system-ui, sans-serif; color: #222; max-width: 1160px; margin: 2rem auto; padding: 0 1rem; }}
h1 {{ font-size: 1.5rem; }} h2 {{ font-size: 1.1rem; margin: 2rem 0 .5rem; border-bottom: 1px solid #ddd; }}
table {{ border-collapse: collapse; font-size: .9rem; }}
th {{ text-align: left; vertical-align: top; padding: .2rem 1rem .2rem 0; color: #666; font-weight: 600; }}
td {{ padding: .2rem 0; }} td.cell {{ padding-right: 1rem; }}
img {{ width: 100%; height: auto; }}
.caption {{ max-width: 46rem; color: #444; font-size: .9rem; line-height: 1.45; margin: .3rem 0 0; }}
section {{ clear: both; }} section.half {{ clear: none; float: left; width: 49%; margin-right: 1%; }}
.note {{ color: #666; }}
.verdicts {{ list-style: none; padding: 0; max-width: 46rem; }}
.verdicts li {{ border-left: 4px solid #999; padding: .3rem .8rem; margin: .3rem 0; background: #f6f6f6; }}
.verdicts .pass {{ border-color: #0072b2; }} .verdicts .doubtful {{ border-color: #e69f00; }}
.verdicts .fail {{ border-color: #d55e00; background: #fdf0e8; }}
.doubt {{ max-width: 46rem; background: #fff4d6; border-left: 4px solid #b77900; padding: .5rem .8rem; }}
</style>
</head>
<body>
<h1>{title}</h1>
{doubts}
<table>{rows}</table>
{sections}
</body>
</html>
"""

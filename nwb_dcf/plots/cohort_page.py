"""The page of a cohort: its findings in words, and its pictures with what each says."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .cohort import (
    COLUMNS,
    MOST_PANELS,
    CohortPicture,
    draw_curve_of_new,
    draw_difference,
    draw_matrix,
    draw_sessions,
    draw_similarity,
    draw_space,
)
from .html import lay_out_page
from .report import DPI, STYLE

MARKS = {"good": "", "note": "", "warning": "Warning: ", "refused": "No: "}
SPACE = (
    "A thin line is the mean path of one condition in one session, a thick one what sessions have in common; the "
    "dot is where it begins. Sessions have no unit in common: that their lines lie together is what was found. Drag to "
    "turn, click in the legend to hide a condition, point at a line for its session."
)
PANELS = (
    "Mean paths of each session (colours as above) over the shared ones (grey), in the plane of the two slowest "
    "latents. A session whose colours lie in another order than the grey does not lie in the common space."
)
MATRIX = (
    "R² of {against} on trials that neither axes, couplings nor decoders saw. Rows: where the decoder was trained, "
    "columns: where it was tested; the diagonal is within a session. 'All others' is the fair row to compare with the "
    "diagonal; 'own PCA' is a decoder on as many principal components of the session alone, which use no labels."
)
CURVE = (
    "Each session taken as new: axes and decoder come from the others and stay fixed, only its coupling is fitted to "
    "so many of its trials (mean of three draws; grey: single sessions). Where the curve is flat, more trials help no "
    "more."
)
SIMILARITY = (
    "Correlation between two sessions of how their conditions differ, from products of different trials. A dark row is "
    "a session whose conditions differ in another way; the p of each session is in the table."
)
DIFFERENCE = (
    "Arrows are the fields at the anchors in the plane of the two slowest latents; all three panels have one scale, "
    "and differences are smaller than they are in truth since couplings absorb part. Right: their distance for each "
    "condition and time, empty where there are too few trials. {threshold}"
)
NO_THRESHOLD = "This design allows no verdict: the picture only describes these sessions."
THRESHOLD = (
    "Dots mark anchors beyond the family-wise threshold of {threshold:.3g} /s, which any anchor at all exceeds in 5 % "
    "of the permutations. {none}"
)


def write_cohort_page(
    picture: CohortPicture,
    title: str,
    facts: Mapping[str, str],
    findings: Sequence[Mapping[str, str]],
    table: Sequence[Mapping[str, str]],
) -> str:
    """Return the page as HTML that needs nothing from elsewhere.

    Parameters
    ----------
    picture : CohortPicture
    title : str
    facts : mapping of str to str
    findings : sequence of mapping
        ``severity`` and ``sentence``.
    table : sequence of mapping
        The rows of the sessions, as text.
    """
    items = "".join(
        f'<li class="{html.escape(one["severity"])}">{MARKS.get(one["severity"], "")}'
        f"{html.escape(one['sentence'])}</li>"
        for one in findings
    )
    sections = [f"<section><h2>Findings</h2><ul>{items}</ul></section>"]
    n = min(3, picture.anchors.shape[2])
    sections.append(_lay_out(f"Condition means of all sessions, first {n} latents", draw_space(picture), SPACE))
    shown = min(len(picture.sessions), MOST_PANELS)
    columns = min(COLUMNS, shown, 4 if shown <= 8 else COLUMNS)
    size = (13.0, 0.6 + 13.0 / columns * -(-shown // columns) * 0.85)
    more = f" The first {shown} of {len(picture.sessions)} sessions." if shown < len(picture.sessions) else ""
    sections.append(_draw("Session by session", size, lambda f: draw_sessions(f, picture), PANELS + more))
    if picture.decoding is not None:
        against = picture.decoding["against"]
        side = 2.2 + 0.45 * len(picture.decoding["sessions"])
        size = (min(13.0, 2.2 * side + 1.5), min(8.0, side + 0.6))
        sections.append(
            _draw(
                f"{against} decoded across animals",
                size,
                lambda f: draw_matrix(f, picture),
                MATRIX.format(against=against),
            )
        )
        sections.append(
            _draw("A new animal, by its coupling alone", (10.0, 3.6), lambda f: draw_curve_of_new(f, picture), CURVE)
        )
    if picture.similarity is not None:
        side = 2.4 + 0.4 * len(picture.similarity)
        sections.append(
            _draw("How alike conditions differ", (side + 1.2, side), lambda f: draw_similarity(f, picture), SIMILARITY)
        )
    for what, difference in picture.differences.items():
        beyond = bool((difference.distance > difference.threshold).any())
        finite = difference.threshold == difference.threshold
        none = "" if beyond else "No anchor lies beyond it."
        caption = DIFFERENCE.format(
            threshold=THRESHOLD.format(threshold=difference.threshold, none=none) if finite else NO_THRESHOLD
        )
        sections.append(
            _draw(
                f"Fields by {what}: {difference.names[0]} and {difference.names[1]}",
                (13.0 if n > 1 else 6.0, 3.6),
                lambda f, difference=difference: draw_difference(f, picture, difference),  # type: ignore[misc]
                caption,
            )
        )
    columns_of = list(dict.fromkeys(name for row in table for name in row))
    head = "".join(f'<th class="cell">{html.escape(name)}</th>' for name in columns_of)
    body = "".join(
        "<tr>" + "".join(f'<td class="cell">{html.escape(row.get(name, ""))}</td>' for name in columns_of) + "</tr>"
        for row in table
    )
    sections.append(f"<section><h2>Sessions</h2><table><tr>{head}</tr>{body}</table></section>")
    return lay_out_page(title, facts, sections)


def _lay_out(title: str, content: str, caption: str) -> str:
    return f'<section><h2>{html.escape(title)}</h2>{content}<p class="caption">{html.escape(caption)}</p></section>'


def _draw(title: str, size: tuple[float, float], draw: Callable[[Any], None], caption: str) -> str:
    import matplotlib
    from matplotlib.figure import Figure

    file = io.BytesIO()
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure)
        figure.savefig(file, format="png", dpi=DPI)
    picture = base64.b64encode(file.getvalue()).decode()
    width = round(size[0] * 88)  # a small matrix is not stretched over the page
    image = f'<img alt="{html.escape(title)}" style="max-width:{width}px" src="data:image/png;base64,{picture}">'
    return _lay_out(title, image, caption)

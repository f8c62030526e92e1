"""The certificate of a fit as text: three lines of verdict, and the table behind them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .text_layout import label_lines, lay_out_table

if TYPE_CHECKING:
    from ..data.certificate import CertificateLine


def describe_verdict(lines: Sequence[CertificateLine]) -> list[str]:
    """Answer a reader's three questions, a line each; nothing for fits without a certificate."""
    from ..data.certificate import summarise_certificate  # --help need not wait for it

    answers = [f"{one['group']}: {one['verdict']}. {_begin(one['sentence'])}" for one in summarise_certificate(lines)]
    return label_lines("verdict", answers)


def describe_certificate(lines: Sequence[CertificateLine]) -> list[str]:
    """Lay out every line of a certificate as a table."""
    from ..data.certificate import show_number

    rows = [
        {
            "": "",
            "line": one["line"],
            "verdict": one["verdict"],
            "number": show_number(one),
            "over": f"{one['n']} {one['over']}" if one["n"] else "",
            "what follows": one["sentence"],
        }
        for one in lines
    ]
    return ["certificate", *(f"  {row}" for row in lay_out_table(rows))] if rows else []


def _begin(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]

"""A message as one line that cannot steer a terminal: its parts joined, control characters shown, long values cut."""

from __future__ import annotations

import unicodedata

DOUBT = "doubt: "
"""How a note begins that says what may be wrong in the file; reports print such notes before all others."""


def compose_message(what: str, where: str | None, fix: str | None) -> str:
    """Join the parts of an error to its one line."""
    message = f"{where}: {what}" if where else what
    if fix:
        message = f"{message.rstrip('.')}; {fix}"
    return " ".join(message.split())


LONGEST_LINE = 4000
"""Characters of an error: names out of a file may be of any length."""


def clean_text(text: str, *, keep: str = "") -> str:
    r"""Show control characters as escapes, so that text out of a file cannot steer a terminal; one line.

    Parameters
    ----------
    text : str
    keep : str
        Control characters to leave as they are; with a newline in it the text keeps its lines.

    Examples
    --------
    >>> print(clean_text("a\x1b[31m b\n c"))
    a\x1b[31m b c
    """
    if not keep:
        text = " ".join(text.split())
        text = text if len(text) <= LONGEST_LINE else f"{text[:LONGEST_LINE]}..."
    controls = find_controls(text)
    return text.translate({ord(char): _escape(char) for char in controls if char not in keep}) if controls else text


def find_controls(text: str) -> set[str]:
    """Characters in `text` by which it could steer a terminal, or be read in another order than it has."""
    # What Python calls printable has none of them, and a report has a hundred thousand texts.
    return set() if text.isprintable() else {char for char in set(text) if _steers(char)}


def _steers(char: str) -> bool:
    if char.isascii():
        return not char.isprintable()
    # C1 controls; marks that turn the direction of text or are not seen; halves of pairs; breaks of lines
    return unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")


def _escape(char: str) -> str:
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def shorten(text: object, length: int = 80) -> str:
    """Show a value as Python writes it, cut to `length` characters."""
    shown = repr(text)
    return shown if len(shown) <= length else f"{shown[:length]}..."

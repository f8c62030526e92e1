"""Errors for people: what is wrong, where, and what to do about it, in one line."""

from __future__ import annotations

import unicodedata

DOUBT = "doubt: "
"""How a note begins that says what may be wrong in the file; reports print such notes before all others."""


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
    return text.translate({ord(char): _escape(char) for char in find_controls(text) if char not in keep})


def find_controls(text: str) -> set[str]:
    """Characters in `text` by which it could steer a terminal, or be read in another order than it has."""
    return {char for char in set(text) if _steers(char)}


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


class DCFError(Exception):
    """An error whose cause lies in the input or the request, not in this package.

    The command line prints it as one line and exits with 2.

    Parameters
    ----------
    what : str
        What is wrong, as a plain statement with the values that show it.
    where : str, optional
        The file and, inside it, the object: ``"s.nwb: /units"``.
    fix : str, optional
        What the reader can do about it, as an imperative.
    """

    def __init__(self, what: str, *, where: str | None = None, fix: str | None = None) -> None:
        self.what = what
        self.where = where
        self.fix = fix
        message = f"{where}: {what}" if where else what
        if fix:
            message = f"{message.rstrip('.')}; {fix}"
        super().__init__(clean_text(message))


class ParameterError(DCFError, ValueError):
    """A parameter has an invalid value."""


class SourceError(DCFError):
    """A file, or an object in it, cannot be read or chosen."""


class DataError(DCFError, ValueError):
    """The values themselves cannot be fitted: NaN, constant channels, too few frames."""


class TrainingError(DCFError):
    """Training cannot go on, as when a loss is no longer finite."""


class StoreError(DCFError):
    """A result cannot be written, found or read back."""


class NotFittedError(DCFError, AttributeError):
    """A fitted model was asked for something before ``fit``."""


class Terminated(SystemExit):
    """The process was asked to end, and training has left its checkpoint first; a script ends with 128 + `signal`.

    Parameters
    ----------
    signal : int
        Number of the signal; 15 is SIGTERM.
    """

    def __init__(self, signal: int = 15) -> None:
        self.signal = signal
        super().__init__(128 + signal)

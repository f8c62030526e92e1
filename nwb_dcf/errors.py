"""Errors for people: what is wrong, where, and what to do about it, in one line."""

from __future__ import annotations

DOUBT = "doubt: "
"""How a note begins that says what may be wrong in the file; reports print such notes before all others."""


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
        super().__init__(" ".join(message.split()))


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

"""Errors for people: what is wrong, where, and what to do about it, in one line that names what its reader typed.

`message` makes the line, `options` names what was typed, `installation` what to install. The command line prints the
line and exits with a code of `cli.exit_codes`.
"""

from __future__ import annotations

import re

from .installation import compose_install, name_installation
from .message import DOUBT, LONGEST_LINE, clean_text, compose_message, find_controls, shorten
from .options import ARGUMENTS, FLAGS, NEGATED, OPTIONS, SEVERAL, name_arguments, name_options

__all__ = [
    "CACHE_FIX",
    "DOUBT",
    "FLAGS",
    "LONGEST_LINE",
    "NEGATED",
    "OPTIONS",
    "PYNWB_CACHE",
    "SEVERAL",
    "DCFError",
    "DataError",
    "NotFittedError",
    "ParameterError",
    "SourceError",
    "StoreError",
    "Terminated",
    "TrainingError",
    "clean_text",
    "compose_install",
    "compose_message",
    "find_controls",
    "name_arguments",
    "name_installation",
    "name_options",
    "shorten",
]


PYNWB_CACHE = "pynwb-hdmf"
"""Name of the folder that pynwb makes as it is imported, in the user's cache."""
CACHE_FIX = "set XDG_CACHE_HOME to a folder that can be written"


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

    Attributes
    ----------
    what, where, fix : str or None
        The same, with arguments of Python in place of options.

    Examples
    --------
    >>> error = DCFError("no segment is as long as 2 bins", where="s.nwb", fix="use a narrower --bin")
    >>> str(error)
    's.nwb: no segment is as long as 2 bins; use a narrower `bin_width_s=`'
    >>> error.describe_options()["fix"]
    'use a narrower --bin'
    """

    def __init__(self, what: str, *, where: str | None = None, fix: str | None = None) -> None:
        # translated once, here: whoever raises writes options, and whoever catches in Python reads arguments
        self.what = name_installation(name_arguments(what))
        self.where = where
        self.fix = name_installation(name_arguments(fix)) if fix else fix
        super().__init__(clean_text(compose_message(self.what, self.where, self.fix)))

    def describe_options(self) -> dict[str, str | None]:
        """Return ``what``, ``where`` and ``fix`` with the options of the command line in place of arguments."""
        # a setting that is refused is named by its field: "bin_width_s is -1"
        named = re.match(r"(\w+) (?=is\b)", self.what)
        option = ARGUMENTS.get(named[1]) if named else None
        what = f"{option} {self.what[named.end() :]}" if named and option else self.what
        return {"what": name_options(what), "where": self.where, "fix": name_options(self.fix) if self.fix else None}


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

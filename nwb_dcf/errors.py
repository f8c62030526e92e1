"""Errors for people: what is wrong, where, and what to do about it, in one line that names what its reader typed.

Messages are written once, with the options of the command line: ``give a wider --bin``. Whoever calls Python reads the
argument in its place, ``bin_width_s=`` between backticks, and the command line turns that back.
"""

from __future__ import annotations

import ast
import functools
import re
import shlex
import sys
import unicodedata
from typing import Any

DOUBT = "doubt: "
"""How a note begins that says what may be wrong in the file; reports print such notes before all others."""

_SPELT_ALIKE = (
    "against", "align", "align_on", "allow_outside", "animal", "bands", "certify", "checkpoint", "color", "compare",
    "crop", "data", "device", "dff", "dff_quantile", "dim", "egocentric", "every", "figure", "force",
    "frame_times", "groups", "held_out", "impute", "keep_frames", "keep_invalid", "keep_partial", "link", "mask",
    "match", "max_distance", "min_confidence", "model", "name", "network", "null", "output_folder", "overlap",
    "overrides", "overwrite", "port", "preset", "repeats", "results_only", "resume", "rois", "save_config", "scale",
    "seed", "sessions", "sessions_to", "size", "smooth", "source", "starts", "steps", "tags", "tau", "threads",
    "time_scale", "transformation", "transpose", "trials", "units", "video_dir", "warm_start", "where", "window",
)  # fmt: skip
OPTIONS: dict[str, str] = {
    **{f"--{name.replace('_', '-')}": name for name in _SPELT_ALIKE},
    "-o": "output",
    "--bin": "bin_width_s",
    "--clusters": "n_clusters",
    "--csv": "report",
    "--dff-window": "dff_window_s",
    "--external": "allow_external",
    "--frames": "n_frames",
    "--gaps": "cut_gaps",
    "--max-gap": "max_gap_s",
    "--method": "methods",
    "--min-length": "min_length_s",
    "--paths": "n_paths",
    "--permutations": "n_permutations",
    "--power-rate": "power_rate_hz",
    "--resample": "resample_hz",
    "--rival": "rivals",
}
"""The argument of Python's functions that each option of the command line sets."""
NEGATED = {"--no-browser": "browser", "--no-external": "allow_external", "--no-gaps": "cut_gaps"}
"""Options that set their argument to False."""
FLAGS = frozenset(
    {"allow_outside", "certify", "dff", "force", "keep_frames", "keep_invalid", "keep_partial", "overwrite",
     "results_only", "resume", "transpose", "allow_external", "browser", "cut_gaps"}
)  # fmt: skip
"""Arguments that are True or False, whose options take no value."""
SEVERAL = {"crop": 4, "egocentric": 2, "window": 2}
"""Arguments whose options take more than one value."""

# an option as prose has it: not a part of a longer word, and not one that stands in backquotes or has a value by "="
_ARGUMENTS = {argument: option for option, argument in OPTIONS.items()}
_NEGATIVES = {argument: option for option, argument in NEGATED.items()}
_OPTION = re.compile(r"(?<![\w`-])(?:--[a-z][a-z-]*[a-z]|-o)(?![\w=-])")
# a backquote inside quotes is a part of the value: names out of files may hold one
_ARGUMENT = re.compile(r"`(\w+)=((?:'[^']*'|[^`'])*)`")
_INSTALL = re.compile(r"pip install '?nwb-dcf\[([\w,]+)\]'?")
_WORD = re.compile(r""" ("[^"]*"|'[^']*'|[^\s;:()`]+)""")
# words that are values of options; any other small word after an option is English
_CHOICES = frozenset({"all", "auto", "cpu", "file", "first", "global", "id", "mean", "none", "nwb", "soft", "zscore"})


def name_arguments(text: str) -> str:
    """Put the argument of Python's functions in place of each option that `text` names.

    Examples
    --------
    >>> name_arguments("use --trials none, a wider --bin or --align COLUMN --window A B")
    "use `trials='none'`, a wider `bin_width_s=` or `align=COLUMN` `window=(A, B)`"
    >>> name_arguments("--no-gaps reads them as silence")
    '`cut_gaps=False` reads them as silence'
    """
    parts, end = [], 0
    for found in _OPTION.finditer(text):
        option = found[0]
        argument = OPTIONS.get(option) or NEGATED.get(option)
        # an option inside the quoted value of another is a part of that value
        if argument is None or found.start() < end:
            continue
        values, stop = _read_values(text, found.end(), argument)
        shown = str(option not in NEGATED) if argument in FLAGS else _join_values(values)
        parts += [text[end : found.start()], f"`{argument}={shown}`"]
        end = stop
    return "".join([*parts, text[end:]])


def name_options(text: str) -> str:
    """Put the command line's option in place of each argument that `name_arguments` has named.

    Examples
    --------
    >>> name_options("use `trials='none'`, a wider `bin_width_s=` or `align=COLUMN` `window=(A, B)`")
    'use --trials none, a wider --bin or --align COLUMN --window A B'
    """

    def replace(found: re.Match[str]) -> str:
        argument, value = found[1], found[2]
        if value == "False" and argument in _NEGATIVES:
            return _NEGATIVES[argument]
        if argument not in _ARGUMENTS:
            return found[0]
        option = _ARGUMENTS[argument]
        if not value or argument in FLAGS:
            return option
        if value.startswith("'"):
            return f"{option} {shlex.quote(_read_text(value))}"
        return f"{option} {value.strip('()').replace(', ', ' ')}"

    return _ARGUMENT.sub(replace, text)


def name_installation(text: str) -> str:
    """Put the command that installs an extra in the way this package was installed in place of pip's own.

    Examples
    --------
    >>> name_installation("plots need matplotlib")
    'plots need matplotlib'
    """
    return _INSTALL.sub(lambda found: compose_install(found[1]), text)


@functools.cache
def compose_install(extra: str) -> str:
    """Return the command that installs an extra as this package was installed: by pip, uv, pipx or conda."""
    # here: an error in a hundred needs them, and every start would pay
    import importlib.metadata
    import json
    from pathlib import PurePath

    try:
        own = importlib.metadata.distribution("nwb-dcf")
    except importlib.metadata.PackageNotFoundError:  # a checkout on the path
        return f"pip install 'nwb-dcf[{extra}]'"
    installer = (own.read_text("INSTALLER") or "pip").strip()
    direct = json.loads(own.read_text("direct_url.json") or "{}")
    wanted = rf"extra == ['\"]({extra.replace(',', '|')})['\"]"
    packages = [line.partition(";")[0].strip() for line in own.requires or () if re.search(wanted, line)]
    place = PurePath(sys.prefix).parts
    if installer == "conda":  # which has no extras
        return shlex.join(["conda", "install", "-c", "conda-forge", *packages])
    if "pipx" in place:
        return shlex.join(["pipx", "inject", "nwb-dcf", *packages])
    if place[-3:-1] == ("uv", "tools"):
        return shlex.join(["uv", "tool", "install", "--force", _name_origin(direct, extra)])
    tool = "uv pip install" if installer == "uv" else "pip install"
    editable = " -e" if direct.get("dir_info", {}).get("editable") else ""
    return f"{tool}{editable} '{_name_origin(direct, extra)}'"


def _name_origin(direct: dict[str, Any], extra: str) -> str:
    """What is to be installed: the folder, archive or repository that PEP 610 has kept, else the name."""
    from urllib.parse import unquote, urlsplit

    url = direct.get("url", "")
    if "dir_info" in direct:
        return f"{unquote(urlsplit(url).path)}[{extra}]"
    if "vcs_info" in direct:
        kept = direct["vcs_info"]
        return f"nwb-dcf[{extra}] @ {kept['vcs']}+{url}@{kept['commit_id']}"
    return f"nwb-dcf[{extra}] @ {url}" if url else f"nwb-dcf[{extra}]"


def _read_text(value: str) -> str:
    try:
        return str(ast.literal_eval(value))
    except (SyntaxError, ValueError):  # it was cut out of a name that holds quotes or backslashes
        return value.strip("'")


def _read_values(text: str, start: int, argument: str) -> tuple[list[str], int]:
    """The values that follow an option in prose, and where they end: words that are no English."""
    if argument in FLAGS:
        return [], start
    values, end = [], start
    for _ in range(SEVERAL.get(argument, 1)):
        found = _WORD.match(text, end)
        # the point that ends a sentence is not a part of the value; that of "..." is
        word = re.sub(r"(?<![.=])[.,]$", "", found[1]) if found else ""
        if not word or not found or not _is_value(word, text[found.start(1) + len(word) :]):
            # all values or none: half of a window would be read as a number of its own
            return [], start
        values.append(word)
        end = found.start(1) + len(word)
    return values, end


def _is_value(word: str, rest: str) -> bool:
    if word[0] in "'\"" or re.fullmatch(r"[A-Z]+(\.[a-z]+)?|-?\d[\w./-]*", word) or word in _CHOICES:
        return True
    # no English word has these signs, or stands between two options without "and"
    return bool(re.search(r"[_=,/]", word) or (rest.startswith(" --") and word not in ("and", "or")))


def _join_values(values: list[str]) -> str:
    shown = [word if re.fullmatch(r"[A-Z]+|-?\d[\d.]*(e-?\d+)?", word) else repr(word.strip("'\"")) for word in values]
    return f"({', '.join(shown)})" if len(shown) > 1 else "".join(shown)


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
        option = _ARGUMENTS.get(named[1]) if named else None
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

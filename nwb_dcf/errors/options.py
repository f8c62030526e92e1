"""Options of the command line and arguments of Python: a message names what its reader types.

Messages are written once, with the options of the command line: ``give a wider --bin``. Whoever calls Python reads the
argument in its place, ``bin_width_s=`` between backticks, and the command line turns that back.
"""

from __future__ import annotations

import ast
import re
import shlex

_SPELT_ALIKE = (
    "against", "align", "align_on", "allow_outside", "animal", "bands", "certify", "checkpoint", "color", "compare",
    "crop", "data", "device", "dff", "dff_quantile", "dim", "egocentric", "every", "figure", "force",
    "frame_times", "groups", "held_out", "impute", "jobs", "keep_frames", "keep_invalid", "keep_partial", "link",
    "longest", "mask", "match", "max_distance", "min_confidence", "model", "name", "network", "null", "output_folder",
    "overlap", "overrides", "overwrite", "port", "preset", "repeats", "results_only", "resume", "rois", "save_config",
    "scale", "seed", "sessions", "sessions_to", "size", "smooth", "source", "starts", "steps", "tags", "tau", "threads",
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
ARGUMENTS = {argument: option for option, argument in OPTIONS.items()}
_NEGATIVES = {argument: option for option, argument in NEGATED.items()}
_OPTION = re.compile(r"(?<![\w`-])(?:--[a-z][a-z-]*[a-z]|-o)(?![\w=-])")
# a backquote inside quotes is a part of the value: names out of files may hold one
_ARGUMENT = re.compile(r"`(\w+)=((?:'[^']*'|[^`'])*)`")
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
        if argument not in ARGUMENTS:
            return found[0]
        option = ARGUMENTS[argument]
        if not value or argument in FLAGS:
            return option
        if value.startswith("'"):
            return f"{option} {shlex.quote(_read_text(value))}"
        return f"{option} {value.strip('()').replace(', ', ' ')}"

    return _ARGUMENT.sub(replace, text)


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

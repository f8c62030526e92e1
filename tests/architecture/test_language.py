"""The words of the field: file names, names, docstrings, comments and messages use none that a stranger must guess.

Sources are read by `tokenize` and `ast`: what stands in the braces of an f-string counts as names, and the rest of it
as text.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "nwb_dcf"

WORDS = {
    r"shares?": "fraction",
    r"spreads?": "standard deviation",
    r"foretell(?:s|ing)?|foretold": "predict",
    r"cannot be meant": "is invalid",
    r"said|told|is to say": "reported, logged, that is",
    r"rooms?|houses?": "package",
    r"rebuild(?:s|ing)?|rebuilt": "reconstruct, reconstruction",
    r"stretch(?:es)?": "interval, epoch",
    r"films?": "video",
    r"at step 0": "the initial model",
    r"stays? PCA's": "equals PCA",
    r"effective dimensions?": "axes for 95 % of the variance, noise included",
    r"horizon 0": "does not beat persistence",
}
"""Words that are not used, as patterns of whole words, and what to write instead."""

CODE = re.compile(r"\bcodes?\b", re.IGNORECASE)
NUMBERS_OF_A_FRAME = ("model", "estimator", "metrics", "data", "evaluation")
"""Packages in which `code` would be the latents of a frame; elsewhere it is an exit code, or Python."""

PREFIXES = re.compile(r"_?(say|doubt)_")
"""How no function begins: `note_` and `warn_` are the words of the field."""

CLEAN = {
    "__init__.py": True,
    #
    "__main__.py": True,
    #
    "batch": True,
    #
    "cli": True,
    #
    "cohort": True,
    #
    "compare": True,
    #
    "config": True,
    #
    "data": True,
    #
    "errors": True,
    #
    "estimator": True,
    #
    "evaluation": True,
    #
    "io/backends": True,
    #
    "io/recordings": True,
    #
    "io/results": True,
    #
    "io": True,
    #
    "metrics": True,
    #
    "model": True,
    #
    "pipeline": True,
    #
    "plots": True,
    #
    "spikeinterface": True,
    #
    "view": True,
}
"""Which packages and files of `nwb_dcf` are held to it; empty comments keep changes of two lines apart for git."""

STORED: dict[str, set[str]] = {
    "cli/channel_report.py": {"loading_share", "decoder_share"},
    "cli/fit_report.py": {"source_share"},
    "compare/certificate.py": {"loading_share", "decoder_share"},
    "evaluation/channel_table.py": {"loading_share", "decoder_share"},
    "evaluation/result.py": {"decoder_share", "source_share", "share"},
    "model/unet.py": {"film"},  # tensors of stored models are called by it
    #
    "data/fit_schema.py": {"decoder_share", "loading_share", "share"},
    #
    "data/single_channels.py": {"decoder_share", "loading_share"},
    #
    "data/records.py": {"decoder_share", "loading_share", "share"},
    #
    "pipeline/refit.py": {"share"},
    #
    "pipeline/transform.py": {"share"},
    #
    "io/results/derived_tables.py": {"loading_share"},
    "io/results/payload.py": {"source_share", "decoder_share"},
}
"""By file, whole strings that earlier versions wrote into files or that are public options: they must be read."""

STORED_NAMES = ("source_share",)
"""Variables of results that files have, as docstrings name them: in double backquotes."""

LEFT = re.compile(r"\b(?:" + "|".join(WORDS) + r")\b", re.IGNORECASE)


def split_name(name: str) -> str:
    """Return the words of an identifier: `spreadOf_share` as "spread Of share"."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name.replace("_", " "))


def read_texts(source: str) -> Iterator[tuple[int, str, bool]]:
    """Yield line, text and whether it is a whole string or name, for each name, comment and piece of a string."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.NAME:
            yield token.start[0], token.string, True
        elif token.type == tokenize.COMMENT:
            yield token.start[0], token.string, False
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value, True
        # before Python 3.12 an f-string is one token, and its names are seen here alone
        elif isinstance(name := next((getattr(node, f) for f in ("id", "attr", "arg") if hasattr(node, f)), None), str):
            yield getattr(node, "lineno", 0), name, True


def find_left_words(source: str, stored: Collection[str] = (), words: re.Pattern[str] = LEFT) -> list[tuple[int, str]]:
    """Return line and word of everything in `source` that is not used, `stored` whole strings excepted."""
    found = set()
    for line, text, whole in read_texts(source):
        if whole and text in stored:
            continue
        for name in (*stored, *STORED_NAMES):  # where a docstring says what files hold
            text = text.replace(f"``{name}``", "")
        # sentences are broken over lines, and names in them are joined by underscores
        plain = " ".join(split_name(word.replace("FiLM", "")) for word in text.split())  # the network layer
        found |= {(line, match.group()) for match in words.finditer(plain)}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and PREFIXES.match(node.name):
            found.add((node.lineno, node.name))
    return sorted(found)


def check_file(path: Path) -> list[str]:
    """Return what a file of the package has of such words, with its lines."""
    place = path.relative_to(PACKAGE).as_posix()
    source, stored = path.read_text(), STORED.get(place, set())
    found = find_left_words(source, stored)
    if place.startswith(NUMBERS_OF_A_FRAME):
        found += find_left_words(source, stored, CODE)
    names = [f"{place}: the file's name" for _ in LEFT.finditer(split_name(path.stem))]
    return names + [f"{place}:{line}: {word!r}" for line, word in found]


def list_files(place: str) -> list[Path]:
    """Return the Python files of a package, or the file."""
    path = PACKAGE / place
    return sorted(path.rglob("*.py")) if path.is_dir() else [path]


@pytest.mark.parametrize("place", [place for place, clean in CLEAN.items() if clean])
def test_a_clean_package_stays_clean(place: str) -> None:
    files = list_files(place)
    assert files
    found = [line for path in files for line in check_file(path)]
    assert not found, f"words to replace, see WORDS in {Path(__file__).name}:\n" + "\n".join(found)


def test_every_package_is_in_the_list() -> None:
    entries = {path.name for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert {place.partition("/")[0] for place in CLEAN} == entries


def test_what_is_excepted_is_there() -> None:
    for place, strings in STORED.items():
        constants = {text for _, text, whole in read_texts((PACKAGE / place).read_text()) if whole}
        assert strings <= constants, f"{place} has no longer {strings - constants}"


def test_words_are_found_wherever_they_stand() -> None:
    cases = {
        "share = 1": ["share"],
        "def f(): return Spread": ["Spread"],
        "held_out_share": ["share"],
        "heldOutShare": ["Share"],
        "x = 1  # the share of it": ["share"],
        '"""Say what is\n\nsaid."""': ["said"],
        'f"{spread:.2f} of it"': ["spread"],
        'f"{x.share} is told"': ["share", "told"],
        'f"{f(spread=1)}"': ["spread"],
        "def f(share): pass": ["share"],
        '"the horizon\\n    0 holds"': ["horizon 0"],
        "def say_so(): pass": ["say_so"],
        "class FilmFile: pass": ["Film"],
    }
    for source, words in cases.items():
        assert [word for _, word in find_left_words(source)] == words, source


def test_words_of_the_field_are_left_alone() -> None:
    for source in (
        "shared = 1",
        "x = f'{shared} of {widespread:.0%}'",
        "class FiLM: pass",
        "x = 'shared variance'",
        "exit_code = 1",
        "def essay_of(): pass",
        "x = 'widespread'",
    ):
        assert find_left_words(source) == [], source
    assert find_left_words("x = 'share'", {"share"}) == []
    assert find_left_words("x = 'share of'", {"share"}) == [(1, "share")]
    assert find_left_words("x = 'the key ``share``'", {"share"}) == []
    assert find_left_words("x = 'the share'", {"share"}) == [(1, "share")]

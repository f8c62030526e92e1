"""The test option ``--shapes`` finds arrays that are not what their annotations say, and changes nothing else."""

from __future__ import annotations

import importlib
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from tests.shapes import ShapeError, install

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "shaped_for_tests"

BASE = """
from __future__ import annotations
from dataclasses import dataclass
from typing import TYPE_CHECKING
import numpy as np
if TYPE_CHECKING:
    from jaxtyping import Int
    Labels = Int[np.ndarray, " time"]

@dataclass(frozen=True)
class Labelled:
    label: Labels
"""

MODULE = """
from __future__ import annotations
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING
import numpy as np
from .base import Labelled
if TYPE_CHECKING:
    from a_package_that_nobody_has import Nothing
    from jaxtyping import Float
    from .base import Labels

def project(x: Float[np.ndarray, "time channel"], axes: Float[np.ndarray, "channel latent"],
            wrong: Nothing | None = None) -> Float[np.ndarray, "time latent"]:
    if len(axes) != x.shape[1]:
        raise ValueError("axes")
    return x @ axes if wrong is None else wrong

def join(*parts: Float[np.ndarray, "_time channel"]) -> Float[np.ndarray, "time channel"]:
    return np.concatenate(parts)

def pick(parts: Mapping[str, Sequence[Float[np.ndarray, "_time channel"]] | None]) -> tuple[Float[np.ndarray, ""], int]:
    return np.asarray(0.0), 1

@dataclass(frozen=True)
class Frames(Labelled):
    values: Float[np.ndarray, "time channel"]

    @property
    def mean(self) -> Float[np.ndarray, " channel"]:
        return self.values.mean(axis=0) if len(self.label) > 1 else self.values

    @cached_property
    def total(self) -> Float[np.ndarray, " channel"]:
        return self.values.sum(axis=0)

    @classmethod
    def load(cls, values: Float[np.ndarray, "time channel"], label: Labels) -> Frames:
        return cls(label, values)
"""


@pytest.fixture(scope="module")
def shaped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    folder = tmp_path_factory.mktemp("shapes")
    (folder / PACKAGE).mkdir()
    for name, text in (("__init__", ""), ("base", BASE), ("module", MODULE)):
        (folder / PACKAGE / f"{name}.py").write_text(text)
    sys.path.insert(0, str(folder))
    finder = install(PACKAGE)
    try:
        yield importlib.import_module(f"{PACKAGE}.module")
    finally:
        sys.meta_path.remove(finder)
        sys.path.remove(str(folder))
        for name in [name for name in sys.modules if name.startswith(PACKAGE)]:
            del sys.modules[name]


def test_right_calls_pass(shaped: ModuleType) -> None:
    x, label = np.ones((4, 3)), np.zeros(4, int)
    assert shaped.project(x, np.ones((3, 2))).shape == (4, 2)
    assert shaped.join(x, x[:2]).shape == (6, 3)
    assert shaped.pick({"a": [x, x[:2]], "b": None})[1] == 1
    frames = shaped.Frames.load(x, label)
    assert frames.total.tolist() == [4, 4, 4]
    assert frames.mean.shape == (3,)


@pytest.mark.parametrize(
    "call",
    [
        lambda m, x, label: m.project(x.astype(int), np.ones((3, 2))),  # kind of numbers
        lambda m, x, label: m.project(x, np.ones((3, 2)).tolist()),  # no array
        lambda m, x, label: m.project(x, np.ones((3, 2)), wrong=np.ones((4, 3))),  # the return, by its letters
        lambda m, x, label: m.pick({"a": [x, x[:, :2]]}),  # inside containers
        lambda m, x, label: m.Frames(label[:3], x),  # fields of a dataclass, one of them its base's
        lambda m, x, label: m.Frames.load(x, label.astype(float)),  # an alias of another module
        lambda m, x, label: m.Frames(label[:1], x[:1]).mean,  # a property
    ],
)
def test_wrong_shapes_are_found(shaped: ModuleType, call: object) -> None:
    with pytest.raises(ShapeError):
        call(shaped, np.ones((4, 3)), np.zeros(4, int))


def test_what_is_wrong_is_named(shaped: ModuleType) -> None:
    with pytest.raises(ShapeError, match=r"module.project: return is ndarray of float64\[4, 3\], not .*'time latent'"):
        shaped.project(np.ones((4, 3)), np.ones((3, 2)), wrong=np.ones((4, 3)))


def test_a_call_that_raises_is_left_alone(shaped: ModuleType) -> None:
    with pytest.raises(ValueError, match="axes"):
        shaped.project(np.ones((4, 3)), np.ones((2, 2)))


def test_functions_keep_their_names_and_can_be_pickled(shaped: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    assert pickle.loads(pickle.dumps(shaped.project)) is shaped.project
    frames = pickle.loads(pickle.dumps(shaped.Frames(np.zeros(4, int), np.ones((4, 3)))))
    assert frames.values.shape == (4, 3)
    calls: list[tuple[int, ...]] = []
    original = shaped.project
    monkeypatch.setattr(shaped, "project", lambda x, axes: calls.append(x.shape) or original(x, axes))
    shaped.project(np.ones((4, 3)), np.ones((3, 2)))
    assert calls == [(4, 3)]


def test_the_option_turns_it_on(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import sys\n"
        "def test_on():\n    assert sum(type(one).__name__ == 'ShapeFinder' for one in sys.meta_path) == 1\n"
        "    import nwb_dcf.metrics\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "conftest", "-p", "no:cacheprovider", "-c", "/dev/null"]
    plain = {name: value for name, value in os.environ.items() if name != "NWB_DCF_SHAPES"}
    for option, code in ((["--shapes"], 0), ([], 1)):
        done = subprocess.run([*command, *option, str(tmp_path)], cwd=ROOT, env=plain, capture_output=True, text=True)
        assert done.returncode == code, done.stdout + done.stderr

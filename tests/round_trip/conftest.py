"""Real sessions with a fit, written once for all tests of this folder, which only read them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from nwb_dcf.data.result import DCFResult
from nwb_dcf.io.results import write_result

from ..io.results.synthetic import result_for

SESSIONS = ["reach_chewie.nwb", "human_mtl_000207.nwb", "three_units.nwb", "mouse_alm_000009.nwb"]


@dataclass
class FittedSession:
    """A recording before and after its fits, and the fits."""

    original: Path
    path: Path
    results: dict[str, DCFResult] = field(default_factory=dict)


@pytest.fixture(scope="session")
def fit_session(
    real_data: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], FittedSession]:
    """Return a function from the name of a real recording to a fitted copy of it."""
    made: dict[str, FittedSession] = {}

    def fit(name: str) -> FittedSession:
        if name not in made:
            original = real_data(name)
            path = Path(shutil.copyfile(original, tmp_path_factory.mktemp("fitted") / name))
            path.chmod(0o644)
            session = FittedSession(original, path)
            # Trials with gaps in one fit, one regular segment in the other: two fits only where they cost little.
            for regular in (False, True) if name == "three_units.nwb" else (name == "mouse_alm_000009.nwb",):
                result = result_for(path, regular=regular, dim=2 if regular else 3)
                session.results[write_result(result, path).name] = result
            made[name] = session
        return made[name]

    return fit

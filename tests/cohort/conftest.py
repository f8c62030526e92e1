"""One cohort of three simulated animals, and a fourth beside it, serves all tests that only look at files."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nwb_dcf import cohort
from nwb_dcf.cohort.files import CohortResult
from nwb_dcf.io.results import write_session

from .simulated import draw

READING = {"align_on": "trials.condition", "bin_width_s": 0.06, "n_permutations": 19}


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("cohort")
    rng = np.random.default_rng(0)
    for i, animal in enumerate(draw(4, seed=6)):
        place = made / ("new" if i == 3 else "sessions")
        place.mkdir(exist_ok=True)
        outcome = rng.choice(["hit", "miss"], animal.recording.sizes["segment"])
        recording = animal.recording.assign(trial_outcome=("segment", outcome))
        write_session(recording, place / f"animal{i}.nwb", truth=animal.truth, seed=i)
        # as they were before any fit
        (made / "raw").mkdir(exist_ok=True)
        shutil.copy(place / f"animal{i}.nwb", made / "raw")
    (made / "sessions" / "broken.nwb").write_bytes(b"no file of HDF5")
    return made


@pytest.fixture(scope="session")
def fitted(folder: Path) -> CohortResult:
    return cohort.fit_cohort(folder / "sessions", 2, output=folder / "cohort.nwb", **READING)


@pytest.fixture
def look_at() -> Callable[[Path], dict[str, bytes]]:
    """Return a function that gives every file of a folder with its bytes."""
    return lambda folder: {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}

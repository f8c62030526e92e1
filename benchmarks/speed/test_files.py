"""Reading and writing beside the least that either has to do with the same bytes."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from figures import DEVICE, note
from turns import time_by_turns
from writing import copy_and_sync, make_large_session

from nwb_dcf import read_recording, write_result
from nwb_dcf.data.synthetic import simulate_reach
from nwb_dcf.io.results import write_session

pytestmark = pytest.mark.skipif(DEVICE.type != "cpu", reason="files are a matter of the CPU")
MEGABYTES = 256


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """600 trials x 100 bins x 137 units as spike times."""
    path = tmp_path_factory.mktemp("reading") / "session.nwb"
    simulation = simulate_reach(n_trials=600)
    write_session(simulation.recording, path, truth=simulation.truth)
    return path


def test_reading_spikes(compare: Callable[..., float], session: Path) -> None:
    def read_columns() -> None:
        with h5py.File(session) as file:
            units = file["units"]
            times, ends = units["spike_times"][:], units["spike_times_index"][:]
        np.split(times, ends[:-1])

    compare(
        "reading spikes, 60,000 bins x 137 units",
        "h5py reading both columns",
        lambda: read_recording(session),
        read_columns,
        rounds=3,
    )


def test_writing_a_fit(benchmark: Any, tmp_path: Path) -> None:
    """On the clock, since most of a write is done by other processes and the disk."""
    from tests.io.results.synthetic import result_for

    session, target = tmp_path / "large.nwb", tmp_path / "target.nwb"
    make_large_session(session, MEGABYTES)
    result = result_for(session)
    shutil.copyfile(session, target)

    def write() -> None:
        write_result(result, target, overwrite=True)

    (ours, _), (copy, _) = time_by_turns(write, lambda: copy_and_sync(session, tmp_path / "copy.nwb"), rounds=3)
    allowed = 1.5 * copy + 5
    note(
        f"writing a fit into a file of {MEGABYTES} MiB, clock",
        "1.5 times its copy, synced, and 5 s",
        ours / allowed,
        "at most 1",
        seconds=ours,
        **{"seconds of the copy": copy},
    )
    benchmark.pedantic(lambda: None, rounds=1)

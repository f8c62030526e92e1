"""A real recording that the measures are tried on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from nwb_dcf.config import PrepareConfig
from nwb_dcf.data.preprocessing import fit_preprocessor
from nwb_dcf.io.recordings import read_recording


@dataclass(frozen=True)
class Reach:
    """Reaches of a monkey: raw counts, prepared values, hand velocity, segment of each 100 ms bin."""

    counts: np.ndarray
    x: np.ndarray
    velocity: np.ndarray
    segment: np.ndarray


@pytest.fixture(scope="session")
def reach(real_data: Callable[[str], Path]) -> Reach:
    path = real_data("reach_chewie.nwb")
    recording = read_recording(path, bin_width_s=0.1)
    velocity = read_recording(path, "hand_velocity")
    np.testing.assert_allclose(recording["time"], velocity["time"])
    x = fit_preprocessor(recording, PrepareConfig(smooth=0.1)).apply(recording)["data"].values
    return Reach(recording["data"].values, x, velocity["data"].values, recording["segment_index"].values)

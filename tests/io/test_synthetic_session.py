from pathlib import Path

import numpy as np
import pytest
from pynwb import NWBHDF5IO

from nwb_dcf.data.synthetic import simulate_ball, simulate_reach
from nwb_dcf.errors import DataError, StoreError
from nwb_dcf.io.results import write_session

from .results.synthetic import digest


def test_a_simulated_session_holds_its_counts_trials_and_truth(tmp_path: Path) -> None:
    simulation = simulate_reach(n_trials=6, n_bins=20, n_units=7, seed=3)
    recording = simulation.recording
    path = write_session(recording, tmp_path / "demo.nwb", truth=simulation.truth, seed=1)
    assert [p.name for p in tmp_path.iterdir()] == ["demo.nwb"]
    width = recording.attrs["bin_width_s"]
    with NWBHDF5IO(path, "r") as io:
        nwbfile = io.read()
        trials = nwbfile.trials.to_dataframe()
        assert trials["start_time"].tolist() == recording["segment_start"].values.tolist()
        assert trials["direction"].tolist() == recording["trial_direction"].values.tolist()
        for number in range(7):
            spikes = nwbfile.units["spike_times"][number]
            assert (np.diff(spikes) >= 0).all()
            counts = []
            for start in trials["start_time"]:
                edges = start + width * np.arange(21)
                counts.append(np.histogram(spikes, edges)[0])
            assert np.concatenate(counts).tolist() == recording["data"].values[:, number].tolist()
        truth = nwbfile.processing["simulation"]["latents"]
        np.testing.assert_array_equal(truth.data[:], simulation.truth["latents"])
        np.testing.assert_array_equal(truth.timestamps[:], recording["time"])


def test_an_existing_file_is_never_replaced_unasked(tmp_path: Path) -> None:
    path = tmp_path / "mine.nwb"
    path.write_text("mine")
    before = digest(path)
    recording = simulate_reach(n_trials=2, n_bins=5, n_units=3).recording
    with pytest.raises(StoreError, match=r"mine\.nwb: the file exists"):
        write_session(recording, path)
    assert digest(path) == before
    with pytest.raises(StoreError, match="is no simulated session"):
        write_session(recording, path, overwrite=True)
    assert digest(path) == before
    path.unlink()
    write_session(recording, path)
    before = digest(path)
    write_session(recording, path, overwrite=True)
    assert digest(path) != before
    with pytest.raises(StoreError, match="no such folder"):
        write_session(recording, tmp_path / "nowhere" / "demo.nwb")
    with pytest.raises(DataError):
        write_session(simulate_ball(n_videos=1, n_frames=3, size=8).recording, tmp_path / "ball.nwb")
    assert [p.name for p in tmp_path.iterdir()] == ["mine.nwb"]

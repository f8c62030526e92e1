"""Frames on the device where they fit, else on the host; the GPU's own part is in `test_gpu`."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nwb_dcf import DCF
from nwb_dcf.config.presets import make_config
from nwb_dcf.data import chunks
from nwb_dcf.data.preprocessing import fit_preprocessor
from nwb_dcf.data.synthetic import simulate_reach
from nwb_dcf.errors import DataError
from nwb_dcf.estimator import initialization as start
from nwb_dcf.estimator.initialization import fits_on, note_frame_storage

GPU, CPU = torch.device("cuda:1"), torch.device("cpu")


def test_a_gpu_takes_frames_up_to_a_share_of_its_free_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def tell(device: torch.device) -> tuple[int, int]:
        asked.append(device)
        return 1000, 80_000

    monkeypatch.setattr(torch.cuda, "mem_get_info", tell)
    share = int(1000 * start.FRACTION_OF_GPU)
    assert fits_on(GPU, share)
    assert not fits_on(GPU, share + 1)
    assert asked == [GPU, GPU]
    assert fits_on(CPU, 10**15)


@pytest.mark.parametrize(
    ("device", "home", "said"),
    [
        ("cpu", "cpu", "in memory"),
        ("cuda", "cuda:0", "on the cuda device"),  # a device without a number is the one that tensors say is 0
        ("cuda", "cpu", "in memory; sent to the cuda device by batches"),
    ],
)
def test_a_fit_says_where_they_lay(device: str, home: str, said: str) -> None:
    recording = simulate_reach(n_trials=2).recording
    assert note_frame_storage(recording, torch.device(device), torch.device(home)) == said


@pytest.mark.parametrize("in_file", [True, False])
def test_frames_are_released_where_they_lie_in_a_file(in_file: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if in_file:
        monkeypatch.setattr(chunks, "MOST_IN_MEMORY", 1000)
    recording = simulate_reach(n_trials=2).recording
    config = make_config("default", {"smooth": 0.0, "scale": "global"}, kind="counts")
    prepared = fit_preprocessor(recording, config.prepare).apply(recording)
    table = start.tabulate_frames(prepared, config, CPU)
    assert (table.release is None) != in_file


@pytest.mark.parametrize("offset", [0.0, 1e9])
def test_channels_that_change_together_are_called_so(offset: float) -> None:
    together = np.sin(np.arange(200) / 5)[:, None] * np.linspace(1, 2, 6) + offset
    with pytest.raises(DataError, match="all channels change together"):
        DCF(dim=1, steps=10).fit(together)

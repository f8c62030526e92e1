"""Small sortings whose units move together, their recordings, analyzers and NWB files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from spikeinterface.core import NumpySorting, create_sorting_analyzer, generate_recording

from tests.nwb_files import make_spike_session, simulate_spike_times

RATE_HZ = 10_000.0
QUICK: dict[str, Any] = {"steps": 4, "batch_size": 32, "width": 8, "depth": 1, "encoder_width": 8, "solver_steps": 2}
"""Settings of a fit that learns next to nothing in next to no time."""


def make_sorting(
    durations: Sequence[float] = (12.0,), n_units: int = 8, *, unit_ids: Sequence[Any] | None = None, seed: int = 0
) -> Any:
    """A sorting of units that follow two oscillations; ids are texts, as SpikeInterface has them."""
    ids = [f"u{i}" for i in range(n_units)] if unit_ids is None else list(unit_ids)
    n_units, samples, labels = len(ids), [], []
    for segment, duration in enumerate(durations):
        times = simulate_spike_times(n_units, duration, seed=seed + segment)
        samples.append(np.concatenate([np.floor(t * RATE_HZ).astype(int) for t in times]))
        labels.append(np.concatenate([np.full(len(t), ids[i]) for i, t in enumerate(times)]))
    return NumpySorting.from_samples_and_labels(samples, labels, RATE_HZ, unit_ids=ids)


def make_recording(durations: Sequence[float] = (12.0,), starts: Sequence[float] | None = None, n: int = 2) -> Any:
    """A recording of noise, which no test looks at, with the clock that it should have."""
    recording = generate_recording(n, RATE_HZ, list(durations), seed=0)
    for segment, start in enumerate(starts or ()):
        recording.shift_times(start, segment_index=segment)
    return recording


def make_analyzer(sorting: Any, recording: Any, **options: Any) -> Any:
    """A dense analyzer that does not look at traces."""
    main = np.zeros(sorting.get_num_units(), int)
    return create_sorting_analyzer(sorting, recording, sparse=False, main_channel_indices=main, **options)


def write_nwb(
    path: Path, sorting: Any, recording: Any, *, observed: bool = True, ids: Sequence[int] | None = None
) -> Path:
    """The sorting as a units table, with the recording's extent as ``obs_intervals`` if `observed`."""
    n_segments = sorting.get_num_segments()
    times = [
        np.sort(
            np.concatenate(
                [
                    recording.sample_index_to_time(sorting.get_unit_spike_train(unit, segment_index=i), segment_index=i)
                    for i in range(n_segments)
                ]
            )
        )
        for unit in sorting.unit_ids
    ]
    spans = [
        [recording.get_start_time(i), recording.get_start_time(i) + recording.get_num_samples(i) / RATE_HZ]
        for i in range(n_segments)
    ]
    names = {"unit_name": [str(unit) for unit in sorting.unit_ids]}
    return make_spike_session(
        path,
        spike_times=times,
        trials=None,
        unit_ids=ids,
        unit_columns=names,
        obs_intervals=[spans] * len(times) if observed else None,
    )

"""The life of the latents of an analyzer: what each step of its curation did to them, and whether numbers agree.

``python benchmarks/spikeinterface_life.py [--steps N]``: 30 units in two segments; compute, save in each
format, load in a new process, select 20 units, merge two pairs, split one, remove, save_as, copy. Every line
is compared with what it must equal: the latents before where units are the same, a fresh computation on the
curated sorting where they are not.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import spikeinterface.core as si

import nwb_dcf
import nwb_dcf.spikeinterface  # registers the extension
from nwb_dcf.config.presets import resolve_settings
from nwb_dcf.pipeline.fit_recording import fit_recording, plan_recording
from tests.spikeinterface.sessions import make_analyzer, make_recording, make_sorting, write_nwb

DURATIONS, STARTS = (40.0, 30.0), (100.0, 300.0)


def latents_of(analyzer: Any) -> np.ndarray:
    return np.concatenate(analyzer.get_extension("dcf_latents").get_data())


def load_elsewhere(folder: Path) -> np.ndarray:
    """Latents of the analyzer in `folder`, read by a new process."""
    code = (
        "import sys, numpy as np, spikeinterface.core as si, nwb_dcf.spikeinterface\n"
        "analyzer = si.load_sorting_analyzer(sys.argv[1])\n"
        "np.save(sys.argv[2], np.concatenate(analyzer.get_extension('dcf_latents').get_data()))"
    )
    out = folder.parent / f"{folder.name}.npy"
    subprocess.run([sys.executable, "-W", "ignore", "-c", code, str(folder), str(out)], check=True)
    return np.load(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=20)
    steps = parser.parse_args().steps
    si.set_global_job_kwargs(progress_bar=False)
    place = Path(tempfile.mkdtemp())
    sorting, recording = make_sorting(DURATIONS, 30), make_recording(DURATIONS, STARTS)
    params = {"dim": 3, "steps": steps}
    analyzer = make_analyzer(sorting, recording)
    analyzer.compute("dcf_latents", **params)
    base = latents_of(analyzer)

    def compute_fresh(curated: Any) -> np.ndarray:
        fresh = make_analyzer(curated.sorting, recording)
        fresh.compute("dcf_latents", **params)
        return latents_of(fresh)

    print(f"{'step':34} {'units':>5} {'what happened':14} {'compared with':20} {'largest difference':>18} {'s':>6}")

    def show(name: str, units: int, what: str, than: str, found: np.ndarray, expected: np.ndarray, took: float) -> None:
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)
        print(f"{name:34} {units:5} {what:14} {than:20} {np.abs(found - expected).max():18.1e} {took:6.1f}", flush=True)

    for kind, name in (("binary_folder", "a"), ("zarr", "a.zarr")):
        started = time.perf_counter()
        analyzer.save_as(format=kind, folder=place / name)
        found = load_elsewhere(place / name)
        show(f"save_as {kind}, new process", 30, "kept", "compute", found, base, time.perf_counter() - started)

    ids = list(sorting.unit_ids)
    spikes = sorting.count_num_spikes_per_unit()[ids[5]]
    halves = {ids[5]: [np.arange(0, spikes, 2), np.arange(1, spikes, 2)]}
    changes: dict[str, Callable[[], Any]] = {
        "select_units, 20 of 30": lambda: analyzer.select_units(ids[::-1][:20]),
        "remove_units, 1": lambda: analyzer.remove_units([ids[3]]),
        "merge_units, two pairs, soft": lambda: analyzer.merge_units([ids[:2], ids[2:4]]),
        "merge_units, two pairs, hard": lambda: analyzer.merge_units([ids[:2], ids[2:4]], merging_mode="hard"),
        "split_units, one in two": lambda: analyzer.split_units(halves),
        "select_units into zarr": lambda: analyzer.select_units(ids[:20], format="zarr", folder=place / "c.zarr"),
    }
    for name, change in changes.items():
        started = time.perf_counter()
        curated = change()
        took = time.perf_counter() - started
        fresh = compute_fresh(curated)
        show(name, len(curated.unit_ids), "fitted again", "a fresh compute", latents_of(curated), fresh, took)
        assert np.abs(fresh - base).max() > 1e-3
    for name, change in {
        "copy": analyzer.copy,
        "save_as memory": lambda: analyzer.save_as(format="memory"),
        "select_units, all": lambda: analyzer.select_units(ids),
    }.items():
        started = time.perf_counter()
        show(name, 30, "kept", "compute", latents_of(change()), base, time.perf_counter() - started)

    print("\nthe same data three ways:")
    counts = nwb_dcf.spikeinterface.from_sorting(sorting, recording)
    read, config, _ = resolve_settings(3, {"steps": steps, "trials": "none"})
    plan = plan_recording(counts, config, held_out=0.2, read=read)
    from_sorting = fit_recording(plan)[1].dataset["latents"].values
    from_file = (
        nwb_dcf.fit_nwb(write_nwb(place / "s.nwb", sorting, recording), 3, steps=steps).dataset["latents"].values
    )
    for name, found in (("sorting with its recording", from_sorting), ("NWB file, obs_intervals", from_file)):
        show(name, 30, "fitted", "analyzer", found, base, 0.0)


if __name__ == "__main__":
    main()

"""Time and memory of ``compute("dcf_latents")`` beside ``compute("templates")``, each in a process of its own.

``python benchmarks/spikeinterface_step.py [--minutes 10] [--units 384] [--channels 64] [--jobs N]``: a
simulated sorting of four segments whose units follow two oscillations, in a recording of noise.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time

RATE_HZ, SEGMENTS = 30_000.0, 4


def run(step: str, minutes: float, units: int, channels: int, jobs: int) -> dict[str, float]:
    """Make the analyzer, compute one step, and say what it took beyond the analyzer."""
    import numpy as np
    import spikeinterface.core as si

    import nwb_dcf.spikeinterface  # noqa: F401 - registers the extension
    from tests.nwb_files import simulate_spike_times

    seconds = minutes * 60 / SEGMENTS
    samples, labels = [], []
    for segment in range(SEGMENTS):
        times = simulate_spike_times(units, seconds, seed=segment)
        samples.append(np.concatenate([(t * RATE_HZ).astype(int) for t in times]))
        labels.append(np.repeat(np.arange(units), [len(t) for t in times]))
    sorting = si.NumpySorting.from_samples_and_labels(samples, labels, RATE_HZ, unit_ids=np.arange(units))
    recording = si.generate_recording(channels, RATE_HZ, [seconds] * SEGMENTS, seed=0)
    main = np.arange(units) % channels
    analyzer = si.create_sorting_analyzer(sorting, recording, sparse=False, main_channel_indices=main)
    if step == "templates":
        analyzer.compute("random_spikes")
    before, started, used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter(), time.process_time()
    analyzer.compute(
        step, n_jobs=jobs, progress_bar=False, **({"pool_engine": "thread"} if step == "templates" else {})
    )
    took, used = time.perf_counter() - started, time.process_time() - used
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "seconds": took,
        "cpu_s": used,
        "peak_mb": peak / 1024,
        "more_mb": (peak - before) / 1024,
        "spikes": sum(map(len, samples)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--units", type=int, default=384)
    parser.add_argument("--channels", type=int, default=64)
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--step", help="compute this step here and print what it took")
    args = vars(parser.parse_args())
    step = args.pop("step")
    if step:
        print(json.dumps(run(step, **args)))
        return
    given = [word for name, value in args.items() for word in (f"--{name}", str(value))]
    print(f"{'step':14} {'seconds':>8} {'CPU s':>8} {'peak MB':>8} {'MB more than before':>20}")
    for step in ("templates", "dcf_latents"):
        command = [sys.executable, "-W", "ignore", __file__, *given, "--step", step]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found = json.loads(done.stdout.splitlines()[-1])
        print(
            f"{step:14} {found['seconds']:8.1f} {found['cpu_s']:8.1f} {found['peak_mb']:8.0f} {found['more_mb']:20.0f}",
            flush=True,
        )
    print(f"{args['units']} units, {found['spikes']} spikes, {args['minutes']:g} minutes in {SEGMENTS} segments")


if __name__ == "__main__":
    main()

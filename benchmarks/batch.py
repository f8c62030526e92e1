"""`nwb-dcf fit FOLDER`: table, skipping, a broken file, SIGKILL in the middle, and engines beside each other.

``python benchmarks/batch.py small [--n N]``: N small simulated sessions, 200 by default, and one broken file.
``python benchmarks/batch.py real``: the NWB files of the folder NWB_DCF_TEST_DATA, in copies.

Each is fitted by the command in processes of its own: undisturbed, again, killed in the middle in another copy, and
again there; then by the other engines, and with ``--one-job`` one after the other. The settings are brief and come by
``--config``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from nwb_dcf import batch, list_results, read_result
from nwb_dcf.data.synthetic import simulate_cohort
from nwb_dcf.io.results import read_tensors, write_session

FOLDER = Path(os.environ.get("NWB_DCF_TEST_DATA", "../shared/data"))
SETTINGS = {"small": {"dim": 2, "bin_width_s": 0.06, "steps": 5}, "real": {"dim": 3, "steps": 20}}
ENGINES = ("processpoolexecutor", "dask", "slurm")
KILLED_AT = 0.5  # of the time that the undisturbed run takes


@dataclass(frozen=True)
class Run:
    code: int
    wall_s: float
    cpu_s: float
    report: dict[str, Any]


def make_small(folder: Path, n: int) -> None:
    animals = simulate_cohort(
        n, 2, n_conditions=3, n_bins=10, bin_width_s=0.06, trials_per_condition=(3, 4), n_units=(8, 12), seed=6
    )
    for i, animal in enumerate(animals):
        write_session(animal.recording, folder / f"s{i:03d}.nwb", seed=i)
    (folder / "broken.nwb").write_bytes(b"no file of HDF5")


def copy_real(folder: Path) -> None:
    # videos too: sessions name them by their places beside them
    for path in sorted(FOLDER.iterdir()):
        if path.suffix != ".md":
            shutil.copyfile(path, folder / path.name)


def start(folder: Path, config: Path, jobs: int = 2) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "nwb_dcf", "fit", str(folder), "--config", str(config), "--engine", "joblib"]
    return subprocess.Popen(
        [*command, "--jobs", str(jobs), "--json", "--quiet"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )


def run(folder: Path, config: Path, jobs: int = 2) -> Run:
    before, started = _read_cpu(), time.perf_counter()
    process = start(folder, config, jobs)
    out, _ = process.communicate()
    return Run(process.returncode, time.perf_counter() - started, _read_cpu() - before, json.loads(out))


def _read_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def kill_in_the_middle(folder: Path, config: Path, seconds: float) -> None:
    process = start(folder, config)
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=seconds)
    # the command, its workers and what writes for them, at once
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def read_fits(folder: Path) -> dict[str, dict[str, np.ndarray]]:
    """Every array of every fit of every session that has one."""
    found = {}
    for path in sorted(folder.glob("*.nwb")):
        try:
            names = [str(fit["name"]) for fit in list_results(path)]
        except Exception:
            names = []
        for name in names:
            stored = read_result(path, name)
            arrays = {str(key): values.values for key, values in stored.dataset.data_vars.items()}
            # tensors and not the bytes that hold them: those carry the time that the training took
            found[f"{path.name}#{name}"] = {**arrays, **(read_tensors(stored.weights) if stored.weights else {})}
    return found


def are_equal(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[k], other[k], equal_nan=_has_nan(one[k])) for k in one)


def _has_nan(values: np.ndarray) -> bool:
    return values.dtype.kind == "f"


def digest_data(path: Path) -> str:
    """Digest every dataset that is no result; of what is no HDF5 file, its bytes."""
    if not h5py.is_hdf5(path):
        return hashlib.sha256(path.read_bytes()).hexdigest()
    found = hashlib.sha256()

    def look(name: str, item: h5py.Dataset | h5py.Group) -> None:
        if isinstance(item, h5py.Dataset) and not name.startswith(("processing/dcf", "specifications")):
            value = item[()]
            found.update(
                name.encode() + (repr(value).encode() if item.dtype.kind == "O" else np.asarray(value).tobytes())
            )

    with h5py.File(path) as file:
        file.visititems(look)
    return found.hexdigest()


def hash_files(folder: Path) -> dict[str, str]:
    # without the work folder of a fit that was killed, which the next one takes away
    paths = [path for path in sorted(folder.iterdir()) if path.is_file()]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def compare_engines(
    original: Path, work: Path, kind: str, names: list[str], expected: dict[str, dict[str, np.ndarray]]
) -> None:
    from distributed import Client, LocalCluster

    for engine in ENGINES:
        folder = work / engine
        folder.mkdir()
        for path in original.iterdir():
            # of what is no session all: videos lie beside the sessions that name them
            if path.suffix != ".nwb" or path.name in names:
                shutil.copyfile(path, folder / path.name)
        kwargs: dict[str, Any] = {"processpoolexecutor": {"max_workers": 2}}.get(engine, {})
        started = time.perf_counter()
        if engine == "dask":
            with (
                LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
                Client(cluster) as client,
            ):
                report = batch.run(folder, engine, {"client": client}, **SETTINGS[kind])
        else:
            if engine == "slurm":
                kwargs = {"cluster": "local", "folder": str(work / "logs")}
            report = batch.run(folder, engine, kwargs, **SETTINGS[kind])
        seconds, fits = time.perf_counter() - started, read_fits(folder)
        equal = sum(are_equal(fits[key], expected[key]) for key in fits)
        print(
            f"{engine}: {report.counts}, {equal} of {len(fits)} equal to joblib's to the bit, {seconds:.0f} s wall",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=SETTINGS)
    parser.add_argument("--n", type=int, default=200)
    parser.add_argument("--beside", type=int, default=3, help="Sessions that the other engines fit as well.")
    parser.add_argument("--one-job", action="store_true", help="Fit them all one after the other as well.")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nwb-dcf-batch-") as place:
        work = Path(place)
        original, whole, one_job, killed = (work / name for name in ("original", "whole", "one job", "killed"))
        original.mkdir()
        make_small(original, arguments.n) if arguments.kind == "small" else copy_real(original)
        for copy in (whole, one_job, killed):
            shutil.copytree(original, copy)
        config = work / "settings.toml"
        batch.save_config(SETTINGS[arguments.kind], config)

        first = run(whole, config)
        print(
            f"{SETTINGS[arguments.kind]}: {first.report['counts']}, exit {first.code}, "
            f"{first.wall_s:.0f} s wall, {first.cpu_s:.0f} s CPU",
            flush=True,
        )
        for row in first.report["files"]:
            if row["state"] == "failed":
                print(f"  failed: {Path(row['file']).name}: {row['message'][:150]}")
        before = hash_files(whole)
        again = run(whole, config)
        print(
            f"again: {again.report['counts']}, exit {again.code}, {again.cpu_s:.0f} s CPU, files changed "
            f"{sum(before[k] != v for k, v in hash_files(whole).items())}"
        )

        if arguments.one_job:
            alone = run(one_job, config, jobs=1)
            fits, expected = read_fits(one_job), read_fits(whole)
            equal = sum(key in fits and are_equal(fits[key], expected[key]) for key in expected)
            print(
                f"one job: {alone.wall_s:.0f} s wall beside {first.wall_s:.0f} s of two, {alone.cpu_s:.0f} s CPU; "
                f"{equal} of {len(expected)} fits equal to the bit",
                flush=True,
            )

        kill_in_the_middle(killed, config, KILLED_AT * first.wall_s)
        data = {path.name: digest_data(path) for path in sorted(original.glob("*.nwb"))}
        harmed = [name for name, digest in data.items() if digest_data(killed / name) != digest]
        done = {key.partition("#")[0] for key in read_fits(killed)}
        at_kill = hash_files(killed)
        print(
            f"killed after {KILLED_AT * first.wall_s:.0f} s: {len(done)} fits there, {len(harmed)} files harmed",
            flush=True,
        )
        last = run(killed, config)
        made_again = [name for name in done if hash_files(killed)[name] != at_kill[name]]
        fits, expected = read_fits(killed), read_fits(whole)
        equal = sum(key in fits and are_equal(fits[key], expected[key]) for key in expected)
        harmed = [name for name, digest in data.items() if digest_data(killed / name) != digest]
        extra = sorted({path.name for path in killed.iterdir()} - {path.name for path in original.iterdir()})
        print(
            f"run again: {last.report['counts']}, exit {last.code}; finished fits made again {len(made_again)}, "
            f"files harmed {len(harmed)}, left behind {extra}, {equal} of {len(expected)} fits equal to "
            "the undisturbed ones to the bit",
            flush=True,
        )
        names = sorted({key.partition("#")[0] for key in expected})[: arguments.beside]
        compare_engines(original, work, arguments.kind, names, expected)


if __name__ == "__main__":
    main()

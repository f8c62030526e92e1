"""Python 3.11 to 3.14 x Zarr 2 and 3: what is read, fitted, listed and removed, one row each.

``python benchmarks/zarr_matrix.py --python python3.11 --python python3.12 ...`` makes one virtual environment for each
Python, installs this checkout with its extra ``zarr``, and runs this file in it. Each writes a session in the format
of its hdmf-zarr, and tries those of both formats. ``--without-torch 3.12`` installs no torch for that Python,
where none can be had: the fit is made of random numbers then, and the row says so. A Python may be a command of several
words, such as ``chroot FOLDER python3.14``, where ``--folder`` has one path inside and outside.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import tomllib
import warnings
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
NEEDS_TORCH = ("torch", "torchdiffeq")
COLUMNS = ("python", "hdmf-zarr", "zarr", "format", "read", "fit", "list", "remove")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--python", action="append", default=[], help="interpreter; may be given again")
    parser.add_argument("--without-torch", action="append", default=[], metavar="X.Y")
    parser.add_argument("--torch", default="torch", help="what pip is asked for")
    parser.add_argument("--folder", type=Path, help="where environments and sessions are made; a temporary one")
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--probe", nargs=2, metavar=("FOLDER", "RESULT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.write or options.probe:
        sys.path.insert(0, str(ROOT))
        warnings.simplefilter("ignore")
        write_session(options.write) if options.write else probe(*map(Path, options.probe))
        return 0
    folder = Path(options.folder or tempfile.mkdtemp(prefix="zarr-matrix-")).resolve()
    pythons = [
        install(shlex.split(command), folder, options.torch, options.without_torch)
        for command in options.python or [sys.executable]
    ]
    # Both formats are there before any Python is asked what it reads.
    for step in ("--write", "--probe"):
        for python in pythons:
            paths = [folder] if step == "--write" else [folder, folder / f"{Path(python[-1]).parents[1].name}.json"]
            subprocess.run([*python, str(Path(__file__).resolve()), step, *map(str, paths)], check=True)
    rows = [row for file in sorted(folder.glob("3.*.json")) for row in json.loads(file.read_text())]
    print_table(rows)
    return int(any("wrong" in str(row.get(column)) for row in rows for column in COLUMNS))


def install(command: list[str], folder: Path, torch: str, without_torch: list[str]) -> list[str]:
    """Make an environment for one Python, install this checkout in it, and return the command of its Python."""
    prefix = command[:-1]
    version = subprocess.run(
        [*command, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    place = folder / version
    python = [*prefix, str(place / "bin" / "python")]
    done = place / "installed"
    if not done.exists():
        print(f"{version}: installing", file=sys.stderr)
        subprocess.run([*command, "-m", "venv", str(place)], check=True)
        wanted = [*list_requirements(), "hatchling", "editables"]
        if version not in without_torch:
            # First and alone, so that no other release of it is chosen.
            subprocess.run([*python, "-m", "pip", "install", "-q", torch], check=True)
            wanted += list_requirements(torch=True)
        subprocess.run([*python, "-m", "pip", "install", "-q", *wanted], check=True)
        # A Python that pyproject.toml does not name yet is tried here before it is.
        own = ["--no-deps", "--no-build-isolation", "--ignore-requires-python", "-e", str(ROOT)]
        subprocess.run([*python, "-m", "pip", "install", "-q", *own], check=True)
        done.touch()
    return python


def list_requirements(*, torch: bool = False) -> list[str]:
    """Requirements of the package and of its extra ``zarr``: those that need torch, or the others."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["zarr"]]
    return [one for one in wanted if one.startswith(NEEDS_TORCH) == torch and not (torch and one.startswith("torch>"))]


def probe(folder: Path, result: Path) -> None:
    """Try everything on the folders of both formats."""
    from importlib.metadata import version

    about = {
        "python": ".".join(map(str, sys.version_info[:3])), "hdmf-zarr": version("hdmf-zarr"), "zarr": version("zarr")
    }  # fmt: skip
    rows = []
    for form in (2, 3):
        original = folder / f"format{form}.nwb.zarr"
        place = folder / f"try-{os.getpid()}-{form}"
        place.mkdir()
        try:
            rows.append({**about, "format": form, **try_folder(original, place)})
        finally:
            shutil.rmtree(place)
    result.write_text(json.dumps(rows))


def write_session(folder: Path) -> None:
    """Write a session in the format of the installed version, unless there is one."""
    import numpy as np
    import zarr
    from hdmf_zarr.nwb import NWBZarrIO
    from pynwb import NWBFile
    from pynwb.ecephys import ElectricalSeries

    path = folder / f"format{2 if zarr.__version__.startswith('2.') else 3}.nwb.zarr"
    if path.exists():
        return
    rng = np.random.default_rng(0)
    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    session = NWBFile(session_description="matrix", identifier="matrix", session_start_time=start)
    group = session.create_electrode_group(
        "shank", description="one", location="CA1", device=session.create_device("probe")
    )
    for _ in range(3):
        session.add_electrode(location="CA1", group=group)
    session.add_unit_column("quality", "after sorting")
    grid = np.arange(0, 60, 0.005)
    for unit in range(12):
        rate = 15 * np.exp(np.cos(2 * np.pi * grid / 1.7 + unit))
        times = grid[rng.random(grid.size) < rate * 0.005]
        session.add_unit(spike_times=times, quality="good", electrodes=[unit % 3], electrode_group=group)
    for trial in range(20):
        session.add_trial(start_time=3.0 * trial, stop_time=3.0 * trial + 2.5)
    session.add_trial_column("side", "of the animal", data=["left", "right"] * 10)
    region = session.create_electrode_table_region([2, 0, 1], "all")
    data = rng.integers(-500, 500, (2000, 3)).astype("int16")
    session.add_acquisition(ElectricalSeries(name="voltage", data=data, electrodes=region, rate=500.0))
    with NWBZarrIO(str(path), "w") as io:
        io.write(session)


def try_folder(original: Path, place: Path) -> dict[str, str]:
    from nwb_dcf.errors import DCFError
    from nwb_dcf.io.results import list_results, read_result, remove_result

    if not original.exists():
        return {"read": "no folder of this format was made before"}
    folder = Path(shutil.copytree(original, place / "s.nwb.zarr"))
    try:
        from nwb_dcf import read_recording

        recording = read_recording(folder, where="side == 'left'")
    except DCFError as error:
        return {"read": f"refused: {error.what}"}
    shape = tuple(recording["data"].shape)
    row = {"read": f"{shape[0]} x {shape[1]}, {recording.attrs['source']['sha256'][:8]}"}
    try:
        made, name = make_fit(folder)
    except DCFError as error:
        return {**row, "fit": f"refused: {error.what}", "list": "empty" if not list_results(folder) else "wrong"}
    listed = [(fit["name"], fit["stale"], fit["altered"]) for fit in list_results(folder)]
    row |= {"fit": made, "list": "one, as written" if listed == [(name, False, [])] else f"wrong: {listed}"}
    latents = read_result(folder, name).dataset["latents"]
    row["fit"] += f", {latents.shape[0]} x {latents.shape[1]}"
    remove_result(folder, name)
    again = read_recording(folder, where="side == 'left'")
    as_before = not list_results(folder) and again.equals(recording) and os.listdir(place) == [folder.name]
    return {**row, "remove": "as before" if as_before else "wrong"}


def make_fit(folder: Path) -> tuple[str, str]:
    """Fit, or without torch write a result of random numbers by the same way; return what was done and its name."""
    import importlib.util

    if importlib.util.find_spec("torch") is not None:
        from nwb_dcf import fit_nwb

        result = fit_nwb(folder, dim=2, steps=200)
        return "fitted", str(result.name)
    from nwb_dcf.io.results import write_result
    from nwb_dcf.io.results.read import open_nwb
    from nwb_dcf.io.results.staleness import hash_stored
    from tests.io.results.synthetic import make_result

    with open_nwb(folder) as file:
        units = file["units"]
        source = {
            "path": "/units", "type": "Units", "object_id": units.attrs["object_id"], "sha256": hash_stored(units)
        }  # fmt: skip
        result = make_result(units["id"][:], source=source)
    return "random numbers written (no torch)", write_result(result, folder, as_read=True).name


def print_table(rows: list[dict[str, Any]]) -> None:
    print(f"| {' | '.join(COLUMNS)} |\n|{' --- |' * len(COLUMNS)}")
    for row in rows:
        print(f"| {' | '.join(str(row.get(column, '')) for column in COLUMNS)} |")


if __name__ == "__main__":
    sys.exit(main())

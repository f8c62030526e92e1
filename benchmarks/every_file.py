"""Every NWB file of a folder, as a new user meets it (``python benchmarks/every_file.py [--data FOLDER] [--write]``).

``nwb-dcf info`` and ``nwb-dcf fit --dim 3`` on each, with few steps of training and into a copy: what was read, what
was left out or refused and why, and whether pynwb alone, in a process that never saw this package, reads the latents
back. Some files are fitted a second time, by another source or setting.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from results import Table, write_section

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"

NAMED: dict[str, tuple[str, ...]] = {
    "no_neural_data.nwb": ("--source", "States", "--dim", "1"),
    "mouse_alm_000006.nwb": ("--source", "lick_left_times", "--dim", "1"),
    "celegans_moving.nwb": ("--source", "ss_2D", "--dim", "2"),
    "pose_bad_clock.nwb": (
        "--source",
        "video",
    ),
    "reach_chewie.nwb": (
        "--source",
        "binned_spike_counts",
    ),
    "ophys_rois.nwb": ("--rois", "all", "--dff"),
}
"""A second fit of some files, by what they also hold or are also asked."""

READ_BACK = """
import sys, warnings
warnings.simplefilter("ignore")
import numpy as np
from pynwb import NWBHDF5IO
with NWBHDF5IO(sys.argv[1], "r") as io:
    latents = io.read().processing["dcf"][sys.argv[2]]["latents"]
    data = latents.data[:]
    times = latents.timestamps[:] if latents.timestamps is not None else None
assert np.isfinite(data).all() and (times is None or len(times) == len(data))
assert not any(name.split(".")[0] == "nwb_dcf" for name in sys.modules)
print(data.shape)
"""


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    command = [sys.executable, "-m", "nwb_dcf", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def try_file(path: Path, options: tuple[str, ...], steps: int, folder: Path) -> dict[str, object]:
    """Fit one file into a copy, read that back, and say in one row what happened."""
    dim = () if "--dim" in options else ("--dim", "3")
    output = folder / path.name
    done = run("fit", path, *dim, *options, "--steps", steps, "-o", output, "--overwrite", "--json")
    asked = " ".join(options) if options else "(nothing)"
    row: dict[str, object] = {"file": path.name, "asked": asked, "code": done.returncode}
    report: dict[str, Any] = json.loads(done.stdout) if done.stdout else {}
    if done.returncode:
        what = report.get("error", {}).get("message", done.stderr.strip().splitlines()[-1:])
        return {**row, "read": "-", "said": str(what).replace(str(path), path.name), "fit": "-", "pynwb reads": "-"}
    source = report["source"]
    read = f"{source['path']}: {report['channels']} channels, {report['bins']} frames, {report['segments']} segments"
    name = report["name"]
    back = subprocess.run(
        [sys.executable, "-I", "-c", READ_BACK, output, name], capture_output=True, text=True, check=False
    )
    reads = back.stdout.strip() or back.stderr.strip().splitlines()[-1]
    output.unlink()
    return {**row, "read": read, "said": "; ".join(say(report)), "fit": name, "pynwb reads": reads}


def say(report: dict[str, Any]) -> list[str]:
    """Notes of a fit but for the choice of the source, and how many things were left out for which reasons."""
    reasons: dict[str, int] = {}
    for item in report["left_out"]:
        reasons[f"{item['what']}: {item['why']}"] = reasons.get(f"{item['what']}: {item['why']}", 0) + 1
    notes = [note for note in report["notes"] if not note.startswith("source is") and " left out" not in note]
    return [*notes, *(f"left out {count} {why}" for why, count in reasons.items())]


def describe_info(path: Path) -> str:
    """What ``info`` says that a fit takes."""
    done = run("info", path, "--json")
    report = json.loads(done.stdout)
    if done.returncode:
        return str(report["error"]["message"]).replace(str(path), path.name)
    return (
        f"{len(report['sources'])} sources, {len(report['tables'])} tables; takes {report['default']}: {report['why']}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of NWB files")
    parser.add_argument("--steps", type=int, default=20, help="steps of training: enough to have a fit")
    parser.add_argument("--only", action="append", help="name of a file; all by default")
    parser.add_argument("--write", action="store_true", help="keep the tables in RESULTS.md")
    arguments = parser.parse_args()
    paths = [path for path in sorted(arguments.data.glob("*.nwb")) if not arguments.only or path.name in arguments.only]
    fits, infos = [], []
    with tempfile.TemporaryDirectory() as folder:
        for path in paths:
            infos.append({"file": path.name, "info": describe_info(path)})
            for options in [(), *([NAMED[path.name]] if path.name in NAMED else [])]:
                fits.append(try_file(path, options, arguments.steps, Path(folder)))
                print(" | ".join(str(value) for value in fits[-1].values()), flush=True)
    for table in (Table("Every file: info", infos), Table("Every file: fit", fits)):
        print("\n" + table.to_markdown())
        if arguments.write:
            write_section(table, keep_lines=False)


if __name__ == "__main__":
    main()

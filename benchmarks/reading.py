"""How fast and how lean sources are read (``python benchmarks/reading.py [--only spikes] [--write]``).

Each line sets reading beside the least that any reader has to do, in one run, by turns, so that a busy machine slows
both; the best of several rounds counts. Every section is a function that returns rows of the same columns.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import av
import numpy as np
from pynwb import NWBHDF5IO, H5DataIO, NWBFile, TimeSeries
from pynwb.ecephys import ElectricalSeries
from pynwb.image import ImageSeries
from results import Table, write_section
from signals import measure_band_power, measure_spikes
from turns import Row, describe_ratio, time_by_turns

from nwb_dcf import DCF, read_recording

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the server is that of the tests

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
NEEDED_BYTES = 50_000_000

# The most memory that a process has held counts from its parent's on, unless it is reset (Linux).
MEASURE_MEMORY = """
import sys
from pathlib import Path
import av
from nwb_dcf import read_recording
import nwb_dcf.io.recordings.reader
Path("/proc/self/clear_refs").write_text("5")
def read_peak():
    return next(int(line.split()[1]) / 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))
before = read_peak()
recording = read_recording(sys.argv[1], size=int(sys.argv[2]))
print(before, read_peak(), recording["data"].nbytes / 2**20)
"""


def measure_video(data: Path) -> list[Row]:
    """Frames of 640 x 480 at 64 x 64 beside decoding by PyAV alone; memory of a video of 23,300 frames."""
    video = data / "m3v1mp4.mp4"
    with tempfile.TemporaryDirectory() as folder:
        short, long = write_session(Path(folder), video, 1), write_session(Path(folder), video, 10)
        ours, alone = time_by_turns(lambda: read_recording(short, size=64), lambda: decode_alone(video))
        rows = [
            describe_ratio("video of 2,330 frames, 640 x 480, at 64 x 64: seconds", ours[0], alone[0], least=0.6),
            describe_ratio("the same, CPU seconds of the process", ours[1], alone[1], least=0.6),
        ]
        for name, session, size in (("2,330 frames at 128 x 128", short, 128), ("23,300 frames at 64 x 64", long, 64)):
            done = subprocess.run(
                [sys.executable, "-c", MEASURE_MEMORY, str(session), str(size)],
                capture_output=True,
                text=True,
                check=True,
            )
            before, peak, output = map(float, done.stdout.split())
            rows.append(
                {
                    "what": f"video, {name}: MB above what the imports take",
                    "reading": peak - before,
                    "least": output,
                    "ratio": (peak - before) / output,
                    "bound": "at most 3",
                }
            )
    return rows


def measure_network(data: Path) -> list[Row]:
    """Bytes fetched for the first latents of a file of 1 GB behind a server, which needs 5 % of it."""
    from tests.file_server import serve

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "session.nwb"
        write_large_session(path)
        needed, size = NEEDED_BYTES, path.stat().st_size
        os.environ["NWB_DCF_CACHE"] = str(Path(folder) / "cache")
        with serve(Path(folder)) as served:
            started = time.perf_counter()
            recording = read_recording(f"{served.url}/session.nwb", "signal", trials="none")
            read_s, read_bytes = time.perf_counter() - started, served.sent_bytes
            DCF(dim=3, seed=0, steps=20, device="cpu").fit(recording).transform(recording)
            first_s = time.perf_counter() - started
            requests = served.requests
            read_recording(f"{served.url}/session.nwb", "signal", trials="none")
            again = served.sent_bytes - read_bytes
    name = f"over HTTP, {size / 1e6:.0f} MB of which {needed / size:.1%} are needed"
    return [
        {"what": f"{name}: MB fetched", "reading": read_bytes / 1e6, "least": needed / 1e6,
         "ratio": read_bytes / size, "bound": "at most 0.1 of the file"},
        {"what": f"the same again, from the cache: MB fetched ({requests} requests before)", "reading": again / 1e6,
         "least": 0.0, "ratio": again / size, "bound": ""},
        {"what": "the same: seconds to the first latents, of which reading", "reading": first_s, "least": read_s,
         "ratio": first_s / read_s, "bound": ""},
    ]  # fmt: skip


SECTIONS: dict[str, Callable[[Path], list[Row]]] = {
    "spikes": measure_spikes,
    "power": measure_band_power,
    "video": measure_video,
    "network": measure_network,
}


def write_large_session(path: Path) -> None:
    """Write 950 MB of voltages that nobody asks for, and a series of 50 MB among them."""
    rng = np.random.default_rng(0)
    nwbfile = NWBFile("benchmark", "network", datetime(2026, 1, 1, tzinfo=UTC))
    device = nwbfile.create_device("probe")
    group = nwbfile.create_electrode_group("shank", description="", location="", device=device)
    for _ in range(64):
        nwbfile.add_electrode(location="CA1", group=group)
    electrodes = nwbfile.create_electrode_table_region(list(range(64)), "all")
    bulk = H5DataIO(np.zeros((7_421_875, 64), np.int16), chunks=(15_625, 64))  # not compressed, so that it takes room
    nwbfile.add_acquisition(ElectricalSeries(name="bulk", data=bulk, electrodes=electrodes, rate=30_000.0))
    phase = np.arange(NEEDED_BYTES // (4 * 64)) / 8
    values = np.column_stack([np.cos(phase), np.sin(phase)]) @ rng.normal(size=(2, 64))
    values += 0.1 * rng.normal(size=values.shape)
    data = H5DataIO(values.astype(np.float32), chunks=(15_625, 64))
    nwbfile.add_acquisition(TimeSeries(name="signal", data=data, rate=100.0, unit="a.u."))
    with NWBHDF5IO(str(path), "w") as io:
        io.write(nwbfile)


def write_session(folder: Path, video: Path, copies: int) -> Path:
    """Write an NWB file whose video is `video`, `copies` times over."""
    with av.open(str(video)) as container:
        n_frames = container.streams.video[0].frames
    nwbfile = NWBFile("benchmark", f"{copies}", datetime(2026, 1, 1, tzinfo=UTC))
    nwbfile.add_acquisition(
        ImageSeries(
            name="camera",
            external_file=[str(video)] * copies,
            starting_frame=[n_frames * i for i in range(copies)],
            format="external",
            rate=30.0,
            num_samples=n_frames * copies,
            unit="n.a.",
        )
    )
    path = folder / f"{copies}.nwb"
    with NWBHDF5IO(str(path), "w") as io:
        io.write(nwbfile)
    return path


def decode_alone(video: Path) -> None:
    """Decode every frame, in threads, and do nothing with it."""
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        for _ in container.decode(stream):
            pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the real recordings")
    parser.add_argument("--only", choices=list(SECTIONS), action="append", help="section to run; all by default")
    parser.add_argument("--write", action="store_true", help="keep the table in RESULTS.md")
    arguments = parser.parse_args()
    rows = [row for name in arguments.only or SECTIONS for row in SECTIONS[name](arguments.data)]
    table = Table("Reading", rows)
    print(table.to_markdown())
    if arguments.write:
        write_section(table, keep_lines=True)


if __name__ == "__main__":
    main()

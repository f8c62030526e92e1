"""From behavioural video to bands of latents, with snapshots along them.

Run it in any folder: ``python 02_video_with_snapshots_along_bands.py [FOLDER] [SESSION.nwb]``. Give the NWB file of a
session whose video lies beside it (an ImageSeries with an external file), or none: then a short film of a ball that
goes round is made, as a camera would leave it.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import av
import numpy as np
from matplotlib.figure import Figure
from pynwb import NWBHDF5IO, NWBFile
from pynwb.image import ImageSeries

import nwb_dcf
from nwb_dcf.data.synthetic import simulate_ball
from nwb_dcf.metrics.clusters import find_clusters, pick_outliers
from nwb_dcf.plots import draw_clusters

RATE_HZ = 20


def make_session(folder: Path) -> Path:
    """Film a ball for half a minute: an mp4, and an NWB file that points to it."""
    frames = simulate_ball(n_videos=1, n_frames=30 * RATE_HZ, size=64, seed=3).truth["frames"].values
    with av.open(str(folder / "ball.mp4"), "w") as film:
        stream = film.add_stream("mpeg4", rate=RATE_HZ)
        stream.width = stream.height = 64
        stream.pix_fmt, stream.bit_rate = "yuv420p", 1_000_000
        for frame in frames:
            gray = (255 * frame).astype(np.uint8)
            film.mux(stream.encode(av.VideoFrame.from_ndarray(gray, format="gray").reformat(format="yuv420p")))
        film.mux(stream.encode())
    session = NWBFile("a ball that goes round", "tutorial-02", datetime(2026, 1, 1, tzinfo=UTC))
    session.add_acquisition(
        ImageSeries(
            name="behavior_video", external_file=["ball.mp4"], format="external", rate=float(RATE_HZ),
            num_samples=len(frames), starting_frame=[0], unit="n.a.",
        )
    )  # fmt: skip
    path = folder / "ball.nwb"
    with NWBHDF5IO(str(path), "w") as io:
        io.write(session)
    return path


def main(
    folder: str = ".", session: str | Path | None = None, size: int = 32, every: int = 1, steps: int = 60
) -> nwb_dcf.DCFResult:
    """Go through the steps; return the fit."""
    # 1. A session whose video is an external file. What is in it, and what would be fitted?
    path = Path(session) if session else make_session(Path(folder))
    print(f"{path.name}: fit would take {nwb_dcf.list_sources(path).default}")

    # 2. Fit three latents. Frames are decoded straight to the small size, gray; `every` takes the first of so many.
    #    The paper's figure used 64 pixels; the fewer pixels and steps, the sooner there is something to look at. The
    #    result goes into a copy, beside the video, so that the original stays as it is.
    output = Path(folder) / "video_latents.nwb"
    read = {"source": "video", "size": size, "every": every, "video_dir": str(path.resolve().parent)}
    if not session:
        read.pop("video_dir")  # it lies beside the copy, too
    result = nwb_dcf.fit_nwb(path, dim=3, steps=steps, output=output, overwrite=True, **read)
    scores, latents = result.dataset.attrs["scores"], result.dataset["latents"]
    print(f"latents {latents.shape}; {scores['on']} reconstruction from 3 latents: R2 {scores['bottleneck_r2']:.2f}, "
          f"PCA {scores['pca_r2']:.2f}")  # fmt: skip

    # 3. Where does the animal dwell? Bands of the latents, the frames that lie evenly along each, and those that stand
    #    out: far from any band, or fast.
    bands = find_clusters(latents.values, n_clusters=4)
    time = result.dataset["time"].values
    for k in range(4):
        seconds = ", ".join(f"{time[frame]:.1f}" for frame in bands.pick_along(latents.values, k, 6))
        print(f"band {k + 1}: {np.mean(bands.band == k):.0%} of the frames; snapshots at {seconds} s")
    speed = np.linalg.norm(result.dataset["velocity"].values, axis=1)
    for name, values in (("distance", bands.distance), ("speed", speed)):
        frames = pick_outliers(values, time, 3, apart_s=1.0)
        print(f"largest {name}: {', '.join(f'{time[frame]:.1f} s' for frame in frames)}")

    # 4. The same as a picture. `nwb-dcf plot video_latents.nwb -o page.html` has it, too, with all the rest.
    recording = nwb_dcf.read_recording(path, **read)
    figure = Figure(figsize=(12, 15), layout="constrained")
    draw_clusters(figure, result, recording, n_clusters=4)
    figure.savefig(Path(folder) / "bands.png", dpi=80)
    print("look at bands.png")
    return result


if __name__ == "__main__":
    main(*sys.argv[1:3])

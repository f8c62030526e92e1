# ---
# jupyter:
#   jupytext:
#     text_representation:
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # 2. Behavioural video, with snapshots along clusters
#
# **Needs the extras `video` and `plot`**: `pip install '.[video,plot]'` in the folder of the source.
#
# Give `session` the NWB file of a session whose video lies beside it (an ImageSeries with an external file), or leave
# it at None: then a short video of a ball that goes round is made, as a camera would leave it.

# %%
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from pynwb import NWBHDF5IO, NWBFile
from pynwb.image import ImageSeries

import nwb_dcf
from nwb_dcf.data.synthetic import simulate_ball
from nwb_dcf.pipeline.installation import require_extras

require_extras("video", "plot")  # now, and not after the fit

import av
from matplotlib.figure import Figure

from nwb_dcf.metrics.clusters import find_clusters, pick_outliers
from nwb_dcf.plots import draw_clusters

# %%
session = None
size = 32
every = 1
steps = 60

# %%
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
    nwbfile = NWBFile("a ball that goes round", "tutorial-02", datetime(2026, 1, 1, tzinfo=UTC))
    nwbfile.add_acquisition(
        ImageSeries(
            name="behavior_video", external_file=["ball.mp4"], format="external", rate=float(RATE_HZ),
            num_samples=len(frames), starting_frame=[0], unit="n.a.",
        )
    )  # fmt: skip
    path = folder / "ball.nwb"
    with NWBHDF5IO(str(path), "w") as io:
        io.write(nwbfile)
    return path


# %% [markdown]
# ## 1. A session whose video is an external file
#
# What is in it, and what would be fitted?

# %%
path = Path(session) if session else make_session(Path("."))
print(f"{path.name}: fit would take {nwb_dcf.list_sources(path).default}")

# %% [markdown]
# ## 2. Fit three latents
#
# Frames are decoded straight to the small size, gray; `every` takes the first of so many. The paper's figure used 64
# pixels; the fewer pixels and steps, the sooner there is something to look at. The result goes into a copy, so that
# the original stays as it is.

# %%
read = {"source": "video", "size": size, "every": every}
if session:
    read["video_dir"] = str(path.resolve().parent)  # else the video lies beside the copy, too
result = nwb_dcf.fit_nwb(path, dim=3, steps=steps, output="video_latents.nwb", overwrite=True, **read)
scores, latents = result.dataset.attrs["scores"], result.dataset["latents"]
print(f"latents {latents.shape}; {scores['on']} reconstruction from 3 latents: R2 {scores['bottleneck_r2']:.2f}, "
      f"PCA {scores['pca_r2']:.2f}")  # fmt: skip

# %% [markdown]
# ## 3. Where does the animal dwell?
#
# Clusters of the latents, the frames that lie evenly along each, and those that stand out: far from any cluster, or
# fast. K-means returns as many clusters as it is asked for; that there are four is no finding.

# %%
bands = find_clusters(latents.values, n_clusters=4)
time = result.dataset["time"].values
for k in range(4):
    seconds = ", ".join(f"{time[frame]:.1f}" for frame in bands.pick_along(latents.values, k, 6))
    print(f"cluster {k + 1}: {np.mean(bands.band == k):.0%} of the frames; snapshots at {seconds} s")
speed = np.linalg.norm(result.dataset["velocity"].values, axis=1)
for name, values in (("distance", bands.distance), ("speed", speed)):
    frames = pick_outliers(values, time, 3, apart_s=1.0)
    print(f"largest {name}: {', '.join(f'{time[frame]:.1f} s' for frame in frames)}")

# %% [markdown]
# ## 4. The same as a picture
#
# `nwb-dcf plot video_latents.nwb -o page.html` has it, too, with all the rest.
#
# ![Latents of a video on a ring, in four clusters, with the frames along each](pictures/02_bands.png)

# %%
recording = nwb_dcf.read_recording(path, **read)
figure = Figure(figsize=(12, 15), layout="constrained")
draw_clusters(figure, result, recording, n_clusters=4)
figure.savefig("bands.png", dpi=80)
print("look at bands.png")

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
# # 3. Reading a result without nwb_dcf
#
# **Needs no extra, and no nwb_dcf**: `pip install pynwb pynapple h5py matplotlib`.
#
# With pynwb, pynapple and h5py. `session` is any file that holds a fit, as that of tutorial 1. The file itself says
# what its types are.
#
# In MATLAB, with MatNWB, the types come from the file as well (shown; our tests have no MATLAB to run it):
#
# ```matlab
# addpath('matnwb');
# nwb = nwbRead('tutorial.nwb', 'savedir', 'generated');   % makes classes of the specifications in the file
# fit = nwb.processing.get('dcf').nwbdatainterface.get('units_dim3');
# latents = fit.timeseries.get('latents');
# z = latents.data.load();                                 % (latent, time): MATLAB turns dimensions round
# velocity = fit.timeseries.get('velocity').data.load();
# rate = latents.starting_time_rate;                       % or latents.timestamps.load() where there are gaps
# start = fit.segments.start_time.data.load();
# heldOut = fit.segments.vectordata.get('held_out').data.load();
# provenance = jsondecode(fit.provenance);                 % source, seed, versions, scores
# plot3(z(1, :), z(2, :), z(3, :));
# ```

# %%
import json

import h5py
import numpy as np
import pynapple
from matplotlib.figure import Figure
from pynwb import read_nwb

# %%
session = "tutorial.nwb"
name = "units_dim3"

# %% [markdown]
# ## 1. pynwb
#
# The container holds series of latents, tables of segments and axes, and JSON. Series are reached by name,
# `fit["velocity"]`, and tables as attributes, `fit.segments`.

# %%
fit = read_nwb(session).processing["dcf"][name]
latents = fit["latents"]
print(f"pynwb: latents {latents.data.shape}, {latents.description}")
segments = fit.segments.to_dataframe()
print(f"pynwb: {len(segments)} segments, {segments['held_out'].sum()} held out")
axes = fit.axes.to_dataframe()
print(f"pynwb: held-out R2 from 1, 2, 3 latents: {', '.join(f'{r2:.2f}' for r2 in axes['bottleneck_r2'][:3])}")
provenance = json.loads(fit.provenance)
print(f"pynwb: made from {provenance['source']['path']} with seed {provenance['seed']}")

# %% [markdown]
# ## 2. pynapple
#
# Series are time series frames, segments are intervals. While the name is unique in the file, the short one will do;
# once there are two fits it is `units_dim3/latents`.

# %%
data = pynapple.load_file(session)
short = "latents" if "latents" in data.keys() else f"{name}/latents"  # noqa: SIM118 - it is no dict
frames, intervals = data[short], data[short.replace("latents", "segments")]
first = frames.restrict(intervals[0])
print(f"pynapple: {frames.shape} from {frames.t[0]:.2f} s; {len(first)} frames in the first segment")

# %% [markdown]
# ## 3. h5py: groups and arrays
#
# The velocity field lies on a grid, so that it is drawn without the model: where the latents went (mean velocity of
# the frames in a cell), and how many frames that was. Cells without a frame stay empty: nothing is known there.
#
# ![Arrows of the mean latent velocity over a grey map of visited cells](pictures/03_field.png)

# %%
with h5py.File(session) as file:
    group = file[f"processing/dcf/{name}"]
    print(f"h5py: {', '.join(group)}")
    field = group["velocity_field"]
    print(f"h5py: the field has {', '.join(f'{part} {field[part].shape}' for part in field)}")
    grid = [field[f"grid_{axis}"][:] for axis in (1, 2)]
    velocity, frames_in = field["mean_velocity"][:], field["frames"][:]
others = tuple(range(2, frames_in.ndim))  # the third latent, where there is one
total = frames_in.sum(axis=others)
arrows = np.nansum(velocity * frames_in[..., None], axis=others)[..., :2]
there = total > 0
figure = Figure(figsize=(6, 5), layout="constrained")
panel = figure.add_subplot()
x, y = np.meshgrid(*grid, indexing="ij")
panel.pcolormesh(*grid, np.where(there, total, np.nan).T, cmap="Greys", shading="nearest", vmax=2 * total.max())
panel.quiver(x[there], y[there], *(arrows[there] / total[there][:, None]).T, color="#ee6677", angles="xy")
panel.set(xlabel="latent 1", ylabel="latent 2", title="mean velocity of the latents (grey: frames in a cell)")
figure.savefig("field.png", dpi=80)
print("look at field.png")

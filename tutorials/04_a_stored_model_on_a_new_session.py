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
# # 4. A stored model on a new session
#
# **Needs the extra `plot`**: `pip install '.[plot]'` in the folder of the source.
#
# Monday's model on Tuesday's file: its latents there, what they say about behaviour, and how they would go on. Two
# days of one simulated recording, sorted together, stand in for yours.

# %%
from pathlib import Path

import numpy as np
import xarray as xr

import nwb_dcf
from nwb_dcf.data.recording import select_segments
from nwb_dcf.data.synthetic import simulate_reach
from nwb_dcf.errors import DataError
from nwb_dcf.io.export import export_dataset
from nwb_dcf.io.results import write_session
from nwb_dcf.pipeline.installation import require_extras

require_extras("plot")  # now, and not after the fit

from matplotlib.figure import Figure

# %%
n_trials = 90
steps = 300


# %%
def make_days(folder: Path, n_trials: int) -> tuple[Path, Path]:
    """Two files, Monday's with the first two thirds of the trials, Tuesday's with the rest; the truth is in both."""
    reach = simulate_reach(n_trials=n_trials, n_bins=60, n_units=50, bin_width_s=0.02)
    paths = folder / "monday.nwb", folder / "tuesday.nwb"
    cut = 2 * n_trials // 3
    for path, trials in zip(paths, (np.arange(cut), np.arange(cut, n_trials)), strict=True):
        part = select_segments(reach.recording, trials)
        write_session(part, path, truth=reach.truth[["latents"]].sel(time=part["time"]), overwrite=True)
    return paths


def write_fewer_units(session: Path, path: Path) -> Path:
    """Write a session without its first five units."""
    recording = nwb_dcf.read_recording(session)
    return write_session(recording.isel(unit=slice(5, None)), path, overwrite=True)


# %% [markdown]
# ## 1. Monday is fitted

# %%
monday, tuesday = make_days(Path("."), n_trials)
nwb_dcf.fit_nwb(monday, dim=3, steps=steps, seed=0)

# %% [markdown]
# ## 2. Its model is applied to Tuesday
#
# On the command line: `nwb-dcf transform tuesday.nwb --model monday.nwb#units_dim3`. Units are matched by id, which
# is right where both days were sorted together; else name a column that says which unit is which
# (`match="unit_name"`). The result is written into Tuesday's file like a fit.

# %%
result = nwb_dcf.transform_nwb(tuesday, f"{monday}#units_dim3")
model = result.provenance["model"]
scores = result.dataset.attrs["scores"]
print(f"tuesday: latents {result.dataset['latents'].shape} by {model['name']} of {model['file']}")
print(f"reconstruction from 3 latents: R2 {scores['bottleneck_r2']:.3f} of {scores['on']}")

# %% [markdown]
# ## 3. Units that are gone
#
# They are refused, unless one says what to put in their place.

# %%
fewer = write_fewer_units(tuesday, Path("fewer.nwb"))
try:
    nwb_dcf.transform_nwb(fewer, f"{monday}#units_dim3")
except DataError as error:
    print(f"refused: {error}")
imputed = nwb_dcf.transform_nwb(fewer, f"{monday}#units_dim3", impute="mean")
change = np.abs(imputed.dataset["latents"].values - result.dataset["latents"].values).mean()
print(f"with five units at their mean, latents move by {change:.2f} on average (their standard deviation is 1)")

# %% [markdown]
# ## 4. What do the latents say about behaviour?
#
# Here the truth stands in for it. PCA beside it tells whether the fit adds anything to that question.

# %%
report = nwb_dcf.evaluate_nwb(tuesday, against="simulation/latents")
for method, found in report.scores.items():
    print(f"decoded by {method}: R2 {found['latents']['value']:.3f}, from PCA {found['pca']['value']:.3f}")

# %% [markdown]
# ## 5. How would it go on?
#
# Twenty paths with noise from 0.3 s after the start of the first trial, and what came. Where "nothing changes"
# predicts as well as the rollouts did on held-out trials, they are no forecast any more. The fit is short here: its
# paths follow what came for a moment only.
#
# ![Twenty simulated paths beside the latents that came](pictures/04_paths.png)

# %%
start, n_frames, n_paths = float(result.dataset["segment_start"][0]) + 0.3, 20, 20
paths = nwb_dcf.simulate_nwb(tuesday, n_frames=n_frames, starts=[start], n_paths=n_paths)
horizon = nwb_dcf.read_result(monday).dataset.attrs["scores"]["rollout"]["horizon"]["rollout"]
print(f"{n_paths} paths of {n_frames} frames; on held-out trials rollouts beat persistence for {horizon} frames")

# %%
trial = result.dataset.isel(time=result.dataset["segment_index"].values == 0)
figure = Figure(figsize=(8, 4.5), layout="constrained")
panels = figure.subplots(3, 1, sharex=True)
time = paths["time"].values.reshape(n_paths, -1)
for k, panel in enumerate(panels):
    values = paths["data"].values[:, k].reshape(n_paths, -1)
    panel.plot(time.T, values.T, color="#ee6677", linewidth=0.7, alpha=0.6, label="simulated")
    panel.plot(trial["time"], trial["latents"][:, k], color="black", label="came")
    panel.set_ylabel(f"latent {k + 1}")
handles, labels = panels[0].get_legend_handles_labels()
figure.legend(handles[-2:], labels[-2:], frameon=False, loc="outside upper right", ncols=2)
panels[-1].set_xlabel("time (s)")
figure.savefig("paths.png", dpi=80)
print("look at paths.png")

# %% [markdown]
# ## 6. Out to other programs
#
# A table, and everything as netCDF for xarray.

# %%
export_dataset(paths, "paths.csv", overwrite=True)
nwb_dcf.export_result(result, "tuesday.nc", overwrite=True)
with xr.open_dataset("tuesday.nc") as stored:
    print(f"tuesday.nc: {', '.join(f'{n} {size}' for n, size in stored.sizes.items() if n in ('time', 'latent'))}")

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
# # 1. Spikes, from file to figure
#
# **Needs the extra `plot`**: `pip install '.[plot]'` in the folder of the source.
#
# From a session of spikes to latents in the same file, and to a figure. A session of centre-out reaches is simulated,
# so that there is a truth to compare with. Put the path of your own file in its place, and everything from step 2 on
# stays as it is. Files are left in the current folder.

# %%
from pathlib import Path

import numpy as np
from pynwb import read_nwb

import nwb_dcf
from nwb_dcf.data.synthetic import simulate_reach
from nwb_dcf.io.results import write_session
from nwb_dcf.pipeline.installation import require_extras

require_extras("plot")  # now, and not after the fit

# %%
n_trials = 80
steps = 300

# %% [markdown]
# ## 1. A session
#
# Sorted spikes and a table of trials, as a laboratory would archive them.

# %%
session = Path("tutorial.nwb")
simulation = simulate_reach(n_trials=n_trials, n_bins=60, n_units=50, bin_width_s=0.02)
write_session(simulation.recording, session, overwrite=True)

# %% [markdown]
# ## 2. What is in the file, and what would be fitted?

# %%
catalog = nwb_dcf.list_sources(session)
print(f"{session.name}: fit would take {catalog.default}, since {catalog.why}")

# %% [markdown]
# ## 3. Fit three latents
#
# Counts in bins of 20 ms become square roots, are smoothed within each trial and scaled. A fifth of the trials is
# held out: the model never sees it.
#
# If the two scores are close, three straight numbers (PCA) do as well as three bent ones.

# %%
result = nwb_dcf.fit_nwb(session, dim=3, bin_width_s=0.02, steps=steps, seed=0)
scores = result.dataset.attrs["scores"]
print(f"held-out R2 from 3 numbers: {scores['bottleneck_r2']:.3f}, PCA {scores['pca_r2']:.3f}")

# %% [markdown]
# ## 4. They are in the file now
#
# Plain pynwb reads them; this package is not needed.

# %%
fit = read_nwb(str(session)).processing["dcf"]["units_dim3"]
latents = fit["latents"].data[:]
print(f"latents {latents.shape} (time, latent); the container holds {', '.join(sorted(fit.fields))}")

# %% [markdown]
# ## 5. Here the truth is known
#
# How much of it is a linear map of the latents?

# %%
truth = simulation.truth["latents"].values
design = np.column_stack([latents, np.ones(len(latents))])
residual = truth - design @ np.linalg.lstsq(design, truth, rcond=None)[0]
r2 = 1 - residual.var(0).sum() / truth.var(0).sum()
print(f"true latents from fitted ones, linearly: R2 {r2:.3f}")

# %% [markdown]
# ## 6. The model comes back from the file, too
#
# It works on any recording of the same units.

# %%
dcf = nwb_dcf.DCF.from_result(nwb_dcf.read_result(session))
again = dcf.transform(nwb_dcf.read_recording(session, bin_width_s=0.02))
difference = np.abs(again["data"].values - latents).max()
print(f"the stored model gives the stored latents: largest difference {difference:.1e}")

# %% [markdown]
# ## 7. A figure
#
# Trajectories by the direction of the reach, and all the rest on one page. The command line does the same: `nwb-dcf
# plot tutorial.nwb -o tutorial.html --color direction`. Below each picture stands what to conclude from it.
#
# ![Latents of simulated reaches, coloured by their direction](pictures/01_trajectories.png)

# %%
picture, page = session.with_suffix(".png"), session.with_suffix(".html")
nwb_dcf.plot_nwb(session, output=picture, figure="trajectories", color="direction", overwrite=True)
nwb_dcf.plot_nwb(session, output=page, color="direction", overwrite=True)
print(f"look at {picture.name}, and open {page.name} in a browser")
print(result.captions["trajectories"])

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
# # 8. Look at a fit, everything on one clock
#
# **Needs the extra `view`**: `pip install '.[view]'` in the folder of the source.
#
# A picture of a trajectory does not say when, in which trial and by which units. The viewer shows latents, trials,
# behaviour and the data at the same moment. A session of reaches is simulated; put your own file in its place.

# %%
from pathlib import Path

import numpy as np

import nwb_dcf
from nwb_dcf.data.synthetic import simulate_reach
from nwb_dcf.io.results import write_session
from nwb_dcf.pipeline.installation import require_extras

require_extras("view")  # now, and not after the fit

# %%
n_trials = 60
steps = 300

# %%
session = Path("looked_at.nwb")
simulation = simulate_reach(n_trials=n_trials, n_bins=60, n_units=40, bin_width_s=0.02)
write_session(simulation.recording, session, truth=simulation.truth[["latents"]], overwrite=True)
result = nwb_dcf.fit_nwb(session, 3, steps=steps)
print(result.summary())

# %% [markdown]
# ## The page
#
# In a notebook the last line of this cell is the page. On the command line it is `nwb-dcf view looked_at.nwb`, which
# opens in your browser and ends with Ctrl-C. Nothing is written into the file.

# %%
page = result.view(session)
page

# %% [markdown]
# ## Five things to look at, in this order
#
# 1. **Latents against time.** Sand-coloured spans were held out. If they look like the others, the fit holds beyond
#    what it has seen. If they are flatter or wilder, read the verdict again.
# 2. **The raster**, sorted by the loading on a latent. Rows at the top and at the bottom make that latent. If it is
#    one row, the latent is one unit.
# 3. **The trajectory**, coloured by `direction`. Colours that part say that the latents tell directions apart. They
#    do not say that the animal uses them.
# 4. **`predict from here`** at the start of a trial. The dashed path is the model's own. Where it leaves the black one
#    the model does not know what comes next.
# 5. **The frames that stand out**: the key `o` takes those far from the others, `shift-o` the fastest. Look at them in
#    the raster before you believe that they are states: a moment when a unit was lost stands out, too.
#
# The fastest moments as numbers, to find them again on the page:

# %%
data = result.dataset
speed = np.linalg.norm(data["velocity"].values, axis=1)
fastest = np.argsort(speed)[::-1][:3]
for frame in fastest:
    trial = int(data["segment_index"].values[frame])
    direction = data["trial_direction"].values[trial]
    print(f"{data['time'].values[frame]:.2f} s: {speed[frame]:.1f} latent units a second, direction {direction}")

# %% [markdown]
# ## Send what you see
#
# The address of the page holds the moment, the axes and the colours. Press `y` to copy it; a colleague who has the file
# starts from it by `nwb-dcf view looked_at.nwb --link ADDRESS`. For somebody without the file, draw a page to mail:
# `nwb-dcf plot looked_at.nwb -o looked_at.html` (extra `plot`).

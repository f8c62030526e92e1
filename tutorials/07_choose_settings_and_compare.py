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
# # 7. Choose settings, compare methods, look
#
# **Needs the extra `plot`**: `pip install '.[plot]'` in the folder of the source.
#
# Three questions before a figure: which smoothing do these data support, does DCF add anything to PCA on them, and
# what is there to see. A session of reaches is simulated; put your own file in its place.

# %%
from pathlib import Path

import nwb_dcf
from nwb_dcf.data.synthetic import simulate_reach
from nwb_dcf.io.results import write_session
from nwb_dcf.pipeline.installation import require_extras

require_extras("plot")  # now, and not after the fit

# %%
n_trials = 60
steps = 300

# %%
session = Path("reaches.nwb")
simulation = simulate_reach(n_trials=n_trials, n_bins=60, n_units=40, bin_width_s=0.02)
write_session(simulation.recording, session, truth=simulation.truth[["latents"]], overwrite=True)

# %% [markdown]
# ## 1. Which smoothing?
#
# On the command line: `nwb-dcf scan reaches.nwb`. Half of the units predicts the other half, on blocks of time that
# were left out. No behaviour has a part in it. Where neighbouring rows score alike, the choice hardly matters. A
# scan is made of all segments; a fit holds some of them out, so that it may take the neighbour of the row that is
# marked here.

# %%
scan = nwb_dcf.scan_nwb(session)
for row in scan.rows:
    print(f"{'->' if row['taken'] else '  '} {row['smooth_s']:5.2f} s {row['scale']:7} {row['score']:.2f}")
chosen = next(row for row in scan.rows if row["taken"])

# %% [markdown]
# ## 2. Plan the fit
#
# A plan settles everything and writes nothing: the segments, what is held out, the settings. On the command line it is
# `--dry-run`. A line that begins with "doubt" wants an answer now.

# %%
plan = nwb_dcf.plan_fit(session, 3, steps=steps)
summary = plan.to_dict()
print(
    f"{summary['channels']} units, {summary['bins']} bins of {summary['bin_width_s']:g} s; {summary['split']['rule']}"
)
print(
    f"smoothing {summary['smoothing']['smooth_s']:g} s; the file grows by about {summary['growth_bytes'] / 1e6:.1f} MB"
)

# %% [markdown]
# ## 3. Do these data need it?
#
# On the command line: `nwb-dcf compare reaches.nwb --dim 3 --method pca --against simulation/latents`. Both methods
# have the same frames, the same held-out trials and the same number of latents. The first line is the verdict, and it
# may be that PCA is enough.

# %%
comparison = nwb_dcf.compare_nwb(session, 3, methods=["pca"], against="simulation/latents", steps=steps)
print(comparison.verdict)
for row in comparison.rows:
    scores = {question: f"{score['value']:.3f}" for question, score in row["scores"].items() if score}
    print(f"{row['method']}: {scores}")

# %% [markdown]
# ## 4. Fit, and read the verdict
#
# The summary has the certificate first: may the latents be used, are they better than PCA's, may the velocity be
# interpreted. "Fail" is an answer, too.

# %%
result = nwb_dcf.fit_nwb(session, 3, steps=steps)
print(result.summary())

# %% [markdown]
# ## 5. Look
#
# Everything on one clock, in the browser: `nwb-dcf view reaches.nwb` (extra `view`), or `result.view("reaches.nwb")` in
# a notebook. For a page to mail, with a caption below each picture:

# %%
nwb_dcf.plot_nwb(session, output="reaches.html", color="direction", overwrite=True)
print("open reaches.html in a browser")

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
# # 6. A cohort of four animals, from files to a page
#
# **Needs the extra `plot`**: `pip install '.[plot]'` in the folder of the source.
#
# Animals have no unit in common, but their trials have the same conditions. That is enough for one space: what you
# decode in one animal you can decode in another. Five animals are simulated, four for the cohort and one that comes
# later. Put a folder of your own sessions in their place, and name your column of trials.

# %%
from pathlib import Path

import numpy as np

import nwb_dcf
from nwb_dcf import cohort
from nwb_dcf.data.synthetic import simulate_cohort
from nwb_dcf.io.results import write_session
from nwb_dcf.pipeline.installation import require_extras

require_extras("plot")  # now, and not after the fit

# %%
n_bins = 24
n_permutations = 199

# %% [markdown]
# ## 1. A folder of sessions
#
# Each has its own 40 to 80 units, its own rates and its own number of trials; the six conditions are spelled alike.

# %%
folder = Path("animals")
folder.mkdir(exist_ok=True)
simulated = simulate_cohort(5, 3, n_conditions=6, n_bins=n_bins, n_units=(40, 80), trials_per_condition=(5, 9), seed=4)
outcome = np.random.default_rng(0)
for i, animal in enumerate(simulated):
    place = folder / f"animal{i}.nwb" if i < 4 else Path("newcomer.nwb")
    hits = outcome.choice(["hit", "miss"], animal.recording.sizes["segment"])
    recording = animal.recording.assign(trial_outcome=("segment", hits))
    write_session(recording, place, truth=animal.truth, seed=i, overwrite=True)

# %% [markdown]
# ## 2. One space
#
# On the command line: `nwb-dcf cohort fit animals/ --align-on trials.condition --bin 0.04 -o cohort.nwb`. Trials begin
# with their event here; with `--align go_cue --window -0.2 0.8` they would be cut about one.
#
# Read the findings before you look at a picture. Each is a sentence with its figures, and a warning is a warning.

# %%
fitted = cohort.fit_cohort(
    folder,
    3,
    align_on="trials.condition",
    bin_width_s=0.04,
    output="cohort.nwb",
    n_permutations=n_permutations,
    overwrite=True,
)
for finding in fitted.cohort.findings_:
    print(f"{finding.severity}: {finding.sentence}")

# %% [markdown]
# ## 3. Each animal's latents are in its own file
#
# They are a fit like any other: `nwb-dcf list`, pynapple, pynwb and the tutorials before this one read it.

# %%
one = nwb_dcf.read_result(folder / "animal0.nwb", "cohort_dim3")
print(f"animal0: latents {one.dataset['latents'].shape}, of cohort {one.provenance['cohort']['sha256'][:12]}")
print(fitted.cohort.table[["units", "trials", "p"]].round(3).to_string())

# %% [markdown]
# ## 4. A decoder of the others
#
# The true state stands in for behaviour. `others` is R² on held-out trials by a decoder that never saw this animal,
# `within` by its own decoder. The closer they are, the more the space is one. The rows below are the animals as if
# they were new: only the coupling is fitted, to 5, 10, 20 and 40 trials.

# %%
evaluation = cohort.evaluate_cohort("cohort.nwb", against="simulation/latents")
found = evaluation.decoding["ridge"]
print(f"decoded by others {found.others.round(2)}, within {found.within.round(2)}, ratio {found.ratio:.2f}")
print(f"as new animals, {evaluation.n_trials} trials:")
print(evaluation.new["ridge"].round(2))

# %% [markdown]
# ## 5. An animal that comes later
#
# It gets a coupling; axes and field stay as they are, so that nothing published moves.

# %%
added = cohort.add_to_cohort("cohort.nwb", "newcomer.nwb", overwrite=True)
print(f"{added['session']}: {added['units']} units, {added['trials']} trials, {added['conditions']} conditions")

# %% [markdown]
# ## 6. Do hits and misses differ?
#
# Outcomes were drawn at random here, so the answer should be no. Trials are permuted within each condition.

# %%
comparison = cohort.compare_cohort("cohort.nwb", compare="outcome", n_permutations=n_permutations)
for finding in comparison.findings:
    print(f"{finding.severity}: {finding.sentence}")

# %% [markdown]
# ## 7. A page
#
# Everything on one page that opens offline: turn the first picture, and look whether the thin lines of the animals lie
# along the thick ones.

# %%
page = cohort.plot_cohort("cohort.nwb", output="cohort.html", against="simulation/latents", overwrite=True)
print(f"open {page['written']}")

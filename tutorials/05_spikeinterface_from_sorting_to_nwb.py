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
# # 5. From a sorting to latents in a file, with SpikeInterface
#
# **Needs the extras `spikeinterface` and `plot`**: `pip install '.[spikeinterface,plot]'` in the folder of the
# source.
#
# From a sorting through curation to latents and an NWB file. A recording with known units stands in for yours, and a
# sorting that has one of them in two halves for what a sorter found; from step 2 on put in your own.

# %%
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from pynwb import NWBHDF5IO, NWBFile, read_nwb

import nwb_dcf
from nwb_dcf.pipeline.installation import require_extras

require_extras("spikeinterface", "plot")  # now, and not after the fit

import spikeinterface.core as si
from spikeinterface.core import NumpySorting, create_sorting_analyzer, generate_ground_truth_recording

import nwb_dcf.spikeinterface as ndsi  # registers the extension "dcf_latents"

# %%
duration_s = 40.0
steps = 200

# %%
RATE_HZ, START_S = 10_000.0, 30.0


def rotate(time: Any) -> Any:
    """A slow rotation, (time, 2)."""
    phase = 2 * np.pi * time / 1.5
    return np.column_stack([np.cos(phase), np.sin(phase)])


def simulate_units(duration_s: float, n_units: int, seed: int = 0) -> Any:
    """Units that follow the rotation."""
    rng = np.random.default_rng(seed)
    weights, grid = rng.normal(0, 0.8, (2, n_units)), np.arange(0, duration_s, 0.002)
    spikes = rng.random((len(grid), n_units)) < 12 * np.exp(rotate(grid) @ weights) * 0.002
    trains = {str(i): (grid[spikes[:, i]] * RATE_HZ).astype(int) for i in range(n_units)}
    return NumpySorting.from_unit_dict(trains, RATE_HZ)


# %% [markdown]
# ## 1. A recording and a sorting
#
# The recording starts at 30 s of the session. Unit 0 comes in two halves, as a sorter might make of it.

# %%
truth = simulate_units(duration_s, n_units=10)
recording, _ = generate_ground_truth_recording(
    [duration_s], sorting=truth, sampling_frequency=RATE_HZ, num_channels=8, seed=0
)
recording.shift_times(START_S)
first = truth.get_unit_spike_train("0")
trains = {unit: truth.get_unit_spike_train(unit) for unit in truth.unit_ids[1:]}
sorting = NumpySorting.from_unit_dict({"0a": first[::2], "0b": first[1::2], **trains}, RATE_HZ)

# %% [markdown]
# ## 2. Latents among the other steps of post-processing

# %%
analyzer = create_sorting_analyzer(
    sorting, recording, format="binary_folder", folder="analyzer", sparse=False, overwrite=True
)
analyzer.compute({"random_spikes": {}, "templates": {}, "dcf_latents": {"dim": 2, "bin_width_s": 0.02, "steps": steps}})
extension = analyzer.get_extension("dcf_latents")
print(f"latents {extension.get_data().shape} (time, latent), first bin at {extension.get_times()[0]:.2f} s")

# %% [markdown]
# ## 3. Curation
#
# The halves are merged, and the latents are those of the merged unit's counts.

# %%
curated = analyzer.merge_units([["0a", "0b"]], new_unit_ids=["0"], format="binary_folder", folder="curated")
extension = curated.get_extension("dcf_latents")
scores = extension.get_data(outputs="result").dataset.attrs["scores"]
print(f"after the merge: held-out R2 from 2 numbers {scores['bottleneck_r2']:.3f}, PCA {scores['pca_r2']:.3f}")
print(ndsi.tabulate_units(curated).round(2).to_string())

# %% [markdown]
# ## 4. They are in the folder, and load with it
#
# Here the truth is known: is the rotation a linear map of them?

# %%
extension = si.load_sorting_analyzer("curated").extensions["dcf_latents"]
latents, time = np.asarray(extension.get_data()), extension.get_times()
design = np.column_stack([latents, np.ones(len(latents))])
rotation = rotate(time - START_S)
residual = rotation - design @ np.linalg.lstsq(design, rotation, rcond=None)[0]
r2 = float(1 - residual.var(axis=0).sum() / rotation.var(axis=0).sum())
print(f"the true rotation from the latents, linearly: R2 {r2:.3f}")

# %% [markdown]
# ## 5. A picture, in the manner of spikeinterface.widgets

# %%
ndsi.plot_dcf_latents(curated, backend="matplotlib").figure.savefig("latents.png")

# %% [markdown]
# ## 6. An NWB file
#
# The curated units as NeuroConv would write them, with the time that was recorded; and then the latents, matched to
# the units by id.

# %%
session = Path("session.nwb")
nwbfile = NWBFile("a tutorial", "tutorial", datetime(2026, 1, 1, tzinfo=UTC))
nwbfile.add_unit_column("unit_name", "id in SpikeInterface")
for unit in curated.unit_ids:
    times = recording.sample_index_to_time(curated.sorting.get_unit_spike_train(unit))
    nwbfile.add_unit(spike_times=times, obs_intervals=[[START_S, START_S + duration_s]], unit_name=unit)
with NWBHDF5IO(session, "w") as io:
    io.write(nwbfile)
written = ndsi.to_nwb(curated, session)
stored = read_nwb(str(session)).processing["dcf"][written.name]["latents"]
print(f"{session.name} holds {written.name}: latents {stored.data.shape}")

# %% [markdown]
# ## 7. A fit of the file itself gives the same latents

# %%
again = nwb_dcf.fit_nwb(session, dim=2, bin_width_s=0.02, steps=steps, name="again")
difference = np.abs(again.dataset["latents"].values - stored.data[:]).max()
print(f"fitted from the file: largest difference {difference:.1e}")

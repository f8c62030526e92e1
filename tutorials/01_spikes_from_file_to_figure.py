"""From a session of spikes to latents in the same file, and to a figure, step by step.

Run it in any folder: ``python 01_spikes_from_file_to_figure.py [FOLDER]``. It simulates a session of
centre-out reaches, so that there is a truth to compare with; put the path of your own file in its
place and everything from step 2 on stays as it is.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from pynwb import read_nwb

import nwb_dcf
from nwb_dcf.data.synthetic import simulate_reach
from nwb_dcf.io.results import write_session
from nwb_dcf.pipeline.plot import plot_nwb


def main(folder: str = ".", n_trials: int = 80, steps: int = 300) -> float:
    """Go through the steps; return how well the true latents follow from the fitted ones (R2)."""
    # 1. A session: sorted spikes and a table of trials, as a laboratory would archive them.
    session = Path(folder) / "tutorial.nwb"
    simulation = simulate_reach(n_trials=n_trials, n_bins=60, n_units=50, bin_width_s=0.02)
    write_session(simulation.recording, session, overwrite=True)

    # 2. What is in the file, and what would be fitted?
    catalog = nwb_dcf.list_sources(session)
    print(f"{session.name}: fit would take {catalog.default}, since {catalog.why}")

    # 3. Fit three latents. Counts in bins of 20 ms become square roots, are smoothed within each
    #    trial and scaled by one number; a fifth of the trials is held out.
    result = nwb_dcf.fit_nwb(session, dim=3, bin_width_s=0.02, steps=steps, seed=0)
    scores = result.dataset.attrs["scores"]
    print(f"held-out R2 from 3 numbers: {scores['bottleneck_r2']:.3f}, PCA {scores['pca_r2']:.3f}")

    # 4. They are in the file now. Plain pynwb reads them; this package is not needed.
    fit = read_nwb(str(session)).processing["dcf"]["units_dim3"]
    latents = fit["latents"].data[:]
    print(f"latents {latents.shape} (time, latent); the container holds {', '.join(sorted(fit.fields))}")

    # 5. Here the truth is known: how much of it is a linear map of the latents?
    truth = simulation.truth["latents"].values
    design = np.column_stack([latents, np.ones(len(latents))])
    residual = truth - design @ np.linalg.lstsq(design, truth, rcond=None)[0]
    r2 = 1 - residual.var(0).sum() / truth.var(0).sum()
    print(f"true latents from fitted ones, linearly: R2 {r2:.3f}")

    # 6. The model comes back from the file too, and works on any recording of the same units.
    dcf = nwb_dcf.DCF.from_result(nwb_dcf.read_result(session))
    again = dcf.transform(nwb_dcf.read_recording(session, bin_width_s=0.02))
    difference = np.abs(again["data"].values - latents).max()
    print(f"the stored model gives the stored latents: largest difference {difference:.1e}")

    # 7. A figure: trajectories by the direction of the reach, and all the rest on one page. The command line does the
    #    same: nwb-dcf plot tutorial.nwb -o tutorial.html --color direction
    picture, page = session.with_suffix(".png"), session.with_suffix(".html")
    plot_nwb(session, output=picture, figure="trajectories", color="direction", overwrite=True)
    plot_nwb(session, output=page, color="direction", overwrite=True)
    print(f"look at {picture.name}, and open {page.name} in a browser")
    return float(r2)


if __name__ == "__main__":
    main(*sys.argv[1:2])

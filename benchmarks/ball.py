"""Rotating ball: what three numbers a frame rebuild, beside PCA (``python benchmarks/ball.py``).

Ten videos of 50 frames, 28 x 28, angle steps of 2 pi / 25 with 10 % spread of speed; fitted to seven,
measured on three. Prints one table and, with ``--write``, puts it into RESULTS.md.
"""

from __future__ import annotations

import argparse

import numpy as np
from results import Table, write_section

from nwb_dcf import DCF
from nwb_dcf.evaluate import decode_linearly, measure_energy_outside, r2_score, rebuild_by_pca
from nwb_dcf.simulate import simulate_ball

N_TRAINING = 7


def measure(seed: int) -> dict[str, float]:
    """Fit and measure one seed of the simulation; the fit's own seed is 0."""
    simulation = simulate_ball(seed=seed)
    videos = simulation.videos
    training, test = videos[:N_TRAINING], videos[N_TRAINING:]
    model = DCF(dim=3, seed=0).fit(training)
    x, seen = model.prepare(test), model.prepare(training)
    z, z_seen = np.concatenate(model.transform(test)), np.concatenate(model.transform(training))
    angle = simulation.truth["angle"].values
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    n_seen = len(z_seen)
    states = model.compress(test)
    return {
        "bottleneck R2": r2_score(x, model.rebuild(z)),
        "u integrated R2": r2_score(x, model.rebuild(z, decoder="flow")),
        "PCA R2": r2_score(x, rebuild_by_pca(seen, x, 3)),
        "angle, linear R2": r2_score(circle[n_seen:], decode_linearly(z_seen, circle[:n_seen], z)),
        "energy outside": measure_energy_outside(states, model.mean_, model.loadings_, 3),
        "round trip R2": r2_score(x, model.expand(states)),
        "seconds": model.fitted_.timing["seconds"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1, help="simulations")
    parser.add_argument("--write", action="store_true", help="put the table into RESULTS.md")
    arguments = parser.parse_args()
    rows = [{"simulation": seed, **measure(seed)} for seed in range(arguments.seeds)]
    table = Table("Rotating ball, held-out videos", rows)
    print(table.to_markdown())
    if arguments.write:
        write_section(table)


if __name__ == "__main__":
    main()

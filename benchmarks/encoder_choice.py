"""Whether held-out frames choose the better encoder of simulated calcium (``python benchmarks/encoder_choice.py``).

A Lorenz system, a ring and five dimensions drive cells whose spikes an indicator filters. Both candidates of a fit of
values are trained: PCA's latents with u, and an encoder with u. The table has what chose between them, and how well
the truth, which took no part, is decoded from either.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from results import Table, write_section
from scipy.ndimage import gaussian_filter1d
from scipy.signal import lfilter

from nwb_dcf import DCF
from nwb_dcf.data.recording import make_recording
from nwb_dcf.data.synthetic import simulate_lorenz
from nwb_dcf.metrics import score_decoding_on

RATE_HZ, N_FRAMES, MEAN_RATE_HZ, NOISE = 10.0, 5_000, 2.0, 0.3
CASES = (
    ("lorenz", 100, 0.5), ("ring", 100, 0.5), ("five", 30, 2.0), ("five", 200, 0.2),
    ("lorenz", 30, 2.0), ("ring", 300, 0.2),
)  # fmt: skip


def draw_truth(kind: str, n_cells: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Latents (time, latent) and logarithms of rates (time, cell)."""
    rng = np.random.default_rng(seed)
    if kind == "ring":
        phase = np.cumsum(0.6 * gaussian_filter1d(rng.normal(size=N_FRAMES), 8))
        rates = 1.5 * np.cos(phase[:, None] - rng.uniform(0, 2 * np.pi, n_cells))
        return np.column_stack([np.cos(phase), np.sin(phase)]), rates
    if kind == "lorenz":
        latents = simulate_lorenz(1, N_FRAMES, 2, bin_width_s=1 / RATE_HZ, speed=0.5, seed=seed).truth["latents"].values
        weights, n_features = rng.normal(size=(3, 32)), 32
    else:
        latents = gaussian_filter1d(rng.normal(size=(N_FRAMES, 5)), 8, axis=0)
        latents /= latents.std(axis=0)
        weights, n_features = rng.normal(scale=0.7, size=(5, 40)), 40
    features = np.tanh(latents @ weights + rng.normal(size=n_features))
    return latents, features @ rng.normal(scale=0.25, size=(n_features, n_cells))


def simulate(kind: str, n_cells: int, decay_s: float, seed: int) -> tuple[xr.Dataset, NDArray[np.float64]]:
    """One long recording of fluorescence, and its latents."""
    latents, log_rates = draw_truth(kind, n_cells, seed)
    rates = np.exp(log_rates)
    rng = np.random.default_rng(seed + 1)
    spikes = rng.poisson(MEAN_RATE_HZ * rates / rates.mean(axis=0) / RATE_HZ).astype(float)
    calcium = lfilter([1.0], [1.0, -np.exp(-1 / (RATE_HZ * decay_s))], spikes, axis=0)
    values = (calcium + NOISE * rng.normal(size=calcium.shape)).astype(np.float32)
    recording = make_recording(values, np.arange(N_FRAMES) / RATE_HZ, channel_dim="roi", units="dF/F", kind="series")
    return recording, latents


def measure(kind: str, n_cells: int, decay_s: float, seed: int) -> dict[str, object]:
    """Fit as the default does, and once with PCA's latents and once with a trained encoder whatever is held out."""
    recording, truth = simulate(kind, n_cells, decay_s, seed)
    started = time.process_time()
    chosen = DCF(truth.shape[1] if kind != "ring" else 2, settings={"beta": 0.0}).fit(recording).fitted_
    seconds = time.process_time() - started
    row: dict[str, object] = {"simulation": f"{kind}, {n_cells} cells, {decay_s:g} s, seed {seed}"}
    gains = chosen.encoder["gains"]
    row["latents"] = "trained encoder" if chosen.encoder["trained"] else "PCA's"
    row |= {f"{name} gain": f"{g['value']:+.4f} [{g['low']:+.4f}, {g['high']:+.4f}]" for name, g in gains.items()}
    by_pca = DCF(chosen.dim, settings={"beta": 0.0, "train_encoder_with_flows": False}, steps=1).fit(recording).fitted_
    pair = [decode(one.encode(one.prepare(recording)), truth) for one in (chosen, by_pca)]
    row |= {f"{name}, taken / PCA": f"{pair[0][name]:.3f} / {pair[1][name]:.3f}" for name in pair[0]}
    return row | {"CPU seconds": round(seconds, 1)}


def decode(latents: NDArray[Any], truth: NDArray[np.float64]) -> dict[str, float]:
    """R2 of the truth on the last quarter of the time, learned on the first 70 %."""
    n, one = len(latents), np.zeros(len(latents), int)
    seen, unseen = slice(0, int(0.7 * n), 2), slice(int(0.75 * n), n)
    given = (latents[seen], truth[seen], one[seen], latents[unseen], truth[unseen], one[unseen])
    return {
        method: score_decoding_on(*given, method=method, seed=0).value  # type: ignore[arg-type]
        for method in ("ridge", "neighbours")
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=len(CASES), help="how many of the simulations")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", action="store_true", help="put the table into RESULTS.md")
    arguments = parser.parse_args()
    rows = []
    for case in CASES[: arguments.cases]:
        rows.append(measure(*case, arguments.seed))
        print(rows[-1], flush=True)
    table = Table("Values: a trained encoder beside PCA's latents", rows)
    print(table.to_markdown())
    if arguments.write:
        write_section(table)


if __name__ == "__main__":
    main()

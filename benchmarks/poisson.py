"""Spike counts without smoothing: which way from three numbers to a rate pays (``python benchmarks/poisson.py``).

Spikes are thinned: a code is fitted to four fifths of each count, and the rates it gives on held-out trials are scored
on the last fifth, unsmoothed, by the share of the Poisson deviance that they explain. So no path gains by
remembering the noise of the counts that it has seen. Prints one table and, with ``--write``, puts it into RESULTS.md.

Codes are three numbers a bin of square roots: of DCF with the coupling joined (smoothed, not smoothed, and not smoothed
with a window about as long as the smoothing) and of PCA. Paths from them to rates:

squared      the rebuilt square roots, squared: ``inverse_transform``
inverted     the rate whose Poisson counts have the rebuilt value as the mean of their square roots
calibrated   a Poisson regression for each unit from the logarithm of the inverted rate
linear       a Poisson regression from the three numbers (`fit_rates`)
quadratic    the same with their squares and products
tanh         the same with 32 random tanh features
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import xarray as xr
from results import Table, write_section

from nwb_dcf import DCF, read_recording
from nwb_dcf.data.preprocessing import SPIKE_SMOOTH_S, Preprocessor, invert_mean_root
from nwb_dcf.data.split import split_recording
from nwb_dcf.data.synthetic import simulate_lorenz, simulate_reach
from nwb_dcf.metrics import SegmentSums, compare_paired, compute_pca_axes, fit_rates, score_rates

SHARE = 0.8  # of the spikes that the code is fitted to
DIM = 3
STEPS = 300  # of the code alone: v is not trained
FIT = {
    "train_encoder_with_flows": True,
    "single_stage": True,
    "beta": 0.0,
    "early_stopping": False,
    "encoder_dropout": 0.2,
}
REAL = Path(__file__).resolve().parents[2] / "shared" / "data" / "reach_chewie.nwb"
PATHS = ("squared", "inverted", "calibrated", "linear", "quadratic", "tanh")


def make_sets(seed: int) -> dict[str, tuple[xr.Dataset, np.ndarray | None]]:
    """Recordings of counts, with the true counts to expect where they are known."""
    sets: dict[str, tuple[xr.Dataset, np.ndarray | None]] = {}
    if REAL.exists():
        sets["reach_chewie, 100 ms"] = read_recording(REAL, bin_width_s=0.1), None
    for name, simulation, width_s in (
        ("simulated reach, 10 ms", simulate_reach(n_trials=120, n_bins=60, n_units=80, seed=seed), 0.01),
        ("Lorenz, 20 ms", simulate_lorenz(seed=seed), 0.02),
    ):
        sets[name] = simulation.recording, simulation.truth["rates_hz"].values * width_s
    return sets


def measure(recording: xr.Dataset, expected: np.ndarray | None, seed: int) -> dict[str, dict[str, SegmentSums]]:
    """Score every path from every code of one recording; the true rates are a code with one path."""
    rng = np.random.default_rng(seed)
    counts = recording["data"].values.astype(int)
    kept = rng.binomial(counts, SHARE)
    index = np.arange(len(counts))
    numbered = recording.assign(data=(recording["data"].dims, kept, recording["data"].attrs), frame=("time", index))
    split = split_recording(numbered, 0.25, seed=seed)
    assert split is not None
    training, test = split.training["frame"].values, split.held_out["frame"].values
    segment, rest = recording["segment_index"].values[test], (counts - kept)[test]

    def score(rates: np.ndarray) -> SegmentSums:
        return score_rates(rest, rates * (1 - SHARE) / SHARE, segment)

    window = max(2, round(2 * SPIKE_SMOOTH_S / recording.attrs["bin_width_s"]))
    found: dict[str, dict[str, SegmentSums]] = {}
    for name, settings in (
        ("smoothed", {}),
        ("not smoothed", {"smooth": 0.0}),
        ("encoder_window", {"smooth": 0.0, "encoder_window": window, "gamma": 1.0}),
    ):
        model = DCF(DIM, seed=seed, steps=STEPS, settings={**FIT, **settings}).fit(split.training)
        x, x_test = model.prepare(split.training), model.prepare(split.held_out)
        mean, axes = compute_pca_axes(x, DIM)
        z, z_test = (model.transform(part)["data"].values for part in (split.training, split.held_out))
        codes = {f"DCF, {name}": (z, z_test, model.reconstruct(z), model.reconstruct(z_test))}
        if name != "encoder_window":
            scores, scores_test = (x - mean) @ axes, (x_test - mean) @ axes
            codes[f"PCA, {name}"] = scores, scores_test, mean + scores @ axes.T, mean + scores_test @ axes.T
        for label, code in codes.items():
            rates = {path: find_rates(path, code, model.preparation_, kept[training]) for path in PATHS}
            found[label] = {path: score(value) for path, value in rates.items()}
    if expected is not None:
        found["true rates"] = {"true rates": score(expected[test] * SHARE)}
    return found


def find_rates(
    path: str,
    code: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    preparation: Preprocessor,
    counts: np.ndarray,
) -> np.ndarray:
    """Expected counts of test frames by one path; `counts` are those of training frames."""
    z, z_test, rebuilt, rebuilt_test = code
    if path == "squared":
        return preparation.undo(rebuilt_test)
    roots, roots_test = (np.maximum(r / preparation.factor + preparation.offset, 0) for r in (rebuilt, rebuilt_test))
    if path == "inverted":
        return invert_mean_root(roots_test)
    if path == "calibrated":
        logs, logs_test = (np.log(invert_mean_root(r) + 1e-3) for r in (roots, roots_test))
        one = [fit_rates(logs[:, [i]], counts[:, [i]]).predict(logs_test[:, [i]]) for i in range(counts.shape[1])]
        return np.hstack(one)
    expand = FEATURES[path]
    centre, scale = z.mean(axis=0), z.std(axis=0)
    return fit_rates(expand((z - centre) / scale), counts).predict(expand((z_test - centre) / scale))


def expand_quadratically(z: np.ndarray) -> np.ndarray:
    first, second = np.triu_indices(z.shape[1])
    return np.hstack([z, z[:, first] * z[:, second]])


def expand_by_tanh(z: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.hstack([z, np.tanh(z @ rng.normal(size=(z.shape[1], 32)) + rng.normal(size=32))])


FEATURES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "linear": lambda z: z,
    "quadratic": expand_quadratically,
    "tanh": expand_by_tanh,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=1, help="simulations, splits and fits")
    parser.add_argument("--write", action="store_true", help="put the table into RESULTS.md")
    arguments = parser.parse_args()
    rows = []
    for seed in range(arguments.seeds):
        for name, (recording, expected) in make_sets(seed).items():
            found = measure(recording, expected, seed)
            truth = found.pop("true rates", None)
            for code, scores in found.items():
                rows.append(
                    {
                        "set": name,
                        "seed": seed,
                        "code": code,
                        **{path: sums.value for path, sums in scores.items()},
                        "inverted - squared [95 %]": compare_paired(scores["inverted"], scores["squared"]),
                        "linear - inverted [95 %]": compare_paired(scores["linear"], scores["inverted"]),
                        "quadratic - linear [95 %]": compare_paired(scores["quadratic"], scores["linear"]),
                        "true rates": truth["true rates"].value if truth else "unknown",
                    }
                )
                print(*rows[-1].values(), sep="  ", flush=True)
    table = Table("Spike counts: deviance of unsmoothed counts explained from three numbers", rows)
    print(table.to_markdown())
    if arguments.write:
        write_section(table)


if __name__ == "__main__":
    main()

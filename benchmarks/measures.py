"""What is measured of one fit on held-out frames; sums over segments wherever an interval is wanted."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from methods import Fit
from scipy.optimize import linear_sum_assignment
from sets import Benchmark, label_pieces

from nwb_dcf import DCF
from nwb_dcf.data.gaussian_filter import TRUNCATE
from nwb_dcf.data.recording import flatten_frames, median_step_s
from nwb_dcf.evaluation.encoded import encode_recording
from nwb_dcf.evaluation.forecast import describe_horizon
from nwb_dcf.metrics import (
    SegmentSums,
    decode_linearly,
    measure_consistency,
    measure_energy_outside,
    r2_score,
    score_decoding,
    score_decoding_on,
    score_reconstruction,
)

MOST_TO_CHOOSE = 3_000  # frames on which the scaling for neighbours is chosen


def score_fit(benchmark: Benchmark, fit: Fit) -> dict[str, SegmentSums]:
    """Rebuilding and decoding on the held-out frames, in sums over their pieces."""
    held_out = benchmark.held_out
    codes = fit.encode(benchmark.training), fit.encode(held_out)
    scores = score_decoders(benchmark, fit, codes)
    if fit.rebuild:
        rebuilt, pieces = fit.rebuild(codes[1]), label_pieces(held_out)
        scores["rebuild"] = score_reconstruction(fit.prepare(held_out), rebuilt, pieces)
        if benchmark.find_truth:
            scores["rebuild, truth"] = score_reconstruction(benchmark.find_truth(fit.preparation), rebuilt, pieces)
    if fit.model:
        flowed = tuple(np.asarray(fit.model.flow(r)["data"].values) for r in (benchmark.training, held_out))
        scores |= {f"{name}, flowed": s for name, s in score_decoders(benchmark, fit, flowed).items()}
    return scores


def score_decoders(benchmark: Benchmark, fit: Fit, codes: tuple[np.ndarray, np.ndarray]) -> dict[str, SegmentSums]:
    """Decode the target by ridge regression and by nearest neighbours, their settings nested by segment.

    Neighbours depend on the scale of each latent: its own or unit variance, whichever is better on training segments.
    """
    spread = codes[0].std(axis=0)
    by_unit = [z / np.where(spread > 0, spread, 1) for z in codes]
    variance = fit.spectrum if fit.model else None  # DCF's latents have unit variance: what they stand for is in d
    own = [z * np.sqrt(variance) for z in by_unit] if variance is not None else list(codes)
    segments = label_pieces(benchmark.training), label_pieces(benchmark.held_out)
    step = median_step_s(benchmark.training)
    gap = int(np.ceil(TRUNCATE * fit.preparation.smooth_s / step))
    few = segments[0] <= segments[0][:MOST_TO_CHOOSE][-1]
    target, test_target = benchmark.targets

    def choose(z: np.ndarray) -> float:
        part = score_decoding(z[few], target[few], segments[0][few], method="neighbours", gap=gap)
        return part.value

    near = max((own, by_unit), key=lambda pair: choose(pair[0]))
    return {
        "linear": score_decoding_on(by_unit[0], target, segments[0], by_unit[1], test_target, segments[1], gap=gap),
        "neighbours": score_decoding_on(
            near[0], target, segments[0], near[1], test_target, segments[1], method="neighbours", gap=gap
        ),
    }


def measure_flows(benchmark: Benchmark, model: DCF) -> dict[str, Any]:
    """Energy outside the first axes at tau = 0, the round trip with its solver's steps doubled, and rollouts."""
    x, states = flatten_frames(model.preparation_.apply(benchmark.held_out)), model.compress(benchmark.held_out)
    finer = _with_steps(model, 2 * model.config_.model.solver_steps)
    return {
        "energy outside": measure_energy_outside(states, model.mean_, model.loadings_, model.dim_),
        "round trip": r2_score(x, model.expand(states)),
        "round trip, steps doubled": r2_score(x, finer.expand(finer.compress(benchmark.held_out))),
        "steps": model.steps_,
        "k_eff": model.k_eff_,
        "rollout": describe_horizon(
            model.fitted_, *(encode_recording(model.fitted_, r) for r in (benchmark.training, benchmark.held_out))
        ),
    }


def measure_ring(benchmark: Benchmark, z: np.ndarray, z_seen: np.ndarray) -> dict[str, float]:
    """Whether latents of the ball form one closed loop (Figure 5).

    Returns
    -------
    dict
        ``ring, K axes``: linear R2 of cosine and sine from the first K latents. ``ring, largest gap``: between frames
        next to each other in angle, over the loop's diameter. ``ring, smallest radius``: of the
        decoded circle, 1 being the mean radius; near 0 it has no hole.
    """
    circle_seen, circle = benchmark.targets
    decoded = {k: decode_linearly(z_seen[:, :k], circle_seen, z[:, :k]) for k in (2, 3)}
    figures = {f"ring, {k} axes": r2_score(circle, estimate) for k, estimate in decoded.items()}
    order = np.argsort(np.arctan2(circle[:, 1], circle[:, 0]))
    loop = z[np.append(order, order[0])]
    diameter = np.linalg.norm(z[:, None] - z[None], axis=2).max()
    radius = np.linalg.norm(decoded[3], axis=1)
    return figures | {
        "ring, largest gap": float(np.linalg.norm(np.diff(loop, axis=0), axis=1).max() / diameter),
        "ring, smallest radius": float(radius.min() / radius.mean()),
    }


def measure_agreement(first: Fit, second: Fit, benchmark: Benchmark) -> dict[str, Any]:
    """Agreement of the axes of two fits on the held-out frames.

    Axes of neighbouring variances are compared by the plane that they span, the last of `dim` with the next where
    the method has more. Axes of a method without an order are first put in the one that agrees best, in its favour.
    """
    fits = (first.wider or first), (second.wider or second)
    a, b = (fit.encode(benchmark.held_out) for fit in fits)
    if not first.ordered:
        n = a.shape[1]
        order = linear_sum_assignment(-np.abs(np.nan_to_num(np.corrcoef(a.T, b.T)[:n, n:])))[1]
        b = b[:, order]
    spectra = [fit.spectrum for fit in fits if fit.spectrum is not None]
    found = measure_consistency(a, b, np.mean(spectra, axis=0) if spectra else None)
    groups = zip(found.groups, found.planes.tolist(), strict=True)
    within = [(list(group), plane) for group, plane in groups if group[0] < benchmark.dim]
    return {
        "axes": found.axes.tolist()[: benchmark.dim],
        "groups": [group for group, _ in within],
        "planes": [plane for _, plane in within],
        "agreement": min(plane for _, plane in within),
        "mean agreement": float(np.mean([plane for _, plane in within])),
    }


def _with_steps(model: DCF, n_steps: int) -> DCF:
    """The same model with another number of the solver's steps."""
    other = DCF.from_bytes(model.to_bytes())
    other.fitted_.model.config = dataclasses.replace(other.config_.model, solver_steps=n_steps)
    return other

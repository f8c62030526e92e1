"""Cohorts: pseudo-animals of reach_chewie.nwb (disjoint units and trials) beside peers, and simulations of known truth.

``python benchmarks/cohort.py PART [--seeds FIRST STOP]``; PART is one of ``reach``, ``new``, ``drift``, ``truth``,
``axes``, ``null``, ``groups``, ``kinds``, ``labels``, ``worms``, ``scale``. Each prints one table; figures are in
RESULTS.md. The folder of recordings is that of the environment variable NWB_DCF_TEST_DATA.

Trials are dealt to the pseudo-animals, and held out, direction by direction: a quarter is held out.
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np
from pseudo_animals import (
    FOLDER,
    METHODS,
    N_BINS,
    N_DIRECTIONS,
    Animal,
    draw_animals,
    find_axes,
    read_ours,
)
from recordings import read_celegans, read_chewie

from nwb_dcf.cohort.alignment import Alignment, align_sessions, whiten
from nwb_dcf.cohort.anchors import (
    AlignedFrames,
    compute_condition_means,
    compute_cross_trial_gram,
)
from nwb_dcf.cohort.axes import compare_axes, list_lags
from nwb_dcf.cohort.coupling import fit_coupling
from nwb_dcf.cohort.decoding import DecodedSession, decode_across, decode_new_session
from nwb_dcf.cohort.groups import compare_groups
from nwb_dcf.cohort.labels import TrialClock, align_frames, fit_session_preprocessor
from nwb_dcf.cohort.sharing import compute_sharing_test
from nwb_dcf.cohort.stability import draw_trials
from nwb_dcf.cohort.within import KindSession, compare_kinds
from nwb_dcf.config import PrepareConfig
from nwb_dcf.data.preprocessing import fit_preprocessor
from nwb_dcf.data.synthetic import CohortDesign, Simulation, simulate_cohort, simulate_lorenz

SIMULATED_BINS = 24


def run_reach(seeds: range) -> None:
    """R2 of the hand's velocity on held-out trials: by a decoder of the other animals, and by the animal's own."""
    for n, name in ((2, "halves"), (3, "thirds")):
        rows = []
        for seed in seeds:
            animals = draw_animals(seed, n)
            row = []
            for read in METHODS.values():
                latents = read(animals)
                sessions = [DecodedSession(z, a.velocity, a.training) for z, a in zip(latents, animals, strict=True)]
                for method in ("ridge", "neighbours"):
                    decoding = decode_across(sessions, method)
                    row += [decoding.others.mean(), decoding.within.mean()]
            rows.append(row)
        table = np.array(rows).reshape(len(rows), len(METHODS), 2, 2)
        ceiling = table[:, 1, :, 1].mean(axis=0)  # own PCA, own decoder
        print(f"\n{name}, {len(rows)} seeds: R2 across, linear / 20 neighbours; over own latents; over own PCA")
        for i, method in enumerate(METHODS):
            mean, spread = table[:, i, :, 0].mean(axis=0), table[:, i, :, 0].std(axis=0)
            own = table[:, i, :, 1].mean(axis=0)
            print(
                f"{method:22s} {mean[0]:.3f}+-{spread[0]:.3f} / {mean[1]:.3f}+-{spread[1]:.3f}   "
                f"{mean[0] / own[0]:.2f} / {mean[1] / own[1]:.2f}   "
                f"{mean[0] / ceiling[0]:.2f} / {mean[1] / ceiling[1]:.2f}",
                flush=True,
            )


def run_new(seeds: range) -> None:
    """A new animal by its coupling alone; axes and decoder are the others'."""
    counts = (5, 10, 20, 40)
    for n, name in ((2, "halves"), (3, "thirds")):
        scores = []
        for seed in seeds:
            animals = draw_animals(seed, n)
            others = animals[1:]
            axes = find_axes([animal.fitted for animal in others], 3)
            decoded = []
            for animal in others:
                coupling = fit_coupling(animal.fitted, axes.anchors)
                z = coupling.transform(animal.frames.values, animal.frames.trial)
                decoded.append(DecodedSession(z, animal.velocity, animal.training))
            new, rng = animals[0], np.random.default_rng(seed)
            scores.append(
                decode_new_session(
                    new.frames, new.velocity, new.training, axes.anchors, decoded, rng=rng, n_trials=counts
                )
            )
        mean, spread = np.nanmean(scores, axis=0), np.nanstd(scores, axis=0)
        cells = "  ".join(f"{c} trials {m:.3f}+-{s:.3f}" for c, m, s in zip(counts, mean, spread, strict=True))
        print(f"new animal, {name}, linear: {cells}", flush=True)


def align(simulations: list[Simulation], n_bins: int = SIMULATED_BINS) -> list[AlignedFrames]:
    frames = []
    for i, simulation in enumerate(simulations):
        recording = simulation.recording
        width = float(recording.attrs["bin_width_s"])
        clock = TrialClock(width, n_bins, width)
        labels = (
            recording["trial_condition"].values.astype(np.str_)
            if "trial_condition" in recording
            else np.full(recording.sizes["segment"], "0")
        )
        conditions = sorted(set(labels.tolist()), key=int)
        preprocessor = fit_session_preprocessor(recording, clock)
        frames.append(align_frames(recording, labels, conditions, clock, preprocessor, name=str(i)))
    return frames


def read_linear(z: np.ndarray, y: np.ndarray, test: np.ndarray, truth: np.ndarray) -> float:
    design = np.column_stack([z, np.ones(len(z))])
    weights = np.linalg.lstsq(design, y, rcond=None)[0]
    error = np.square(np.column_stack([test, np.ones(len(test))]) @ weights - truth).sum()
    return float(1 - error / np.square(truth - truth.mean(axis=0)).sum())


def run_truth(seeds: range) -> None:
    """The true state by a linear readout of the others' latents, six animals; a new one with 20 trials."""
    for dim in (3, 5):
        found = []
        for seed in seeds:
            animals = simulate_cohort(6, dim, seed=seed)
            frames = align(animals)
            truth = [animal.truth["latents"].values for animal in animals]
            rng = np.random.default_rng(seed)
            axes = find_axes(frames[1:], dim)
            z = [fit_coupling(one, axes.anchors).transform(one.values, one.trial) for one in frames]
            few = frames[0].select_trials(rng.permutation(np.unique(frames[0].trial))[:20])
            new = fit_coupling(few, axes.anchors).transform(frames[0].values, frames[0].trial)
            rest, y = np.concatenate(z[2:]), np.concatenate(truth[2:])
            across = [
                read_linear(
                    np.concatenate([z[j] for j in range(1, 6) if j != i]),
                    np.concatenate([truth[j] for j in range(1, 6) if j != i]),
                    z[i],
                    truth[i],
                )
                for i in range(1, 6)
            ]
            own = [read_linear(z[i], truth[i], z[i], truth[i]) for i in range(1, 6)]
            found.append([np.mean(across), np.mean(own), read_linear(rest, y, new, truth[0])])
        mean, spread = np.mean(found, axis=0), np.std(found, axis=0)
        print(
            f"true state, {dim}-D: across {mean[0]:.3f}+-{spread[0]:.3f}, own {mean[1]:.3f}, new animal of 20 trials "
            f"{mean[2]:.3f}+-{spread[2]:.3f}",
            flush=True,
        )


def run_axes(seeds: range) -> None:
    """Worst axis, absolute correlation: 80 % draws of the reaches' trials, disjoint 4 against 4 simulated animals."""
    for n, name in ((2, "halves"), (3, "thirds")):
        worst = []
        for seed in seeds:
            rng = np.random.default_rng(seed)
            frames = [animal.frames for animal in draw_animals(seed, n)]
            pair = [find_axes([one.select_trials(draw_trials(one, 0.8, rng)) for one in frames], 3) for _ in range(2)]
            worst.append(compare_axes(*pair).min())
        print(f"axes, 80 % of trials, {name}: worst {np.mean(worst):.3f}, lowest {np.min(worst):.3f}", flush=True)
    worst = []
    for seed in seeds:
        frames = align(simulate_cohort(8, 3, seed=seed))
        worst.append(compare_axes(find_axes(frames[:4], 3), find_axes(frames[4:], 3)).min())
    print(f"axes, 4 against 4 simulated: worst {np.mean(worst):.3f}, lowest {np.min(worst):.3f}", flush=True)


def run_null(seeds: range) -> None:
    """Level of the test of shared conditions where nothing is shared, and its power on thirds of the reaches."""
    p, single = [], []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        design = CohortDesign(sharing="nothing", trial_factor=(1.0, 0.5, 0.7, 1.0))
        parts = [compute_cross_trial_gram(one) for one in align(simulate_cohort(4, 3, seed=seed, design=design))]
        test = compute_sharing_test(
            [gram for gram, _ in parts], [usable for _, usable in parts], n_permutations=99, rng=rng
        )
        p.append(test.p)
        single += test.p_session.tolist()
    print(
        f"null, {len(p)} cohorts of own dynamics and conditions: p <= .05 in {np.mean(np.array(p) <= 0.05):.3f}, "
        f"p <= .10 in {np.mean(np.array(p) <= 0.1):.3f}; per session {np.mean(np.array(single) <= 0.05):.3f}",
        flush=True,
    )
    found = []
    for seed in seeds[:15]:
        rng = np.random.default_rng(seed)
        parts = [compute_cross_trial_gram(animal.frames) for animal in draw_animals(seed, 3)]
        found.append(
            compute_sharing_test([g for g, _ in parts], [u for _, u in parts], n_permutations=99, rng=rng).p <= 0.05
        )
    print(f"power on thirds of the reaches: {np.mean(found):.2f} of {len(found)}", flush=True)


def run_groups(seeds: range) -> None:
    """Four against four simulated animals."""
    designs = {
        "20 % slower": CohortDesign(speed=(1,) * 4 + (0.8,) * 4),
        "10 % slower": CohortDesign(speed=(1,) * 4 + (0.9,) * 4),
        "null, B noisier": CohortDesign(rate_factor=(1,) * 4 + (1 / 3,) * 4, trial_factor=(1,) * 4 + (0.5,) * 4),
        "null": CohortDesign(),
        "null, B a third of the trials": CohortDesign(trial_factor=(1,) * 4 + (1 / 3,) * 4),
        "5 % slower": CohortDesign(speed=(1,) * 4 + (0.95,) * 4),
        "turned by 30 degrees": CohortDesign(turn_deg=(0,) * 4 + (30,) * 4),
    }
    for name, design in designs.items():
        speed, fields, ratio, anywhere = [], [], [], []
        for seed in seeds:
            frames = align(simulate_cohort(8, 3, seed=seed, design=design))
            axes = find_axes(frames, 3)
            latents = [fit_coupling(one, axes.anchors).transform(one.values, one.trial) for one in frames]
            means = [compute_condition_means(one.with_values(z)).means for one, z in zip(frames, latents, strict=True)]
            comparison = compare_groups(
                np.stack(means), ["A"] * 4 + ["B"] * 4, list("abcdefgh"), axes.anchors, rng=np.random.default_rng(seed)
            )
            speed.append(comparison.p_speed <= 0.05)
            fields.append(comparison.p_field <= 0.05)
            ratio.append(np.log(comparison.ratio))
            anywhere.append((comparison.difference > comparison.threshold).any())
        print(
            f"groups, {name}, n {len(speed)}: p <= .05 by speed {np.mean(speed):.3f}, by fields {np.mean(fields):.3f}, "
            f"an anchor above the family-wise threshold {np.mean(anywhere):.3f}; "
            f"log of speed B / A {np.mean(ratio):+.4f}+-{np.std(ratio) / np.sqrt(len(ratio)):.4f} (standard error)",
            flush=True,
        )


def run_kinds(seeds: range) -> None:
    """Two kinds of trials within each of three simulated animals, the second slower."""
    for factor in (1.0, 0.9, 0.95):
        design = CohortDesign(kind_speed=factor)
        speed, fields, anywhere, single, ratio = [], [], [], [], []
        for seed in seeds:
            animals = simulate_cohort(3, 3, seed=seed, design=design)
            frames = align(animals)
            anchors = find_axes(frames, 3).anchors
            sessions = {}
            for one, animal in zip(frames, animals, strict=True):
                latents = fit_coupling(one, anchors).transform(one.values, one.trial)
                kinds = dict(enumerate(animal.recording["trial_kind"].values.tolist()))
                sessions[one.name] = KindSession(one.with_values(latents), kinds)
            found = compare_kinds(sessions, anchors, rng=np.random.default_rng(seed), n_permutations=199)
            speed.append(found.p_speed <= 0.05)
            fields.append(found.p_field <= 0.05)
            anywhere.append(bool((found.difference > found.threshold).any()))
            single += (found.p_session <= 0.05).tolist()
            ratio.append(np.log(found.mean_ratio))
        print(
            f"kinds, factor {factor}, n {len(speed)}: p <= .05 by speed {np.mean(speed):.3f} (single sessions "
            f"{np.mean(single):.3f}), by fields {np.mean(fields):.3f}, an anchor above the family-wise threshold "
            f"{np.mean(anywhere):.3f}; log of the ratio {np.mean(ratio):+.4f}+-"
            f"{np.std(ratio) / np.sqrt(len(ratio)):.4f} (standard error)",
            flush=True,
        )


def run_drift(seeds: range) -> None:
    """Two days of one pseudo-animal of which half of the units are replaced: decoder of day 1 on day 2."""
    scores = {0.0: [], 0.5: []}
    for seed in seeds:
        for replaced in scores:
            animals = draw_animals(seed, 2)
            recording, _ = read_chewie(FOLDER)
            values = (
                fit_preprocessor(recording, PrepareConfig(smooth=0.1, scale="global")).apply(recording)["data"].values
            )
            units = np.random.default_rng(seed).permutation(np.flatnonzero(values.var(axis=0) > 0))
            size = len(units) // 2
            shift = round(replaced * size)
            days = (units[:size], units[shift : shift + size])
            trial = recording["segment_index"].values
            redrawn = []
            for animal, chosen in zip(animals, days, strict=True):
                kept = np.isin(trial, np.unique(animal.frames.trial))
                within = (np.arange(len(trial)) - np.searchsorted(trial, trial))[kept] < N_BINS
                x = values[kept][within][:, chosen]
                f = animal.frames
                frames = AlignedFrames(
                    x / np.sqrt(x.var(axis=0).mean()), f.trial, f.condition, f.bin, N_DIRECTIONS, N_BINS
                )
                redrawn.append(Animal(frames, animal.velocity, animal.training))
            latents = read_ours(redrawn)
            sessions = [DecodedSession(z, a.velocity, a.training) for z, a in zip(latents, redrawn, strict=True)]
            scores[replaced].append(decode_across(sessions).others.mean())
    none, half = (np.mean(scores[key]) for key in (0.0, 0.5))
    print(f"units replaced: none {none:.3f}, half {half:.3f}, ratio {half / none:.2f}", flush=True)


def judge_alignment(frames: list[AlignedFrames], lags: list[int], seed: int) -> tuple[Alignment, list[np.ndarray]]:
    """Align sessions without labels; return the alignment and the latents in the common space."""
    white = [whiten(one.values, 3)[0] for one in frames]
    found = align_sessions(white, [one.trial for one in frames], lags, np.random.default_rng(seed))
    return found, [z @ turn for z, turn in zip(white, found.rotations, strict=True)]


def count_right(latents: list[np.ndarray], truth: list[np.ndarray]) -> float:
    """Fraction of animals whose true state a decoder of the others reads at least .7 times as well as their own."""
    right = []
    for i, (z, state) in enumerate(zip(latents, truth, strict=True)):
        rest = [np.concatenate([one for j, one in enumerate(of) if j != i]) for of in (latents, truth)]
        right.append(read_linear(rest[0], rest[1], z, state) >= 0.7 * read_linear(z, state, z, state))
    return float(np.mean(right))


def run_labels(seeds: range) -> None:
    """Without labels: how often it accepts, by what the animals share."""

    def report(what: str, found: list[tuple[Alignment, float | None]]) -> None:
        figures = np.array([(one.shared, one.lead, one.agreement) for one, _ in found])
        right = [part for one, part in found if one.accepted and part is not None]
        print(
            f"without labels, {what}: accepts {sum(one.accepted for one, _ in found)} of {len(found)}"
            + (f"; in these right for {np.mean(right):.2f} of the animals" if right else "")
            + f"; median (most) of shared, lead, agreement: {np.median(figures, axis=0).round(2).tolist()} "
            f"({figures.max(axis=0).round(2).tolist()})",
            flush=True,
        )

    for sharing, some in (("dynamics", seeds), ("nothing", seeds), ("starts", seeds[:12])):
        found = []
        for seed in some:
            animals = simulate_cohort(5, 3, seed=seed, design=CohortDesign(sharing=sharing))
            one, latents = judge_alignment(align(animals), list_lags(SIMULATED_BINS), seed)
            found.append((one, count_right(latents, [animal.truth["latents"].values for animal in animals])))
        report(f"sharing {sharing}", found)
    found = []
    for seed in seeds[:12]:
        animals = [simulate_lorenz(40, 60, 60, seed=100 * seed + i) for i in range(4)]
        one, latents = judge_alignment(align(animals, 60), [1, 6, 12], seed)
        found.append((one, count_right(latents, [animal.truth["latents"].values for animal in animals])))
    report("Lorenz (symmetric)", found)
    quarters = [judge_alignment([a.frames for a in draw_animals(seed, 4)], list_lags(N_BINS), seed) for seed in seeds]
    report("quarters of the reaches", [(one, None) for one, _ in quarters])


def run_worms(seeds: range) -> None:
    """Cells of one worm dealt to four sessions without labels: it must find nothing."""
    recording, velocity = read_celegans(FOLDER)
    values = (
        fit_preprocessor(recording, PrepareConfig(smooth="standard", scale="global")).apply(recording)["data"].values
    )
    trial = recording["segment_index"].values.astype(np.int64)
    for seed in seeds[:3]:
        rng = np.random.default_rng(seed)
        cells = np.array_split(rng.permutation(values.shape[1]), 4)
        white = [whiten(values[:, chosen], 3)[0] for chosen in cells]
        found = align_sessions(white, [trial] * len(white), [1, 5, 15], rng)
        speed = np.linalg.norm(velocity, axis=1, keepdims=True)
        half = len(speed) // 2
        own = read_linear(white[0][:half], speed[:half], white[0][half:], speed[half:])
        print(
            f"worm, cells in four: shared {found.shared:.2f}, lead {found.lead:.2f}, agreement {found.agreement:.2f}, "
            f"accepted {found.accepted}; speed from own PCA {own:.2f}",
            flush=True,
        )


def run_scale(seeds: range) -> None:
    """Axes, couplings and the test of 500 sessions of 80 units."""
    from nwb_dcf.cohort import Cohort

    animals = simulate_cohort(10, 3, n_bins=20, n_units=(80, 80), trials_per_condition=(8, 8), seed=seeds[0])
    recordings = {f"s{i}": animals[i % 10].recording for i in range(500)}
    started = time.process_time()
    Cohort(3, repeats=2, n_permutations=99).fit(recordings, "condition")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"500 sessions of 80 units: {time.process_time() - started:.0f} s CPU, {peak:.2f} GiB at most", flush=True)


PARTS = {
    "reach": run_reach,
    "new": run_new,
    "drift": run_drift,
    "truth": run_truth,
    "axes": run_axes,
    "null": run_null,
    "groups": run_groups,
    "kinds": run_kinds,
    "labels": run_labels,
    "worms": run_worms,
    "scale": run_scale,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--seeds", type=int, nargs=2, default=(100, 115), metavar=("FIRST", "STOP"))
    arguments = parser.parse_args()
    PARTS[arguments.part](range(*arguments.seeds))


if __name__ == "__main__":
    main()

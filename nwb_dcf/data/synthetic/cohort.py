"""Cohorts of simulated animals: one field of velocity or several, each animal with units of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.ndimage import gaussian_filter1d

from ...errors import ParameterError
from .simulation import Simulation, require_counts, require_positive
from .spikes import count_spikes

if TYPE_CHECKING:
    from jaxtyping import Float

STEPS_PER_BIN = 4  # of the integration
FEATURES = 32
START_NOISE = 0.15  # of starts, which differ between conditions by a standard deviation of 1
PATH_NOISE = 0.1  # of latents in units of their standard deviation

Sharing = Literal["dynamics", "starts", "nothing"]
Field = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class CohortDesign:
    """What differs between the animals of `simulate_cohort`.

    Attributes
    ----------
    sharing : {"dynamics", "starts", "nothing"}
        One field and one arrangement of starts for all; fields of their own from starts arranged alike; or neither.
    speed : sequence of float
        Of each animal; one value stands for all.
    turn_deg : sequence of float
        Angle by which an animal's field is turned in the plane of the first two latents.
    rate_factor, trial_factor : sequence of float
        On the firing rates and on the number of trials of each animal.
    kind_speed : float, optional
        Factor on the speed of a random half of each animal's trials, which the column ``kind`` calls ``"second"``.
    """

    sharing: Sharing = "dynamics"
    speed: Sequence[float] = (1.0,)
    turn_deg: Sequence[float] = (0.0,)
    rate_factor: Sequence[float] = (1.0,)
    trial_factor: Sequence[float] = (1.0,)
    kind_speed: float | None = None


def simulate_cohort(
    n_animals: int = 6,
    dim: int = 3,
    *,
    n_conditions: int = 8,
    n_bins: int = 24,
    bin_width_s: float = 0.04,
    design: CohortDesign | None = None,
    trials_per_condition: tuple[int, int] = (4, 14),
    n_units: tuple[int, int] = (40, 120),
    rate_hz: tuple[float, float] = (5.0, 20.0),
    seed: int = 0,
) -> list[Simulation]:
    """Simulate animals that see the same conditions, each with its own units, map, rates and trials.

    Parameters
    ----------
    n_animals, dim, n_conditions, n_bins : int
        Animals, latents, conditions, and bins of a trial.
    bin_width_s : float
        Width of a bin in seconds.
    design : CohortDesign, optional
        What differs; nothing by default.
    trials_per_condition, n_units : pair of int
        Drawn for each animal between these, both included.
    rate_hz : pair of float
        Mean firing rate of each animal, drawn between these.
    seed : int
        Seed of all randomness. Two cohorts with one seed have the field and the starts in common, and nothing else.

    Returns
    -------
    list of Simulation
        Each with ``recording["trial_condition"]`` (segment,), and ``truth["latents"]`` (time, latent): the state in
        units of its standard deviation, the same in all animals whose field is the same.

    Raises
    ------
    ParameterError
        If a count is below 1, or a list of the design has another length than 1 or `n_animals`.

    Examples
    --------
    >>> cohort = simulate_cohort(2, n_conditions=3, n_bins=6, trials_per_condition=(2, 2), n_units=(5, 5))
    >>> [animal.recording.sizes["time"] for animal in cohort]
    [36, 36]
    """
    design = design or CohortDesign()
    require_counts(n_animals=n_animals, dim=dim, n_conditions=n_conditions, n_bins=n_bins)
    require_positive(bin_width_s=bin_width_s)
    per_animal = {
        name: _repeat_per_animal(name, getattr(design, name), n_animals)
        for name in ("speed", "turn_deg", "rate_factor", "trial_factor")
    }
    field, starts = _draw_field(dim, seed), _draw_starts(n_conditions, dim, seed)
    animals = []
    for animal in range(n_animals):
        rng = np.random.default_rng([seed, animal + 1])
        # far from the seeds of the cohort, so that no animal repeats the field that others have in common
        own_seed = 10_000 + 1_000 * seed + animal
        own_field = field if design.sharing == "dynamics" else _draw_field(dim, own_seed)
        own_starts = starts if design.sharing != "nothing" else _draw_starts(n_conditions, dim, own_seed)
        # fields differ in their extent: latents in units of their own deviation can be compared
        scale = _integrate(own_field, own_starts, n_bins, 1.0, 0.0).std(axis=(0, 1))
        low, high = trials_per_condition
        # two trials a condition at least, or no product of different trials could be had
        n_each = np.maximum(2, np.round(rng.integers(low, high + 1, n_conditions) * per_animal["trial_factor"][animal]))
        condition = rng.permutation(np.repeat(np.arange(n_conditions), n_each.astype(int)))
        begin = own_starts[condition] + START_NOISE * rng.normal(size=(len(condition), dim))
        columns = {"condition": condition}
        speed = np.full(len(condition), per_animal["speed"][animal])
        if design.kind_speed is not None:
            # a generator of its own: all else stays as it is without kinds
            is_second = np.random.default_rng([seed, animal + 1, 1]).random(len(condition)) < 0.5
            columns["kind"] = np.where(is_second, "second", "first")
            speed[is_second] *= design.kind_speed
        path = _integrate(own_field, begin, n_bins, speed, per_animal["turn_deg"][animal])
        wander = gaussian_filter1d(rng.normal(size=path.shape), 0.1 * n_bins, axis=1)
        path = path / scale + PATH_NOISE * wander / wander.std()
        latents = path.reshape(-1, dim)
        units = int(rng.integers(n_units[0], n_units[1] + 1))
        rates = _map_to_rates(latents, units, rng) * rng.uniform(*rate_hz) * per_animal["rate_factor"][animal]
        animals.append(
            count_spikes(
                rng,
                rates,
                latents,
                len(condition),
                bin_width_s,
                f"animal {animal} of a cohort",
                seed,
                columns,
            )
        )
    return animals


def _repeat_per_animal(name: str, values: Sequence[float], n_animals: int) -> Float[np.ndarray, " animal"]:
    if len(values) not in (1, n_animals):
        raise ParameterError(f"{name} has {len(values)} values for {n_animals} animals", fix="give one, or one each")
    return np.broadcast_to(np.asarray(values, np.float64), n_animals)


def _draw_field(dim: int, seed: int) -> Field:
    """Rotations of several frequencies, bent by a random network, held together by a weak pull to the middle."""
    rng = np.random.default_rng([seed, 0])
    basis = np.linalg.qr(rng.normal(size=(dim, dim)))[0]
    frequency = np.zeros((dim, dim))
    for pair in range(dim // 2):
        # radians in a trial: half a turn of the first plane, less of each further one
        frequency[2 * pair, 2 * pair + 1] = 3.5 / (1 + pair)
    turning = basis @ (frequency - frequency.T) @ basis.T
    inner, bias = rng.normal(size=(dim, 16)), rng.normal(size=16)
    outer = rng.normal(size=(16, dim)) / np.sqrt(16)

    def field(state: Float[np.ndarray, " *any"]) -> Float[np.ndarray, " *any"]:
        radius = np.linalg.norm(state, axis=-1, keepdims=True) / np.sqrt(dim)
        # the pull grows with the square of the distance: no path leaves, and near the middle it does not show
        return np.asarray(state @ turning + 1.5 * np.tanh(state @ inner + bias) @ outer - 0.5 * radius * state)

    return field


def _draw_starts(n_conditions: int, dim: int, seed: int) -> Float[np.ndarray, "condition latent"]:
    return np.random.default_rng([seed, 0, 1]).normal(size=(n_conditions, dim))


def _integrate(
    field: Field, start: Float[np.ndarray, "trial latent"], n_bins: int, speed: ArrayLike, turn_deg: float
) -> Float[np.ndarray, "trial bin latent"]:
    """Runge-Kutta over one unit of time in all bins; the path (trial, bin, latent)."""
    dim = start.shape[1]
    turn = np.eye(dim)
    if turn_deg:
        c, s = np.cos(np.radians(turn_deg)), np.sin(np.radians(turn_deg))
        turn[:2, :2] = [[c, -s], [s, c]]
    # a slower animal takes the same path and comes less far in a trial
    h = np.reshape(speed, (-1, 1)) / (n_bins * STEPS_PER_BIN)
    state, path = start, np.empty((len(start), n_bins, dim))

    def velocity(at: Float[np.ndarray, "trial latent"]) -> Float[np.ndarray, "trial latent"]:
        return field(at) @ turn

    for step in range(n_bins * STEPS_PER_BIN):
        if step % STEPS_PER_BIN == 0:
            path[:, step // STEPS_PER_BIN] = state
        k1 = velocity(state)
        k2 = velocity(state + h / 2 * k1)
        k3 = velocity(state + h / 2 * k2)
        k4 = velocity(state + h * k3)
        state = state + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return path


def _map_to_rates(
    latents: Float[np.ndarray, "time latent"], n_units: int, rng: np.random.Generator
) -> Float[np.ndarray, "time unit"]:
    """Positive rates of mean 1 by a random network of tanh features, (time, unit)."""
    features = np.tanh(0.5 * latents @ rng.normal(size=(latents.shape[1], FEATURES)) + rng.normal(size=FEATURES))
    rates = np.exp(features @ rng.normal(scale=1.2 / np.sqrt(FEATURES), size=(FEATURES, n_units)))
    return np.asarray(rates / rates.mean(axis=0))

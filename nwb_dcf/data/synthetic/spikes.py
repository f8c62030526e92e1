"""Spikes driven by latents that are known: a Lorenz system, and reaches to targets on a circle."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from scipy.integrate import solve_ivp
from scipy.ndimage import gaussian_filter1d

from ...errors import DataError
from ..recording import channel_dim, make_recording
from .simulation import Simulation, require_counts, require_positive

if TYPE_CHECKING:
    from jaxtyping import Float, Shaped

TRIAL_GAP_S = 0.5  # between trials, so that nothing can be joined across them by accident
FIRST_TRIAL_S = 10.0  # a session clock that does not start at zero


def simulate_lorenz(
    n_trials: int = 60,
    n_bins: int = 100,
    n_units: int = 60,
    *,
    bin_width_s: float = 0.02,
    mean_rate_hz: float = 15.0,
    speed: float = 2.0,
    seed: int = 0,
) -> Simulation:
    """Let a Lorenz system drive Poisson units through a random nonlinear map.

    Parameters
    ----------
    n_trials, n_bins, n_units : int
        Trials, bins in each, and units.
    bin_width_s : float
        Width of a bin in seconds.
    mean_rate_hz : float
        Firing rate of a unit averaged over all bins; every unit has the same.
    speed : float
        Lorenz time that passes in one second.
    seed : int
        Seed of all randomness.

    Returns
    -------
    Simulation
        ``recording["data"]`` (time, unit): spike counts. ``truth["latents"]`` (time, latent): the
        three coordinates, each with mean 0 and variance 1. ``truth["rates_hz"]`` (time, unit): the
        intensities.

    Raises
    ------
    ParameterError
        If a count is below 1, or a width, rate or speed not above 0.

    Notes
    -----
    The map is a random network of 32 tanh features whose output is exponentiated, so that three
    principal axes of the rates are not enough.
    """
    require_counts(n_trials=n_trials, n_bins=n_bins, n_units=n_units)
    require_positive(bin_width_s=bin_width_s, mean_rate_hz=mean_rate_hz, speed=speed)
    rng = np.random.default_rng(seed)
    start = rng.normal(scale=8.0, size=(3, n_trials)) + np.array([0.0, 0.0, 25.0])[:, None]

    def lorenz(_: float, flat: Float[np.ndarray, " state"]) -> Float[np.ndarray, " state"]:
        x, y, z = flat.reshape(3, n_trials)
        return np.concatenate([10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z])

    settled = 5.0  # by then every start has reached the attractor
    at = settled + np.arange(n_bins) * bin_width_s * speed
    path = solve_ivp(lorenz, (0, at[-1]), start.ravel(), t_eval=at, rtol=1e-6, atol=1e-6).y
    latents = path.reshape(3, n_trials, n_bins).transpose(1, 2, 0).reshape(-1, 3)
    # the attractor is centred at z = 25 and wider in x and y than 1
    latents = (latents - latents.mean(0)) / latents.std(0)

    # a linear map would leave the state to PCA; tanh and exp bend it out of any three axes
    features = np.tanh(latents @ rng.normal(size=(3, 32)) + rng.normal(size=32))
    log_rates = features @ rng.normal(scale=0.25, size=(32, n_units))
    rates_hz = np.exp(log_rates)
    # every unit fires alike in the mean: no unit leads the principal axes by its rate alone
    rates_hz *= mean_rate_hz / rates_hz.mean(0)
    return count_spikes(rng, rates_hz, latents, n_trials, bin_width_s, "a Lorenz system", seed)


def simulate_reach(
    n_trials: int = 600,
    n_bins: int = 100,
    n_units: int = 137,
    *,
    n_latents: int = 3,
    n_directions: int = 8,
    bin_width_s: float = 0.01,
    mean_rate_hz: float = 12.0,
    seed: int = 0,
) -> Simulation:
    """Imitate motor cortex in centre-out reaches, with latents of known dimension.

    Two latents carry the direction, turning while the hand moves; the third is the same for all
    directions, as the movement's onset is; any further ones differ by direction at random. Each
    trial adds slow noise of its own to every latent.

    Parameters
    ----------
    n_trials, n_bins, n_units : int
        Trials, bins in each, and units.
    n_latents : int
        Number of latents, 1 or more.
    n_directions : int
        Number of targets on the circle.
    bin_width_s : float
        Width of a bin in seconds.
    mean_rate_hz : float
        Mean of the units' firing rates, which are log-normal over units.
    seed : int
        Seed of all randomness.

    Returns
    -------
    Simulation
        ``recording["data"]`` (time, unit): spike counts; ``recording["trial_direction"]`` (segment,):
        degrees. ``truth["latents"]`` (time, latent): variance about 1; ``truth["rates_hz"]``
        (time, unit): the intensities.

    Raises
    ------
    ParameterError
        If a count is below 1, or a width or rate not above 0.

    Examples
    --------
    >>> simulation = simulate_reach(n_trials=4, n_bins=10, n_units=5)
    >>> dict(simulation.truth.sizes)
    {'time': 40, 'latent': 3, 'unit': 5}
    """
    require_counts(n_trials=n_trials, n_bins=n_bins, n_units=n_units, n_latents=n_latents, n_directions=n_directions)
    require_positive(bin_width_s=bin_width_s, mean_rate_hz=mean_rate_hz)
    rng = np.random.default_rng(seed)
    target = rng.permutation(np.arange(n_trials) % n_directions)
    angle = 2 * np.pi * target / n_directions

    phase = np.linspace(0, 1, n_bins)
    # speed of a reach is bell-shaped; 0.55 leaves time for preparation before it
    moving = np.exp(-((phase - 0.55) ** 2) / (2 * 0.18**2))
    # preparation and movement lie in different planes, as in motor cortex (Churchland et al. 2012)
    turn = np.pi / 2 * phase
    latents = np.empty((n_trials, n_bins, n_latents))
    for k in range(n_latents):
        if k < 2:
            latents[..., k] = moving * np.cos(angle[:, None] + turn - k * np.pi / 2)
        elif k == 2:
            latents[..., k] = 1 / (1 + np.exp(-(phase - 0.4) / 0.08))
        else:
            bump = np.exp(-((phase - rng.uniform(0.2, 0.8)) ** 2) / (2 * 0.15**2))
            latents[..., k] = rng.normal(size=n_directions)[target][:, None] * bump
    latents /= latents.std((0, 1)) + np.finfo(float).eps
    # Trials differ, so that a latent is a trajectory in each and not a table of mean responses.
    wander = gaussian_filter1d(rng.standard_normal(latents.shape), 0.08 * n_bins, axis=1)
    latents += 0.3 * wander / wander.std()
    flat = latents.reshape(-1, n_latents) - latents.mean((0, 1))

    tuning = rng.standard_normal((n_latents, n_units)) / np.sqrt(n_latents)
    rates_hz = np.logaddexp(0, 1.5 * flat @ tuning + rng.normal(0.5, 0.5, n_units))  # softplus
    # rates of cortical units are about log-normal: a few units fire most of the spikes
    unit_rate_hz = rng.lognormal(sigma=0.6, size=n_units)
    rates_hz *= unit_rate_hz * mean_rate_hz / (rates_hz * unit_rate_hz).mean()
    direction = np.degrees(angle)
    return count_spikes(
        rng, rates_hz, flat, n_trials, bin_width_s, "centre-out reaches", seed, {"direction": direction}
    )


def draw_spike_times(recording: xr.Dataset, *, seed: int = 0) -> list[np.ndarray]:
    """Place the spikes of each count at random inside its bin.

    Parameters
    ----------
    recording : xarray.Dataset
        Binned spikes: counts (time, unit), ``attrs["bin_width_s"]`` known.
    seed : int
        Seed of the places.

    Returns
    -------
    list of array of float64, one per unit
        Sorted spike times in seconds. Binned again on the same edges they give the same counts.

    Raises
    ------
    DataError
        If `recording` holds no counts.
    """
    width, counts = recording.attrs.get("bin_width_s"), recording["data"].values
    if channel_dim(recording) != "unit" or not width or (counts < 0).any() or (counts != np.round(counts)).any():
        raise DataError("this recording holds no spike counts", fix="give binned units: whole numbers, a bin width")
    rng = np.random.default_rng(seed)
    spike_times = []
    for count in counts.T.astype(np.int64):
        centres = np.repeat(recording["time"].values, count)
        # a little short of the edges, so that rounding moves no spike to the next bin
        spike_times.append(np.sort(centres + width * rng.uniform(-0.499, 0.499, len(centres))))
    return spike_times


def count_spikes(
    rng: np.random.Generator,
    rates_hz: Float[np.ndarray, "time unit"],
    latents: Float[np.ndarray, "time latent"],
    n_trials: int,
    bin_width_s: float,
    what: str,
    seed: int,
    trial_columns: dict[str, Shaped[np.ndarray, " segment"]] | None = None,
) -> Simulation:
    """Draw Poisson counts for `rates_hz` (time, unit), trial after trial on one session clock."""
    # float32, as readers give counts
    counts = rng.poisson(rates_hz * bin_width_s).astype(np.float32)
    n_bins = len(rates_hz) // n_trials
    # Starts rounded to a millisecond, so that what is stored in a file is what is printed.
    start = np.round(FIRST_TRIAL_S + np.arange(n_trials) * (n_bins * bin_width_s + TRIAL_GAP_S), 3)
    time = (start[:, None] + (np.arange(n_bins) + 0.5) * bin_width_s).ravel()
    recording = make_recording(
        counts,
        time,
        channel_dim="unit",
        segment_index=np.repeat(np.arange(n_trials), n_bins),
        segment_start=start,
        segment_stop=start + n_bins * bin_width_s,
        segment_row=np.arange(n_trials),
        trial_columns=trial_columns,
        units="count",
        kind="units",
        source={"path": "units", "type": "Simulation"},
        bin_width_s=bin_width_s,
        notes=[f"Simulated: {what}, seed {seed}."],
    )
    truth = xr.Dataset(
        {
            "latents": (("time", "latent"), latents),
            "rates_hz": (("time", "unit"), rates_hz, {"units": "Hz"}),
        },
        coords={"time": recording["time"], "unit": recording["unit"]},
    )
    return Simulation(recording, truth)

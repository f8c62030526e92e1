"""Spikes of an animal that moves: place cells on a track or in a box, grid cells, head-direction cells."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from ...errors import ParameterError
from .simulation import Simulation, require_counts, require_positive
from .spikes import count_spikes

Cells = Literal["track", "box", "grid", "head_direction"]

PAUSE_S = 2.0  # at either end of the track
GRID_ANGLES = np.radians([0.0, 60.0, 120.0])


def simulate_navigation(
    cells: Cells = "track",
    n_units: int = 40,
    *,
    duration_s: float = 600.0,
    bin_width_s: float = 0.02,
    peak_rate_hz: float = 12.0,
    field_width: float = 0.08,
    lap_s: float = 8.0,
    n_interneurons: int = 0,
    interneuron_rate_hz: float = 40.0,
    gain: float = 0.4,
    seed: int = 0,
) -> Simulation:
    """Let an animal's place, or the direction of its head, drive Poisson units, in one long recording.

    Parameters
    ----------
    cells : {"track", "box", "grid", "head_direction"}
        Place cells on a line that is run to and fro, or in a square; grid cells of one module in a square; units
        tuned to an angle.
    n_units : int
        Units in all, interneurons among them.
    duration_s, bin_width_s : float
        Length of the recording and width of its bins in seconds.
    peak_rate_hz : float
        Median over units of the rate where a unit fires most; it is log-normal over units.
    field_width : float
        Standard deviation of a place field as a fraction of the track or of a side; of a grid's spacing four times
        as much; of a head-direction cell's tuning as a fraction of the circle.
    lap_s : float
        Seconds in which the track is run once, and in which an animal crosses the box or turns round, about.
    n_interneurons : int
        Units that know nothing of the place: each has a fast modulation of its own.
    interneuron_rate_hz : float
        Their mean rate.
    gain : float
        Standard deviation of the logarithm of a gain that is common to all units but the interneurons. It changes
        within a second: what makes counts vary more than Poisson's do.
    seed : int
        Seed of all randomness.

    Returns
    -------
    Simulation
        ``recording["data"]`` (time, unit): spike counts of one segment. ``truth["latents"]`` (time, latent): the place
        as fractions of the track or of the sides, or the cosine and sine of the angle; ``truth["rates_hz"]``
        (time, unit).

    Raises
    ------
    ParameterError
        If a number is invalid, or there are no more units than interneurons.

    Examples
    --------
    >>> dict(simulate_navigation("box", 5, duration_s=2.0).truth.sizes)
    {'time': 100, 'latent': 2, 'unit': 5}
    """
    if cells not in get_args(Cells):
        raise ParameterError(f"cells is {cells!r}", fix=f"choose one of {', '.join(get_args(Cells))}")
    require_counts(n_units=n_units)
    require_positive(
        duration_s=duration_s,
        bin_width_s=bin_width_s,
        peak_rate_hz=peak_rate_hz,
        field_width=field_width,
        lap_s=lap_s,
        interneuron_rate_hz=interneuron_rate_hz,
    )
    if n_interneurons and not 0 <= n_interneurons < n_units:
        raise ParameterError(f"n_interneurons is {n_interneurons!r} of {n_units} units", fix="give fewer")
    if gain < 0:
        raise ParameterError(f"gain is {gain!r}", fix="give 0 or more")
    rng = np.random.default_rng(seed)
    n_bins = max(2, round(duration_s / bin_width_s))
    state = _move(rng, cells, n_bins, bin_width_s, lap_s)
    n_tuned = n_units - n_interneurons
    tuned = _tune(rng, cells, state, n_tuned, field_width)
    tuned *= peak_rate_hz * rng.lognormal(sigma=0.5, size=n_tuned)
    shared = gain * _wander(rng, n_bins, 1.0 / bin_width_s)
    # the mean of exp(gain) is exp(variance / 2): the factor keeps mean rates; 0.3 is the rate out of the field
    tuned = (tuned + 0.3) * np.exp(shared - gain**2 / 2)[:, None]
    # units that know nothing of the place have to be independent of each other, or they would look like a latent
    fast = (
        np.stack([_wander(rng, n_bins, 0.05 / bin_width_s) for _ in range(n_interneurons)], axis=-1)
        if n_interneurons
        else np.empty((n_bins, 0))
    )
    # 0.08 is half of 0.4 squared: the mean stays the rate that was asked for
    rates_hz = np.concatenate([tuned, interneuron_rate_hz * np.exp(0.4 * fast - 0.08)], axis=1)
    what = {"track": "place cells on a track", "box": "place cells in a box", "grid": "grid cells"}
    return count_spikes(rng, rates_hz, state, 1, bin_width_s, what.get(cells, "head-direction cells"), seed)


def _wander(rng: np.random.Generator, n_bins: int, width: float) -> NDArray[np.float64]:
    """Gaussian noise of variance 1 that is smooth over `width` bins."""
    # wrap: at edges padded with zeros the variance would fall
    noise = gaussian_filter1d(rng.standard_normal(n_bins), max(width, 0.5), mode="wrap")
    return np.asarray(noise / noise.std())


def _move(rng: np.random.Generator, cells: Cells, n_bins: int, bin_width_s: float, lap_s: float) -> NDArray[np.float64]:
    """Place (time, 1 or 2) in [0, 1], or cosine and sine of the angle (time, 2)."""
    if cells == "track":
        # laps of one length would make place a function of time, which a smooth latent fits by itself
        place = np.empty(0)
        side = 0.0
        while len(place) < n_bins:
            run = np.linspace(0, 1, max(2, round(lap_s * rng.lognormal(sigma=0.25) / bin_width_s)))
            run = run - 0.08 * np.sin(2 * np.pi * run)  # slow at the ends
            rest = np.ones(round(PAUSE_S * rng.exponential() / bin_width_s))
            place = np.concatenate([place, np.abs(side - run), np.abs(side - rest)])
            side = 1.0 - side
        return place[:n_bins, None]
    if cells == "head_direction":
        # an angular speed that changes within a second; a turn takes lap_s in the root mean square
        speed = 2 * np.pi / lap_s * _wander(rng, n_bins, 0.5 / bin_width_s)
        angle = np.cumsum(speed) * bin_width_s
        return np.stack([np.cos(angle), np.sin(angle)], axis=1)
    paths = [_wander(rng, n_bins, lap_s / 4 / bin_width_s) for _ in range(2)]
    # reflected at the walls
    return np.stack([np.abs((0.5 + 0.45 * path + 1) % 2 - 1) for path in paths], axis=1)


def _tune(
    rng: np.random.Generator, cells: Cells, state: NDArray[np.float64], n_units: int, width: float
) -> NDArray[np.float64]:
    """Firing of each unit at each moment (time, unit), 1 where it fires most."""
    if cells == "head_direction":
        # von Mises tuning, whose width is given as a fraction of the circle
        preferred = rng.uniform(0, 2 * np.pi, n_units)
        cosine = state @ np.stack([np.cos(preferred), np.sin(preferred)])
        return np.asarray(np.exp((cosine - 1) / np.square(2 * np.pi * width)))
    if cells == "grid":
        spacing = 4 * width / 0.32  # 0.32 of the spacing is about the width of a grid's fields
        # cells of one module have one spacing and one orientation, and differ in phase alone
        turn, phase = rng.uniform(0, np.pi / 3), rng.uniform(0, 1, (n_units, 2))
        # three cosines 60 degrees apart make a hexagonal lattice (Solstad et al. 2006) of spacing 4 pi / (sqrt(3) |k|)
        waves = np.stack([np.cos(GRID_ANGLES + turn), np.sin(GRID_ANGLES + turn)]) * 4 * np.pi / np.sqrt(3) / spacing
        along = [np.cos((state @ waves[:, [i]]) - (phase @ waves[:, i]) * spacing) for i in range(len(GRID_ANGLES))]
        return np.asarray(np.exp(1.5 * (sum(along) / 3 - 1) * 2))
    # fields beyond the walls too: otherwise rates would fall towards them
    centre = rng.uniform(-0.05, 1.05, (n_units, state.shape[1]))
    squared = np.square(state[:, None] - centre).sum(axis=2)
    return np.asarray(np.exp(-squared / (2 * width**2)))

"""Recordings of a given number of dimensions: a state of known spectrum, private rates, counts or calcium."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import xarray as xr
from scipy.ndimage import gaussian_filter1d
from scipy.signal import lfilter

from ...errors import ParameterError
from ..recording import make_recording
from .simulation import Simulation, require_counts, require_positive
from .spikes import count_spikes

if TYPE_CHECKING:
    from jaxtyping import Float

Spectrum = Literal["equal", "unequal"]
Link = Literal["exp", "softplus"]


def simulate_dimensions(
    n_dims: int,
    *,
    spectrum: Spectrum = "equal",
    link: Link = "exp",
    depth: float = 0.7,
    private: float = 0.3,
    n_trials: int = 80,
    n_bins: int = 50,
    n_units: int = 60,
    bin_width_s: float = 0.02,
    mean_rate_hz: float = 15.0,
    timescale_s: float = 0.1,
    seed: int = 0,
) -> Simulation:
    """Let a state of `n_dims` dimensions, and a private one for each unit, drive Poisson units.

    Parameters
    ----------
    n_dims : int
        Dimensions common to the units; 0 for none.
    spectrum : {"equal", "unequal"}
        Variances of the state's dimensions: all the same, or 1, 1/2, 1/3, ...
    link : {"exp", "softplus"}
        From the drive of a unit to its rate.
    depth, private : float
        Standard deviation of a unit's shared and private drive (natural logarithm of the rate, for ``exp``).
        Sixty private rates are ``n_dims=0, private=0.7``; pure noise is ``n_dims=0, private=0``.
    n_trials, n_bins, n_units : int
        Trials, bins in each, and units.
    bin_width_s, mean_rate_hz : float
        Width of a bin in seconds; mean rate of every unit.
    timescale_s : float
        Standard deviation of the Gaussian autocorrelation of every drive, in seconds.
    seed : int
        Seed of all randomness.

    Returns
    -------
    Simulation
        ``recording["data"]`` (time, unit): spike counts. ``truth["latents"]`` (time, latent), with the variances of
        `spectrum`; ``truth["rates_hz"]`` (time, unit).

    Raises
    ------
    ParameterError
        If a number is invalid.

    Notes
    -----
    The state is a Gaussian process that starts anew in every trial, so that trials have no common time course: what
    units have in common is the state alone.

    Examples
    --------
    >>> dict(simulate_dimensions(2, n_trials=3, n_bins=10, n_units=5).truth.sizes)
    {'time': 30, 'latent': 2, 'unit': 5}
    """
    require_counts(n_trials=n_trials, n_bins=n_bins, n_units=n_units)
    require_positive(bin_width_s=bin_width_s, mean_rate_hz=mean_rate_hz, timescale_s=timescale_s)
    if link not in ("exp", "softplus"):
        raise ParameterError(f"link is {link!r}", fix="choose exp or softplus")
    rng = np.random.default_rng(seed)
    width = timescale_s / bin_width_s
    latents, drive = _draw_drive(rng, n_dims, spectrum, depth, private, (n_trials, n_bins, n_units), width)
    # softplus of 1 + 2 x is nearly linear where units fire: rates then hardly leave the axes of the state
    rates_hz = np.exp(drive) if link == "exp" else np.logaddexp(0, 1 + 2 * drive)
    # every unit at one mean rate: else those that fire most would lead the principal axes
    rates_hz *= mean_rate_hz / rates_hz.mean(0)
    return count_spikes(rng, rates_hz, latents, n_trials, bin_width_s, f"{n_dims} shared dimensions", seed)


def simulate_calcium(
    n_dims: int,
    *,
    spectrum: Spectrum = "equal",
    depth: float = 0.7,
    private: float = 0.5,
    noise: float = 0.5,
    n_bins: int = 4_000,
    n_cells: int = 60,
    rate_hz: float = 6.0,
    timescale_s: float = 0.5,
    decay_s: float = 0.5,
    seed: int = 0,
) -> Simulation:
    """Imitate one long recording of calcium: cells that follow a shared and a private state, slowly.

    Parameters
    ----------
    n_dims, spectrum, depth, private, timescale_s, seed
        As in `simulate_dimensions`; the drive is linear.
    noise : float
        Standard deviation of white noise, independent in each cell.
    n_bins, n_cells : int
        Frames and cells.
    rate_hz : float
        Frames per second.
    decay_s : float
        Time constant of the indicator: the drive is filtered by a decaying exponential.

    Returns
    -------
    Simulation
        ``recording["data"]`` (time, roi), one segment. ``truth["latents"]`` (time, latent), before the indicator.

    Raises
    ------
    ParameterError
        If a number is invalid.

    Examples
    --------
    >>> simulate_calcium(2, n_bins=50, n_cells=5).recording["data"].dims
    ('time', 'roi')
    """
    require_counts(n_bins=n_bins, n_cells=n_cells)
    require_positive(rate_hz=rate_hz, timescale_s=timescale_s, decay_s=decay_s)
    rng = np.random.default_rng(seed)
    sizes = (1, n_bins, n_cells)
    latents, drive = _draw_drive(rng, n_dims, spectrum, depth, private, sizes, timescale_s * rate_hz)
    # an indicator is a leaky integrator: one coefficient of decay, and unit gain at rest
    keep = np.exp(-1 / (rate_hz * decay_s))
    fluorescence = lfilter([1 - keep], [1, -keep], drive, axis=0) + noise * rng.standard_normal(drive.shape)
    recording = make_recording(
        fluorescence,
        np.arange(n_bins) / rate_hz,
        channel_dim="roi",
        units="dF/F",
        kind="series",
        source={"path": "calcium", "type": "Simulation"},
        notes=[f"Simulated: calcium of {n_dims} shared dimensions, seed {seed}."],
    )
    truth = xr.Dataset({"latents": (("time", "latent"), latents)}, coords={"time": recording["time"]})
    return Simulation(recording, truth)


def _draw_drive(
    rng: np.random.Generator,
    n_dims: int,
    spectrum: Spectrum,
    depth: float,
    private: float,
    sizes: tuple[int, int, int],
    width: float,
) -> tuple[np.ndarray, np.ndarray]:
    """State (time, latent) and drive (time, channel) of all trials; `width` of the autocorrelation in frames."""
    if not isinstance(n_dims, int | np.integer) or n_dims < 0:
        raise ParameterError(f"n_dims is {n_dims!r}", fix="give a whole number, 0 or more")
    if spectrum not in ("equal", "unequal"):
        raise ParameterError(f"spectrum is {spectrum!r}", fix="choose equal or unequal")
    if not (depth >= 0 and private >= 0):
        raise ParameterError(f"depth is {depth} and private {private}", fix="give 0 or more")
    n_trials, n_bins, n_channels = sizes
    # unequal: the last dimensions have little variance, which is where counts of dimensions fail
    variance = np.ones(n_dims) if spectrum == "equal" else 1 / np.arange(1, n_dims + 1)
    latents = _draw_gaussian_process(rng, (n_trials, n_bins, n_dims), width) * np.sqrt(variance)
    loadings = rng.standard_normal((n_dims, n_channels))
    if n_dims:
        # Every channel follows the state to the same depth, however it divides that over the dimensions.
        loadings *= depth / np.sqrt(variance @ np.square(loadings))
    drive = latents @ loadings + private * _draw_gaussian_process(rng, (n_trials, n_bins, n_channels), width)
    n_frames = n_trials * n_bins
    return latents.reshape(n_frames, n_dims), drive.reshape(n_frames, n_channels)


def _draw_gaussian_process(
    rng: np.random.Generator, shape: tuple[int, int, int], width: float
) -> Float[np.ndarray, "trial bin latent"]:
    """Paths (trial, time, number) of variance 1 whose autocorrelation is a Gaussian of `width` frames."""
    sigma = width / np.sqrt(2)  # a white path filtered by a Gaussian has an autocorrelation sqrt(2) times as wide
    # more is drawn than is kept, so that edges have the variance of the middle
    margin = int(np.ceil(4 * sigma))
    white = rng.standard_normal((shape[0], shape[1] + 2 * margin, shape[2]))
    weight = gaussian_filter1d(np.eye(1, 2 * margin + 1, margin)[0], sigma, mode="constant")
    path = gaussian_filter1d(white, sigma, axis=1, mode="constant") / np.linalg.norm(weight)
    return np.asarray(path[:, margin : margin + shape[1]])

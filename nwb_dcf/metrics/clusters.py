"""Bands of latents and what lies outside them: where a recording dwells, and the frames that stand out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.cluster.vq import kmeans2

from ..errors import DataError, ParameterError

N_BANDS = 4
MOST_FRAMES = 20_000  # that bands are found on; all frames are then assigned
RESTARTS = 8
RIDGE = 1e-6  # of a band's mean variance: a flat band has a covariance too


@dataclass(frozen=True)
class Clusters:
    """Latents sorted into bands.

    Attributes
    ----------
    band : array of int, shape (time,)
        Band of each frame, numbered by where they lie on the first latent.
    centre : array, shape (band, latent)
    axis : array, shape (band, latent)
        Unit vector along which each is longest.
    distance : array, shape (time,)
        Mahalanobis distance of each frame from the centre of its band: 1 is the spread of the band in any direction.
    """

    band: np.ndarray
    centre: np.ndarray
    axis: np.ndarray
    distance: np.ndarray

    def pick_along(self, latents: np.ndarray, band: int, n: int) -> np.ndarray:
        """Return `n` frames that lie evenly along a band, from its 5th to its 95th percentile.

        Of the frames at each place the one nearest to the middle of the band is taken.
        """
        frames = np.flatnonzero(self.band == band)
        off = latents[frames] - self.centre[band]
        place = off @ self.axis[band]
        aside = np.linalg.norm(off - np.outer(place, self.axis[band]), axis=1)
        edges = np.quantile(place, np.linspace(0.05, 0.95, n + 1))
        picked = []
        for low, high in zip(edges[:-1], edges[1:], strict=True):
            inside = np.flatnonzero((place >= low) & ((place < high) | (high == edges[-1])))
            if len(inside) == 0:  # a band of few frames
                inside = np.array([np.argmin(np.abs(place - (low + high) / 2))])
            picked.append(frames[inside[np.argmin(aside[inside])]])
        return np.array(picked)


def find_clusters(latents: np.ndarray, n_clusters: int = N_BANDS, *, seed: int = 0) -> Clusters:
    """Sort latents into bands by k-means.

    Parameters
    ----------
    latents : array, shape (time, latent)
    n_clusters : int
        Four by default, as many as the paper finds in the video of a mouse (Figure 7).
    seed : int

    Raises
    ------
    ParameterError
        If `n_clusters` is below 1.
    DataError
        If there are fewer than ten frames for each band.

    References
    ----------
    Wei et al., ICML 2026, Figure 7.

    Examples
    --------
    >>> import numpy as np
    >>> z = np.concatenate([np.linspace([0, 0], [0, 1], 50), np.linspace([5, 0], [5, 1], 50)])
    >>> find_clusters(z, 2).band[[0, 49, 50, 99]]
    array([0, 0, 1, 1])
    """
    z = np.asarray(latents, np.float64)
    if n_clusters < 1:
        raise ParameterError(f"there are to be {n_clusters} bands", fix="give 1 or more")
    if len(z) < 10 * n_clusters:
        raise DataError(f"{len(z)} frames are too few for {n_clusters} bands", fix="ask for fewer bands")
    some = z[np.linspace(0, len(z) - 1, min(len(z), MOST_FRAMES)).round().astype(int)]
    rng = np.random.default_rng(seed)
    tries = [kmeans2(some, n_clusters, minit="++", rng=rng) for _ in range(RESTARTS)]
    centre = min(tries, key=lambda found: float(np.square(some - found[0][found[1]]).sum()))[0]
    centre = centre[np.argsort(centre[:, 0])]
    band = np.argmin(np.square(z[:, None] - centre).sum(axis=-1), axis=1)
    axis, distance = np.zeros_like(centre), np.zeros(len(z))
    for k in range(n_clusters):
        inside = band == k
        if not inside.any():
            continue
        centre[k] = z[inside].mean(axis=0)
        off = z[inside] - centre[k]
        variance, axes = np.linalg.eigh(off.T @ off / max(1, len(off) - 1))
        axis[k] = axes[:, -1] * np.sign(axes[np.argmax(np.abs(axes[:, -1])), -1])
        scaled = (off @ axes) / np.sqrt(variance + RIDGE * variance.mean() + np.finfo(float).tiny)
        distance[inside] = np.sqrt(np.square(scaled).mean(axis=1))
    return Clusters(band, centre, axis, distance)


def pick_outliers(values: np.ndarray, time_s: Sequence[float] | np.ndarray, n: int, *, apart_s: float) -> np.ndarray:
    """Return the frames with the `n` largest `values` that are at least `apart_s` apart, largest first.

    Examples
    --------
    >>> pick_outliers(np.array([0.0, 5.0, 6.0, 1.0, 4.0]), np.arange(5.0), 2, apart_s=1.5)
    array([2, 4])
    """
    time = np.asarray(time_s, np.float64)
    picked: list[int] = []
    for frame in np.argsort(-np.asarray(values), kind="stable"):
        if all(abs(time[frame] - time[other]) >= apart_s for other in picked):
            picked.append(int(frame))
        if len(picked) == n:
            break
    return np.array(picked, np.int64)

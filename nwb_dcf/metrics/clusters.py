"""Clusters of latents and their outliers: where a recording dwells, and the frames that stand out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import DataError, ParameterError

if TYPE_CHECKING:
    from jaxtyping import Float, Int, Real

N_BANDS = 4  # as many as the paper shows in the video of a mouse (Figure 7)
MOST_FRAMES = 20_000  # given to k-means; all frames are then assigned
RESTARTS = 8  # k-means ends in local minima
RIDGE = 1e-6  # of a cluster's mean variance: a flat cluster has a singular covariance


@dataclass(frozen=True)
class Clusters:
    """Latents sorted into clusters, the bands of the paper's Figure 7.

    Attributes
    ----------
    band : array of int, shape (time,)
        Cluster of each frame, numbered in the order of their centres on the first latent.
    centre : array, shape (band, latent)
    axis : array, shape (band, latent)
        Unit vector along which each is longest.
    distance : array, shape (time,)
        Mahalanobis distance of each frame from the centre of its cluster, per latent: 1 is the standard deviation of
        the cluster in any direction.
    """

    band: Int[np.ndarray, " time"]
    centre: Float[np.ndarray, "band latent"]
    axis: Float[np.ndarray, "band latent"]
    distance: Float[np.ndarray, " time"]

    def pick_along(self, latents: Real[np.ndarray, "time latent"], band: int, n: int) -> Int[np.ndarray, " frame"]:
        """Return `n` frames that lie evenly along a cluster, from its 5th to its 95th percentile.

        Of the frames at each place the one nearest to the middle of the cluster is taken.
        """
        frames = np.flatnonzero(self.band == band)
        if len(frames) == 0:  # k-means leaves clusters empty where there are fewer distinct latents
            return frames
        off = latents[frames] - self.centre[band]
        place = off @ self.axis[band]
        aside = np.linalg.norm(off - np.outer(place, self.axis[band]), axis=1)
        # quantiles, so that each place holds as many frames, and without the ends, where outliers are
        edges = np.quantile(place, np.linspace(0.05, 0.95, n + 1))
        picked = []
        for low, high in zip(edges[:-1], edges[1:], strict=True):
            inside = np.flatnonzero((place >= low) & ((place < high) | (high == edges[-1])))
            if len(inside) == 0:  # a cluster of few frames
                inside = np.array([np.argmin(np.abs(place - (low + high) / 2))])
            picked.append(frames[inside[np.argmin(aside[inside])]])
        return np.array(picked)


def find_clusters(latents: Real[np.ndarray, "time latent"], n_clusters: int = N_BANDS, *, seed: int = 0) -> Clusters:
    """Sort latents into clusters by k-means.

    Parameters
    ----------
    latents : array, shape (time, latent)
    n_clusters : int
        Four by default, as many as the paper shows in the video of a mouse (Figure 7).
    seed : int
        Of the starts of k-means.

    Returns
    -------
    Clusters

    Raises
    ------
    ParameterError
        If `n_clusters` is below 1.
    DataError
        If there are fewer than ten frames for each cluster.

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
    from sklearn.cluster import KMeans  # half a second that the command line need not wait for

    z = np.asarray(latents, np.float64)
    if n_clusters < 1:
        raise ParameterError(f"there are to be {n_clusters} clusters", fix="give 1 or more")
    if len(z) < 10 * n_clusters:
        raise DataError(f"{len(z)} frames are too few for {n_clusters} clusters", fix="ask for fewer clusters")
    # evenly in time, so that no part of the session is without a vote
    some = z[np.linspace(0, len(z) - 1, min(len(z), MOST_FRAMES)).round().astype(int)]
    centre = KMeans(n_clusters, n_init=RESTARTS, random_state=seed).fit(some).cluster_centers_
    # k-means numbers clusters by chance: by the first latent their colours are the same in every picture
    centre = centre[np.argsort(centre[:, 0])]
    band = np.argmin(np.square(z[:, None] - centre).sum(axis=-1), axis=1)
    axis, distance = np.zeros_like(centre), np.zeros(len(z))
    for k in range(n_clusters):
        inside = band == k
        if not inside.any():
            continue
        # of all frames: those of k-means are of the thinned ones
        centre[k] = z[inside].mean(axis=0)
        off = z[inside] - centre[k]
        variance, axes = np.linalg.eigh(off.T @ off / max(1, len(off) - 1))
        # signs of eigenvectors are arbitrary: the largest entry is positive
        axis[k] = axes[:, -1] * np.sign(axes[np.argmax(np.abs(axes[:, -1])), -1])
        scaled = (off @ axes) / np.sqrt(variance + RIDGE * variance.mean() + np.finfo(float).tiny)
        distance[inside] = np.sqrt(np.square(scaled).mean(axis=1))
    return Clusters(band, centre, axis, distance)


def pick_outliers(
    values: Real[np.ndarray, " time"], time_s: Sequence[float] | Real[np.ndarray, " time"], n: int, *, apart_s: float
) -> Int[np.ndarray, " outlier"]:
    """Return the frames with the `n` largest `values` that are at least `apart_s` apart, largest first.

    Examples
    --------
    >>> pick_outliers(np.array([0.0, 5.0, 6.0, 1.0, 4.0]), np.arange(5.0), 2, apart_s=1.5)
    array([2, 4])
    """
    time = np.asarray(time_s, np.float64)
    picked: list[int] = []
    # neighbours of an outlier are outliers as well, and would fill the list
    for frame in np.argsort(-np.asarray(values), kind="stable"):
        if all(abs(time[frame] - time[other]) >= apart_s for other in picked):
            picked.append(int(frame))
        if len(picked) == n:
            break
    return np.array(picked, np.int64)

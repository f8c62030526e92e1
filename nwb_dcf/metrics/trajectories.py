"""Paths through latent space: how smooth they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import DataError
from .segment_sums import SegmentSums, divide_frames, require_count, require_frames, require_labels

if TYPE_CHECKING:
    from jaxtyping import Real, Shaped


def measure_smoothness(
    latents: Real[np.ndarray, "time latent"], segment: Shaped[np.ndarray, " time"], *, span: int | None = None
) -> SegmentSums:
    """Measure the length of paths over their displacement: 1 is straight, more is rougher or bent.

    Parameters
    ----------
    latents : array, shape (time, latent)
    segment : array, shape (time,)
        Label of each frame's segment; no step crosses two.
    span : int, optional
        Steps over which the displacement is taken; by default whole segments, or blocks where there are fewer than
        five. Set it for closed loops and long recordings, where a whole segment ends near its start.

    Returns
    -------
    SegmentSums
        Path lengths and displacements. Their ratio is pooled, since segments that end where they began would dominate
        a mean of ratios.

    Raises
    ------
    DataError
        If values are not finite, or no two frames follow each other.

    Notes
    -----
    Euclidean in the latents as given: compare methods on one scaling. Smoothing the data lowers it for all.

    Examples
    --------
    >>> import numpy as np
    >>> corner = np.array([[0.0, 0], [3, 0], [3, 4]])
    >>> measure_smoothness(np.tile(corner, (5, 1)), np.repeat(np.arange(5), 3)).value
    1.4
    """
    require_frames(latents=latents)
    require_labels(segment, len(latents))
    if span is not None:
        require_count("span", span, 1)
    latents, groups = np.asarray(latents, np.float64), divide_frames(segment)
    path, displacement = np.zeros(groups.n), np.zeros(groups.n)
    for i, frames in enumerate(groups.list_frames()):
        # a whole segment by default: its path over its displacement
        n_steps = span or len(frames) - 1
        for start in range(0, len(frames) - n_steps, max(n_steps, 1)):
            points = latents[frames[start : start + n_steps + 1]]
            path[i] += np.linalg.norm(np.diff(points, axis=0), axis=1).sum()
            displacement[i] += np.linalg.norm(points[-1] - points[0])
    if not path.any():
        raise DataError("no path has two different points", fix="give longer segments or a shorter span")
    return SegmentSums(path, displacement, groups.over)

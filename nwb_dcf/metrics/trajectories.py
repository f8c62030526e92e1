"""Paths through latent space: how smooth they are, and how long simulated ones stay with the true ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import DataError
from .segment_sums import SegmentSums, divide_frames, divide_sums, require_count, require_frames, require_labels


def measure_smoothness(latents: np.ndarray, segment: np.ndarray, *, span: int | None = None) -> SegmentSums:
    """Measure the length of paths over the displacement they make: 1 is straight, more is rougher or bent.

    Parameters
    ----------
    latents : array, shape (time, latent)
    segment : array, shape (time,)
        Label of each frame's segment; no step crosses two.
    span : int, optional
        Steps over which the displacement is taken; by default whole segments, or blocks where there are fewer than
        five. Name it for closed loops and long recordings, where a whole segment ends near its start.

    Returns
    -------
    SegmentSums
        Path lengths and displacements: their ratio is pooled, since a mean of ratios is ruled by the segments
        that happen to end where they began.

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
    latents, division = np.asarray(latents, np.float64), divide_frames(segment)
    path, displacement = np.zeros(division.n), np.zeros(division.n)
    for i, frames in enumerate(division.list_frames()):
        n_steps = span or len(frames) - 1
        for start in range(0, len(frames) - n_steps, max(n_steps, 1)):
            points = latents[frames[start : start + n_steps + 1]]
            path[i] += np.linalg.norm(np.diff(points, axis=0), axis=1).sum()
            displacement[i] += np.linalg.norm(points[-1] - points[0])
    if not path.any():
        raise DataError("no path has two different points", fix="give longer segments or a shorter span")
    return SegmentSums(path, displacement, division.over)


@dataclass(frozen=True)
class RolloutScore:
    """Squared errors of simulated paths beside those of staying at the start.

    Attributes
    ----------
    error, stay, total : array, shape (start, n_frames)
        Squared errors of the simulation and of "stay", and squares of the truth about its mean, summed over
        latents; 0 where the truth is not known.
    """

    error: np.ndarray
    stay: np.ndarray
    total: np.ndarray

    @property
    def r2(self) -> np.ndarray:
        """R2 of the simulation, shape (n_frames,), one step after the start first; NaN where the total is 0."""
        return 1 - divide_sums(self.error.sum(axis=0), self.total.sum(axis=0))

    @property
    def stay_r2(self) -> np.ndarray:
        """R2 of "stay", shape (n_frames,)."""
        return 1 - divide_sums(self.stay.sum(axis=0), self.total.sum(axis=0))

    @property
    def horizon(self) -> int:
        """Frames for which the simulation beats "stay" without a break; see `find_horizon`."""
        return find_horizon(-self.error.sum(axis=0), -self.stay.sum(axis=0))

    def take(self, starts: np.ndarray) -> RolloutScore:
        """Keep only `starts`: ``bootstrap_statistic(lambda s: score.take(s).horizon, ...)`` gives an interval."""
        return RolloutScore(self.error[starts], self.stay[starts], self.total[starts])

    def at(self, frame: int, segment: np.ndarray) -> SegmentSums:
        """Sums of R2 at one frame (1 is the first) over the segments that the starts lie in, for an interval."""
        require_labels(segment, len(self.error))
        if not 1 <= frame <= self.error.shape[1]:
            raise DataError(f"there is no frame {frame}", fix=f"choose 1 to {self.error.shape[1]}")
        division, error, total = divide_frames(segment), self.error[:, frame - 1], self.total[:, frame - 1]
        return SegmentSums(division.add_up(total - error), division.add_up(total), division.over)


def score_rollout(truth: np.ndarray, simulated: np.ndarray, start: np.ndarray) -> RolloutScore:
    """Score simulated paths frame by frame against the true ones, "stay" beside them.

    Parameters
    ----------
    truth, simulated : array, shape (start, n_frames, latent)
        Frames after each start, one step apart. NaN in `truth` is a frame after the segment's end and is left out;
        a simulation that runs off to infinity or NaN has R2 -inf there.
    start : array, shape (start, latent)
        Where each path starts: the last frame that the simulation has seen, and what "stay" predicts for ever.

    Returns
    -------
    RolloutScore

    Raises
    ------
    DataError
        If shapes do not fit, or `start` is not finite.

    Notes
    -----
    R2 is about the mean of all true frames of all starts, the same for every frame, so that a single start can be
    scored too. Smoothing or windows that see ahead tell the start of what follows: score rollouts on causal
    codes, and score a linear autoregression in the same way.

    Examples
    --------
    >>> import numpy as np
    >>> truth = np.array([[[1.0], [2.0], [4.0]]])
    >>> score = score_rollout(truth, truth, np.zeros((1, 1)))
    >>> score.r2.tolist(), score.horizon
    ([1.0, 1.0, 1.0], 3)
    """
    truth, simulated, start = (np.asarray(x, np.float64) for x in (truth, simulated, start))
    if truth.ndim != 3 or truth.shape != simulated.shape or start.shape != truth[:, 0].shape or 0 in truth.shape:
        raise DataError(
            f"truth, simulated and start have shapes {truth.shape}, {simulated.shape} and {start.shape}",
            fix="give (start, n_frames, latent) twice and (start, latent)",
        )
    if not np.isfinite(start).all():
        raise DataError("start holds NaN or infinite values", fix="leave those starts out")
    known = np.isfinite(truth).all(axis=2)
    if not known.any():
        raise DataError("no frame of the truth is known", fix="give starts that are followed by frames")
    mean = truth[known].mean(axis=0)
    simulated = np.where(np.isfinite(simulated), simulated, np.inf)

    def square(paths: np.ndarray, reference: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore"):  # what is not known is left out
            return np.asarray(np.where(known, np.square(paths - reference).sum(axis=2), 0))

    return RolloutScore(square(simulated, truth), square(truth, start[:, None]), square(truth, mean))


def find_horizon(r2: np.ndarray, stay_r2: np.ndarray) -> int:
    """Find the last frame until which rollouts beat "stay" at every frame; 0 where they lose at the first.

    Parameters
    ----------
    r2, stay_r2 : array, shape (n_frames,)
        Scores of the frames after the start. NaN beats nothing.

    Returns
    -------
    int
        len(r2) means that "stay" never won: the horizon lies beyond.

    Examples
    --------
    >>> import numpy as np
    >>> find_horizon(np.array([0.9, 0.7, 0.2, 0.5]), np.array([0.8, 0.5, 0.3, 0.1]))
    2
    """
    lost = np.logical_not(np.greater(r2, stay_r2))
    return int(np.argmax(lost)) if lost.any() else len(lost)

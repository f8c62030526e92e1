"""Scores as sums over segments, from which a pooled score and its confidence interval are computed alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from ..errors import DataError, ParameterError

if TYPE_CHECKING:
    from jaxtyping import Float, Int, Real, Shaped

MIN_SEGMENTS = 5  # a bootstrap over fewer gives no interval: they are cut in blocks, as when a recording is split
N_BLOCKS = 20
MIN_BLOCK = 8  # frames

Over = Literal["segments", "blocks"]


@dataclass(frozen=True)
class SegmentSums:
    """A score as one sum over segments divided by another.

    Attributes
    ----------
    part, whole : array, shape (segment,)
        Sums of each segment: explained and total squares for R2, bits and spikes for bits per spike.
    over : {"segments", "blocks"}
        What the sums are over: ``"blocks"`` where there were too few segments (see `divide_frames`).

    Examples
    --------
    >>> import numpy as np
    >>> SegmentSums(np.array([1.0, 3.0]), np.array([2.0, 6.0])).value
    0.5
    """

    part: Float[np.ndarray, " segment"]
    whole: Float[np.ndarray, " segment"]
    over: Over = "segments"

    def __post_init__(self) -> None:
        if np.ndim(self.part) != 1 or np.shape(self.part) != np.shape(self.whole):
            raise DataError(
                f"sums have shapes {np.shape(self.part)} and {np.shape(self.whole)}", fix="give one pair a segment"
            )

    @property
    def value(self) -> float:
        """The pooled score; NaN where the whole is 0."""
        return float(divide_sums(self.part.sum(keepdims=True), self.whole.sum(keepdims=True))[0])


@dataclass(frozen=True)
class FrameGroups:
    """Frames divided into groups that are resampled or held out whole.

    Attributes
    ----------
    index : array of int, shape (time,)
        Group of each frame, 0 to n - 1.
    n : int
    over : {"segments", "blocks"}
    """

    index: Int[np.ndarray, " time"]
    n: int
    over: Over

    def list_frames(self) -> list[Int[np.ndarray, " _frame"]]:
        """Return the frames of each group, in the order of time."""
        return split_by_label(self.index, self.n)

    def add_up(self, values: Real[np.ndarray, " time"]) -> Float[np.ndarray, " group"]:
        """Sum `values`, shape (time,), over each group."""
        return np.asarray(np.bincount(self.index, values, minlength=self.n))


def divide_frames(segment: Shaped[np.ndarray, " time"]) -> FrameGroups:
    """Divide frames by segment, or in blocks where there are fewer than five segments.

    Parameters
    ----------
    segment : array, shape (time,)
        Label of the segment that each frame belongs to, in the order of time.

    Returns
    -------
    FrameGroups
        With blocks, about twenty of equal length in all and none across segments. They stand for
        independent samples only as far as they are longer than the data's autocorrelation: intervals over
        blocks of a slow signal are too narrow.

    Raises
    ------
    DataError
        If `segment` is empty or not one label a frame.

    Examples
    --------
    >>> import numpy as np
    >>> divide_frames(np.repeat([4, 7, 9, 11, 12], 3)).over
    'segments'
    >>> groups = divide_frames(np.zeros(200))
    >>> groups.n, groups.over
    (20, 'blocks')
    """
    segment = np.asarray(segment)
    if segment.ndim != 1 or len(segment) == 0:
        raise DataError(f"segment has shape {segment.shape}", fix="give the label of each frame's segment, (time,)")
    # labels may be any ids of trials
    index = np.unique(segment, return_inverse=True)[1]
    n_segments = int(index.max()) + 1
    if n_segments >= MIN_SEGMENTS:
        return FrameGroups(index, n_segments, "segments")
    length = max(MIN_BLOCK, len(index) / N_BLOCKS)
    blocks, n = np.empty_like(index), 0
    for frames in split_by_label(index, n_segments):
        # blocks end at segments: a gap between two is no continuous signal
        n_here = max(1, round(len(frames) / length))
        blocks[frames] = n + np.arange(len(frames)) * n_here // len(frames)
        n += n_here
    return FrameGroups(blocks, n, "blocks")


def split_by_label(index: Int[np.ndarray, " time"], n: int) -> list[Int[np.ndarray, " _frame"]]:
    """Return the positions of each of the labels 0 to n - 1 in `index`, in order."""
    # a stable sort by label keeps frames in order of time within each, without a mask for every label
    return np.split(np.argsort(index, kind="stable"), np.cumsum(np.bincount(index, minlength=n))[:-1])


def divide_sums(part: Real[np.ndarray, "*any"], whole: Real[np.ndarray, "*any"]) -> Float[np.ndarray, "*any"]:
    """Divide `part` by `whole`, NaN where `whole` is 0."""
    part, whole = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    return np.asarray(np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=whole != 0))


def require_frames(**arrays: Shaped[np.ndarray, " ..."]) -> None:
    """Refuse arrays that are not (time, channel) of the same frames, or hold NaN.

    Raises
    ------
    DataError
        With the name of the array.
    """
    length = None
    for name, values in arrays.items():
        if np.ndim(values) != 2 or 0 in np.shape(values):
            raise DataError(f"{name} has shape {np.shape(values)}", fix="give a two-dimensional array (time, channel)")
        if not np.isfinite(values).all():
            raise DataError(f"{name} holds NaN or infinite values", fix="leave those frames out")
        length = len(values) if length is None else length
        if len(values) != length:
            raise DataError(f"{name} has {len(values)} frames, not {length}", fix="give arrays of the same frames")


def require_same_shape(**arrays: Shaped[np.ndarray, " ..."]) -> None:
    """Refuse arrays (time, channel) that differ in shape or hold NaN, as `require_frames` does."""
    require_frames(**arrays)
    shapes = {name: np.shape(values) for name, values in arrays.items()}
    if len(set(shapes.values())) > 1:
        raise DataError(
            " and ".join(f"{name} has shape {shape}" for name, shape in shapes.items()), fix="give arrays of one shape"
        )


def require_labels(segment: Shaped[np.ndarray, " time"], n_frames: int) -> None:
    """Refuse segment labels that are not one a frame."""
    if np.shape(segment) != (n_frames,):
        raise DataError(f"segment has shape {np.shape(segment)}", fix=f"give one label a frame, ({n_frames},)")


def require_count(name: str, value: int, low: int) -> None:
    """Refuse a value that is no whole number of at least `low`."""
    # bool is a subclass of int in Python
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < low:
        raise ParameterError(f"{name} is {value!r}", fix=f"give a whole number, {low} or more")

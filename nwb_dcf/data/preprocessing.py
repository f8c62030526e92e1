"""From recorded values to what the model sees: transform, smooth, scale.

The order is fixed: the square root of counts, then smoothing, then scale. On reaches, scaling moved decoding more than
any method did: R2 of hand velocity from three axes was 0.24 for z-scored counts, 0.57 for smoothed roots of one scale.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import xarray as xr
from scipy.sparse import csr_array
from scipy.special import gammaln, xlogy

from ..config import PrepareConfig
from ..errors import DataError, ParameterError
from .chunks import (
    compute_moments,
    count_varying,
    frame_blocks,
    make_scratch,
    needs_scratch,
    read_frames,
    release_scratch,
)
from .gaussian_filter import TRUNCATE, filter_gaussian
from .recording import CHANNEL_SOURCE, frame_dims, is_count, median_step_s, name_source, segment_slices, split_sources
from .records import JSON, PreprocessingStep

if TYPE_CHECKING:
    from jaxtyping import Float, Num, Real

N_RATES = 400  # at which the mean root is tabulated
MOST_TABLED = 400.0  # counts a bin; above it the expansion is exact to 0.001
LEAST_RATE = 1e-4  # below it, as below any small rate, the mean root is the rate itself


def invert_mean_root(roots: Real[np.ndarray, "*any"]) -> Float[np.ndarray, "*any"]:
    """Find the rate whose Poisson counts have `roots` as the mean of their square roots.

    Parameters
    ----------
    roots : array
        Reconstructed square roots of counts, as smoothing or a decoder that predicts means gives them; negative ones
        count as 0.

    Returns
    -------
    array
        Expected counts, of the same shape.

    Raises
    ------
    DataError
        If a root is not finite.

    Notes
    -----
    The square of a mean root is below the mean, E[sqrt(n)]^2 < E[n]: with 0.1 spikes a bin it is 0.098 on average,
    whose square is 0.0096. Where counts vary more than Poisson's do, this is too small as well; see `fit_rates`.

    Examples
    --------
    >>> counts = np.random.default_rng(0).poisson(0.1, 100_000)
    >>> float(invert_mean_root(np.sqrt(counts).mean()).round(2))
    0.1
    """
    roots = np.asarray(roots, np.float64)
    if not np.isfinite(roots).all():
        raise DataError("roots hold NaN or infinite values", fix="leave those frames out")
    # E[sqrt(n)] >= sqrt(rate) - 0.5 for any rate: the table reaches beyond every root below it
    small = roots < np.sqrt(MOST_TABLED)
    largest = np.square(roots.max(initial=0, where=small) + 1)
    rates = np.append(0, np.geomspace(LEAST_RATE, largest, N_RATES))
    n = np.arange(int(rates[-1] + 10 * np.sqrt(rates[-1])) + 10)  # ten SDs above: no further count occurs
    probability = np.exp(xlogy(n, rates[:, None]) - rates[:, None] - gammaln(n + 1))  # of each count at each rate
    found = np.asarray(np.interp(roots, probability @ np.sqrt(n), rates))
    # of large rates E[sqrt(n)]^2 = rate - 1/4 + O(1/rate); a table of them would grow with the square of the rate
    np.add(np.square(roots, where=~small, out=found), 0.25, where=~small, out=found)
    return found


SPIKE_SMOOTH_S = 0.04  # the paper's Gaussian for spikes
COUNT_SMOOTH_FRAMES = 2  # for counts without a clock
FAR = 1e4  # standard deviations from 0
WIDEST_CHOSEN_S = 1.6  # what the data may choose, whatever their segments
MOST_WEIGHTS = 2 * 10**8  # of smoothing on an irregular clock: 3 GB
CLOCK_TOLERANCE = 0.01  # of the step: a clock that varies less is regular


@dataclass(frozen=True)
class SourcePreprocessing:
    """What is done with the channels of one source, before all are scaled.

    Attributes
    ----------
    n_channels : int
    transform : str
        ``"sqrt"`` or ``"none"``.
    smooth_s : float
        Standard deviation of the Gaussian in seconds; 0 for none.
    """

    n_channels: int
    transform: str
    smooth_s: float


@dataclass(frozen=True)
class Preprocessor:
    """A fitted preparation: all that is needed to repeat it on new data, and to undo its scale.

    Attributes
    ----------
    transform : str
        ``"sqrt"`` or ``"none"``; ``"by source"`` where several were joined.
    smooth_s : float
        Standard deviation of the Gaussian in seconds; 0 for none; of joined sources the longest.
    scale : str
        Name of the scaling.
    factor, offset : array, shape (channel,) or (y, x)
        Prepared value = (smoothed value - offset) * factor.
    sources : tuple of SourcePreprocessing
        Of joined sources, in the order of their channels; empty for one.
    """

    transform: str
    smooth_s: float
    scale: str
    factor: Float[np.ndarray, " *frame"]
    offset: Float[np.ndarray, " *frame"]
    sources: tuple[SourcePreprocessing, ...] = ()

    def apply(self, recording: xr.Dataset) -> xr.Dataset:
        """Prepare a recording of the same channels; float32, each step logged in ``attrs["steps"]``.

        What is read lazily, and what memory should not hold, is written to a scratch file block by block
        (`nwb_dcf.data.chunks`).

        Raises
        ------
        DataError
            If the number of channels differs, or a square root is asked of negative values.
        """
        self.check(recording)
        data = recording["data"]
        # float32 in a file: prepared frames of a video are larger than the video
        in_file = needs_scratch(data)
        values = make_scratch(data.shape) if in_file else np.empty(data.shape, np.float32)
        # in memory small blocks are faster, whose copies the allocator takes again from its heap
        for frames in frame_blocks(data, 1.0 if in_file else 0.25):
            values[frames] = self.apply_to(recording, frames)
            release_scratch()
        prepared = recording.assign(data=(recording["data"].dims, values, {"units": "prepared"}))
        prepared.attrs = {**recording.attrs, "steps": [*recording.attrs.get("steps", []), *self.describe()]}
        return prepared

    def check(self, recording: xr.Dataset) -> None:
        """Refuse frames of another size than those fitted.

        Raises
        ------
        DataError
            If they are.
        """
        shape = recording["data"].shape[1:]
        if shape != self.factor.shape:
            name = "channels" if self.factor.ndim == len(shape) == 1 else "numbers a frame"
            given, expected = (" x ".join(map(str, sizes)) for sizes in (shape, self.factor.shape))
            raise DataError(
                f"the data have {given} {name} and the model {expected}",
                fix="give the channels that the model was fitted to",
            )

    def apply_to(self, recording: xr.Dataset, frames: slice) -> Float[np.ndarray, " time *frame"]:
        """Prepare some frames, float32 (time, channel) or (time, y, x); no more is read than smoothing reaches."""
        treated = [
            _smooth(recording, frames, how, smooth_s, channels) for channels, how, smooth_s in self._list_treatments()
        ]
        # sources are smoothed each by its own Gaussian, and joined channels follow each other
        smoothed = np.concatenate(treated, axis=1) if self.sources else treated[0]
        # in place: more copies of a block take longer than the arithmetic
        smoothed -= self.offset
        smoothed *= self.factor
        return np.asarray(smoothed.astype(np.float32))

    def undo(self, values: Real[np.ndarray, "*any"]) -> Float[np.ndarray, "*any"]:
        """Map prepared values (..., channel) or (..., y, x) back to the data's unit; smoothing stays.

        Negative reconstructed square roots become zero counts.
        """
        restored = self.undo_scale(values)
        if self.sources:
            for channels, how, _ in self._list_treatments():
                if how == "sqrt":
                    restored[..., channels] = np.square(np.maximum(restored[..., channels], 0))
            return restored
        # a square would turn a negative root into a positive count
        return np.square(np.maximum(restored, 0)) if self.transform == "sqrt" else restored

    def expect_counts(self, values: Real[np.ndarray, "*any"]) -> Float[np.ndarray, "*any"]:
        """Map prepared values (..., channel) that are means of what was fitted to expected counts."""
        restored = self.undo_scale(values)
        return invert_mean_root(restored) if self.transform == "sqrt" else np.maximum(restored, 0)

    def undo_scale(self, values: Real[np.ndarray, "*any"]) -> Float[np.ndarray, "*any"]:
        """Map prepared values (..., channel) back to what was scaled; square roots stay."""
        # in place: of a large table another copy takes as long as the arithmetic
        restored = np.divide(values, self.factor, dtype=np.float64)
        restored += self.offset
        return np.asarray(restored)

    def describe(self) -> list[PreprocessingStep]:
        """Describe the steps in order, JSON-able, without the statistics."""
        smoothing: PreprocessingStep = {"step": "smooth", "how": "gaussian", "edges": "normalised", "per": "segment"}
        if self.sources:
            return [
                {"step": "transform", "how": [source.transform for source in self.sources]},
                {**smoothing, "sigma_s": [source.smooth_s for source in self.sources]},
                {"step": "scale", "how": self.scale, "per": "source", "total variance": "equal"},
            ]
        return [
            {"step": "transform", "how": self.transform},
            {**smoothing, "sigma_s": self.smooth_s},
            {"step": "scale", "how": self.scale},
        ]

    def to_dict(self) -> JSON:
        """Return all settings and statistics as JSON-able values."""
        return {**asdict(self), "factor": self.factor.tolist(), "offset": self.offset.tolist()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Make a preparation from `to_dict`'s output."""
        arrays = {name: np.asarray(values[name], np.float64) for name in ("factor", "offset")}
        sources = tuple(SourcePreprocessing(**source) for source in values.get("sources", ()))
        return cls(**{**values, **arrays, "sources": sources})

    def _list_treatments(self) -> list[tuple[slice, str, float]]:
        """Channels of each source, its transform and its smoothing."""
        if not self.sources:
            return [(slice(None), self.transform, self.smooth_s)]
        stops = np.cumsum([source.n_channels for source in self.sources]).tolist()
        return [
            (slice(stop - source.n_channels, stop), source.transform, source.smooth_s)
            for source, stop in zip(self.sources, stops, strict=True)
        ]


def fit_preprocessor(recording: xr.Dataset, config: PrepareConfig) -> Preprocessor:
    """Take the statistics of the frames of `recording`; ``auto`` is the standard of its kind.

    Counts (``data.attrs["units"] == "count"``) get the square root and a Gaussian: 0.04 s for spikes, 2 frames
    for counts without a unit of time. Other data get neither. What the data themselves choose has been put into
    `config` before (`nwb_dcf.estimator.smoothing_and_scale`). Of joined sources each is prepared in its way and, but
    for ``scale="none"``, scaled to the same total variance: none drowns the others by its unit or number of channels.

    Parameters
    ----------
    recording : xarray.Dataset
        Training segments alone.
    config : PrepareConfig

    Raises
    ------
    DataError
        If every channel is constant, or a square root is asked of negative values.
    """
    if CHANNEL_SOURCE in recording.coords:
        return _balance([fit_preprocessor(source, config) for source in split_sources(recording)], recording)
    counts = is_count(recording)
    transform = ("sqrt" if counts else "none") if config.transformation == "auto" else config.transformation
    smooth_s = compute_standard_smoothing(recording) if isinstance(config.smooth, str) else float(config.smooth)
    # of smoothed values: what smoothing takes away should not set the scale
    moments = compute_moments(
        _smooth(recording, frames, transform, smooth_s) for frames in frame_blocks(recording["data"])
    )
    sd = moments.sd
    if not sd.any():
        raise DataError("every channel is constant", where=name_source(recording))
    # float32 keeps seven digits: of a channel that lies so far from 0, its mean is taken off before they are cut.
    # An SD of rounding errors alone is that of a constant channel, which is not shifted.
    is_far = (sd > 1e-12 * np.abs(moments.mean)) & (np.abs(moments.mean) >= FAR * sd)
    offset = np.where(is_far, moments.mean, 0.0)
    if config.scale in ("global", "auto"):
        factor = np.full_like(sd, 1 / np.sqrt(np.mean(np.square(sd))))  # variances keep their ratios
    elif config.scale == "soft":
        # the median keeps units that hardly fire from being blown up, as z-scores do
        factor = 1 / (sd + np.median(sd[sd > 0]))
    elif config.scale == "zscore":
        factor, offset = 1 / np.where(sd > 0, sd, 1), moments.mean  # a constant channel stays at 0
    else:
        factor = np.ones_like(sd)
    return Preprocessor(transform, smooth_s, "global" if config.scale == "auto" else config.scale, factor, offset)


def compute_standard_smoothing(recording: xr.Dataset) -> float:
    """Return the Gaussian's standard deviation in seconds that is the default for the kind of data."""
    if recording.attrs.get("kind") == "units":
        return SPIKE_SMOOTH_S
    return COUNT_SMOOTH_FRAMES * median_step_s(recording) if is_count(recording) else 0.0


def _balance(parts: list[Preprocessor], recording: xr.Dataset) -> Preprocessor:
    """Join preparations: sources get equal total variance, and channels a mean variance of 1."""
    sizes = [part.factor.size for part in parts]
    factors = []
    for part, source in zip(parts, split_sources(recording), strict=True):
        # float64, since a sum over many channels in float32 loses digits
        total = float(part.apply(source)["data"].values.var(axis=0, dtype="f8").sum())
        balance = 1.0 if part.scale == "none" else float(np.sqrt(sum(sizes) / len(parts) / total))
        factors.append(part.factor * balance)
    return Preprocessor(
        "by source",
        max(part.smooth_s for part in parts),
        parts[0].scale,
        np.concatenate(factors),
        np.concatenate([part.offset for part in parts]),
        tuple(
            SourcePreprocessing(size, part.transform, part.smooth_s) for size, part in zip(sizes, parts, strict=True)
        ),
    )


def check_size(recording: xr.Dataset, dim: int) -> None:
    """Refuse a recording that is too small for the dimension asked.

    Raises
    ------
    ParameterError
        If `dim` is above the number of channels that vary.
    DataError
        If there is a single channel, or no segment has two frames.
    """
    dims = frame_dims(recording)
    dim_name = dims[0] if len(dims) == 1 else "pixel"
    where = name_source(recording)
    data = recording["data"]
    usable = count_varying(data, max(dim, 2))
    if usable < 2:
        raise DataError(
            f"{usable} usable {dim_name}: there is nothing to compress", where=where, fix="fit two or more channels"
        )
    if dim > usable:
        raise ParameterError(
            f"{where + ': ' if where else ''}dim is {dim}, above the {usable} usable {dim_name}s",
            fix=f"give --dim {usable} or less",
        )
    index = recording["segment_index"].values
    if not (index[1:] == index[:-1]).any():
        raise DataError("no segment has two frames", where=where, fix="choose longer segments or narrower bins")


def _transform(
    values: Num[np.ndarray, " time *frame"], transform: str, where: str | None
) -> Float[np.ndarray, " time *frame"]:
    # the square root of NumPy's uint8 would be float16
    values = values.astype(np.float64)
    if transform == "none":
        return values
    if values.min() < 0:
        raise DataError(
            f"the square root is asked of negative values (smallest {values.min():.4g})",
            where=where,
            fix="take no transform: --transformation none",
        )
    return np.asarray(np.sqrt(values))


def _smooth(
    recording: xr.Dataset, frames: slice, transform: str, sigma_s: float, channels: slice = slice(None)
) -> Float[np.ndarray, " time *frame"]:
    """Transform some frames and channels and smooth them by a Gaussian of `sigma_s` seconds, each segment by itself.

    Weights sum to 1 at every frame, so that edges of segments are not pulled to 0. The frames around that the Gaussian
    reaches are read as well.
    """
    where, pieces = name_source(recording), list(_cut_pieces(recording, frames, sigma_s))
    start, stop = pieces[0].seen.start, pieces[-1].seen.stop
    values = _transform(read_frames(recording["data"], slice(start, stop))[:, channels], transform, where)
    if sigma_s == 0:
        return values
    time, smoothed = recording["time"].values, np.empty((frames.stop - frames.start, *values.shape[1:]))
    for piece in pieces:
        seen = values[piece.seen.start - start : piece.seen.stop - start]
        inside = slice(piece.frames.start - piece.seen.start, piece.frames.stop - piece.seen.start)
        if piece.sigma == 0:
            around = seen
        elif piece.sigma is not None:
            weight = filter_gaussian(np.ones(len(seen)), piece.sigma)[inside]  # how much of the Gaussian lies inside
            around = filter_gaussian(seen, piece.sigma)[inside]
            around /= weight.reshape(-1, *[1] * (seen.ndim - 1))
        else:
            weights = _compute_gaussian_weights(time[piece.frames], time[piece.seen], sigma_s)
            around = (weights @ seen.reshape(len(seen), -1)).reshape(-1, *seen.shape[1:])
        smoothed[piece.frames.start - frames.start : piece.frames.stop - frames.start] = around
    return smoothed


def check_smoothing(recording: xr.Dataset, smooth: float | str) -> None:
    """Refuse a Gaussian that is wider than the longest segment, of which it would leave a constant.

    Raises
    ------
    ParameterError
        If its standard deviation is.
    DataError
        If the clock is irregular and the weights of all frames would not fit into memory.
    """
    if isinstance(smooth, str) or smooth == 0:
        return
    time = recording["time"].values
    spans = [(time[s.start], time[s.stop - 1], time[s]) for s in segment_slices(recording)]
    longest = max((stop - start for start, stop, _ in spans), default=0.0)
    if longest > 0 and smooth > max(longest, WIDEST_CHOSEN_S):
        where = name_source(recording) or "the recording"
        raise ParameterError(
            f"{where}: smooth is {smooth:g} s, and the longest segment {longest:.4g} s",
            fix=f"give --smooth {longest / TRUNCATE:.3g} or less",  # so that either side of a window fits
        )
    n_weights = sum(_count_weights(inside, smooth) for _, _, inside in spans)
    if n_weights > MOST_WEIGHTS:
        raise DataError(
            f"frames are irregular in time, and a Gaussian of {smooth:g} s takes {n_weights:.3g} weights of them",
            where=name_source(recording),
            fix="give a smaller --smooth, or put the series on a regular clock with --resample HZ",
        )


def _count_weights(time: np.ndarray, sigma_s: float) -> int:
    """Weights that smoothing a segment takes where its clock is irregular; 0 where it is not."""
    steps = np.diff(time)
    if len(steps) == 0 or np.ptp(steps) <= CLOCK_TOLERANCE * steps.mean():
        return 0
    reach_s = TRUNCATE * sigma_s
    ends = np.searchsorted(time, time + reach_s, side="right") - np.searchsorted(time, time - reach_s)
    return int(ends.sum())


@dataclass(frozen=True)
class _Piece:
    """Frames of one segment, the frames that their Gaussians reach, and its width in frames.

    The width is 0 for a segment of one frame, None where the clock is irregular.
    """

    frames: slice
    seen: slice
    sigma: float | None


def _cut_pieces(recording: xr.Dataset, frames: slice, sigma_s: float) -> Iterator[_Piece]:
    """Yield `frames` cut where segments end."""
    if sigma_s == 0:
        yield _Piece(frames, frames, 0.0)
        return
    time = recording["time"].values
    for segment in segment_slices(recording):
        start, stop = max(segment.start, frames.start), min(segment.stop, frames.stop)
        if start >= stop:
            continue
        steps, inside = np.diff(time[segment]), slice(start, stop)
        if len(steps) == 0:
            yield _Piece(inside, inside, 0.0)
        # a regular clock can be filtered by position, a hundred times faster than by weights
        elif np.ptp(steps) <= CLOCK_TOLERANCE * steps.mean():
            sigma = sigma_s / steps.mean()
            reach = int(TRUNCATE * sigma + 0.5)  # as SciPy rounds it
            seen = slice(max(segment.start, start - reach), min(segment.stop, stop + reach))
            yield _Piece(inside, seen, sigma)
        else:
            reach_s = TRUNCATE * sigma_s
            low = np.searchsorted(time[segment], time[start] - reach_s)
            high = np.searchsorted(time[segment], time[stop - 1] + reach_s, side="right")
            yield _Piece(inside, slice(segment.start + int(low), segment.start + int(high)), None)


def _compute_gaussian_weights(
    time: Float[np.ndarray, " time"], seen: Float[np.ndarray, " seen"], sigma_s: float
) -> csr_array:
    """Compute normalised Gaussian weights of frames on an irregular clock, (time, seen), sparse."""
    # each frame has its own window: a sparse matrix holds those weights alone
    low = np.searchsorted(seen, time - TRUNCATE * sigma_s)
    high = np.searchsorted(seen, time + TRUNCATE * sigma_s, side="right")
    counts = high - low
    row = np.repeat(np.arange(len(time)), counts)
    column = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts - low, counts)  # low, low + 1, ... by row
    weight = np.exp(-0.5 * np.square((time[row] - seen[column]) / sigma_s))
    weight /= np.bincount(row, weight)[row]  # never 0: each frame is in its own window
    return csr_array((weight, (row, column)), shape=(len(time), len(seen)))

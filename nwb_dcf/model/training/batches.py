"""Windows of frames: pairs of successive frames with their history, drawn by one index."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..coupling import Coupling
from ..dcf_model import DCFModel
from ..parallel import run_parts, split_frames

FRAMES_READ = 8192  # at a time, off the axes
CACHED_NUMBERS = 2**26  # of latents that are cached where the encoder does not learn: 256 MB
CHUNK = 16  # successive pairs drawn together while the encoder learns, so that each frame is encoded once
SCATTERED_ROWS = 64  # of a file, as in `data.chunks`, which this package does not know


def take_rows(values: Tensor, rows: Tensor, release: Callable[[], None] | None = None) -> Tensor:
    """values[rows], of shape (..., D), as rows (any shape) of a table (row, D): three times as fast as indexing it.

    Rows of a table that stayed on the host are sent to the device that asks for them. Where gradients come back to one
    on a GPU it is indexed: index_select adds them up there in whatever order they come. Of a table in a file some rows
    are taken at a time unless they lie side by side, and `release` is called after them.
    """
    # one seed has to give one result: index_put is deterministic, the backward of index_select is not
    if values.is_cuda and values.requires_grad:
        return values[rows]
    if values.device != rows.device:
        return take_rows(values, rows.to(values.device), release).to(rows.device)
    if release is not None and rows.numel():
        first, last = (int(edge) for edge in torch.aminmax(rows))
        if last - first < rows.numel():  # as in windows of successive frames: no page is read for nothing
            found = values[first : last + 1].index_select(0, (rows - first).flatten())
            release()
            return found.view(*rows.shape, *values.shape[1:])
        found = values.new_empty(rows.numel(), *values.shape[1:])
        parts = (torch.split(each, SCATTERED_ROWS) for each in (rows.flatten(), found))
        for some, into in zip(*parts, strict=True):
            torch.index_select(values, 0, some, out=into)
            release()
        return found.view(*rows.shape, *values.shape[1:])
    return values.index_select(0, rows.flatten()).view(*rows.shape, *values.shape[1:])


@dataclass(frozen=True)
class FrameTable:
    """All frames of a recording, with the index of its pairs of successive frames.

    Frames that are too many for a GPU stay on the host, and those of each batch are sent; all else is on the `device`.

    Attributes
    ----------
    x : Tensor, shape (frame, D)
    first, last : Tensor of int64, shape (frame,)
        First and last frame of each frame's segment: history and windows stop there.
    step : Tensor, shape (frame,)
        Time to the next frame in median steps; 1 where there is none.
    pairs : Tensor of int64, shape (pair,)
        Frames whose successor lies in the same segment and whose history is long enough.
    history : int
        h, past frames beyond the current one.
    drop_start : bool
        Whether the first h frames of a segment serve as history only.
    rows : Tensor of int64, or None
        Frames that are drawn, where these are not all.
    release : callable, or None
        Called after some frames have been read, where `x` lies in a file: takes them out of the process's memory. None
        where it does not.
    """

    x: Tensor
    first: Tensor
    last: Tensor
    step: Tensor
    pairs: Tensor
    history: int
    drop_start: bool = False
    rows: Tensor | None = None
    release: Callable[[], None] | None = None

    @property
    def device(self) -> torch.device:
        """Device of training."""
        return self.first.device

    @classmethod
    def build(
        cls,
        x: Tensor,
        segment: Tensor,
        time: Tensor,
        *,
        history: int,
        drop_start: bool,
        step_s: float | None = None,
        device: torch.device | None = None,
        release: Callable[[], None] | None = None,
    ) -> FrameTable:
        """Index `x`, shape (frame, D), by its segments and times in seconds, both of shape (frame,).

        `device` is that of `x` by default.

        `step_s` is the time unit of v, the median step of `time` by default. A part of a recording needs that of the
        whole: on an irregular clock its own median differs, and so would its velocities.

        With `drop_start` the first h frames of a segment serve as history only (preset ``authors``);
        otherwise history at a segment's start repeats its first frame.
        """
        n = len(x)
        frame = torch.arange(n)
        # segments are contiguous, so that a change of the label is an edge
        starts = torch.cat([torch.ones(1, dtype=torch.bool), segment[1:] != segment[:-1]])
        first = torch.cummax(torch.where(starts, frame, 0), 0).values
        ends = torch.cat([starts[1:], torch.ones(1, dtype=torch.bool)])
        last = torch.cummin(torch.where(ends, frame, n).flip(0), 0).values.flip(0)
        has_next = torch.cat([~starts[1:], torch.zeros(1, dtype=torch.bool)])
        # session clocks exceed float32's 24 bits after hours
        step = torch.ones(n, dtype=torch.float64)
        step[:-1][has_next[:-1]] = time.double().diff()[has_next[:-1]]
        if has_next.any():
            # NumPy's median lies between the middle two, as in `recording.median_step_s`; torch's is the lower one
            step = torch.where(has_next, step / (step_s or float(np.median(step[has_next].numpy()))), 1.0)
        # pairs never cross a segment or a gap (paper 2.4)
        pairs = frame[has_next & ((frame - first >= history) | (not drop_start))]
        device = device or x.device
        index = (first.to(device), last.to(device), step.to(device, x.dtype), pairs.to(device))
        return cls(x, *index, history, drop_start, release=release)

    def with_whole_history(self) -> FrameTable:
        """Return the table without pairs whose history repeats a segment's first frame, unless they are the majority.

        Repeated frames are a constant history, which no recording has: rollouts of a v trained on them diverged sooner.
        """
        pairs = self.pairs[self.pairs - self.first[self.pairs] >= self.history]
        return dataclasses.replace(self, pairs=pairs) if 2 * len(pairs) >= len(self.pairs) else self

    def select(self, rows: Tensor) -> FrameTable:
        """Return the table with only `rows` (rising) drawn: history and windows end where these rows do."""
        n, device = len(self.x), self.device
        frame, chosen = torch.arange(n, device=device), torch.zeros(n, dtype=torch.bool, device=device)
        chosen[rows.to(device)] = True
        no = chosen.new_zeros(1)
        starts, ends = chosen & ~torch.cat([no, chosen[:-1]]), chosen & ~torch.cat([chosen[1:], no])
        first = torch.maximum(self.first, torch.cummax(torch.where(starts, frame, 0), 0).values)
        last = torch.minimum(self.last, torch.cummin(torch.where(ends, frame, n).flip(0), 0).values.flip(0))
        pairs = self.pairs[chosen[self.pairs] & chosen[self.pairs + 1]]
        if self.drop_start:
            pairs = pairs[pairs - first[pairs] >= self.history]
        return dataclasses.replace(self, first=first, last=last, pairs=pairs, rows=rows.to(device))

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw `n` frames, all with equal chance."""
        if self.rows is None:
            return torch.randint(len(self.x), (n,), generator=generator, device=self.device)
        at = torch.randint(len(self.rows), (n,), generator=generator, device=self.device)
        return take_rows(self.rows, at)

    def list_drawn(self) -> Tensor:
        """List the frames that are drawn, in order."""
        return torch.arange(len(self.x), device=self.device) if self.rows is None else self.rows

    def split(self, n: int) -> Iterator[Tensor]:
        """Go through `x` in parts of `n` frames; those that lie in a file leave the memory after each."""
        for part in torch.split(self.x, n):
            yield part
            if self.release:
                self.release()

    def window(self, frames: Tensor) -> Tensor:
        """Rows of the history of `frames`, shape (..., h + 1), newest first, the frame itself included."""
        lags = torch.arange(self.history + 1, device=frames.device)
        # history before a segment's start repeats its first frame
        return torch.maximum(frames[..., None] - lags, take_rows(self.first, frames)[..., None])

    def take(self, frames: Tensor) -> Tensor:
        """Return frames, (any shape) to (..., D)."""
        return take_rows(self.x, frames, self.release)

    def surround(self, frames: Tensor, reach: int) -> Tensor:
        """Return windows of frames, shape (n, 2 reach + 1, D) in order of time; a segment's ends repeat."""
        rows = frames[:, None] + torch.arange(-reach, reach + 1, device=frames.device)
        first, last = take_rows(self.first, frames), take_rows(self.last, frames)
        return self.take(torch.clamp(rows, first[:, None], last[:, None]))

    def encode(self, coupling: Coupling, rows: Tensor | None = None) -> Tensor:
        """mu of every frame within its surroundings, shape (frame, k_max), part by part and without gradients.

        Of `rows` (rising) alone where they are given, and 0 at others.
        """
        encoder, training, linear = coupling.encoder, coupling.training, coupling.encoder.is_linear
        latents = self._make_zeros(coupling.axes.shape[1])

        def encode(part: slice) -> None:
            some = torch.arange(part.start, part.stop, device=self.device) if rows is None else rows[part]
            if linear:
                frames = self.x[part].to(self.device) if rows is None else self.take(some)
                found = encoder.apply_linear(frames - coupling.mean)
            else:
                found = encoder(self.surround(some, encoder.window).sub_(coupling.mean))  # a copy, changed in place
            latents[part if rows is None else some] = found
            if self.release:
                self.release()

        coupling.eval()  # the running statistics are not to follow the parts
        seen = self.x.shape[1] * (1 if linear else 2 * encoder.window + 1)
        parts = split_frames(len(self.x) if rows is None else len(rows), seen, self.device)
        run_parts(encode, parts, self.device, beside=not encoder.sees_images)
        coupling.train(training)
        return latents

    def _make_zeros(self, width: int) -> Tensor:
        # NumPy's take no memory before they are written to, torch's do
        return torch.from_numpy(np.zeros((len(self.x), width), np.float32)).to(self.step)

    def read(self, coupling: Coupling, rows: Tensor | None = None) -> Tensor:
        """Coordinates on the axes of every frame, (frame, k_max), or of `rows` alone, as `encode`."""
        found = self._make_zeros(coupling.axes.shape[1])
        for some in torch.split(torch.arange(len(self.x), device=self.device) if rows is None else rows, FRAMES_READ):
            found[some] = coupling.read(self.take(some))
        return found


@dataclass(frozen=True)
class Samples:
    """A batch of n pairs as rows of small tables, each frame encoded once.

    Attributes
    ----------
    x, latents, reads : Tensor, shapes (row, D), (row, k_max), (row, k_max)
        Frames, mu of them, and their coordinates on the axes at tau = 1.
    now, later : Tensor of int64, shape (n,)
        Rows of the frames k and k + 1.
    past : Tensor of int64, shape (n, h + 1)
        Rows of the history, newest first.
    step : Tensor, shape (n,)
        dt in median steps.
    weight : Tensor, shape (n,), or None
        0 for places that are no pair; None where all are.
    frames : Tensor of int64, shape (n,)
        Frames k in the table.
    release : callable, or None
        That of the table, where `x` are all of its frames.
    """

    x: Tensor
    latents: Tensor
    reads: Tensor
    now: Tensor
    later: Tensor
    past: Tensor
    step: Tensor
    weight: Tensor | None
    frames: Tensor
    release: Callable[[], None] | None = None

    @property
    def single(self) -> bool:
        """Whether these are single frames, each its own successor and its own row: enough for u."""
        return self.later is self.now

    def pick(self, values: Tensor, rows: Tensor) -> Tensor:
        """Take `rows` of `values`, one of these tables or of its shape."""
        if self.single and rows is self.now:
            return values
        return take_rows(values, rows, self.release if values is self.x else None)


class WindowSampler:
    """Draws `Samples` from a table; encodes all frames once where the encoder does not learn.

    Parameters
    ----------
    table : FrameTable
    model : DCFModel
    learn : collection of str
        Parts that learn, of ``coupling``, ``u`` and ``v``: without v single frames suffice.
    """

    def __init__(self, table: FrameTable, model: DCFModel, learn: Collection[str] = ("coupling", "u", "v")) -> None:
        self.table = table
        self.model = model
        self.single = "v" not in learn
        self.is_pair = torch.zeros(len(table.x), dtype=torch.bool, device=table.device)
        self.is_pair[table.pairs] = True
        self.cached: tuple[Tensor, Tensor] | None = None
        self.learns_latents = "coupling" in learn and model.learns_encoder
        # encoding is half of a step where all else is small; fixed latents need it once
        if not self.learns_latents and len(table.x) * model.k_max <= CACHED_NUMBERS:
            with torch.no_grad():
                # of those that are drawn: a part has no use for the other part's, which another sampler holds
                self.cached = table.encode(model.coupling, table.rows), table.read(model.coupling, table.rows)

    def draw(self, n: int, generator: torch.Generator) -> Samples:
        """Draw about `n` pairs, or `n` single frames where v does not learn, uniformly."""
        if self.cached:
            return self._draw_pairs(n, generator)
        return self._draw_frames(n, generator) if self.single else self._draw_chunks(n, generator)

    def _draw_pairs(self, n: int, generator: torch.Generator) -> Samples:
        table = self.table
        latents, reads = self.cached  # type: ignore[misc]
        at = torch.randint(len(table.pairs), (n,), generator=generator, device=table.device)
        now = take_rows(table.pairs, at)
        step = take_rows(table.step, now)
        return Samples(table.x, latents, reads, now, now + 1, table.window(now), step, None, now, table.release)

    def _draw_frames(self, n: int, generator: torch.Generator) -> Samples:
        table, device = self.table, self.table.device
        frames, every = table.draw(n, generator), table.list_drawn()
        if torch.is_grad_enabled() or len(every) > n:
            latents = self._encode(frames, generator)
        else:  # the held-out frames of a small recording, of which an evaluation draws each several times
            latents = take_rows(self._encode(every, generator), torch.searchsorted(every, frames))
        row, one = torch.arange(n, device=device), table.step.new_ones(n)
        return Samples(table.take(frames), latents, latents, row, row, row[:, None], one, None, frames)

    def _draw_chunks(self, n: int, generator: torch.Generator) -> Samples:
        table, h, device = self.table, self.table.history, self.table.device
        n_chunks, length = max(1, round(n / CHUNK)), CHUNK + self.table.history + 1
        # Chunks may extend beyond either end of the recording, so that every pair is drawn equally often.
        # successive pairs have history frames in common: each frame of a chunk is encoded once
        low, high = -(h + CHUNK - 1), len(table.x) - h - 1
        offset = torch.randint(low, max(high, low + 1), (n_chunks, 1), generator=generator, device=device)
        rows = (offset + torch.arange(length, device=device)).clamp(0, len(table.x) - 1)
        if table.rows is not None:  # excluded frames are replaced by others, and are in no pair
            place = torch.searchsorted(table.rows, rows).clamp(max=len(table.rows) - 1)
            rows = take_rows(table.rows, place)
        x = table.take(rows.flatten())
        latents, reads = self._encode(rows.flatten(), generator), self.model.coupling.read(x)

        now = offset + h + torch.arange(CHUNK, device=device)
        inside = (now >= 0) & (now < len(table.x) - 1)
        now = now.clamp(0, len(table.x) - 2)
        base = torch.arange(n_chunks, device=device)[:, None] * length
        local = base + now - offset
        past = base[..., None] + (table.window(now) - offset[..., None]).clamp(0, length - 1)
        # places of a chunk that are no pair get weight 0: batches keep one shape, which CUDA graphs need
        weight = (inside & self.is_pair[now]).to(x.dtype)
        return Samples(
            x,
            latents,
            reads,
            local.clamp(0, len(x) - 2).flatten(),
            (local + 1).clamp(0, len(x) - 1).flatten(),
            past.flatten(0, 1),
            table.step[now].flatten(),
            weight.flatten(),
            now.flatten(),
        )

    def _encode(self, frames: Tensor, generator: torch.Generator) -> Tensor:
        """Compute mu of some frames; channels are dropped only where gradients are computed, not in evaluations."""
        coupling = self.model.coupling
        if coupling.training and not self.learns_latents:
            coupling.eval()  # freezes its running statistics as well
        window = coupling.encoder.window

        def encode(some: Tensor, generator: torch.Generator | None = None) -> Tensor:
            centred = self.table.surround(some, window).sub_(coupling.mean)  # a copy of its own, changed in place
            latents: Tensor = coupling.encoder(centred, generator)
            return latents

        if torch.is_grad_enabled():
            return encode(frames, generator if self.learns_latents else None)
        # windows of thousands of channels of all held-out samples are more memory than the rest of an evaluation takes
        parts = split_frames(len(frames), self.table.x.shape[1] * (2 * window + 1), self.table.device)
        return torch.cat([encode(frames[part]) for part in parts])

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from nwb_dcf.config import TrainConfig
from nwb_dcf.model import parallel
from nwb_dcf.model.principal_axes import compute_principal_axes
from nwb_dcf.model.training import ContextHeads, batches
from nwb_dcf.model.training.batches import FrameTable, WindowSampler
from nwb_dcf.model.training.early_stopping import evaluate_losses

from .conftest import LENGTHS, Problem, find_real

Make = Callable[..., Problem]


def build(segment: list[int], time: list[float], **settings: object) -> FrameTable:
    x = torch.arange(len(segment)).float()[:, None]
    return FrameTable.build(
        x,
        torch.tensor(segment),
        torch.tensor(time, dtype=torch.float64),
        **{"history": 2, "drop_start": False, **settings},  # type: ignore[arg-type]
    )


def test_pairs_never_cross_segments() -> None:
    table = build([0, 0, 0, 1, 2, 2], [0, 1, 2, 3, 4, 5])
    np.testing.assert_array_equal(table.pairs, [0, 1, 4])
    np.testing.assert_array_equal(table.first, [0, 0, 0, 3, 4, 4])


def test_history_is_newest_first_and_repeats_the_first_frame_of_its_segment() -> None:
    table = build([0, 0, 0, 1, 1], [0, 1, 2, 3, 4])
    np.testing.assert_array_equal(
        table.window(torch.arange(5)), [[0, 0, 0], [1, 0, 0], [2, 1, 0], [3, 3, 3], [4, 3, 3]]
    )


def test_first_frames_may_serve_as_history_only() -> None:
    table = build([0, 0, 0, 0, 1, 1, 1], list(range(7)), drop_start=True)
    np.testing.assert_array_equal(table.pairs, [2])


def test_steps_are_in_median_steps_of_pairs() -> None:
    table = build([0, 0, 0, 0, 1, 1], [10.0, 10.2, 10.4, 11.0, 99.0, 99.2])
    np.testing.assert_allclose(table.step, [1, 1, 3, 1, 1, 1], rtol=1e-6)
    late = build([0, 0, 0, 0, 1, 1], [1e9 + t for t in (10.0, 10.2, 10.4, 11.0, 99.0, 99.2)])
    np.testing.assert_allclose(late.step, [1, 1, 3, 1, 1, 1], rtol=1e-5)


@pytest.mark.parametrize("learn", [("u", "v"), ("coupling", "u")], ids=["codes are cached", "frames are encoded"])
def test_samples_of_a_file_are_read_some_at_a_time(
    make_problem: Make, learn: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system maps megabytes around each frame that is read: between releases few may be."""
    problem = make_problem(encoder_window=1, train_encoder_with_flows=True)
    monkeypatch.setattr(batches, "SCATTERED_ROWS", 10)
    data, read, most, select = problem.table.x.data_ptr(), [0], [0], torch.index_select

    def watch(values: Tensor, dim: int, rows: Tensor, **kwargs: Tensor) -> Tensor:
        if values.data_ptr() == data:
            read[0] += len(rows)
            most[0] = max(most[0], read[0])
        return select(values, dim, rows, **kwargs)

    def release() -> None:
        read[0] = 0

    def sample(table: FrameTable) -> list[Tensor]:
        sampler = WindowSampler(table, problem.model.eval(), learn)
        read[0] = most[0] = 0
        samples = sampler.draw(40, torch.Generator().manual_seed(0))
        with torch.no_grad():
            return [samples.pick(samples.x, samples.now), samples.pick(samples.latents, samples.now)]

    monkeypatch.setattr(torch, "index_select", watch)
    monkeypatch.setattr(Tensor, "index_select", watch)
    expected = sample(problem.table)
    assert most[0] >= 40
    found = sample(dataclasses.replace(problem.table, release=release))
    assert 0 < most[0] <= 10
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_successive_frames_of_a_file_are_read_at_once(make_problem: Make) -> None:
    problem, released = make_problem(encoder_window=2, train_encoder_with_flows=True), []
    table = dataclasses.replace(problem.table, release=lambda: released.append(1))
    rows = torch.arange(20, 70)
    assert torch.equal(table.surround(rows, 2), problem.table.surround(rows, 2))
    assert len(released) == 1
    scattered = torch.tensor([0, 70, 120])
    assert torch.equal(table.surround(scattered, 2), problem.table.surround(scattered, 2))


def test_parts_of_a_recording_are_encoded_by_those_that_draw_them(make_problem: Make) -> None:
    problem = make_problem()
    model, table, seen = problem.model.eval(), problem.table, []
    with torch.no_grad():
        list(model.coupling.encoder.network.children())[-1].weight.normal_()  # type: ignore[union-attr, operator]
    model.coupling.encoder.register_forward_hook(lambda _, x, __: seen.append(len(x[0])))
    every = torch.arange(len(table.x))
    parts = [table.select(every[chosen]) for chosen in (every % 60 < 40, every % 60 >= 40)]
    for part in parts:
        latents, reads = WindowSampler(part, model, ("v",)).cached or (Tensor(), Tensor())
        torch.testing.assert_close(latents[part.rows], part.encode(model.coupling)[part.rows], rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(reads[part.rows], model.coupling.read(table.x)[part.rows], rtol=1e-5, atol=1e-6)
        assert not latents[~torch.isin(every, part.list_drawn())].any()
    assert seen[::2] == [len(part.list_drawn()) for part in parts]


def test_held_out_windows_are_encoded_some_at_a_time(make_problem: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows of thousands of channels of all held-out samples would take more memory than all else."""
    problem = make_problem(encoder_window=1, train_encoder_with_flows=True)
    table, model, n_channels = problem.table, problem.model.eval(), problem.table.x.shape[1]
    heads = ContextHeads(compute_principal_axes(table.x), 2, (-1, 2))

    def evaluate() -> tuple[Tensor, list[int]]:
        shown: list[int] = []
        hook = model.coupling.encoder.network.register_forward_hook(lambda _, x, __: shown.append(x[0].numel()))
        losses = evaluate_losses(model, table, TrainConfig(), learn={"coupling", "u"}, heads=heads)
        hook.remove()
        return torch.stack([losses.cf, losses.align, losses.context]), shown

    whole, shown = evaluate()
    numbers = len(table.x) * 3 * n_channels
    assert shown == [numbers]
    monkeypatch.setattr(parallel, "NUMBERS_AT_ONCE", numbers // 10)
    parts, shown = evaluate()
    assert max(shown) <= numbers // 10
    assert sum(shown) == numbers
    torch.testing.assert_close(parts, whole, rtol=1e-6, atol=0)


def visits(sampler: WindowSampler, n: int) -> np.ndarray:
    """How often each frame is the first of a pair, with everything in the samples checked against the table."""
    table, generator = sampler.table, torch.Generator().manual_seed(0)
    row_of = {tuple(frame.tolist()): i for i, frame in enumerate(table.x)}
    counts = np.zeros(len(table.x))
    for _ in range(n):
        samples = sampler.draw(512, generator)
        assert samples.weight is None or set(samples.weight.tolist()) <= {0.0, 1.0}
        real = find_real(samples)
        now = torch.tensor([row_of[tuple(frame.tolist())] for frame in samples.x[samples.now[real]]])
        assert torch.equal(samples.x[samples.later[real]], table.x[now + 1])
        assert torch.equal(samples.x[samples.past[real]], table.x[table.window(now)])
        assert torch.equal(samples.step[real], table.step[now])
        counts += np.bincount(now, minlength=len(counts))
    return counts


@pytest.mark.parametrize("joined", [False, True])
def test_every_pair_is_visited_equally_often(make_problem: Make, joined: bool) -> None:
    problem = make_problem(train_encoder_with_flows=joined)
    problem.model.eval()
    counts = visits(sampler := WindowSampler(problem.table, problem.model), 60)
    assert (sampler.cached is None) == joined
    pairs = problem.table.pairs.numpy()
    assert len(pairs) == sum(LENGTHS) - len(LENGTHS)
    assert counts.sum() == counts[pairs].sum()
    mean = counts[pairs].mean()
    assert mean > 100
    # Chunks of 16 neighbours are drawn together, so counts spread more than those of single draws.
    np.testing.assert_allclose(counts[pairs], mean, atol=(6 if joined else 5) * np.sqrt(mean))
    halves = counts[pairs][: len(pairs) // 2].mean(), counts[pairs][len(pairs) // 2 :].mean()
    assert halves[0] == pytest.approx(halves[1], rel=0.08)


@pytest.mark.parametrize("joined", [False, True])
def test_codes_and_reads_belong_to_the_frames(make_problem: Make, joined: bool) -> None:
    problem = make_problem(train_encoder_with_flows=joined)
    model = problem.model.eval()
    samples = WindowSampler(problem.table, model).draw(64, torch.Generator().manual_seed(1))
    assert torch.allclose(samples.latents, model.coupling.encode(samples.x), atol=1e-6)
    assert torch.allclose(samples.reads, model.coupling.read(samples.x), atol=1e-6)
    assert samples.latents.requires_grad == joined


def test_a_recording_shorter_than_a_chunk_can_be_drawn_from(make_problem: Make) -> None:
    problem = make_problem(train_encoder_with_flows=True, lengths=(3, 2, 4))
    problem.model.eval()
    counts = visits(WindowSampler(problem.table, problem.model), 20)
    np.testing.assert_array_equal(np.flatnonzero(counts), problem.table.pairs)


def test_v_learns_from_whole_histories_where_most_pairs_have_one() -> None:
    long, time = build([0] * 8, list(range(8))), list(range(9))
    np.testing.assert_array_equal(long.pairs, np.arange(7))
    np.testing.assert_array_equal(long.with_whole_history().pairs, np.arange(2, 7))
    short = build([0, 0, 0, 1, 1, 1, 2, 2, 2], time)
    assert short.with_whole_history() is short


def test_steps_are_counted_in_the_median_step_or_in_the_one_that_is_given() -> None:
    time = [0.0, 0.06, 0.12, 10.0, 10.14, 10.28]
    segment = [0, 0, 0, 1, 1, 1]
    np.testing.assert_allclose(build(segment, time).step, [0.6, 0.6, 1, 1.4, 1.4, 1], rtol=1e-6)
    np.testing.assert_allclose(build(segment, time, step_s=0.2).step, [0.3, 0.3, 1, 0.7, 0.7, 1], rtol=1e-6)


@pytest.mark.parametrize(("n", "encoded"), [(512, sum(LENGTHS)), (64, 64)])
def test_an_evaluation_encodes_each_frame_once(
    make_problem: Make, monkeypatch: pytest.MonkeyPatch, n: int, encoded: int
) -> None:
    problem = make_problem(train_encoder_with_flows=True, encoder_window=2)
    model, table, seen = problem.model.eval(), problem.table, []
    with torch.no_grad():
        list(model.coupling.encoder.network.children())[-1].weight.normal_()  # type: ignore[union-attr, operator]
    own = model.coupling.encoder.forward

    def encode(centred: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
        seen.append(len(centred))
        return own(centred, generator)

    monkeypatch.setattr(model.coupling.encoder, "forward", encode)
    sampler = WindowSampler(table, model, ("coupling", "u"))
    with torch.no_grad():
        samples = sampler.draw(n, torch.Generator().manual_seed(0))
    assert seen == [encoded]
    alone = own(table.surround(samples.frames, 2) - model.coupling.mean)
    torch.testing.assert_close(samples.latents, alone, rtol=1e-5, atol=1e-6)
    # in training every sample has channels of its own that are dropped
    sampler.draw(512, torch.Generator().manual_seed(0))
    assert seen[1:] == [512]


def test_frames_around_are_read_on_the_axes_once(make_problem: Make) -> None:
    table = make_problem().table
    heads = ContextHeads(compute_principal_axes(table.x), 2, (-1, 1))
    read = heads.read_frames(table)
    torch.testing.assert_close(read, (table.x - heads.mean) @ heads.axes)
    # a part of the recording is of the same frames
    assert heads.read_frames(table.select(torch.arange(5, 30))) is read
    other = FrameTable(table.x + 1, table.first, table.last, table.step, table.pairs, table.history)
    torch.testing.assert_close(heads.read_frames(other), read + heads.axes.sum(0), rtol=1e-4, atol=1e-5)

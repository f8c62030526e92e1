"""What holds for every shape: channels, axes, kept dimensions, and segments of any length, one frame included."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nwb_dcf import DCF
from nwb_dcf.config import ModelConfig, TrainConfig
from nwb_dcf.data.recording import make_recording
from nwb_dcf.model.coupling import Coupling
from nwb_dcf.model.dcf_model import DCFModel
from nwb_dcf.model.principal_axes import compute_principal_axes
from nwb_dcf.model.rollout import compute_velocity, roll_out_latents
from nwb_dcf.model.training import FrameTable
from nwb_dcf.model.training.batches import WindowSampler
from nwb_dcf.model.training.objective import compute_losses

LENGTHS = st.lists(st.integers(1, 9), min_size=0, max_size=6)
SEED = st.integers(0, 1000)
QUICK = settings(max_examples=25, deadline=None)
FEW = settings(max_examples=8, deadline=None)


@st.composite
def shapes(draw: st.DrawFn) -> dict[str, Any]:
    """D, k_max, dim, history and segments, one of them long enough that the frames span all D dimensions."""
    n_channels = draw(st.integers(2, 7))
    k_max = draw(st.integers(1, n_channels))
    lengths = draw(LENGTHS)
    lengths.insert(draw(st.integers(0, len(lengths))), n_channels + draw(st.integers(3, 20)))
    return {
        "n_channels": n_channels,
        "k_max": k_max,
        "dim": draw(st.integers(1, k_max)),
        "history": draw(st.integers(0, 3)),
        "lengths": lengths,
        "seed": draw(SEED),
    }


def draw_frames(shape: dict[str, Any]) -> Tensor:
    """Frames whose axes have variances well apart."""
    generator = torch.Generator().manual_seed(shape["seed"])
    d = shape["n_channels"]
    x = torch.randn(sum(shape["lengths"]), d, generator=generator, dtype=torch.float64) * 1.5 ** -torch.arange(d)
    return (x @ torch.linalg.qr(torch.randn(d, d, generator=generator, dtype=torch.float64)).Q + 3).float()


def build(shape: dict[str, Any], x: Tensor, **choices: Any) -> DCFModel:
    small = {"width": 8, "depth": 1, "encoder_width": 8, "encoder_depth": 1}
    config = ModelConfig(**{**small, "dim": shape["dim"], "history": shape["history"], **choices})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(shape["seed"])
        model = DCFModel(shape["n_channels"], shape["k_max"], config)
    model.start_at(compute_principal_axes(x))
    return model.eval()


def tabulate(shape: dict[str, Any], x: Tensor, shift: float = 0.0, stretch: float = 1.0) -> FrameTable:
    lengths = torch.tensor(shape["lengths"])
    generator = torch.Generator().manual_seed(shape["seed"])
    ticks = torch.randint(1, 5, (len(x),), generator=generator).cumsum(0).double() / 64  # exact in binary
    return FrameTable.build(
        x,
        torch.repeat_interleave(torch.arange(len(lengths)), lengths),
        ticks * stretch + shift,
        history=shape["history"],
        drop_start=False,
    )


def fill_randomly(model: DCFModel, scale: float = 0.3) -> None:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for part in (model.u, model.v):
            for parameter in part.parameters():
                parameter.copy_(scale * torch.randn(parameter.shape, generator=generator))


CHOICES = st.fixed_dictionaries(
    {
        "closed_form": st.booleans(),
        "condition_on_k": st.booleans(),
        "masked_endpoints": st.booleans(),
        "train_encoder_with_flows": st.booleans(),
        "start": st.sampled_from(["pca", "random"]),
    }
)


@QUICK
@given(shapes(), CHOICES, st.booleans(), st.integers(1, 40))
def test_every_choice_has_finite_losses_and_gradients(
    shape: dict[str, Any], choices: dict[str, Any], per_sample: bool, batch: int
) -> None:
    x = draw_frames(shape)
    model = build(shape, x, **choices).train()
    generator = torch.Generator().manual_seed(0)
    config = TrainConfig(prefix_per_sample=per_sample)
    samples = WindowSampler(tabulate(shape, x), model).draw(batch, generator)
    losses = compute_losses(model, samples, config, generator, prefix_p=0.3)
    total = losses.total(config)
    assert torch.isfinite(total.detach())
    assert min(float(loss.detach()) for loss in (losses.cf, losses.df)) >= 0
    total.backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


@QUICK
@given(shapes(), st.booleans())
def test_pairs_and_histories_stay_within_their_segment(shape: dict[str, Any], joined: bool) -> None:
    x = torch.arange(sum(shape["lengths"])).float()[:, None].expand(-1, shape["n_channels"])  # frames say their row
    table = tabulate(shape, x)
    model = build(shape, draw_frames(shape), train_encoder_with_flows=joined)
    samples = WindowSampler(table, model).draw(64, torch.Generator().manual_seed(shape["seed"]))
    segment = np.repeat(np.arange(len(shape["lengths"])), shape["lengths"])
    real = torch.ones(len(samples.now), dtype=torch.bool) if samples.weight is None else samples.weight > 0
    now, later, past = (samples.x[rows[real], 0].int().numpy() for rows in (samples.now, samples.later, samples.past))
    np.testing.assert_array_equal(later, now + 1)
    np.testing.assert_array_equal(segment[later], segment[now])
    first = np.array([np.flatnonzero(segment == i)[0] for i in segment[now]], dtype=int)
    expected = np.maximum(now[:, None] - np.arange(shape["history"] + 1), first[:, None])
    np.testing.assert_array_equal(past, expected)
    assert len(table.pairs) == sum(n - 1 for n in shape["lengths"])


@FEW
@given(shapes(), st.booleans(), st.integers(1, 7))
def test_flows_are_inverted_by_running_them_back(shape: dict[str, Any], closed_form: bool, k: int) -> None:
    """With any weights: the error of there and back is the solver's, and falls by 8 in four times as many steps.

    Down to 1e-6: the axes and the embeddings' frequencies were made in single precision.
    """
    x = draw_frames(shape)[:5].double()
    model = build(shape, draw_frames(shape), closed_form=closed_form, bridge_noise=0.3).double()
    with torch.no_grad():
        for part in (model.u, model.v):
            for name, parameter in part.named_parameters():
                generator = torch.Generator().manual_seed(len(name))
                parameter.copy_(0.1 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
        if not closed_form:
            model.u.embed_tau.frequencies.div_(20)  # smooth in tau, so that few steps resolve it
        k = min(k, shape["k_max"])
        errors = [float((model.expand(model.compress(x, k, steps=n), k, steps=n) - x).abs().max()) for n in (8, 16, 32)]
    assert errors[2] < 1e-2
    assert errors[2] < max(errors[0] / 8, 1e-6)


@FEW
@given(shapes(), st.booleans(), st.data())
def test_nothing_beyond_a_prefix_is_seen(shape: dict[str, Any], closed_form: bool, data: st.DataObject) -> None:
    k = data.draw(st.integers(1, shape["k_max"]))
    x = draw_frames(shape)
    model = build(shape, x, closed_form=closed_form)
    fill_randomly(model)
    with torch.no_grad():
        codes = model.encode(x, shape["k_max"])
        torch.testing.assert_close(model.encode(x, k), codes[:, :k])
        past = codes[tabulate(shape, x).window(torch.arange(len(x)))]
        other = past.clone()
        other[..., k:] = 99.0
        velocity = compute_velocity(model, past, k)
        assert velocity.shape == (len(x), k)
        torch.testing.assert_close(compute_velocity(model, other, k), velocity)
        path = roll_out_latents(model, past[..., :k], 3)
        assert path.shape == (len(x), 3, k)
        torch.testing.assert_close(roll_out_latents(model, past[:2, ..., :k], 3), path[:2], rtol=1e-4, atol=1e-4)
        rebuilt = model.reconstruct(codes[:, :k])
        assert rebuilt.shape == x.shape
        placed = model.coupling.place(codes * model.mask(k, codes))
        torch.testing.assert_close(model.place(codes[:, :k]), placed)


@QUICK
@given(st.integers(1, 9), st.data(), SEED)
def test_the_first_orthonormal_columns_depend_on_the_first_raw_ones_alone(
    n_channels: int, data: st.DataObject, seed: int
) -> None:
    k_max = data.draw(st.integers(1, n_channels))
    k = data.draw(st.integers(1, k_max))
    generator = torch.Generator().manual_seed(seed)
    raw = torch.randn(n_channels, k_max, generator=generator, dtype=torch.float64)
    other = raw.clone()
    other[:, k:] = torch.randn(n_channels, k_max - k, generator=generator, dtype=torch.float64)
    results = []
    for start in (raw, other):
        coupling = Coupling(torch.nn.Identity(), n_channels, k_max, linear_start=False).double()  # type: ignore[arg-type]
        with torch.no_grad():
            coupling.axes.copy_(start)
        coupling.orthonormalise()
        axes = coupling.axes.detach()
        torch.testing.assert_close(axes.T @ axes, torch.eye(k_max, dtype=torch.float64), atol=2e-4, rtol=0)
        assert ((axes * start).sum(0) > -1e-9).all()
        results.append(axes)
    condition = float(torch.linalg.cond(raw[:, :k]))
    torch.testing.assert_close(results[0][:, :k], results[1][:, :k], atol=1e-3 + 1e-12 * condition, rtol=0)


@FEW
@given(shapes(), st.integers(-12, 12))
def test_a_power_of_two_scales_the_start_and_changes_no_code(shape: dict[str, Any], power: int) -> None:
    x, factor = draw_frames(shape), 2.0**power
    one, two = build(shape, x, bridge_noise=0.2), build(shape, x * factor, bridge_noise=0.2)
    k = shape["dim"]
    with torch.no_grad():
        torch.testing.assert_close(two.encode(x * factor, k), one.encode(x, k), rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(
            two.compress(x * factor, k), one.compress(x, k) * factor, rtol=1e-3, atol=1e-3 * factor
        )
        draws = [model.noise.draw(20, torch.Generator().manual_seed(1)) for model in (one, two)]
        torch.testing.assert_close(draws[1], draws[0] * factor, rtol=1e-3, atol=1e-4 * factor)
        losses = []
        for model, frames in ((one, x), (two, x * factor)):
            generator = torch.Generator().manual_seed(0)
            samples = WindowSampler(tabulate(shape, frames), model).draw(200, generator)
            losses.append(float(compute_losses(model, samples, TrainConfig(), generator, prefix_p=0.3).cf))
        assert losses[1] == pytest.approx(losses[0] * factor**2, rel=1e-3, abs=1e-9 * factor**2)


@FEW
@given(shapes(), st.permutations(range(7)))
def test_permuting_units_permutes_states_and_leaves_codes(shape: dict[str, Any], order: list[int]) -> None:
    x = draw_frames(shape)
    order = [i for i in order if i < shape["n_channels"]]
    one, two = build(shape, x, bridge_noise=0.2), build(shape, x[:, order], bridge_noise=0.2)
    k = shape["dim"]
    with torch.no_grad():
        torch.testing.assert_close(two.encode(x[:, order], k), one.encode(x, k), rtol=1e-3, atol=1e-3)
        for way in ("compress", "expand"):
            states = [getattr(model, way)(frames, k) for model, frames in ((one, x), (two, x[:, order]))]
            torch.testing.assert_close(states[1], states[0][:, order], rtol=1e-3, atol=1e-3)


@QUICK
@given(shapes(), st.integers(-(2**20), 2**20), st.sampled_from([0.25, 0.5, 2.0, 8.0]))
def test_neither_the_clocks_zero_nor_its_unit_changes_what_is_learned_from(
    shape: dict[str, Any], shift: int, stretch: float
) -> None:
    x = draw_frames(shape)
    one, two = tabulate(shape, x), tabulate(shape, x, shift=float(shift), stretch=stretch)
    assert torch.equal(one.pairs, two.pairs)
    assert torch.equal(one.step, two.step)
    assert torch.equal(one.window(one.pairs), two.window(two.pairs))
    has_next = torch.zeros(len(x), dtype=torch.bool)
    has_next[one.pairs] = True
    assert (one.step[has_next] > 0).all()
    assert (one.step[~has_next] == 1).all()


def test_a_fit_takes_scale_and_clock_as_they_come() -> None:
    """Frames times 8 on a clock shifted by a million seconds: latents equal to the bit, `time` and units follow."""
    lengths = [30, 1, 7, 45, 25]
    shape = {"n_channels": 5, "lengths": lengths, "seed": 3}
    x = draw_frames(shape).double().numpy()
    time = np.arange(len(x)) / 64
    segment = np.repeat(np.arange(len(lengths)), lengths)
    fits = []
    for factor, shift, stretch in ((1.0, 0.0, 1.0), (8.0, 2.0**20, 1.0), (1.0, 0.0, 4.0)):
        recording = make_recording(factor * x, stretch * time + shift, segment_index=segment)
        dcf = DCF(2, seed=0, steps=10, width=8, depth=1, early_stopping=False).fit(recording)
        fits.append((recording, dcf, dcf.transform(recording)))
    (_, one, z), (_, two, z_moved), (_, _, z_slow) = fits
    for other in (z_moved, z_slow):
        np.testing.assert_array_equal(other["data"].values, z["data"].values)
    np.testing.assert_array_equal(z_moved["time"].values, z["time"].values + 2.0**20)
    np.testing.assert_allclose(two.inverse_transform(z["data"].values), 8 * one.inverse_transform(z["data"].values))
    velocity = [dcf.velocity(recording)["data"].values for recording, dcf, _ in fits]
    np.testing.assert_array_equal(velocity[1], velocity[0])
    np.testing.assert_allclose(velocity[2], velocity[0] / 4, rtol=1e-6)
    assert np.abs(velocity[0]).max() > 0.1

"""Rollouts at any tau: what v is shown on the way, and the noise that starts may have."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from nwb_dcf.model.bridge import interpolate_compression
from nwb_dcf.model.dcf_model import DCFModel
from nwb_dcf.model.rollout import STEPS_PER_FRAME, draw_start_noise, place_states, roll_out

from .conftest import VARIANCES, draw_gaussian, to_numpy

Make = Callable[..., DCFModel]


class Watched(torch.nn.Module):
    """A field that is `rate` everywhere, and keeps what it was shown."""

    def __init__(self, rate: Tensor) -> None:
        super().__init__()
        self.rate, self.shown = rate, []  # type: ignore[var-annotated]

    def forward(self, x: Tensor, tau: Tensor, s: Tensor, history: Tensor, mask: Tensor, _: object) -> Tensor:
        self.shown.append((x, tau, s, history, mask))
        return self.rate.expand_as(x)

    def at_zero(self, x: Tensor, s: Tensor, history: Tensor, mask: Tensor, _: object) -> Tensor:
        return self.forward(x, torch.zeros_like(s), s, history, mask, _)


def watch(model: DCFModel, monkeypatch: pytest.MonkeyPatch, rate: float = 0.0) -> Watched:
    """Replace what `model.v` does, not what it is: history enters as its kind wants it."""
    watched = Watched(torch.full((model.n_channels,), rate))
    monkeypatch.setattr(model.v, "forward", watched.forward)
    monkeypatch.setattr(model.v, "at_zero", watched.at_zero)
    return watched


@pytest.mark.parametrize("tau", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("closed_form", [True, False])
def test_v_is_shown_the_history_that_it_was_trained_on(
    make_model: Make, monkeypatch: pytest.MonkeyPatch, tau: float, closed_form: bool
) -> None:
    x = draw_gaussian(40)
    model = make_model(x, k_max=4, history=2, closed_form=closed_form)
    frames = x[torch.tensor([[5, 4, 3], [9, 8, 7]])]
    codes = model.coupling.encode(frames.flatten(0, 1)).view(2, 3, 4) + 0.5  # not the reads: a code may be bent
    watched = watch(model, monkeypatch)
    with torch.no_grad():
        roll_out(model, place_states(model, codes, frames, tau, 2), tau, 2, 1)
        level, mask = torch.full((2, 1), tau), model.mask(2, codes)
        kept = codes * mask[:, None]
        ends = (kept, model.coupling.read(frames)) if closed_form else (model.coupling.place(kept), frames)
        trained = interpolate_compression(*ends, level[:, None])
    state, at, _, history, seen_mask = watched.shown[0]
    np.testing.assert_allclose(to_numpy(history), to_numpy(trained), atol=1e-5)
    np.testing.assert_allclose(to_numpy(at), tau)
    np.testing.assert_array_equal(to_numpy(seen_mask), [[1, 1, 0, 0]] * 2)
    placed = model.coupling.place(codes[:, 0] * mask)
    np.testing.assert_allclose(to_numpy(state), to_numpy((1 - tau) * placed + tau * frames[:, 0]), atol=1e-5)


@pytest.mark.parametrize("closed_form", [True, False])
def test_each_frame_joins_the_history_of_the_next(
    make_model: Make, monkeypatch: pytest.MonkeyPatch, closed_form: bool
) -> None:
    x = draw_gaussian(40)
    model = make_model(x, history=2, closed_form=closed_form)
    watched = watch(model, monkeypatch, rate=0.5)
    past = x[torch.tensor([[5, 4, 3]])]
    with torch.no_grad():
        path = roll_out(model, past, 1.0, 2, 3)
        expected = torch.stack([past[0, 0] + 1.0, past[0, 0] + 0.5, past[0, 0]])  # after two frames of three
        expected = model.coupling.read(expected) if closed_form else expected
    np.testing.assert_allclose(
        to_numpy(path), to_numpy(past[:, :1] + torch.tensor([0.5, 1.0, 1.5])[:, None]), atol=1e-5
    )
    calls = len(watched.shown) // 3
    assert calls == 2 * STEPS_PER_FRAME
    np.testing.assert_allclose(to_numpy(watched.shown[2 * calls][3][0]), to_numpy(expected), atol=1e-4)
    positions = [float(shown[2][0]) for shown in watched.shown[:calls]]
    np.testing.assert_allclose(positions, [0, 0.25, 0.5, 0.75])


def test_endpoints_keep_every_coordinate_where_the_flows_saw_them_all(make_model: Make) -> None:
    x = draw_gaussian(30)
    plain = {"closed_form": False, "condition_on_k": False, "k_max": 6}
    codes = torch.ones(1, 6)
    for masked, kept in ((True, 2), (False, 6)):
        model = make_model(x, masked_endpoints=masked, **plain)
        with torch.no_grad():
            read = to_numpy(model.coupling.read(place_states(model, codes, None, 0.0, 2)))
        np.testing.assert_allclose(read[0], np.arange(6) < kept, atol=1e-4)


@pytest.mark.parametrize(("tau", "scale"), [(0.0, "relative"), (0.5, "relative"), (0.0, "absolute"), (1.0, "absolute")])
def test_noise_is_that_of_the_bridge_on_the_kept_axes_alone_at_tau_zero(
    make_model: Make, tau: float, scale: str
) -> None:
    x = draw_gaussian(4000)
    plain = {"closed_form": False, "noise_scale": "absolute"} if scale == "absolute" else {}
    model = make_model(x, k_max=4, bridge_noise=0.2, **plain)
    generator = torch.Generator().manual_seed(0)
    noise = to_numpy(draw_start_noise(model, 20_000, tau, 2, sum(VARIANCES), generator))
    axes = to_numpy(model.coupling.axes)
    off = np.eye(6) - axes @ axes.T
    relative = axes @ np.diag(VARIANCES[:4]) @ axes.T + 0.2 * off  # two directions share what four axes leave
    full = 0.04 * (relative if scale == "relative" else np.eye(6))
    kept = axes[:, :2] @ axes[:, :2].T
    expected = kept @ full @ kept if tau == 0 else full
    np.testing.assert_allclose(noise.T @ noise / len(noise), expected, atol=0.03 * full.max())


def test_noise_moves_the_start_and_not_what_was_seen_of_it(make_model: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    x = draw_gaussian(30)
    model = make_model(x, history=1)
    watched = watch(model, monkeypatch)
    past, noise = x[torch.tensor([[5, 4]])], torch.full((1, 6), 0.7)
    with torch.no_grad():
        path = roll_out(model, past, 1.0, 2, 2, noise=noise)
    np.testing.assert_allclose(to_numpy(path), to_numpy((past[:, :1] + noise).expand(-1, 2, -1)), atol=1e-5)
    state, _, _, history, _ = watched.shown[0]
    np.testing.assert_allclose(to_numpy(state), to_numpy(past[:, 0] + noise))
    np.testing.assert_allclose(to_numpy(history), to_numpy(model.coupling.read(past)), atol=1e-5)


def test_the_network_sees_kept_history_whitened_for_every_prefix_at_once(make_model: Make) -> None:
    generator = torch.Generator().manual_seed(0)
    model = make_model(draw_gaussian(50), k_max=4, history=2)
    slow = torch.randn(4000, 1, 4, generator=generator)
    history = slow + 0.1 * torch.randn(4000, 3, 4, generator=generator)  # successive frames are alike
    history[:, :, 1] += 0.8 * history[:, :, 0]
    model.v.start_at(history, slow[:, 0])  # type: ignore[operator]
    for k in (1, 2, 4):
        mask = model.mask(k, slow[:, 0])
        seen = to_numpy(model.v._whiten(history, mask))  # type: ignore[operator]
        kept = seen[:, : 3 * k]
        np.testing.assert_allclose(kept.T @ kept / len(kept), np.eye(3 * k), atol=0.15)
        np.testing.assert_allclose(seen[:, 3 * k :], to_numpy(history[:, :, k:].transpose(1, 2).flatten(1)))
        other = history.clone()
        other[:, :, k:] += 5
        np.testing.assert_allclose(kept, to_numpy(model.v._whiten(other, mask))[:, : 3 * k], atol=1e-4)  # type: ignore[operator]
    assert np.corrcoef(to_numpy(history[:, 0, 0]), to_numpy(history[:, 1, 0]))[0, 1] > 0.95


def test_off_the_axes_v_is_shown_what_the_state_says_of_the_data(make_model: Make) -> None:
    """The mean of the data off the axes given the bridge's state: nothing at tau = 0, almost the data at 1."""
    x = draw_gaussian(40)
    model = make_model(x, k_max=4, history=0, bridge_noise=0.1)
    shown: list[Tensor] = []
    model.v.network.forward = lambda states, codes, condition: shown.append(states[0]) or torch.zeros_like(x)  # type: ignore[assignment, func-returns-value]
    tau = torch.tensor([[1e-6], [0.5], [1.0], [0.1]]).repeat(10, 1)  # at 0 itself the network is not run
    mask = model.mask(2, x)
    model.v(x, tau, tau, torch.zeros(40, 1, 4), mask, model.coupling.make_axes())
    _, dropped = model.coupling.make_axes().split(x, mask)
    gain = tau / (tau.square() + 0.01)
    np.testing.assert_allclose(to_numpy(shown[0]), to_numpy(gain * dropped), rtol=1e-4, atol=1e-5)
    assert shown[0][::4].detach().abs().max() < 1e-3

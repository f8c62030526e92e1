"""Frames carried in the units of the first layer, beside the same steps in the units of the frames."""

from __future__ import annotations

import pytest
import torch

from nwb_dcf.config import ModelConfig
from nwb_dcf.model.compressive_flow import ClosedFormCompression
from nwb_dcf.model.dcf_model import DCFModel
from nwb_dcf.model.hidden_integration import HiddenUnits


@pytest.fixture(params=["way", "angle"])
def model(request: pytest.FixtureRequest) -> DCFModel:
    torch.manual_seed(0)
    made = DCFModel(40, 8, ModelConfig(dim=3, width=16, depth=3, clock=request.param))
    for parameter in made.u.parameters():  # its last layer starts at zero
        parameter.data.normal_(0, 0.3)
    made.coupling.mean.normal_()
    made.coupling.log_variance.data.normal_()
    return made.eval()


@pytest.mark.parametrize("k", [1, 3, 8])
@pytest.mark.parametrize("steps", [1, 4])
def test_steps_are_those_of_the_frames_to_rounding(
    model: DCFModel, k: int, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, calls = torch.randn(50, 40), []
    scaled_rate = ClosedFormCompression._scaled_rate
    monkeypatch.setattr(ClosedFormCompression, "_scaled_rate", lambda *given: calls.append(1) or scaled_rate(*given))
    with torch.no_grad():
        found = model.compress(x, k, steps=steps)
        back = model.expand(found, k, steps=steps)
        assert not calls
        monkeypatch.setattr(ClosedFormCompression, "_is_wide", lambda *_: False)
        expected = model.compress(x, k, steps=steps)
        expected_back = model.expand(expected, k, steps=steps)
    assert len(calls) == 8 * steps  # four evaluations a step
    assert (expected - x).square().mean() > 0.1  # u does something
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(back, expected_back, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("k", [1, 3, 8])
@pytest.mark.parametrize("wide", [True, False])
def test_flowed_latents_are_the_states_on_their_axes(
    model: DCFModel, k: int, wide: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = torch.randn(50, 40)
    with torch.no_grad():
        expected = model.read(model.compress(x, k))[:, :k]
        assert (expected - model.read(x)[:, :k]).square().mean() > 1e-3  # u moves them
        if wide:
            monkeypatch.delattr(HiddenUnits, "add")  # states of all channels are not made
        else:
            monkeypatch.setattr(ClosedFormCompression, "_is_wide", lambda *_: False)
        torch.testing.assert_close(model.flow(x, k), expected, atol=1e-4, rtol=1e-4)
        mask, axes = model.mask(k, x[:1]), model.coupling.make_axes()
        every = model.u.carry_to_axes(x, 1.0, 0.0, mask, axes, solver="rk4", steps=2)
        assert every.shape == (50, 8)
        assert not every[:, k:].any()  # beyond the prefix


def test_flowed_latents_of_a_plain_network() -> None:
    torch.manual_seed(0)
    model = DCFModel(36, 5, ModelConfig(dim=2, width=16, depth=2, closed_form=False)).eval()
    x = torch.randn(30, 36)
    with torch.no_grad():
        torch.testing.assert_close(model.flow(x, 2), model.read(model.compress(x, 2))[:, :2])


def test_an_exact_solver_and_gradients_are_left_to_the_frames(model: DCFModel) -> None:
    x, mask = torch.randn(5, 40), model.mask(3, torch.zeros(1, 40))
    with torch.no_grad():
        assert model.u._is_wide(x, mask, "rk4")
        assert not model.u._is_wide(x, mask, "dopri5")
        assert not model.u._is_wide(x[:, :7], mask, "rk4")
    assert not model.u._is_wide(x, mask, "rk4")

"""The networks on images: shapes of every size, what they see, and where they begin."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from nwb_dcf.config import ModelConfig
from nwb_dcf.model import unet
from nwb_dcf.model.dcf_model import DCFModel
from nwb_dcf.model.networks import ConditionedMLP
from nwb_dcf.model.principal_axes import compute_principal_axes
from nwb_dcf.model.unet import ConditionedUNet, ConvFeatures, ImagePlanes, choose_levels, choose_patch


def make_unet(shape: tuple[int, int], *, zero_start: bool = False, patch: int = 0) -> ConditionedUNet:
    torch.manual_seed(0)
    return ConditionedUNet(shape, 2, 3, 5, channels=(4, 6, 8), patch=patch, zero_start=zero_start)


def draw_inputs(shape: tuple[int, int], n: int = 3) -> tuple[list[torch.Tensor], list[torch.Tensor], torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    d = shape[0] * shape[1]
    sizes = ((n, d), (n, d), (n, 2), (n, 1), (n, 5))
    first, second, code, more, condition = (torch.randn(*size, generator=generator) for size in sizes)
    return [first, second], [code, more], condition


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 34), st.integers(1, 34), st.integers(0, 4))
def test_any_size_and_patch_gives_a_velocity_of_every_pixel(height: int, width: int, patch: int) -> None:
    shape = (height, width)
    out = make_unet(shape, patch=patch)(*draw_inputs(shape))
    assert out.shape == (3, height * width)
    assert torch.isfinite(out).all()
    features = ConvFeatures(shape, 2, 7, channels=(4, 6, 8), patch=patch)
    assert features(torch.randn(3, 2 * height * width)).shape == (3, 7)


def test_sizes_and_levels_by_hand() -> None:
    assert [choose_patch((side, 2 * side)) for side in (1, 8, 15, 16, 64, 128)] == [1, 1, 1, 2, 8, 16]
    paper = (32, 64, 128, 256)
    assert choose_levels((28, 28), 1, paper) == paper  # the ball of the paper: 28, 14, 7, 4
    assert choose_levels((64, 64), 1, paper) == paper
    assert choose_levels((7, 64), 1, paper) == (32, 64)
    assert choose_levels((6, 64), 1, paper) == (32,)
    assert choose_levels((64, 64), 4, (16, 32, 64)) == (16, 32, 64)


def test_the_paper_size_has_its_channels_and_embedding() -> None:
    net = ConditionedUNet((28, 28), 1, 0, 64, channels=(32, 64, 128, 256), patch=1, zero_start=False)
    assert [block.second.out_channels for block in net.down] == [32, 64, 128, 256]
    assert [block.film.in_features for block in [*net.down, *net.up]] == [256] * 7


@pytest.mark.parametrize("shape", [(6, 5), (16, 12), (28, 28)])
def test_patches_keep_every_pixel_in_its_place(shape: tuple[int, int]) -> None:
    planes = ImagePlanes(shape, 2, 2)
    rows = torch.arange(2.0 * shape[0] * shape[1]).reshape(2, -1)
    images = planes(rows)
    torch.testing.assert_close(planes.crop(images[:, : planes.patch**2]), rows)


def test_a_side_goes_on_with_its_last_row_or_column() -> None:
    images = torch.randn(2, 1, 6, 5, requires_grad=True)
    padded = ImagePlanes((6, 5), 1, 4)(images.flatten(1))[:, :1]
    expected = nn.functional.pad(images, (0, 3, 0, 2), mode="replicate")
    torch.testing.assert_close(padded, expected)
    weight = torch.randn_like(padded)
    one, other = (torch.autograd.grad((made * weight).sum(), images)[0] for made in (padded, expected))
    torch.testing.assert_close(one, other)


def test_coordinates_run_from_the_first_row_and_column() -> None:
    coordinates = ImagePlanes((4, 8), 1, 1).coordinates[0]
    torch.testing.assert_close(coordinates[0, :, 3], torch.linspace(-1, 1, 4))
    torch.testing.assert_close(coordinates[1, 2], torch.linspace(-1, 1, 8))


@pytest.mark.parametrize(("shape", "patch", "levels"), [((16, 12), 2, 2), ((9, 7), 1, 3), ((13, 8), 4, 1)])
def test_the_first_layer_sees_patches_and_coordinates_side_by_side(
    shape: tuple[int, int], patch: int, levels: int
) -> None:
    torch.manual_seed(0)
    planes, layer = ImagePlanes(shape, patch, levels), nn.Conv2d(4 * patch**2, 5, 3, padding=1)
    rows = torch.randn(3, 2 * shape[0] * shape[1], requires_grad=True)
    height, width = (patch * n for n in planes.coordinates.shape[2:])
    more = (0, width - shape[1], 0, height - shape[0])
    images = nn.functional.pad(rows.unflatten(1, (2, *shape)), more, mode="replicate")
    y, x = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
    beside = torch.cat([images, torch.stack([y, x]).expand(3, -1, -1, -1)], dim=1)
    expected, made = layer(nn.functional.pixel_unshuffle(beside, patch)), planes.convolve(layer, rows)
    torch.testing.assert_close(made, expected)
    weight = torch.randn_like(expected)
    wanted = (rows, layer.weight, layer.bias)
    for one, other in zip(*(torch.autograd.grad((f * weight).sum(), wanted) for f in (made, expected)), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("shape", "patch"), [((16, 12), 2), ((9, 7), 1)])
def test_what_latents_stand_for_is_seen_without_being_made(shape: tuple[int, int], patch: int) -> None:
    net = make_unet(shape, patch=patch)
    states, codes, condition = draw_inputs(shape)
    directions = torch.randn(2, shape[0] * shape[1], requires_grad=True)
    codes[0].requires_grad_()
    made = net(states[:1], codes, condition, directions)
    expected = net([states[0], codes[0] @ directions], codes, condition)
    torch.testing.assert_close(made, expected, rtol=1e-4, atol=1e-5)
    inputs = (codes[0], directions, *net.parameters())
    for one, other in zip(*(torch.autograd.grad(out.square().sum(), inputs) for out in (made, expected)), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


def test_coordinates_are_convolved_once_for_a_batch() -> None:
    planes, layer = ImagePlanes((16, 16), 2, 1), nn.Conv2d(4 * 4, 5, 3, padding=1)

    def count(n: int) -> int:
        with FlopCounterMode(display=False) as counter:
            planes.convolve(layer, torch.zeros(n, 2 * 256))
        return counter.get_total_flops()

    of_one = 2 * 8 * 8 * 9 * (2 * 4) * 5  # of two planes, and as much again for the coordinates
    assert (count(1), count(9) - count(1)) == (2 * of_one, 8 * of_one)


def test_directions_are_convolved_once_for_a_batch() -> None:
    planes, layer = ImagePlanes((16, 16), 2, 1), nn.Conv2d(4 * 4, 5, 3, padding=1)

    def count(n: int) -> int:
        with FlopCounterMode(display=False) as counter:
            planes.convolve(layer, torch.zeros(n, 256), torch.zeros(n, 3), torch.zeros(3, 256))
        return counter.get_total_flops()

    of_plane, of_latents = 2 * 8 * 8 * 9 * 4 * 5, 2 * 3 * 8 * 8 * 5
    assert (count(1), count(9) - count(1)) == ((1 + 3 + 2) * of_plane + of_latents, 8 * (of_plane + of_latents))


@pytest.mark.parametrize("network", [make_unet((9, 7)), ConditionedMLP(129, 63, 5, width=8, depth=2, zero_start=False)])
def test_a_network_sees_states_codes_and_condition(network: nn.Module) -> None:
    states, codes, condition = draw_inputs((9, 7))
    for tensor in (*states, *codes, condition):
        tensor.requires_grad_()
    network(states, codes, condition).square().sum().backward()
    for tensor in (*states, *codes, condition):
        assert tensor.grad is not None
        assert (tensor.grad != 0).any(dim=1).all()  # of each sample; and of no other, below


def test_samples_do_not_mix() -> None:
    net = make_unet((9, 7))
    states, codes, condition = draw_inputs((9, 7))
    whole = net(states, codes, condition)
    alone = net([s[1:2] for s in states], [c[1:2] for c in codes], condition[1:2])
    torch.testing.assert_close(whole[1:2], alone)


def test_a_u_net_knows_where_on_the_image_something_is() -> None:
    net = make_unet((16, 16))
    states, codes, condition = draw_inputs((16, 16), n=1)
    blank = [torch.zeros_like(s) for s in states]
    image = net(blank, codes, condition).reshape(16, 16)
    assert image[4:12, 4:12].std() > 1e-3  # equal input everywhere, yet not equal output


def test_zero_start_and_learning_from_it() -> None:
    net = make_unet((9, 7), zero_start=True)
    inputs = draw_inputs((9, 7))
    out = net(*inputs)
    assert (out == 0).all()
    (out - 1).square().mean().backward()
    assert net.last.weight.grad is not None
    assert net.last.weight.grad.abs().max() > 0


def test_parts_give_what_the_whole_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    net, features = make_unet((9, 7)), ConvFeatures((9, 7), 2, 4, channels=(4, 6), patch=1)
    states, codes, condition = draw_inputs((9, 7), n=5)
    with torch.no_grad():
        whole, of_whole = net(states, codes, condition), features(torch.cat(states, 1))
        monkeypatch.setattr(unet, "IMAGES_AT_ONCE", 2)
        torch.testing.assert_close(net(states, codes, condition), whole)
        torch.testing.assert_close(features(torch.cat(states, 1)), of_whole)


def draw_frames(n: int = 60, side: int = 8) -> torch.Tensor:
    angle = torch.linspace(0, 12, n)[:, None, None]
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    frames = torch.exp(-((x - 4 - 2 * angle.cos()) ** 2 + (y - 4 - 2 * angle.sin()) ** 2) / 4)
    return frames.reshape(n, -1)


@pytest.mark.parametrize("closed_form", [True, False])
def test_the_model_takes_the_u_net_for_images_alone(closed_form: bool) -> None:
    config = ModelConfig(channels=(4, 6), closed_form=closed_form, history=1)
    images = DCFModel(64, 5, config, (8, 8))
    assert isinstance(images.u.network, ConditionedUNet)
    assert isinstance(images.v.network, ConditionedUNet)
    assert isinstance(images.coupling.encoder.network, ConvFeatures)
    flat = DCFModel(64, 5, config)
    mlp = DCFModel(64, 5, ModelConfig(network="mlp", closed_form=closed_form), (8, 8))
    for model in (flat, mlp):
        assert isinstance(model.u.network, ConditionedMLP)
        assert not isinstance(model.coupling.encoder.network, ConvFeatures)


def test_closed_form_and_whitening_stand_until_the_network_has_learned() -> None:
    frames = draw_frames()
    model = DCFModel(64, 5, ModelConfig(channels=(4, 6), history=1), (8, 8))
    principal = compute_principal_axes(frames)
    model.start_at(principal)
    model.eval()
    with torch.no_grad():
        codes = model.encode(frames, 3)
        scores = (frames - principal.mean) @ principal.axes[:, :3] / principal.variance[:3].sqrt()
        np.testing.assert_allclose(codes, scores, atol=1e-4)
        rebuilt = principal.mean + (scores * principal.variance[:3].sqrt()) @ principal.axes[:, :3].T
        np.testing.assert_allclose(model.reconstruct(codes), rebuilt, atol=1e-5)


@pytest.mark.parametrize("closed_form", [True, False])
def test_there_and_back(closed_form: bool) -> None:
    """Odd sizes, both flows: u with a live U-Net is still undone by the way back."""
    torch.manual_seed(0)
    frames = draw_frames(20, 7)
    model = DCFModel(49, 5, ModelConfig(channels=(4, 6), closed_form=closed_form, history=1), (7, 7))
    model.start_at(compute_principal_axes(frames))
    nn.init.normal_(model.u.network.last.weight, std=0.05)  # type: ignore[arg-type]
    with torch.no_grad():
        states = model.compress(frames, 3, steps=32)
        back = model.expand(states, 3, steps=32)
    assert (states - frames).abs().max() > 0.1
    assert (back - frames).abs().max() < 0.02

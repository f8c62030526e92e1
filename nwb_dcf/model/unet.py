"""Networks on images: the U-Net of u and v, and the convolutions of mu (paper, experiments on video).

States are (n, D) everywhere else in the model, pixels row by row; only here do they become images. Two planes of
coordinates give a convolution its position (Liu et al. 2018), and latents and tau enter every level as a scale and a
shift of its channels (FiLM, Perez et al. 2018).

Symbols: p the patch, pixels per side that make one place of the first level; c_i channels of level i.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

LEAST_SIDE = 4  # places per side of the deepest level: the paper's four levels of 28 pixels
FIRST_SIDE = 8  # least places per side of the first level where patches are chosen
IMAGES_AT_ONCE = 1024  # where no gradient is wanted, so that memory stays bounded


def choose_patch(frame_shape: tuple[int, int]) -> int:
    """Side of a patch in pixels, the largest power of two that leaves 8 places on the shorter side.

    A convolution's cost grows with the places, so that frames of any size cost about the same.

    Examples
    --------
    >>> choose_patch((28, 28)), choose_patch((64, 64)), choose_patch((480, 640))
    (2, 8, 32)
    """
    # start at single pixels, as in the paper, and merge while the level stays wide enough
    patch = 1
    while min(frame_shape) // (2 * patch) >= FIRST_SIDE:
        patch *= 2
    return patch


def choose_levels(frame_shape: tuple[int, int], patch: int, channels: Sequence[int]) -> tuple[int, ...]:
    """Choose the levels that are not too small for a frame, at least the first; return their channels.

    Examples
    --------
    >>> choose_levels((28, 28), 1, (32, 64, 128, 256)), choose_levels((6, 9), 1, (16, 32, 64))
    ((32, 64, 128, 256), (16,))
    """
    places = -(-min(frame_shape) // patch)
    kept = [c for i, c in enumerate(channels) if i == 0 or -(-places // 2**i) >= LEAST_SIDE]
    return tuple(kept)


class ImagePlanes(nn.Module):
    """Turns (n, m D) into patches of m planes, (n, m p^2, places), and convolves them beside the two coordinates.

    A side that no power of two divides is padded by its last row or column; `crop` removes the padding.
    """

    coordinates: Tensor

    def __init__(self, frame_shape: tuple[int, int], patch: int, n_levels: int) -> None:
        super().__init__()
        self.frame_shape, self.patch = frame_shape, patch
        # every level halves the sides: padded once, no level needs to be cropped
        unit = patch * 2 ** (n_levels - 1)
        height, width = (-(-side // unit) * unit for side in frame_shape)
        self.padding = {-1: width - frame_shape[1], -2: height - frame_shape[0]}
        y, x = torch.linspace(-1, 1, height), torch.linspace(-1, 1, width)
        both = torch.stack(torch.meshgrid(y, x, indexing="ij"))[None]
        self.register_buffer("coordinates", self._cut(both), persistent=False)

    @property
    def n_places(self) -> int:
        """Places of the first level."""
        return self.coordinates[0, 0].numel()

    def forward(self, planes: Tensor) -> Tensor:
        images = planes.reshape(len(planes), -1, *self.frame_shape)
        for side, more in self.padding.items():  # torch's own pad adds up gradients in any order on a GPU
            edge = images.narrow(side, images.shape[side] - 1, 1)
            images = torch.cat([images, *[edge] * more], dim=side) if more else images
        return self._cut(images)

    def convolve(
        self, layer: nn.Conv2d, planes: Tensor, latents: Tensor | None = None, directions: Tensor | None = None
    ) -> Tensor:
        """Apply the first layer, whose inputs are the planes, then what the latents stand for, then the coordinates.

        Parameters
        ----------
        layer : nn.Conv2d
        planes : Tensor, shape (n, m D)
        latents, directions : Tensor, shapes (n, k) and (k, D), optional
            Their product is one more plane. It is not made: k images are convolved in place of n.
        """
        seen, p = self(planes), self.patch
        n_more = 0 if latents is None else p**2
        kernels = torch.split(layer.weight, [seen.shape[1], n_more, 2 * p**2], dim=1)

        def convolve(images: Tensor, kernel: Tensor, bias: Tensor | None = None) -> Tensor:
            return nn.functional.conv2d(images, kernel, bias, padding=layer.padding)

        # the same for all images of a batch
        beside = convolve(self.coordinates, kernels[2], layer.bias).permute(0, 2, 3, 1)
        if latents is not None and directions is not None:
            each = convolve(self(directions), kernels[1]).permute(0, 2, 3, 1)
            both = torch.addmm(beside.flatten(1), latents, each.flatten(1))
            beside = both.view(len(latents), *each.shape[1:])
        return convolve(seen, kernels[0]) + beside.permute(0, 3, 1, 2)

    def crop(self, images: Tensor) -> Tensor:
        """Back from patches (n, p^2, places) to rows (n, D)."""
        height, width = self.frame_shape
        return nn.functional.pixel_shuffle(images, self.patch)[:, 0, :height, :width].flatten(1)

    def _cut(self, images: Tensor) -> Tensor:
        patches = nn.functional.pixel_unshuffle(images, self.patch)
        return patches.contiguous(memory_format=torch.channels_last)  # a third faster on a CPU


class FiLMBlock(nn.Module):
    """Two convolutions beside a shortcut, the channels between them scaled and shifted by the embedding.

    Nothing is normalised: the magnitude of a velocity matters, and the shortcuts keep gradients from vanishing.
    """

    def __init__(self, n_in: int, n_out: int, n_embedding: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(n_in, n_out, 3, padding=1)
        self.second = nn.Conv2d(n_out, n_out, 3, padding=1)
        self.shortcut = nn.Conv2d(n_in, n_out, 1) if n_in != n_out else nn.Identity()
        modulation = nn.Linear(n_embedding, 2 * n_out)
        nn.init.zeros_(modulation.bias)
        self.add_module("film", modulation)  # tensors of stored models are called by that name

    def forward(self, images: Tensor, embedded: Tensor) -> Tensor:
        scale, shift = self.get_submodule("film")(embedded)[..., None, None].chunk(2, dim=1)
        hidden = torch.addcmul(shift, self.first(images), 1 + scale)
        out: Tensor = self.shortcut(images) + self.second(nn.functional.silu(hidden))
        return nn.functional.silu(out)


class ConditionedUNet(nn.Module):
    """U-Net from state planes, latents and a condition to a velocity (n, D); with the interface of `ConditionedMLP`.

    Parameters
    ----------
    frame_shape : (int, int)
        Height and width in pixels; any size.
    n_planes : int
        States seen as images.
    n_latents, n_condition : int
        Widths of the inputs of FiLM at each level; the embedding is as wide as the deepest level, 256 in the paper.
    channels : sequence of int
        Of each level; levels that are too small for the frame are left out.
    patch : int
        Pixels per side of a place of the first level; 1 as in the paper, 0 to choose it by `choose_patch`.
    zero_start : bool
        Whether the last layer starts at zero.
    """

    sees_images: ClassVar[bool] = True

    def __init__(
        self,
        frame_shape: tuple[int, int],
        n_planes: int,
        n_latents: int,
        n_condition: int,
        *,
        channels: Sequence[int],
        patch: int,
        zero_start: bool,
    ) -> None:
        super().__init__()
        patch = patch or choose_patch(frame_shape)
        n_embedding, sizes = channels[-1], choose_levels(frame_shape, patch, channels)
        self.planes = ImagePlanes(frame_shape, patch, len(sizes))
        self.embed = nn.Sequential(
            nn.Linear(n_latents + n_condition, n_embedding),
            nn.SiLU(),
            nn.Linear(n_embedding, n_embedding),
            nn.SiLU(),
        )
        # two more planes are the coordinates (CoordConv)
        self.stem = nn.Conv2d((n_planes + 2) * patch**2, sizes[0], 3, padding=1)
        # shortcuts between levels of one size, as in the paper's four-level U-Net
        self.down = nn.ModuleList(FiLMBlock(c, c, n_embedding) for c in sizes)
        pairs = list(zip(sizes[:-1], sizes[1:], strict=True))
        self.shrink = nn.ModuleList(nn.Conv2d(a, b, 2, stride=2) for a, b in pairs)
        self.grow = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, stride=2) for a, b in pairs)
        self.up = nn.ModuleList(FiLMBlock(2 * a, a, n_embedding) for a, _ in pairs)
        self.last = nn.Conv2d(sizes[0], patch**2, 1)
        if zero_start:
            nn.init.zeros_(self.last.weight)
            nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(
        self,
        states: Sequence[Tensor],
        latents: Sequence[Tensor],
        condition: Tensor,
        directions: Tensor | None = None,
    ) -> Tensor:
        """Return (n, D).

        Parameters
        ----------
        states : sequence of Tensor, shape (n, D)
        latents : sequence of Tensor, shape (n, any)
        condition : Tensor, shape (n or 1, any)
        directions : Tensor, shape (k, D), optional
            What the first of the `latents`, (n, k), stand for: their sum is one more plane, the last.
        """
        planes = torch.cat([*states], dim=1)
        embedding = torch.cat([*latents, condition.expand(len(planes), -1)], dim=1)
        shown = [] if directions is None else [latents[0]]
        return _run_in_parts(functools.partial(self._run, directions), planes, embedding, *shown)

    def _run(
        self, directions: Tensor | None, planes: Tensor, embedding: Tensor, latents: Tensor | None = None
    ) -> Tensor:
        embedded = self.embed(embedding)
        images, passed = self.planes.convolve(self.stem, planes, latents, directions), []
        for i, block in enumerate(self.down):
            images = block(self.shrink[i - 1](images) if i else images, embedded)
            passed.append(images)
        for i in reversed(range(len(self.up))):
            images = self.up[i](torch.cat([passed[i], self.grow[i](images)], dim=1), embedded)
        return self.planes.crop(self.last(images))


class ConvFeatures(nn.Module):
    """The network of mu on images: a convolution of stride two from level to level, then one linear layer.

    Its input is (n, m D) for m frames of a window, its output (n, k_max); `last` is its last child.
    """

    sees_images: ClassVar[bool] = True

    def __init__(
        self, frame_shape: tuple[int, int], n_planes: int, n_out: int, *, channels: Sequence[int], patch: int
    ) -> None:
        super().__init__()
        patch = patch or choose_patch(frame_shape)
        sizes = choose_levels(frame_shape, patch, channels)
        self.planes = ImagePlanes(frame_shape, patch, len(sizes))
        layers: list[nn.Module] = [nn.Conv2d((n_planes + 2) * patch**2, sizes[0], 3, padding=1), nn.SiLU()]
        for a, b in zip(sizes[:-1], sizes[1:], strict=True):
            # strided convolutions in place of pooling: positions stay readable
            layers += [nn.Conv2d(a, b, 3, stride=2, padding=1), nn.SiLU()]
        self.layers = nn.Sequential(*layers)
        # Flattened, not pooled: latents have to encode positions on the image.
        self.last = nn.Linear(sizes[-1] * self.planes.n_places // 4 ** (len(sizes) - 1), n_out)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, planes: Tensor) -> Tensor:
        return _run_in_parts(self._run, planes)

    def _run(self, planes: Tensor) -> Tensor:
        first, *others = self.layers
        images = self.planes.convolve(first, planes)  # type: ignore[arg-type]  # modules in a list have lost their type
        for layer in others:
            images = layer(images)
        features: Tensor = self.last(images.flatten(1))
        return features


def _run_in_parts(function: Callable[..., Tensor], *rows: Tensor) -> Tensor:
    """Call `function` on all rows, or, where no gradient is wanted, on `IMAGES_AT_ONCE` at a time."""
    if torch.is_grad_enabled() or len(rows[0]) <= IMAGES_AT_ONCE:
        return function(*rows)
    parts = zip(*(torch.split(tensor, IMAGES_AT_ONCE) for tensor in rows), strict=True)
    return torch.cat([function(*part) for part in parts])

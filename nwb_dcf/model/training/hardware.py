"""Threads and precision of a training step on the hardware at hand."""

from __future__ import annotations

import torch
from torch import nn

from ..dcf_model import DCFModel

WIDE = 256  # of a layer, from which on it pays: at 128 the conversion costs more than the products (RESULTS.md)


def choose_products(model: DCFModel, precision: str) -> str:
    """Name the factors of training's products: ``float32``, or ``bfloat16`` or ``tf32`` where they are reduced.

    Parameters
    ----------
    model : DCFModel
        On the device that it is trained on.
    precision : {"auto", "full", "reduced"}
        ``auto`` reduces on a GPU, and on processors with matrix tiles where networks are wide perceptrons.
    """
    device, config = model.coupling.mean.device.type, model.config
    if device == "cuda":
        return "float32" if precision == "full" else "tf32"
    width = min(config.width, config.encoder_width) if model.learns_encoder else config.width
    pays = model.image_shape is None and width >= WIDE
    reduced = precision == "reduced" or (precision == "auto" and pays)
    return "bfloat16" if reduced and device == "cpu" and has_tiles() else "float32"


def has_tiles() -> bool:
    """Whether the processor multiplies matrices of bfloat16 by tiles."""
    # private in torch, and absent in older versions: then no tiles are used
    supported: bool = getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)()
    return supported


PRODUCTS_PER_THREAD = 2**25  # multiply-adds in the layers of one step that are worth a thread of their own


def choose_threads(model: DCFModel, learned: nn.Module, batch: int) -> int:
    """Return how many of torch's threads the steps are to use that move the weights in `learned`.

    Below some 2^26 multiply-adds a step a second thread gains nothing, and while it waits it spins: on a machine that
    does other work as well a session-sized fit took four times as long with two threads as with one (RESULTS.md).
    U-Nets reuse each weight at many places; they, and GPUs, whose threads these are not, keep what there is.
    """
    most = torch.get_num_threads()
    if model.image_shape is not None or model.coupling.mean.device.type != "cpu":
        return most
    return max(1, min(most, count_products(learned, batch) // PRODUCTS_PER_THREAD))


def count_products(learned: nn.Module, batch: int) -> int:
    """Multiply-adds of a perceptron's layers in one direction, of a whole batch."""
    return batch * sum(parameter.numel() for parameter in learned.parameters())

"""How many threads a step of training keeps busy."""

from __future__ import annotations

import torch
from torch import nn

from ..model.dcf import DCFModel

PRODUCTS_PER_THREAD = 2**25  # multiply-adds in the layers of one step that are worth a thread of their own
PRODUCTS_BESIDE = 2**27  # up to which two trainings gain more side by side than from threads of their own each


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


def leaves_threads(model: DCFModel, learned: nn.Module, batch: int) -> bool:
    """Whether steps that move the weights in `learned` leave threads for a second training beside.

    A small step waits for itself most of the time: two trainings side by side take 1.7 times fewer seconds than one
    after the other, while a second thread for each gains at most 1.5 (RESULTS.md).
    """
    if model.image_shape is not None or model.coupling.mean.device.type != "cpu" or torch.get_num_threads() < 2:
        return False
    return count_products(learned, batch) < PRODUCTS_BESIDE


def count_products(learned: nn.Module, batch: int) -> int:
    """Multiply-adds of a perceptron's layers in one direction, of a whole batch."""
    return batch * sum(parameter.numel() for parameter in learned.parameters())

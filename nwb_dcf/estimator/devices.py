"""Devices that torch can train on here."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from .initialization import choose_device


@dataclass(frozen=True)
class Devices:
    """What `list_devices` found.

    Attributes
    ----------
    names : tuple of str
        ``"cpu"``, and each GPU with its name.
    default : str
        What ``device="auto"`` takes.
    threads : int
        Of torch, on the CPU.
    """

    names: tuple[str, ...]
    default: str
    threads: int


def list_devices() -> Devices:
    """List the devices of torch.

    Examples
    --------
    >>> list_devices().names[0]
    'cpu'
    """
    names = ["cpu"]
    names += [f"cuda:{i} ({torch.cuda.get_device_name(i)})" for i in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        names.append("mps")
    return Devices(tuple(names), choose_device("auto").type, torch.get_num_threads())

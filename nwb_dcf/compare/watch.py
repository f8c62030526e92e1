"""How far the methods of a comparison have come, and how long one that takes its steps by itself may go on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field

from ..config.progress import Listener, Progress

LONGEST_S = 300.0  # of one fit that can be stopped between two steps

Report = Callable[[int, int], None]
"""Of the step that was reached, and the steps in all."""


@dataclass
class Watch:
    """Who listens to the fits of a comparison, and the most seconds of one that can be stopped.

    Attributes
    ----------
    listener : callable, optional
        Called with a `nwb_dcf.config.progress.Progress`.
    longest_s : float
        After so many seconds CEBRA takes no further step.
    fits : dict of str to int
        Fits that were begun, by method.
    """

    listener: Listener | None = None
    longest_s: float = LONGEST_S
    fits: dict[str, int] = field(default_factory=dict)

    def begin(self, name: str) -> Report:
        """Announce a fit of a method, and return what its steps are reported to.

        Examples
        --------
        >>> heard = []
        >>> Watch(heard.append).begin("VAE")(20, 2_000)
        >>> heard[0].stage, heard[0].step, heard[0].steps
        ('VAE, fit 1', 20, 2000)
        """
        stage = self._name(name)

        def report(step: int, steps: int) -> None:
            if self.listener:
                self.listener(Progress(stage, step, steps))

        return report

    def follow(self, name: str) -> Listener | None:
        """Announce a fit of DCF, and return the listener for it, which names its stages as parts of that fit."""
        stage, listener = self._name(name), self.listener
        if listener is None:
            return None
        return lambda progress: listener(dataclasses.replace(progress, stage=f"{stage}, {progress.stage}"))

    def _name(self, name: str) -> str:
        # a method is fitted again where it cannot be seeded, and to parts of the data: the same steps come twice
        self.fits[name] = self.fits.get(name, 0) + 1
        return f"{name}, fit {self.fits[name]}"

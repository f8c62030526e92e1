"""Losses recorded during training."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

TRAINING = ("cf", "df", "align", "context")
HELD_OUT = ("held_out_cf", "held_out_df")


@dataclass
class LossCurve:
    """Losses recorded during training, one entry per recorded step; NaN where a part did not learn."""

    step: list[int] = field(default_factory=list)
    cf: list[float] = field(default_factory=list)
    df: list[float] = field(default_factory=list)
    align: list[float] = field(default_factory=list)
    context: list[float] = field(default_factory=list)
    held_out_step: list[int] = field(default_factory=list)
    held_out_cf: list[float] = field(default_factory=list)
    held_out_df: list[float] = field(default_factory=list)

    def select(self, wanted: Callable[[int], bool]) -> None:
        """Leave only the losses of the training steps that are `wanted`."""
        at = [i for i, step in enumerate(self.step) if wanted(step)]
        for name in ("step", *TRAINING):
            noted = getattr(self, name)
            noted[:] = [noted[i] for i in at]

    def join(self, other: LossCurve) -> LossCurve:
        """The losses of two parts that learned one after the other, each against its own steps."""
        joined = LossCurve()
        for steps, names in (("step", TRAINING), ("held_out_step", HELD_OUT)):
            # parts are evaluated at steps of their own; a step of either has a place, and NaN where it was not
            # evaluated
            every = sorted({*getattr(self, steps), *getattr(other, steps)})
            getattr(joined, steps).extend(every)
            for name in names:
                noted: dict[int, float] = {}
                for curve in (self, other):
                    pairs = zip(getattr(curve, steps), getattr(curve, name), strict=True)
                    noted |= {step: value for step, value in pairs if not math.isnan(value)}
                getattr(joined, name).extend(noted.get(step, math.nan) for step in every)
        return joined

"""What a progress callback receives, from reading as from training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

CHOOSING_SMOOTHING = "choosing smoothing"
SCORES, WRITING = "scores", "writing"  # stages of one step, which is announced


@dataclass(frozen=True)
class Progress:
    """How far a stage of the work has come.

    Attributes
    ----------
    stage : str
        ``"choosing steps"`` or ``"training"``, and of what: ``"training (dynamics)"``; repeats of a fit say which one
        before it, as in ``"null 1 of 5: training (dynamics)"``. Before them ``"choosing smoothing"``, after them
        ``"scores"`` and ``"writing"``. Of reading: ``"reading session.mp4"``.
    step, steps : int
        Step reached and steps planned.
    loss : float or None
        Total loss of the last batch; None where nothing is trained.
    unit : str
        What a step is: ``"step"`` of training, ``"frame"`` of a video.
    at_once : bool
        Whether it is to be seen whatever else is shown, as what is about to take long.
    """

    stage: str
    step: int
    steps: int
    loss: float | None = None
    unit: str = "step"
    at_once: bool = False


Listener = Callable[[Progress], None]

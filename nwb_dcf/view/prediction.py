"""Predicted path: a rollout of the model from a frame."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import SourceError
from .data import ViewData

N_FRAMES = 50  # at most as far as rollouts are scored by default


class Predictor:
    """Rolls out the stored model; torch is loaded with the first prediction.

    Attributes
    ----------
    time : array, shape (frame,)
        Of the predicted frames, seconds on the session clock; empty where nothing was asked for.
    latents : array, shape (frame, latent)
    """

    def __init__(self, view: ViewData) -> None:
        self.view = view
        self._estimator: Any = None
        self.clear()

    def clear(self) -> None:
        """Forget what was predicted."""
        self.time, self.latents = np.empty(0), np.empty((0, self.view.latents.shape[1]))

    def predict(self, frame: int, n_frames: int = N_FRAMES) -> None:
        """Continue from frame `frame`, in the order of time, by the model's own dynamics.

        Raises
        ------
        SourceError
            If what was fitted is not there: a rollout begins with its frames.
        DCFError
            If the model cannot be read.
        """
        view = self.view
        if view.recording is None:
            raise SourceError("a prediction begins with what was fitted, which is not here", fix="give it with --data")
        if self._estimator is None:
            import nwb_dcf

            # on the CPU: one path is short, and a fit may be using the GPU
            self._estimator = nwb_dcf.DCF.from_result(view.result, "cpu")
        starts = np.array([view.order[frame]])
        paths = self._estimator.simulate(view.recording, n_frames, starts=starts)
        values = np.asarray(paths["data"].values)
        time = np.asarray(paths["time"].values)
        # the path is drawn from where it begins
        self.time = np.concatenate([[view.time[frame]], time]) if time[0] > view.time[frame] else time
        self.latents = np.concatenate([view.latents[[frame]], values]) if len(self.time) > len(values) else values

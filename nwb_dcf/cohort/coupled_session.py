"""A session with its coupling to a cohort, and the latents and velocities that it reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from ..data.preprocessing import Preprocessor
from .compressive_flow import CompressiveFlow
from .coupling import Coupling
from .vector_field import QuadraticField

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Shaped


@dataclass(frozen=True)
class CoupledSession:
    """A session with its coupling to the cohort.

    Attributes
    ----------
    preprocessor : Preprocessor
        Applied to its values first.
    coupling : Coupling
    channels : array, shape (unit,)
        Ids of its units, in their order.
    n_trials : int
        With a condition of the cohort.
    seen : array of bool, shape (condition,)
        Conditions that it has.
    in_axes : bool
        Whether the axes were found with it.
    means : array, shape (condition, bin, latent)
        Mean latents; NaN where it has no trial.
    """

    preprocessor: Preprocessor
    coupling: Coupling
    channels: Shaped[np.ndarray, " unit"]
    n_trials: int
    seen: Bool[np.ndarray, " condition"]
    in_axes: bool
    means: Float[np.ndarray, "condition bin latent"]


@dataclass(frozen=True)
class SessionModel:
    """All that turns a recording of a session's units into latents of the shared space.

    Attributes
    ----------
    session : CoupledSession
    field : QuadraticField
        The shared v, latent units per bin.
    bin_width_s : float
    flow : CompressiveFlow, optional
        The session's own u, where its fit has one.
    """

    session: CoupledSession
    field: QuadraticField
    bin_width_s: float
    flow: CompressiveFlow | None = None

    @property
    def dim(self) -> int:
        """Number of latents."""
        return len(self.session.coupling.offset)

    def transform(self, recording: xr.Dataset) -> xr.Dataset:
        """Read latents and velocities, every frame of every segment; see `Cohort.transform`."""
        # its own statistics, as when it was coupled; a Gaussian of the same width in all sessions
        values = self.session.preprocessor.apply(recording)["data"].values
        latents = self.session.coupling.transform(values, recording["segment_index"].values)
        dataset = recording.drop_vars("data").assign(
            latents=(("time", "latent"), latents, {"units": "1"}),
            velocity=(("time", "latent"), self.velocity_at(latents), {"units": "1/s"}),
        )
        if self.flow is not None:
            dataset["flowed"] = (("time", "latent"), self.flow.apply(values), {"units": "1"})
        return dataset.assign_coords(latent=np.arange(1, self.dim + 1))

    def velocity_at(self, points: Float[np.ndarray, "point latent"]) -> Float[np.ndarray, "point latent"]:
        """Return the shared v in latent units per second."""
        return np.asarray(self.field(np.asarray(points, np.float64)) / self.bin_width_s)

"""What a cohort leaves behind, readable without torch and without pynwb."""

from __future__ import annotations

from dataclasses import dataclass

import xarray as xr

from .records import JSON


@dataclass(frozen=True)
class CohortRecord:
    """A cohort as plain values.

    Attributes
    ----------
    dataset : xarray.Dataset
        ``anchors`` (condition, bin, latent); ``variance``, ``persistence``, ``field_centre``, ``field_scale``
        (latent,); ``field_weights`` (feature, latent), the quadratic v in latent units per bin; ``means`` (session,
        condition, bin, latent); and a variable (session,) for each column of the table of sessions. Coordinates:
        ``condition`` as text, ``bin`` in seconds, ``session`` as text, ``latent`` from 1.
    config : dict
        Every setting; JSON-able.
    provenance : dict
        Versions, seed, what was read and how; JSON-able.
    statistics : dict
        ``findings``, sentences, and the figures behind them; JSON-able.
    name : str
        In ``processing/dcf`` of its file; empty before it is written.
    """

    dataset: xr.Dataset
    config: JSON
    provenance: JSON
    statistics: JSON
    name: str = ""

    @property
    def dim(self) -> int:
        """Number of latents."""
        return int(self.dataset.sizes["latent"])

    @property
    def sha256(self) -> str:
        """Hash of anchors, field and settings."""
        return str(self.provenance["sha256"])

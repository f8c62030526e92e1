"""What a fit leaves behind, readable without torch and without pynwb."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

if TYPE_CHECKING:
    import pandas as pd
    from jaxtyping import Bool

from . import records
from .captions import describe_pictures
from .certificate import CertificateLine
from .recording import median_step_s
from .summary import format_summary, format_summary_html, summarise_fit


@dataclass(frozen=True)
class DCFResult:
    """One fit: latents in time, how good they are, how they came to be, and the model's weights.

    Attributes
    ----------
    dataset : xarray.Dataset
        See *Variables*.
    config : dict
        Every setting of every stage, JSON-able; `nwb_dcf.config.FitConfig.from_dict` reads it.
    provenance : dict
        Versions, seed, device, source with its hash, statistics of the preparation, times; JSON-able.
    weights : bytes
        safetensors bytes of both flow fields and the coupling.
    name : str
        Name of the fit in ``processing/dcf``; empty before it is written.

    Notes
    -----
    *Variables* of ``dataset`` (CH is the channel dim of the recording, ``unit`` or ``channel``, or y, x of images):

    ======================== ================= =================================================
    variable                 dims              meaning
    ======================== ================= =================================================
    ``latents``              (time, latent)    the encoder's, which ``inverse_transform`` takes
    ``flowed``               (time, latent)    each frame integrated to tau = 0 (section 4)
    ``velocity``             (time, latent)    v at the encoder's point, latent units per second
    ``time``                 (time,)           float64 s on the session clock
    ``segment_index``        (time,)           segment of each frame
    ``segment_start/_stop``  (segment,)        s; with ``segment_row`` (id in the interval table),
                                               ``segment_held_out`` (bool), ``trial_NAME`` columns
    ``component`` (coord)    (component,)      1 ... k_max
    ``spectrum``             (component,)      d, variance of each axis in prepared units squared
    ``bottleneck_r2``        (component,)      R2 of reconstruction from K numbers, held out
    ``pca_r2``               (component,)      the same for PCA of the training frames
    ``source_share``         (component,       of joined sources: fraction of each axis that each ``source``
                             source)           has, the sum of its squared loadings; ``channel_source``
                                               (CH,) says which source each channel is from
    ``loadings``             (CH, component)   L, orthonormal columns
    ``mean``                 (CH,)             b, in prepared units
    ``step`` (coord)         (step,)           optimiser steps at which losses were noted
    ``loss_cf``,             (step,)           training losses
    ``loss_df``,
    ``loss_align``
    ``held_out_cf``,         (step,)           losses on the segments that chose the steps, at the
    ``held_out_df``                            noted step next to them; NaN elsewhere
    ``grid_1, ...`` (coord)  (grid_1,) ...     points along the first one, two or three latents
    ``field_velocity``       (grid_1, ...,     v at each point where the state has stood still,
                             latent)           latent units per second
    ``field_mean_velocity``  (grid_1, ...,     mean of ``velocity`` over the frames of each cell; NaN
                             latent)           where none was
    ``field_frames``         (grid_1, ...)     frames in the cell around each point
    ======================== ================= =================================================

    ``dataset.attrs``: ``k_eff`` (int), ``dim`` (int), ``total_variance`` (float), ``scores`` (see *Scores*), ``kind``.

    *Scores* are figures of the frames named in ``on``, ``frames`` of them:

    ============================== ====================================================================
    key                            meaning
    ============================== ====================================================================
    ``bottleneck_r2, pca_r2``      R2 of reconstruction from ``dim`` latents, and from as many axes of PCA
    ``difference_r2``              the first less the second
    ``deviance_explained``         of counts: fraction of the Poisson deviance of unsmoothed counts that the rates of
                                   ``inverse_transform`` explain; ``pca_deviance_explained``, ``difference_deviance``
    ``intervals``                  [low, high] of each of these over segments (``over``, ``n``) at ``level``
    ``flow_r2``                    R2 where u is integrated from tau = 0 to 1
    ``round_trip_r2``              frames to tau = 0 and back, all coordinates kept: a check of the solver
    ``energy_outside``             fraction of the energy at tau = 0 off the first ``dim`` axes
    ``smoothness``                 path length over displacement of latents; ``pca_smoothness`` of PCA's scores
    ``rollout``                    see `nwb_dcf.evaluation.forecast.describe_horizon`
    ``null``                       with ``null=N``: see `nwb_dcf.evaluation.resampling.measure_null`
    ``agreement``                  with ``repeats=N``: see `nwb_dcf.evaluation.resampling.measure_agreement`
    ``left_out``                   see `nwb_dcf.evaluation.shared_signal.measure_left_out`
    ``shifted_apart``              see `nwb_dcf.evaluation.shared_signal.measure_shifted_apart`
    ``certificate``                what may be believed, line by line: see `nwb_dcf.data.certificate.CertificateLine`
    ============================== ====================================================================

    ``provenance["support"]`` says which frames each latent depends on (`nwb_dcf.evaluation.result.describe_support`).
    """

    dataset: xr.Dataset
    config: records.JSON
    provenance: records.Provenance
    weights: bytes = field(repr=False)
    name: str = ""

    @property
    def dim(self) -> int:
        """Number of latents."""
        return int(self.dataset.sizes["latent"])

    def summary(self) -> str:
        """Return the fit in a few lines: what was fitted, how well beside PCA, and how far rollouts reach."""
        return format_summary(summarise_fit(self.dataset, self.provenance, self.name))

    def __repr__(self) -> str:
        facts = summarise_fit(self.dataset, self.provenance, self.name)
        return f"<DCFResult {facts['fit']}; frames: {facts['frames']}>"

    def _repr_html_(self) -> str:
        return format_summary_html(summarise_fit(self.dataset, self.provenance, self.name))

    def view(self, path: str | Path | None = None, **options: Any) -> Any:
        """Look at the fit in a notebook: the page of ``nwb-dcf view`` as a panel object.

        Parameters
        ----------
        path : str or Path, optional
            NWB file of the session; without it what the fit alone allows is shown.
        **options
            ``data`` and ``video_dir``, see `nwb_dcf.view.view_nwb`.

        Returns
        -------
        panel.Column

        Raises
        ------
        StoreError
            If panel is not installed.

        Examples
        --------
        >>> nwb_dcf.read_result("session.nwb").view("session.nwb")  # doctest: +SKIP
        """
        # by name: the viewer stands above results, which know nothing of it
        return importlib.import_module("nwb_dcf.view").make_panel(self, path, **options)

    def tabulate_channels(self) -> pd.DataFrame:
        """Tabulate how much each channel contributes to each latent, a row a channel.

        Returns
        -------
        pandas.DataFrame
            See `nwb_dcf.evaluation.channel_table.tabulate_channels`.

        Raises
        ------
        DataError
            If the fit is one of images.

        Examples
        --------
        >>> nwb_dcf.read_result("session.nwb").tabulate_channels().nlargest(5, "fraction_1")  # doctest: +SKIP
        """
        # by name, as the viewer: what measures a fit stands above what holds it
        table: pd.DataFrame = importlib.import_module("nwb_dcf.evaluation.channel_table").tabulate_channels(self)
        return table

    @property
    def scores(self) -> records.Scores:
        """Figures of the fit, as under *Scores*; empty where it has none."""
        scores: records.Scores = self.dataset.attrs.get("scores", {})
        return scores

    @property
    def certificate(self) -> list[CertificateLine]:
        """What may be believed of the fit: a verdict, a number, its interval and a sentence a line.

        Empty in fits of versions before there was one, and in what `nwb_dcf.transform_nwb` made.
        """
        return list(self.scores.get("certificate", ()))

    @property
    def smoothing_s(self) -> float:
        """Standard deviation of the Gaussian that frames were smoothed by, in seconds; 0 where nothing was smoothed."""
        support: records.Support = self.provenance.get("support", {})
        smoothing: records.SmoothingSupport = support.get("smoothing", {})
        return float(smoothing.get("sigma_s", 0.0))

    @property
    def captions(self) -> dict[str, str]:
        """What each picture of the fit says, and what it does not, by the picture's name."""
        return describe_pictures(self.dataset)

    @property
    def curve(self) -> xr.Dataset:
        """R2 of reconstruction against the number of latents K, beside PCA's."""
        return self.dataset[["bottleneck_r2", "pca_r2", "spectrum"]]

    @property
    def held_out(self) -> Bool[np.ndarray, " time"]:
        """Frames that no part of the fit has seen, shape (time,): of whole segments, or of blocks of a long one."""
        return mark_held_out(self.dataset, self.provenance)


def mark_held_out(dataset: xr.Dataset, provenance: records.Provenance) -> Bool[np.ndarray, " time"]:
    """Mark the frames that no part of a fit has seen.

    Parameters
    ----------
    dataset : xarray.Dataset
        Of a `DCFResult`. Its ``segment_held_out`` marks whole segments; of a recording without trials, blocks were
        held out, which ``provenance["split"]`` names by their times.
    provenance : mapping

    Returns
    -------
    array of bool, shape (time,)
    """
    index, time = dataset["segment_index"].values, dataset["time"].values
    # whole segments are marked in the table; blocks of a long one by their times alone
    if "segment_held_out" in dataset and dataset["segment_held_out"].values.any():
        whole = np.asarray(dataset["segment_held_out"].values, bool)
        return np.asarray(whole[index])
    # half a step of slack: stored times carry rounding, and intervals end at frames
    unseen, slack = np.zeros(len(time), bool), median_step_s(dataset) / 2
    for start, stop in (provenance.get("split") or {}).get("held_out_intervals_s", []):
        unseen |= (time >= start - slack) & (time <= stop + slack)
    return np.asarray(unseen)

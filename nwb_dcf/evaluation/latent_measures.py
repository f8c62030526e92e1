"""What a result has of the latents, the axes and u of a fit, none of which depends on v."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from ..data.recording import frame_dims
from ..data.split import Split
from ..estimator.fitted import FittedModel, PreparedFrames
from .channel_table import measure_decoder_fractions
from .encoded import EncodedSplit, encode_split
from .scores import Curve, Scores, score_fit
from .shared_signal import LeftOut, ShiftedApart, measure_shared_signal

if TYPE_CHECKING:
    from jaxtyping import Float


@dataclass(frozen=True)
class LatentMeasures:
    """Latents of all frames and what is measured of them.

    Attributes
    ----------
    encoded : EncodedSplit
    latents, flowed : array, shape (time, latent)
        Of all frames.
    scores : Scores
        Those of `score_fit`.
    curve : Curve
    decoder_fractions : array, shape (channel, latent), or None
        None for images, whose pixels are too many to be named.
    shared : (LeftOut, ShiftedApart) or None
        None where nothing was held out.
    """

    encoded: EncodedSplit
    latents: Float[np.ndarray, "time latent"]
    flowed: Float[np.ndarray, "time latent"]
    scores: Scores
    curve: Curve
    decoder_fractions: Float[np.ndarray, "channel latent"] | None
    shared: tuple[LeftOut, ShiftedApart] | None


def measure_latents(
    fitted: FittedModel,
    recording: xr.Dataset,
    split: Split | None,
    prepared: PreparedFrames | None = None,
    *,
    own: bool = True,
) -> LatentMeasures:
    """Encode a recording and measure its latents, as `nwb_dcf.evaluation.result.build_result` needs them.

    Parameters
    ----------
    fitted : FittedModel
        Of ``split.training``, or of `recording` where `split` is None, if `own`; its v is not used.
    recording : xarray.Dataset
        All segments, as they were read.
    split : Split or None
    prepared : PreparedFrames, optional
        The frames that `fitted` was fitted to, as the fit prepared them.
    own : bool
        Whether `fitted` is of this recording: one that is applied to another is beside that recording's principal axes.
    """
    encoded = encode_split(fitted, recording, split, prepared)
    whole, parts = encoded.whole, (encoded.training, encoded.unseen)
    # copied: a view would keep all axes of all frames in memory
    latents = whole.latents[:, : fitted.dim].copy()
    # on held-out frames where there are any
    scores, curve = score_fit(fitted, *parts, own=own)
    named = len(frame_dims(recording)) == 1
    return LatentMeasures(
        encoded,
        latents,
        whole.flow(fitted),
        scores,
        curve,
        measure_decoder_fractions(fitted.reconstruct, latents) if named else None,
        measure_shared_signal(fitted, *parts) if split is not None else None,
    )

"""How far rollouts reach: simulations beside persistence and a ridge autoregression, on held-out frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, TypedDict, cast

import numpy as np
import xarray as xr

from ..data.recording import segment_slices
from ..errors import DataError
from ..estimator.fitted import FittedModel
from ..estimator.rollout import cut_histories, find_starts
from ..metrics import Interval, bootstrap_over_segments, compare_paired
from ..metrics.forecast import FEWEST_STARTS, ORDER, Autoregression, score_forecasts, sum_forecasts
from .encoded import EncodedRecording, encode_recording

if TYPE_CHECKING:
    from jaxtyping import Float, Int, Real

LEADS = 50  # frames ahead that are scored
REACH = 2.0  # standard deviations of the smoothing, after which white noise explains .002 of itself
MOST_AHEAD = 200  # frames ahead that are scored beyond the smoothing
MOST_STARTS = 256
MOST_NUMBERS = 2**19  # numbers in the frames of all starts: fewer starts where frames are large


def measure_horizon(
    fitted: FittedModel, training: EncodedRecording, unseen: EncodedRecording, *, n_leads: int = LEADS
) -> xr.Dataset:
    """Score rollouts of latents on `unseen`, from every frame that has its history (evenly thinned where many).

    A start is prepared from the frames up to it alone, as it would be online (see `cut_histories`). The targets are
    the latents of the whole recording's own preparation, as a fit reports them. Where that smooths, or the encoder has
    a window, a latent overlaps the frames before it, so that the first few leads are easier than raw data would be.
    Persistence and the autoregression gain by it as well: only the difference from them is evidence of dynamics in v.

    Parameters
    ----------
    fitted : FittedModel
    training : EncodedRecording
        Recording whose latents the autoregression is fitted to.
    unseen : EncodedRecording
        Recording to be predicted.
    n_leads : int
        Frames ahead, at most as many as the segments have.

    Returns
    -------
    xarray.Dataset
        See `score_forecasts`; of ``rollout``, ``ar3`` and ``stay``, which is persistence, with ``attrs["step_s"]`` and
        ``attrs["beyond"]``, see `Beyond`.

    Raises
    ------
    DataError
        If fewer than eight frames have both a history and a future.
    """
    recording, slices = unseen.recording, segment_slices(unseen.recording)
    # a start needs h frames before it and one after
    starts = np.concatenate([np.arange(s.start + fitted.config.model.history, s.stop - 1) for s in slices])
    if len(starts) < FEWEST_STARTS:
        raise DataError(f"{len(starts)} frames have both a history and a future", fix="give longer segments")
    most = max(FEWEST_STARTS, min(MOST_STARTS, MOST_NUMBERS // unseen.frames.values.shape[1]))
    starts = starts[np.unique(np.linspace(0, len(starts) - 1, min(most, len(starts))).round().astype(int))]
    # leads left in the segment of each start
    ahead = find_starts(recording, "last", 0)[unseen.frames.segment[starts]] - starts
    # no lead that fewer than eight starts reach
    reached = int(np.sort(ahead)[-FEWEST_STARTS])
    first_beyond, last_beyond = _choose_leads_beyond(fitted)
    n_shown = min(n_leads, reached)
    n_leads = max(n_shown, min(last_beyond, reached))

    # causal: each start is prepared without its future
    histories = encode_recording(fitted, cut_histories(recording, starts, fitted))
    latents, known = (part.latents[:, : fitted.dim] for part in (unseen, histories))
    last = find_starts(histories.recording, "last", 0)
    # the first frame of a segment repeats, as in the history of v
    past = known[np.maximum(last[:, None] - np.arange(ORDER), last[:, None] - np.diff(last, prepend=-1)[:, None] + 1)]
    truth = np.full((len(starts), n_leads, latents.shape[1]), np.nan)
    for i, (start, n) in enumerate(zip(starts, np.minimum(ahead, n_leads), strict=True)):
        truth[i, :n] = latents[start + 1 : start + 1 + n]
    # the rival is fitted to latents of the training frames, as v was
    segments = [training.latents[frames, : fitted.dim] for frames in segment_slices(training.recording)]
    simulated = fitted.simulate(histories.frames, n_leads, latents=histories.latents)
    forecasts = {
        "rollout": simulated.reshape(len(starts), n_leads, -1),
        "ar3": Autoregression(segments).extrapolate(past, n_leads),
        "stay": np.repeat(past[:, :1], n_leads, axis=1),
    }
    scored = score_forecasts(truth[:, :n_shown], {name: path[:, :n_shown] for name, path in forecasts.items()})
    scored.attrs["step_s"] = fitted.step_s
    late, segment = slice(first_beyond - 1, last_beyond), unseen.frames.segment[starts]
    later = {name: path[:, late] for name, path in forecasts.items()}
    scored.attrs["beyond"] = _score_beyond(truth[:, late], later, segment, first_beyond)
    return scored


def _choose_leads_beyond(fitted: FittedModel) -> tuple[int, int]:
    """First and last lead whose latents depend on no frame before the start, but for a Gaussian's tail."""
    overlap = int(np.ceil(REACH * fitted.preparation.smooth_s / fitted.step_s)) + fitted.config.model.encoder_window
    first = overlap + 1
    return first, min(max(first + 2, 2 * overlap), MOST_AHEAD)


class Beyond(TypedDict, total=False):
    """Forecasts so far ahead that smoothing and windows give nothing away, over held-out segments.

    Attributes
    ----------
    leads : [int, int]
        First and last lead, in frames.
    rollout, over_stay, over_ar3 : dict
        R2 of rollouts, and what it is above persistence's and the autoregression's, see `nwb_dcf.metrics.Interval`.
    not_measured : str
        The reason, and nothing else, where segments are too short.
    """

    leads: list[int]
    rollout: dict[str, object]
    over_stay: dict[str, object]
    over_ar3: dict[str, object]
    not_measured: str


def _score_beyond(
    truth: Float[np.ndarray, "start lead latent"],
    forecasts: Mapping[str, Float[np.ndarray, "start lead latent"]],
    segment: Int[np.ndarray, " start"],
    first: int,
) -> Beyond:
    try:
        sums = sum_forecasts(truth, forecasts, segment)
    except DataError:
        return {"not_measured": f"segments end before frame {first} after a start, where smoothing ends to tell of it"}
    ours = sums["rollout"]
    found: dict[str, Interval] = {
        "rollout": bootstrap_over_segments(ours),
        "over_stay": compare_paired(ours, sums["stay"]),
        "over_ar3": compare_paired(ours, sums["ar3"]),
    }
    if not all(np.isfinite([one.value, one.low, one.high]).all() for one in found.values()):
        return {"not_measured": "latents do not vary on held-out frames"}
    return cast(
        Beyond,
        {"leads": [first, first + truth.shape[1] - 1], **{name: asdict(one) for name, one in found.items()}},
    )


class Horizon(TypedDict, total=False):
    """Summary of `measure_horizon`: R2 lead by lead, None where a lead was not scored.

    Attributes
    ----------
    horizon : dict of str to int
        Leads at which ``rollout`` and ``ar3`` beat persistence, see `score_forecasts`.
    step_s : float
    beyond : Beyond
    leads : int
    rollout, ar3, stay, starts : list of float or None
    not_measured : str
        The reason, and nothing else, where nothing was scored.
    """

    horizon: dict[str, int]
    step_s: float
    beyond: Beyond
    leads: int
    rollout: list[float | None]
    ar3: list[float | None]
    stay: list[float | None]
    starts: list[float | None]
    not_measured: str


def describe_horizon(fitted: FittedModel, training: EncodedRecording, unseen: EncodedRecording) -> Horizon:
    """Summarise `measure_horizon` for storage: JSON-able, None where a lead was not scored, or why none was."""
    try:
        scored = measure_horizon(fitted, training, unseen)
    except DataError as error:
        return {"not_measured": str(error)}
    curves = {str(name): _to_plain(values.values) for name, values in scored.data_vars.items()}
    return cast(Horizon, {**scored.attrs, "leads": scored.sizes["lead"], **curves})


def _to_plain(values: Real[np.ndarray, " lead"]) -> list[float | None]:
    return [value if np.isfinite(value) else None for value in values.tolist()]

"""A fit whose worth on unseen frames cannot be measured: refused, unless nothing was to be held out."""

from __future__ import annotations

import math

import xarray as xr

from ..data.chunks import count_varying
from ..data.recording import name_source
from ..data.result import DCFResult
from ..data.split import Split
from ..errors import DOUBT, DataError

FIX = "fit more data, or give --held-out 0 to score the frames that are fitted"


def require_held_out(recording: xr.Dataset, split: Split | None, held_out: float) -> None:
    """Refuse, before training, a split on which no score could be computed.

    Parameters
    ----------
    recording : xarray.Dataset
        All that was read.
    split : Split or None
        None where nothing could be held out.
    held_out : float
        Fraction of the frames that was asked to be held out; 0 asks for no score on unseen frames.

    Raises
    ------
    DataError
        If the recording is too short to hold anything out, or what is held out does not vary.
    """
    if held_out == 0:
        return
    where, sizes = name_source(recording), recording.sizes
    # a clock that is wrong by a factor leaves too few bins: its doubt is the answer, and must not be lost
    doubts = [note.removeprefix(DOUBT) for note in recording.attrs["notes"] if note.startswith(DOUBT)]
    fix = "; ".join([*(f"look at its clock first: {doubt}" for doubt in doubts[:1]), FIX])
    if split is None:
        segments = f"{sizes['segment']} segment{'s' if sizes['segment'] > 1 else ''}"
        what = f"{sizes['time']} frames in {segments} are too few to hold any out, and no score would show what it is"
        raise DataError(f"{what} worth", where=where, fix=fix)
    if not count_varying(split.held_out["data"], 1):
        what = f"the {split.held_out.sizes['time']} frames held out ({split.rule}) are all alike: no score on them"
        raise DataError(f"{what} can be computed", where=where, fix=f"give another --seed, {fix}")


def require_score(result: DCFResult, held_out: float) -> None:
    """Refuse a fit whose score on held-out frames is no number.

    Raises
    ------
    DataError
        If it is none although frames were held out.
    """
    scores = result.dataset.attrs["scores"]
    if held_out and not math.isfinite(scores["bottleneck_r2"]):
        what = f"the R2 of the {scores['frames']} frames held out cannot be computed, and the fit was not written"
        raise DataError(what, where=result.provenance.get("source", {}).get("file"), fix=FIX)

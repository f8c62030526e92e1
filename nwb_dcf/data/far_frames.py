"""Frames far outside what was fitted: a model extrapolates there, and its latents mean nothing."""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING

import numpy as np

from ..errors import DOUBT, DataError, ParameterError

if TYPE_CHECKING:
    from jaxtyping import Float

MAX_DISTANCE = 10.0
"""Times the RMS distance of the fitted frames from their mean, beyond which a frame is far outside."""

MAX_FAR = 0.01  # of the frames, above which they are no passing artefacts


def refuse_far_frames(
    distance: Float[np.ndarray, " time"], *, max_distance: float = MAX_DISTANCE, where: str | None = None
) -> list[str]:
    """Refuse frames far outside those that were fitted.

    Parameters
    ----------
    distance : array, shape (time,)
        Of each frame from the mean of the fitted frames, in units of their own RMS distance from it (the square root of
        their variance summed over channels).
    max_distance : float
        That a frame may have.
    where : str, optional
        The file and the object, for messages.

    Returns
    -------
    list of str
        A doubt where some frames are further away, but not more than one in a hundred.

    Raises
    ------
    ParameterError
        If `max_distance` is not above 0.
    DataError
        If more than one frame in a hundred is further away.
    """
    if not isinstance(max_distance, Real) or isinstance(max_distance, bool) or not max_distance > 0:
        raise ParameterError(f"max_distance is {max_distance!r}", fix="give a number above 0, or inf for no limit")
    n_far = int((distance > max_distance).sum())
    if not n_far:
        return []
    limit = f"{max_distance:g} times the RMS distance of the fitted frames from their mean"
    what = f"{n_far} of {len(distance)} frames lie beyond {limit}, the furthest at {distance.max():.3g} times"
    if n_far > MAX_FAR * len(distance):
        fix = "check the unit and the scale of the values, or raise the limit: --max-distance N"
        raise DataError(what, where=where, fix=fix)
    return [f"{DOUBT}{what}: latents there are extrapolated"]

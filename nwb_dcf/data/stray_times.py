"""Single times that lie years from all others: of a clock that was not set, or a missing value written as a number."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float

YEAR_S = 365.25 * 86400
FAR_S = 10 * YEAR_S  # no recording lasts as long
MOST = 0.1  # of the times: more are not strays, but another clock


def describe_stray_times(time: Float[np.ndarray, " sample"]) -> str:
    """Say how many times lie years from the others, and which; nothing where none does.

    Examples
    --------
    >>> describe_stray_times(np.array([-1.5e9, *range(20)]))
    '1 of 21 times lies 48 years from the others, at -1.5e+09 s'
    """
    if len(time) < 3:
        return ""
    away = np.abs(time - np.median(time))
    far = away > FAR_S
    n = int(far.sum())
    if not 0 < n <= MOST * len(time):
        return ""
    worst = int(np.argmax(away))
    lie = "lies" if n == 1 else "lie"
    years = away[far].min() / YEAR_S
    return f"{n} of {len(time)} times {lie} {years:.0f} years from the others, at {time[worst]:.5g} s"

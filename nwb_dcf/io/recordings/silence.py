"""Where nothing was recorded: silences of all units that their own rates do not allow.

A file of several epochs, far apart and without ``obs_intervals``, says nowhere when the amplifier was off. What tells
such a pause from cells that are silent is that it is alone: rates, bursts and up states make a continuum of silences,
of which the longest is a little longer than the next. A pause is taken where all of this holds:

* no unit of the table fires for 10 s or more;
* at the rate of the rest of the session a hundred spikes or more would have been due in it;
* it is ten times as long as the longest silence that is not such a pause.

Of 2,000 simulated sessions of slow, bursty and waxing and waning cells (1 to 20 units, 0.02 to 2 spikes/s) none is cut
(`tests/io/recordings/test_silence.py`), so that the rule is wrong in less than 1.5 of 1,000 such sessions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

LEAST_S = 10.0
LEAST_SPIKES = 100
ALONE = 10.0
MOST = 1000  # pauses in a session


def find_silences(times: Sequence[np.ndarray]) -> np.ndarray:
    """Find when nothing was recorded, by the rule of this module.

    Parameters
    ----------
    times : sequence of array of float64, shape (spike,)
        Spike times of every unit of the table, in order.

    Returns
    -------
    array of float64, shape (pause, 2)
        Last spike before and first spike after each pause, in order.

    Examples
    --------
    >>> train = np.arange(0, 60, 0.1)
    >>> find_silences([np.concatenate([train, train + 1800])]).round(1).tolist()
    [[59.9, 1800.0]]
    """
    pooled = np.sort(np.concatenate(times)) if len(times) else np.empty(0)
    pooled = pooled[np.isfinite(pooled)]
    if len(pooled) <= LEAST_SPIKES:
        return np.empty((0, 2))
    silences = np.diff(pooled)
    order = np.argsort(silences)[::-1][: MOST + 1]
    longest = silences[order]
    following = np.append(longest[1:], 0.0) if len(longest) < len(silences) + 1 else longest[1:]
    n_long = min(len(longest) - 1, int((longest >= LEAST_S).sum()))
    # The last place at which the next silence is so much shorter: pauses need not be alike among themselves.
    places = np.flatnonzero(longest[:n_long] >= ALONE * following[:n_long])
    if len(places) == 0:
        return np.empty((0, 2))
    n = int(places[-1]) + 1
    rate = len(pooled) / max(float(silences.sum() - longest[:n].sum()), 1e-9)
    if longest[n - 1] * rate < LEAST_SPIKES:
        return np.empty((0, 2))
    cuts = np.sort(order[:n])
    return np.column_stack([pooled[cuts], pooled[cuts + 1]])

"""dF/F: fluorescence relative to a baseline that follows slow drift and bleaching."""

from __future__ import annotations

import numpy as np
import pandas as pd


def compute_dff(values: np.ndarray, time: np.ndarray, window_s: float, quantile: float) -> np.ndarray:
    """Compute (F - F0) / F0, F0 being a quantile of F in a window about each sample.

    Parameters
    ----------
    values : array, shape (time, roi)
        Fluorescence; NaN is left aside.
    time : array of float64, shape (time,)
        Seconds, increasing; gaps and jitter are allowed, as the window is one of time.
    window_s : float
        Length of the window, seconds; at both ends of the recording it is cut off.
    quantile : float
        0 to 1.

    Returns
    -------
    array of float64, shape (time, roi)
        NaN where F is, and in every sample of a ROI whose baseline is not above 0 throughout.

    Examples
    --------
    >>> compute_dff(np.array([[2.0], [2.0], [3.0], [2.0]]), np.arange(4.0), 10.0, 0.5).ravel()
    array([0. , 0. , 0.5, 0. ])
    """
    since_start = pd.to_timedelta(np.asarray(time) - time[0], unit="s")
    frame = pd.DataFrame(np.asarray(values, dtype=np.float64), index=since_start)
    rolling = frame.rolling(pd.Timedelta(seconds=window_s), center=True, min_periods=1)
    baseline = rolling.quantile(quantile).to_numpy()
    # A window without any value has no baseline, and that is no fault of the ROI.
    sound = (np.isnan(baseline) | (baseline > 0)).all(axis=0)
    baseline = np.where(sound, baseline, np.nan)
    dff: np.ndarray = (values - baseline) / baseline
    return dff

"""How far apart frames are to be that stand out: closer ones show one movement twice."""

from __future__ import annotations

import xarray as xr

from . import records
from .recording import median_step_s

LEAST_S = 1.0
FRAMES, SIGMAS = 5, 4.0  # frames nearer than that are alike by the smoothing alone


def compute_spacing(dataset: xr.Dataset, provenance: records.Provenance) -> float:
    """Compute the least time between two outlier frames of a fit, in seconds.

    Parameters
    ----------
    dataset, provenance
        Those of a `nwb_dcf.DCFResult`.

    Examples
    --------
    >>> import numpy as np
    >>> time, index = np.arange(9) / 30, ("time", np.zeros(9, int))
    >>> data = xr.Dataset(coords={"time": time, "segment_index": index})
    >>> compute_spacing(data, {}), compute_spacing(data, {"support": {"smoothing": {"sigma_s": 1.6}}})
    (1.0, 6.4)
    """
    sigma_s = float(((provenance.get("support") or {}).get("smoothing") or {}).get("sigma_s") or 0.0)
    return max(LEAST_S, FRAMES * median_step_s(dataset), SIGMAS * sigma_s)

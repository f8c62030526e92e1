"""How much memory a fit will take, before it is begun: estimated from the number of values, as measured on fits."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING

import xarray as xr

from ..data.chunks import is_lazy
from ..data.memory import find_free_memory
from ..data.recording import frame_dims, is_count, name_source
from ..errors import DataError

if TYPE_CHECKING:
    from ..io.recordings.source_kinds import Source

BASE_BYTES = 520 * 2**20  # Python with torch, pynwb and pandas
VALUE_BYTES = 40  # peak of whole fits of 2 to 36 million values, less the base: float64 copies of frames, scored
# more for each of the first values: larger recordings are handled in blocks, and rates calibrated on a part of them
FIRST_COUNTS_BYTES, FIRST_VALUES_BYTES = 60, 40
FIRST = 2**23  # as many as `metrics.rate_calibration` calibrates, whose imports `info` does without
BIN_WIDTH_S, SIDE = 0.02, 64  # where neither data nor options have set anything yet
NARROWER = {
    "unit": "wider bins (--bin), fewer units (--units) or fewer trials (--where)",
    "x": "smaller frames (--size) or fewer (--every)",
    "roi": "fewer ROIs (--rois), a lower rate (--resample) or fewer trials (--where)",
}


def estimate_fit_memory(n_values: int, *, counts: bool) -> int:
    """Estimate the bytes that a process holds at most while it reads, fits, scores and writes.

    Parameters
    ----------
    n_values : int
        Frames times channels.
    counts : bool
        Whether they are counts, whose rates are calibrated and scored as well.

    Examples
    --------
    >>> round(estimate_fit_memory(36_000_000, counts=True) / 2**30, 1)
    2.3
    """
    first = min(n_values, FIRST) * (FIRST_COUNTS_BYTES if counts else FIRST_VALUES_BYTES)
    return BASE_BYTES + n_values * VALUE_BYTES + first


def estimate_source(source: Source) -> int | None:
    """Estimate the bytes of a fit of all of a source with the standard settings; None where they are unknown."""
    match source.kind:
        case "units":
            if source.duration_s is None:
                return None
            return estimate_fit_memory(int(source.shape[0] * source.duration_s / BIN_WIDTH_S), counts=True)
        case "video" | "imaging":
            return estimate_fit_memory(source.shape[0] * SIDE**2, counts=False)
        case "lfp":  # power in bands, at a rate of its own
            return None
    return estimate_fit_memory(math.prod(source.shape), counts=source.kind == "binned")


def estimate_recording(recording: xr.Dataset) -> int | None:
    """Estimate the bytes of a fit of `recording`; None where its values are read in blocks."""
    if is_lazy(recording["data"]):
        return None
    return estimate_fit_memory(math.prod(recording["data"].shape), counts=is_count(recording))


def check_fit_memory(recording: xr.Dataset) -> None:
    """Refuse a recording whose fit would take more memory than the machine has free.

    Raises
    ------
    DataError
        That says how much, and which settings make it less.
    """
    needed = estimate_recording(recording)
    if needed is None:
        return
    # what this process holds already is no longer free, and is a part of the estimate
    free = find_free_memory() + _find_held()
    if needed > free:
        last = frame_dims(recording)[-1]
        raise DataError(
            f"a fit of {recording.sizes['time']} frames of {math.prod(recording['data'].shape[1:])} values takes about "
            f"{needed / 2**30:.1f} GiB, and {free / 2**30:.1f} GiB are free",
            where=name_source(recording),
            fix=f"choose {NARROWER.get(last, 'a lower rate (--resample) or a part of the channels')}",
        )


def _find_held() -> int:
    if sys.platform == "win32":
        return 0
    import resource

    # the system counts in KiB, macOS in bytes
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(most if sys.platform == "darwin" else most * 1024)

"""How much memory a fit will take, before it is begun: estimated from the number of values, as measured on fits."""

from __future__ import annotations

import math
import shutil
import sys
import tempfile
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from ..data.chunks import is_large, is_lazy, needs_scratch
from ..data.memory import find_free_memory
from ..data.recording import frame_dims, is_count, name_source
from ..errors import DataError

if TYPE_CHECKING:
    from ..io.recordings.source_kinds import Source

BASE_BYTES = 520 * 2**20  # Python with torch, pynwb and pandas
VALUE_BYTES = 40  # peak of whole fits of 2 to 36 million values, less the base: float64 copies of frames, scored
# more for each of the first values: larger recordings are handled in blocks, and rates calibrated on a part of them
FIRST_COUNTS_BYTES, FIRST_VALUES_BYTES = 60, 40
FLOAT32 = 4
# above `MOST_IN_MEMORY` values are made, prepared and scored block by block: spikes, latents and a sample are left
LARGE_BYTES, LARGE_PART = 2400 * 2**20, 8
HELD_BYTES = 16  # of a value as it was read, and of its copy in the training or the held-out part
SCRATCH = 2.2  # times the values as float32: prepared frames of all, of the training and of the held-out segments
FIRST = 2**23  # as many as `metrics.rate_calibration` calibrates, whose imports `info` does without
BIN_WIDTH_S, SIDE = 0.02, 64  # where neither data nor options have set anything yet
NARROWER = {
    "unit": "wider bins (--bin), fewer units (--units) or fewer trials (--where)",
    "x": "smaller frames (--size) or fewer (--every)",
    "roi": "fewer ROIs (--rois), a lower rate (--resample) or fewer trials (--where)",
}


def estimate_fit_memory(n_values: int, *, counts: bool, held: bool = False) -> int:
    """Estimate the bytes that a process holds at most while it reads, fits, scores and writes.

    Parameters
    ----------
    n_values : int
        Frames times channels.
    counts : bool
        Whether they are counts, whose rates are calibrated and scored as well.
    held : bool
        Whether all are in memory as they were read, whatever their number, as those of a series.

    Examples
    --------
    >>> round(estimate_fit_memory(36_000_000, counts=True) / 2**30, 1)
    2.3
    """
    if is_large((n_values,)):
        return LARGE_BYTES + n_values * FLOAT32 // LARGE_PART + (n_values * HELD_BYTES if held else 0)
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
    return estimate_fit_memory(math.prod(source.shape), counts=source.kind == "binned", held=True)


def estimate_recording(recording: xr.Dataset, n_frames: int | None = None) -> int | None:
    """Estimate the bytes of a fit of `recording`, or of `n_frames` of it; None where its values are read in blocks."""
    if is_lazy(recording["data"]):
        return None
    n, *frame = recording["data"].shape
    n_values, held = (n if n_frames is None else n_frames) * math.prod(frame), recording.attrs.get("kind") != "units"
    return estimate_fit_memory(n_values, counts=is_count(recording), held=held)


def count_bins(recording: xr.Dataset, width_s: float) -> int:
    """Count the bins of another width that the segments of a recording hold."""
    length = recording["segment_stop"].values - recording["segment_start"].values
    return int(np.floor(length / width_s + 1e-6).sum())


def find_free() -> int:
    """Bytes that a fit in this process may take: what it holds already is no longer free, and is a part of those."""
    return find_free_memory() + _find_held()


def check_fit_memory(recording: xr.Dataset, widest_s: float | None = None) -> None:
    """Refuse a recording whose fit would take more memory than the machine has free.

    Parameters
    ----------
    recording : xarray.Dataset
    widest_s : float, optional
        Width of the widest bins that may be chosen in place of those of the recording.

    Raises
    ------
    DataError
        That says how much, and which settings make it less; or how much disk the frames of a large one take.
    """
    _check_scratch(recording)
    n_frames = recording.sizes["time"] if widest_s is None else count_bins(recording, widest_s)
    needed, free = estimate_recording(recording, n_frames), find_free()
    if needed is not None and needed > free:
        last = frame_dims(recording)[-1]
        raise DataError(
            f"a fit of {n_frames} frames of {math.prod(recording['data'].shape[1:])} values takes about "
            f"{needed / 2**30:.1f} GiB, and {free / 2**30:.1f} GiB are free",
            where=name_source(recording),
            fix=f"choose {NARROWER.get(last, 'a lower rate (--resample) or a part of the channels')}",
        )


def _check_scratch(recording: xr.Dataset) -> None:
    """Refuse a recording whose prepared frames the folder for temporary files does not hold."""
    if not needs_scratch(recording["data"]):
        return
    folder = tempfile.gettempdir()
    needed, free = int(SCRATCH * FLOAT32 * recording["data"].size), shutil.disk_usage(folder).free
    if needed > free:
        raise DataError(
            f"prepared frames take about {needed / 2**30:.1f} GiB on disk while it is fitted, and {folder} has "
            f"{free / 2**30:.1f} GiB free",
            where=name_source(recording),
            fix="name a folder with more free space in the variable TMPDIR, or read less",
        )


def _find_held() -> int:
    if sys.platform == "win32":
        return 0
    import resource

    # the system counts in KiB, macOS in bytes
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(most if sys.platform == "darwin" else most * 1024)

"""Continue a stored fit's recording by the model's own dynamics."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import xarray as xr

from ..config.file_places import FilePlaces
from ..errors import ParameterError
from ..io.results import read_result
from .stored_source import check_kind, find_reading, load_fitted, read_fitted, read_matched

if TYPE_CHECKING:
    from jaxtyping import Float, Int


def simulate_nwb(
    path: str | Path,
    name: str | None = None,
    *,
    data: str | Path | None = None,
    n_frames: int = 50,
    tau: float = 0.0,
    starts: Literal["last", "first"] | Sequence[float] = "last",
    n_paths: int | None = None,
    seed: int = 0,
    video_dir: str | None = None,
    mask: str | None = None,
    allow_outside: bool = False,
    device: str = "auto",
) -> xr.Dataset:
    """Continue a recording by a stored model's own dynamics.

    Parameters
    ----------
    path : str or Path
        NWB file with the fit.
    name : str, optional
        Of the fit; needed where there are several.
    data : str or Path, optional
        NWB file whose recording is continued, where that is not `path`; channels are matched by id.
    n_frames, tau, n_paths, seed
        See `nwb_dcf.DCF.simulate`.
    starts : {"last", "first"} or sequence of float
        Of each segment, or times in seconds on the session clock: the frames nearest to them.
    video_dir : str, optional
        Folder that holds its videos, where they are not where that file says; no fit remembers it.
    mask : str, optional
        The image that hid parts of their frames, if there was one; no fit opens it by itself.
    allow_outside : bool
        Open videos by paths that leave the folder of the NWB file; no fit allows that by itself.
    device : str
        Where to compute: ``auto``, ``cpu``, ``cuda`` or ``mps``.

    Returns
    -------
    xarray.Dataset
        A recording whose segments are the paths, with ``trial_start_s`` and ``trial_path``; ``attrs["source"]``
        is that of the starts.

    Raises
    ------
    DCFError
        If the fit or its recording cannot be read, or an argument is invalid.
    """
    stored = read_result(path, name)
    beside = FilePlaces(video_dir, mask, allow_outside)
    if data is None:
        given = read_fitted(path, stored, places=beside)
    else:
        read = find_reading(stored, beside)
        given = read_matched(data, stored, read, f"{path}#{stored.name}", "id", False)[0]
    fitted = load_fitted(stored, device)
    check_kind(given, fitted)
    from ..estimator.rollout import Plan, simulate

    # frames and not times go on: a start has its history in the frames before it
    places = starts if isinstance(starts, str) else _find_frames(given["time"].values, starts)
    paths = simulate(fitted, given, Plan(n_frames, tau, places, n_paths, seed))
    return paths.assign_attrs(source=given.attrs["source"], kind="simulation")


def _find_frames(time_s: Float[np.ndarray, " time"], starts: Sequence[float]) -> Int[np.ndarray, " start"]:
    wanted = np.atleast_1d(np.asarray(starts, np.float64))
    if wanted.ndim != 1 or wanted.size == 0 or not np.isfinite(wanted).all():
        raise ParameterError(f"starts is {starts!r}", fix="give last, first, or times in seconds")
    # a second of tolerance for times that were read off a plot
    if wanted.min() < time_s.min() - 1 or wanted.max() > time_s.max() + 1:
        raise ParameterError(
            f"starts go from {wanted.min():g} to {wanted.max():g} s",
            fix=f"the recording goes from {time_s.min():g} to {time_s.max():g} s",
        )
    return np.array([int(np.abs(time_s - at).argmin()) for at in wanted])

"""A stored fit made again from its own provenance, and compared with what is stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from ..config import FitConfig, ReadConfig
from ..config.file_places import FilePlaces
from ..data.recording import frame_dims
from ..data.records import JSON
from ..data.result import DCFResult
from ..errors import DataError, SourceError, StoreError
from ..io.recordings import read_recording
from ..io.results import find_changes, have_equal_tensors, read_result
from .fit_recording import fit_recording, plan_recording
from .stored_source import find_beside, find_mask_hash, find_reading

if TYPE_CHECKING:
    from jaxtyping import Float

    from ..config.progress import Progress

TOLERANCE = 0.01  # of the standard deviation of each latent
_ENVIRONMENT = ("python", "nwb_dcf", "torch", "torchdiffeq", "numpy", "scipy", "xarray")
_COMPARED = ("latents", "flowed", "velocity", "loadings", "mean", "spectrum", "bottleneck_r2")


@dataclass(frozen=True)
class RefitReport:
    """How a fit that was made again compares with the stored one.

    Attributes
    ----------
    file, name : str
        Where the fit is stored.
    data : str
        The file whose data were fitted.
    equal : bool
        Whether latents, flowed latents, velocities, axes, curves and all weights are equal to the bit.
    repeated : bool
        Whether they are equal to the bit, or `difference` is at most `tolerance`.
    difference : float
        Root mean square of the difference of the latents, the largest of all axes, in standard deviations of that axis;
        an axis that came back with the other sign is turned first.
    tolerance : float
    environment : list of str
        What differs between then and now of the versions, the device and the threads of the CPU.
    bottleneck_r2 : (float, float)
        The stored score, and that of the fit made again.
    """

    file: str
    name: str
    data: str
    equal: bool
    repeated: bool
    difference: float
    tolerance: float
    environment: list[str]
    bottleneck_r2: tuple[float, float]

    def to_dict(self) -> JSON:
        """Return the comparison as a JSON-able dict."""
        return asdict(self)


def refit(
    path: str | Path,
    name: str | None = None,
    *,
    data: str | Path | None = None,
    video_dir: str | None = None,
    mask: str | None = None,
    allow_outside: bool = False,
    progress: Callable[[Progress], None] | None = None,
) -> RefitReport:
    """Make a stored fit again from its configuration, and compare; nothing is written.

    On the same machine with the same versions and threads the fit comes back to the bit. Elsewhere sums are rounded
    otherwise, and training enlarges that: the latents are to come back within a hundredth of a standard deviation.

    Parameters
    ----------
    path : str or Path
        NWB file that holds the fit.
    name : str, optional
        Name of the fit; needed only where there are several.
    data : str or Path, optional
        NWB file that holds what was fitted, where that is not `path` nor a file of the recorded name beside it.
    video_dir : str, optional
        Folder that holds its videos, where they are not where that file says; no fit remembers it.
    mask : str, optional
        The image that hid parts of their frames, if there was one; no fit opens it by itself.
    allow_outside : bool
        Open videos by paths that leave the folder of the NWB file; no fit allows that by itself.
    progress : callable, optional
        Called with a `nwb_dcf.config.progress.Progress` every few steps.

    Returns
    -------
    RefitReport

    Raises
    ------
    StoreError
        If there is no such fit, or it is none that can be repeated: interrupted, or made by another fit's model.
    SourceError
        If the data are not there.
    DataError
        If the data have changed since: it says what.
    """
    stored = read_result(path, name)
    where = f"{path}: {stored.name}"
    if "model" in stored.provenance:
        of = stored.provenance["model"].get("name")
        raise StoreError(f"these are latents by another fit's model, {of}", where=where, fix="refit that one")
    if "cohort" in stored.provenance:
        what = "the fit is a session of a cohort, which is fitted as a whole"
        raise StoreError(what, where=where, fix="run nwb-dcf cohort fit again")
    if stored.provenance.get("interrupted"):
        raise StoreError("the fit was interrupted and cannot be repeated", where=where, fix="fit again")
    file = _find_data(path, stored, data)
    # before reading, which takes long; what only the frames show is compared after it
    stale, why = find_changes(file, stored.provenance)
    if stale:
        raise DataError(f"{why}: the fit cannot be repeated", where=str(file), fix="fit the new data with nwb-dcf fit")
    config = FitConfig.from_dict(stored.config)
    read = find_reading(stored, FilePlaces(video_dir, mask, allow_outside)) if config.read else ReadConfig()
    recording = read_recording(file, **asdict(read), progress=progress)
    # a change is reported as such and not as a fit that does not come back
    _require_same(stored, recording, str(file))
    if config.prepare.smooth == "auto":  # fits of before the data could choose hold the word for what is standard now
        config = replace(config, prepare=replace(config.prepare, smooth="standard"))
    split = stored.provenance["split"]
    held_out = float(split["share"]) if split["held_out"] else 0.0  # earlier fits may have had too little to hold out
    plan = plan_recording(recording, replace(config, read=None), held_out=held_out, read=read)
    again = fit_recording(plan, progress=progress)[1]
    return _compare(stored, again, str(path), str(file))


def _find_data(path: str | Path, stored: DCFResult, data: str | Path | None) -> str | Path:
    """File that holds what was fitted: the one named, that of the fit, or the recorded one beside it."""
    if data is not None:
        return data
    stale, why = find_changes(path, stored.provenance)
    recorded = (stored.provenance.get("source") or {}).get("file")
    if stale is not None or "another file" not in (why or ""):
        return path
    beside = find_beside(path, stored)
    if beside is not None:
        return beside
    raise SourceError(
        f"{stored.name} was fitted to {recorded}, which is not here", where=str(path), fix="name it with --data FILE"
    )


def _require_same(stored: DCFResult, recording: xr.Dataset, where: str) -> None:
    """Raise unless the recording is the one that was fitted: source, channels, frames and segments."""
    source, known = recording.attrs["source"], stored.provenance.get("source") or {}
    hashes = [_list_hashes(one) for one in (known, source)]
    if find_mask_hash(known) != find_mask_hash(source):
        raise DataError("the mask is not that of the fit", where=where, fix="name the same image with --mask")
    dataset, dims = stored.dataset, frame_dims(recording)
    fix = "fit the new data with nwb-dcf fit"
    if "None" in hashes[0]:
        what = f"{known.get('path')} was fitted without a hash, so that a change would not be seen"
        raise DataError(what, where=where, fix="fit again")
    if hashes[0] != hashes[1]:
        raise DataError(f"{known.get('path')} has changed since it was fitted", where=where, fix=fix)
    for dim in (*dims, "segment", "time"):
        then, now = dataset.sizes.get(dim), recording.sizes[dim]
        if then != now:
            raise DataError(f"{then} {dim}s were fitted, and there are {now} now", where=where, fix=fix)
    for dim in dims:
        if not np.array_equal(dataset[dim].values, recording[dim].values):
            raise DataError(f"the {dim}s are not those that were fitted", where=where, fix=fix)
    for name in ("time", "segment_start", "segment_stop"):
        if not np.allclose(dataset[name].values, recording[name].values, rtol=0, atol=1e-6):
            raise DataError(f"{name} is not what was fitted: trials or clock have changed", where=where, fix=fix)


def _list_hashes(source: Mapping[str, Any]) -> list[str]:
    # joined sources are hashed one by one
    members = source.get("members") or [source]
    return [str(member.get("sha256")) for member in members]


def _compare(stored: DCFResult, again: DCFResult, path: str, data: str) -> RefitReport:
    one, other = stored.dataset, again.dataset
    # tensors, not bytes: the JSON beside them holds times and versions
    equal = have_equal_tensors(stored.weights, again.weights) and all(
        np.array_equal(one[name].values, other[name].values, equal_nan=True) for name in _COMPARED if name in one
    )
    difference = measure_difference(one["latents"].values, other["latents"].values)
    scores = tuple(float(fit.dataset.attrs["scores"]["bottleneck_r2"]) for fit in (stored, again))
    environment = _list_changes(stored.provenance, again.provenance)
    repeated = equal or difference <= TOLERANCE
    return RefitReport(
        path, stored.name, data, equal, repeated, difference, TOLERANCE, environment, (scores[0], scores[1])
    )


def measure_difference(latents: Float[np.ndarray, "time latent"], again: Float[np.ndarray, "_time _latent"]) -> float:
    """Measure the largest root mean square difference over latents, in standard deviations of the first.

    An axis with the opposite sign is flipped first, since the sign of a latent is arbitrary.
    """
    # float32 would round differences of 1e-7 of a standard deviation away
    a, b = np.asarray(latents, np.float64), np.asarray(again, np.float64)
    if a.shape != b.shape:
        return float("inf")
    # the model leaves the sign of each axis open (paper 3.1)
    signs = np.where((a * b).sum(axis=0) < 0, -1.0, 1.0)
    sd = np.maximum(a.std(axis=0), np.finfo(np.float32).tiny)
    return float((np.sqrt(((a - signs * b) ** 2).mean(axis=0)) / sd).max())


def _list_changes(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    changes = []
    for part, names in (("versions", _ENVIRONMENT), ("machine", ("device", "name", "threads", "products"))):
        for name in names:
            old, new = (provenance.get(part, {}).get(name) for provenance in (then, now))
            if old != new and not (name == "products" and old is None):  # older fits do not say
                changes.append(f"{name}: {old} then, {new} now")
    return changes

"""Every smoothing and scale of a source side by side, before anything is fitted."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..config import PrepareConfig, ReadConfig, sort_settings
from ..config.progress import Listener, Progress
from ..config.time_scale import TimeScales
from ..data.recording import frame_dims, is_count, median_step_s
from ..data.records import JSON, SmoothingRecord, SourceRecord
from ..errors import ParameterError
from ..estimator.smoothing_and_scale import SmoothingChoice, choose_smoothing_and_scale, scan_settings
from ..evaluation.setting_scan import N_AXES, decode_setting
from ..io.recordings import locate, read_recording
from ..io.recordings.behavior import read_behavior
from ..metrics.cross_prediction import SIGMAS_S, list_sigmas

VALUE_SCALES = ("global", "soft", "zscore")


@dataclass(frozen=True)
class ScanReport:
    """What each smoothing and scale of a source is worth.

    Attributes
    ----------
    file : str
    source : dict
        The object, as ``recording.attrs["source"]``.
    kind, dim : str
        Kind of the recording and name of its channels.
    channels, frames : int
    against : str or None
        Path of the behaviour that was decoded.
    axes : int
        Principal axes that it was decoded from.
    rows : list of dict
        ``smooth_s``, ``scale``, ``score`` and ``median_r2`` (see `nwb_dcf.metrics.cross_prediction.SettingScores`; None
        where nothing is shared), ``taken``, whether a fit takes this setting by default, and with behaviour ``ridge``
        and ``neighbours``.
    choice : dict
        What a fit does by default and why, as `SmoothingChoice.to_dict` gives it.
    notes : list of str
    """

    file: str
    source: SourceRecord
    kind: str
    dim: str
    channels: int
    frames: int
    against: str | None
    axes: int
    rows: list[JSON]
    choice: SmoothingRecord
    notes: list[str]

    def to_dict(self) -> JSON:
        """Return the report as a JSON-able dict."""
        return asdict(self)


def scan_nwb(
    path: str | Path, *, against: str | None = None, seed: int = 0, progress: Listener | None = None, **settings: Any
) -> ScanReport:
    """Score every smoothing with every scale for a source, by left-out channels and, if named, by behaviour.

    Parameters
    ----------
    path : str or Path
        NWB file, or an address.
    against : str, optional
        Behaviour to decode beside it: a series by its path or the end of it, as ``behavior/position``. It has no part
        in the choice.
    seed : int
        Of halves of the channels and of blocks of time.
    progress : callable, optional
        Called with a `nwb_dcf.config.progress.Progress` as it goes on.
    **settings
        What to read, as for `nwb_dcf.fit_nwb` (``source``, ``bin_width_s``, ``trials``, ...), and ``transformation``.

    Returns
    -------
    ScanReport

    Raises
    ------
    DCFError
        If the source cannot be read, holds images, or its clock is irregular.

    Notes
    -----
    For spikes the choice is that of a fit, but made on all segments, of which a fit holds some out. Calcium, pose and
    other values are fitted as they are by default: their table is for those who set ``smooth`` and ``scale``.

    Examples
    --------
    >>> scan_nwb("session.nwb", against="behavior/position").rows[0]["score"]  # doctest: +SKIP
    0.74
    """
    reading, rest = sort_settings(settings)
    if reading.get("bin_width_s") == "auto":
        reading.pop("bin_width_s")
    transform = rest.pop("transformation", "auto")
    if rest:
        raise ParameterError(
            f"a scan has no setting {', '.join(sorted(rest))}", fix="give what to read, and transformation"
        )
    read = ReadConfig.make(**reading)
    recording = read_recording(path, **asdict(read), progress=progress)
    counts = is_count(recording)
    config = PrepareConfig(transformation=transform)
    scoring = _name_scoring(progress)
    if counts:
        # as a fit would choose, so that the row marked here is what a fit takes
        choice = choose_smoothing_and_scale(recording, config, seed=seed, progress=scoring)
        table = choice.table
        points = [(float(s), str(c)) for s, c in zip(table["smooth_s"].values, table["scale"].values, strict=True)]
        score, median = table["score"].values, table["median_r2"].values
        notes = []
    # the rule has no table where it cannot choose: all settings are scored then, without a choice
    if not counts or not points:
        # values are fitted unsmoothed by default: that row is to be there
        sigmas = tuple(sorted({0.0, *list_sigmas(median_step_s(recording), SIGMAS_S)}))
        scores = scan_settings(
            recording, transform=transform, sigmas_s=sigmas, scales=VALUE_SCALES, seed=seed, progress=scoring
        )
        points = list(zip(scores.sigma_s.tolist(), scores.scale, strict=True))
        score, median = scores.score, scores.median_r2
        if not counts:
            choice = SmoothingChoice(0.0, "global", False, "values are fitted as they are: set --smooth and --scale")
            notes = ["the rule that chooses for spikes was not made on values; read the table, do not obey it"]
    scales = TimeScales.keep_named(read.time_scale)
    behavior = None if against is None else read_behavior(path, against, recording["time"].values, time_scale=scales)
    rows: list[JSON] = []
    for i, (smooth_s, scale) in enumerate(points):
        taken = (smooth_s, scale) == (choice.smooth_s, choice.scale)
        row = {"smooth_s": smooth_s, "scale": scale, "score": _or_none(score[i]), "median_r2": _or_none(median[i])}
        if behavior is not None:
            if progress:
                progress(Progress("decoding", i, len(points), unit="setting"))
            setting = PrepareConfig(transformation=transform, smooth=smooth_s, scale=scale)  # type: ignore[arg-type]
            row |= decode_setting(recording, behavior.values, setting)
        rows.append({**row, "taken": taken})
    dims = frame_dims(recording)
    return ScanReport(
        file=locate(path).name,
        source=recording.attrs["source"],
        kind=str(recording.attrs["kind"]),
        dim=dims[0],
        channels=int(recording.sizes[dims[0]]),
        frames=int(recording.sizes["time"]),
        against=None if behavior is None else str(behavior.attrs["path"]),
        axes=min(N_AXES, int(recording.sizes[dims[0]])),
        rows=rows,
        choice=choice.to_dict(),
        notes=[*recording.attrs["notes"], *notes],
    )


def _name_scoring(progress: Listener | None) -> Listener | None:
    """Name the stage of the scan: in a fit the same work is a tenth of the whole."""
    return progress and (lambda one: progress(replace(one, stage="scoring settings")))


def _or_none(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None

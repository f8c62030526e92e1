"""Pose (ndx-pose): the coordinates of each body part, where they are trusted, in the camera's frame or the animal's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from ...config import ReadConfig
from ...errors import DataError, ParameterError
from ..backends.session import Session
from .members_clock import SharedClock, read_shared_clock
from .missing_values import MAX_GAP_S, MAX_MISSING, complete
from .provenance import describe_members
from .runs import CutClock, cut_clock
from .segments import ChosenSegments
from .series_values import check_data, convert_samples, count_channels
from .source_kinds import Source, name_members
from .timeseries import AXES, make_traces, read_rows

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Num


def read_pose(
    session: Session, source: Source, config: ReadConfig, notes: list[str], chosen: ChosenSegments | None = None
) -> xr.Dataset:
    """Read the body parts of a PoseEstimation as a recording.

    Parameters
    ----------
    session : Session
        The open file.
    source : Source
        The PoseEstimation; its members are the series of its body parts.
    config : ReadConfig
        Segments, ``min_confidence``, ``max_gap_s`` and ``egocentric``.
    notes : list of str
        Notes made so far; they come first among the recording's notes.
    chosen : ChosenSegments, optional
        Segments in place of those that `config` asks for.

    Returns
    -------
    xarray.Dataset
        ``data`` (time, channel), channels ``PART_x``, ``PART_y`` and, where there is one, ``PART_z``, in the unit of
        the series.

    Raises
    ------
    DataError, ParameterError, SourceError
        If positions are no numbers, hardly any is trusted, or there is no usable clock or segment.
    """
    where = session.where(source.path)
    members = session.find_members(source.members)
    for path, series in members:
        problem = check_data(series) or _check_pose(series)
        if problem:
            raise DataError(problem, where=session.where(path), fix="name one of the other series with --source")
    parts = name_members([path for path, _ in members])
    if config.egocentric is not None:
        # Before anything is read.
        _check_parts(config.egocentric, parts, where)
    clock = read_shared_clock(session, members, "pose")
    cut = cut_clock(session, config, clock.samples, where, chosen)
    values = []
    for (path, series), row in zip(members, clock.row, strict=True):
        axes = np.arange(count_channels(series))
        # Coordinates and confidence are read by the rows of one clock: parts may differ in their samples.
        values.append(convert_samples(series, read_rows(series.data, row, cut), axes, session.where(path)))
    uncertain = _find_uncertain(members, clock, cut, config.min_confidence)
    # A part that is hardly ever found would be interpolated for most of its course.
    fractions = np.array([mask.mean() for mask in uncertain])
    trusted = [i for i in range(len(parts)) if fractions[i] <= MAX_MISSING]
    if not trusted:
        raise DataError(
            f"every body part is below the confidence of {config.min_confidence:g} in more than {MAX_MISSING:.0%} of "
            "the samples read",
            where=where,
            fix="lower it with --min-confidence",
        )
    why = f"confidence below {config.min_confidence:g} in"
    left_out: list[dict[str, object]] = [
        {"what": "body part", "id": parts[i], "why": f"{why} {fractions[i]:.0%} of the samples read"}
        for i in range(len(parts))
        if i not in trusted
    ]
    notes = [*notes, *_note_uncertain([parts[i] for i in trusted], fractions[trusted], config.min_confidence)]
    values = [np.where(uncertain[i][:, None], np.nan, values[i]) for i in trusted]
    ids = [f"{parts[i]}_{axis}" for i, part in zip(trusted, values, strict=True) for axis in AXES[: part.shape[1]]]
    # Columns within the series of each part, by which a stored fit finds its channels again.
    rows = [axis for part in values for axis in range(part.shape[1])]

    gap_s = MAX_GAP_S if config.max_gap_s is None else config.max_gap_s
    shortest_s = config.min_length_s
    done = complete(np.concatenate(values, axis=1), cut, ids, "channel", gap_s, where, min_length_s=shortest_s)
    positions, cut, ids = done.values, done.cut, [ids[i] for i in done.kept]
    if config.egocentric is not None:
        positions, cut = _turn_to_animal(positions, cut, ids, config.egocentric, shortest_s, where)
        centre, ahead = config.egocentric
        notes.append(f"egocentric: {centre} is the origin, and {ahead} lies in the direction of x")
    return make_traces(
        positions,
        cut,
        dim="channel",
        ids=ids,
        unit=str(members[0][1].unit).strip(),
        kind="pose",
        about=describe_members(
            session, source.path, source.neurodata_type, members, np.array([rows[i] for i in done.kept])
        ),
        left_out=[*left_out, *done.left_out],
        notes=[*notes, *done.notes],
        where=where,
    )


def turn_to_animal(
    positions: Num[np.ndarray, "time part axis"],
    centre: Num[np.ndarray, "time axis"],
    ahead: Num[np.ndarray, "time axis"],
) -> Num[np.ndarray, "time part axis"]:
    """Move `centre` to the origin and rotate each frame until `ahead` lies in the direction of x.

    Parameters
    ----------
    positions : array, shape (time, part, axis)
        Two axes, or three; the rotation is in the plane of the first two.
    centre, ahead : array, shape (time, axis)
        Positions of two body parts.

    Returns
    -------
    array, shape (time, part, axis)
        NaN in frames where the two coincide, so that no direction is known.

    Examples
    --------
    >>> turn_to_animal(np.array([[[1.0, 3.0], [0.0, 1.0]]]), np.array([[1.0, 1.0]]), np.array([[1.0, 3.0]])).round(9)
    array([[[2., 0.],
            [0., 1.]]])
    """
    forward = (ahead - centre)[:, :2]
    # The heading is that in the plane of the floor, of a position in three dimensions too.
    length = np.linalg.norm(forward, axis=1, keepdims=True)
    cos, sin = np.divide(forward, length, out=np.full_like(forward, np.nan), where=length > 0).T[:, :, None]
    moved = positions - centre[:, None]
    turned = moved.copy()
    turned[:, :, 0] = cos * moved[:, :, 0] + sin * moved[:, :, 1]
    turned[:, :, 1] = cos * moved[:, :, 1] - sin * moved[:, :, 0]
    return np.asarray(turned)


def _turn_to_animal(
    positions: Float[np.ndarray, "time channel"],
    cut: CutClock,
    ids: Sequence[str],
    parts: tuple[str, str],
    min_length_s: float,
    where: str,
) -> tuple[Float[np.ndarray, "kept channel"], CutClock]:
    """Give positions, in columns ``PART_x``, ``PART_y``, in the frame of the animal; its clock without the unknown."""
    # By then channels may have been left out: both parts must still be whole.
    n_axes = 3 if any(name.endswith("_z") for name in ids) else 2
    names = list(dict.fromkeys(name.rsplit("_", 1)[0] for name in ids))
    if len(ids) != n_axes * len(names) or not set(parts) <= set(names):
        lost = ", ".join(part for part in parts if part not in names) or "some coordinates"
        raise DataError(
            f"{lost} cannot be followed: it was left out as missing",
            where=where,
            fix="choose other parts for --egocentric",
        )
    shaped = positions.reshape(len(positions), len(names), n_axes)
    centre, ahead = (shaped[:, names.index(part)] for part in parts)
    turned = turn_to_animal(shaped, centre, ahead)
    # Exactly 0, so that make_traces leaves these channels out as constant: rounding would keep them as noise.
    for part, axis in ((parts[0], 0), (parts[0], 1), (parts[1], 1)):
        turned[:, names.index(part), axis] = np.where(np.isnan(turned[:, 0, 1]), np.nan, 0.0)
    turned = turned.reshape(positions.shape)
    # A direction is unknown where the two parts coincide; an interpolated one would be invented.
    unknown = np.isnan(turned).any(axis=1)
    if not unknown.any():
        return turned, cut
    cut, kept = cut.keep_frames(~unknown, min_length_s)
    if len(kept) == 0:
        raise DataError(f"{parts[0]} and {parts[1]} always coincide", where=where, fix="choose other parts")
    return turned[kept], cut


def _find_uncertain(
    members: Sequence[tuple[str, Any]], clock: SharedClock, cut: CutClock, min_confidence: float
) -> list[Bool[np.ndarray, " time"]]:
    """Find, for each part, the samples whose confidence is too low; NaN, an unknown confidence, is not too low."""
    uncertain = []
    for (_, series), row in zip(members, clock.row, strict=True):
        confidence = getattr(series, "confidence", None)
        if confidence is None or min_confidence == 0:
            uncertain.append(np.zeros(len(cut.time), dtype=bool))
        else:
            uncertain.append(np.asarray(read_rows(confidence, row, cut), np.float64) < min_confidence)
    return uncertain


def _note_uncertain(parts: Sequence[str], fractions: Float[np.ndarray, " part"], min_confidence: float) -> list[str]:
    if not fractions.any():
        return []
    each = ", ".join(f"{part} {fraction:.1%}" for part, fraction in zip(parts, fractions, strict=True) if fraction > 0)
    return [f"positions below a confidence of {min_confidence:g} are missing (--min-confidence): {each}"]


def _check_pose(series: Any) -> str:
    """Explain why a series does not hold positions of one body part; an empty string where it does."""
    n_axes, confidence = count_channels(series), getattr(series, "confidence", None)
    if n_axes not in (2, 3):
        return f"positions have {n_axes} coordinates (shape {tuple(series.data.shape)}), neither 2 nor 3"
    if confidence is not None and len(confidence) != series.data.shape[0]:
        return f"{len(confidence)} confidences for {series.data.shape[0]} positions"
    return ""


def _check_parts(asked: tuple[str, str], parts: Sequence[str], where: str) -> None:
    unknown = [part for part in asked if part not in parts]
    if unknown or asked[0] == asked[1]:
        what = f"there is no body part {unknown[0]!r}" if unknown else "egocentric names one body part twice"
        raise ParameterError(what, where=where, fix=f"give two of {', '.join(parts)}")

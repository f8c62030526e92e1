"""The video files of an external ImageSeries: find them, and check that they fit together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any

import numpy as np

from ....errors import DataError, DCFError, SourceError
from ...backends.session import Session
from ...special_files import is_inside
from ..provenance import list_names
from .decode import VideoFile, peek_video, probe_video
from .stored_frames import check_stored

if TYPE_CHECKING:
    from jaxtyping import Int


@dataclass(frozen=True)
class FramesSummary:
    """An ImageSeries as far as it is known without reading its frames.

    Attributes
    ----------
    shape : tuple of int
        (frame, y, x); empty where it is unknown.
    problem : str
        Why it cannot be read; empty if it can, as far as headers show.
    played_hz : float
        Frames a second of external files, by their headers; 0 where they differ or have no rate.
    n_hidden : int
        Frames of external files that an edit list hides.
    """

    shape: tuple[int, ...]
    problem: str = ""
    played_hz: float = 0.0
    n_hidden: int = 0


def summarise_frames(session: Session, path: str, series: Any, video_dir: str | None = None) -> FramesSummary:
    """Summarise an ImageSeries by the headers of its files."""
    if not is_external(series):
        return FramesSummary(tuple(int(n) for n in np.shape(series.data)), check_stored(series))
    where = session.where(path)
    try:
        videos = [peek_video(file) for file in find_files(session, path, series, video_dir)]
    except DCFError as error:
        return FramesSummary((), str(error).removeprefix(f"{where}: "))
    # Headers alone: `info` must answer in seconds for hours of video.
    n_hidden = sum(video.n_hidden for video in videos)
    n_frames = count_expected(series) or sum(video.n_frames for video in videos)
    rates = {video.rate_hz for video in videos}
    played_hz = rates.pop() if len(rates) == 1 else 0.0
    return FramesSummary((n_frames, videos[0].height, videos[0].width), played_hz=played_hz, n_hidden=n_hidden)


@dataclass(frozen=True)
class VideoFiles:
    """Video files that follow one another as one series of frames.

    Attributes
    ----------
    files : tuple of VideoFile
        In order, of one size.
    first : array of int, shape (file,)
        Number in the series of the first frame of each file.
    """

    files: tuple[VideoFile, ...]
    first: Int[np.ndarray, " file"]

    @property
    def n_frames(self) -> int:
        """Number of frames of all files."""
        return sum(file.n_frames for file in self.files)

    @property
    def n_hidden(self) -> int:
        """Number of frames of all files that an edit list hides."""
        return sum(file.n_hidden for file in self.files)

    @property
    def names(self) -> str:
        """Base names of the files, for people."""
        # Base names: folders are private, and notes are written into files.
        names = [file.path.name for file in self.files]
        return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def is_external(series: Any) -> bool:
    """Return whether the frames of an ImageSeries lie in files of their own."""
    return series.external_file is not None and len(series.external_file) > 0


def find_files(session: Session, path: str, series: Any, video_dir: str | None) -> list[Path]:
    """Find the external files of an ImageSeries, in order.

    Parameters
    ----------
    session : Session
        The open file; relative paths start at its folder.
    path : str
        Path of the series.
    series : pynwb.image.ImageSeries
    video_dir : str or None
        Folder to look in instead: for the stored path below it, or for its last parts.

    Raises
    ------
    SourceError
        If one is not there.
    """
    return [_find_file(session, path, name, video_dir) for name in list_names(series)]


def list_tracked(session: Session, path: str) -> list[str]:
    """List the names of the videos that a PoseEstimation was tracked in; empty where it names none."""
    ((_, pose),) = session.find_members((path,))
    videos = getattr(pose, "original_videos", None)
    return [] if videos is None else [name.decode() if isinstance(name, bytes) else str(name) for name in videos[:]]


def open_videos(
    session: Session, path: str, series: Any, video_dir: str | None, *, by_file: bool = False
) -> VideoFiles:
    """Count the frames of every file of an ImageSeries, and check that together they are its frames.

    With `by_file` their times are those of the files, so that frames which an edit list hides need no sample.

    Raises
    ------
    SourceError
        If a file is missing, damaged, truncated or empty.
    DataError
        If files differ in size, or their frames from ``starting_frame``, ``num_samples`` or the timestamps in number.
    """
    where = session.where(path)
    files = tuple(probe_video(file) for file in find_files(session, path, series, video_dir))
    videos = VideoFiles(files, np.cumsum([0, *(file.n_frames for file in files[:-1])]))
    expected = count_expected(series)
    # A truncated file explains a wrong number, and is a better message than the number.
    if expected != videos.n_frames:
        for file in files:
            if file.n_frames + file.n_hidden < file.n_declared:
                raise SourceError(
                    f"this video is truncated: {file.n_frames} of {file.n_declared} frames are there",
                    where=str(file.path),
                    fix="copy it again",
                )
    # Frames of one array have one size.
    for file in files[1:]:
        if (file.width, file.height) != (files[0].width, files[0].height):
            raise DataError(
                f"videos of two sizes: {files[0].path.name} has {files[0].width} x {files[0].height} pixels and "
                f"{file.path.name} {file.width} x {file.height}",
                where=where,
                fix="store them as two ImageSeries",
            )
    if expected is not None and videos.n_frames < expected <= videos.n_frames + videos.n_hidden:
        # A number of samples that counts hidden frames is a known fault of writers, and the times of the file settle
        # it.
        if by_file and series.timestamps is None:
            return videos
        what = "timestamps" if series.timestamps is not None else "samples (num_samples)"
        raise DataError(
            f"{expected} {what}, and {videos.names} shows {videos.n_frames} frames: {videos.n_hidden} more are in it, "
            "hidden by an edit list, as where a clip was cut without encoding it anew",
            where=where,
            fix=f"write the number and the clock of the {videos.n_frames} frames that players show"
            + (", or take the video's times with --frame-times file" if series.timestamps is None else ""),
        )
    if expected is not None and expected != videos.n_frames:
        clock = "timestamps" if series.timestamps is not None else "samples (num_samples)"
        raise DataError(
            f"{expected} {clock} for {videos.n_frames} frames in {videos.names}",
            where=where,
            fix="count both at the origin: is this the right video, and is it whole?",
        )
    _check_starting_frames(series, videos, where)
    return videos


def count_expected(series: Any) -> int | None:
    """Return the number of frames that the NWB file promises; None where it has none."""
    if series.timestamps is not None:
        return len(series.timestamps)
    promised = getattr(series, "num_samples", None)
    return int(promised) if promised else None


def _check_starting_frames(series: Any, videos: VideoFiles, where: str) -> None:
    """Refuse files whose frames contradict ``starting_frame``: one is missing, or they are out of order."""
    stored = series.starting_frame
    # One file needs no starting_frame, and many tools write none.
    stated = [] if stored is None else [int(n) for n in np.atleast_1d(np.asarray(stored[:]))]
    if stated == videos.first.tolist() or (len(videos.files) == 1 and not stated):
        return
    counted = _shorten(videos.first.tolist())
    raise DataError(
        f"starting_frame is {_shorten(stated)}, but by the frames in {videos.names} it is {counted}",
        where=where,
        fix="are the files in order, and all there? If so write the true starting_frame into the NWB file",
    )


def _shorten(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:6]))
    return f"[{shown}{', ...' if len(numbers) > 6 else ''}]"


def _find_file(session: Session, path: str, name: str, video_dir: str | None) -> Path:
    """Find one video file by the name that the NWB file has for it."""
    where, beside = session.where(path), session.path
    if "://" in name or (video_dir is None and not isinstance(beside, Path)):
        raise SourceError(
            f"its video file {name} is not on this machine",
            where=where,
            fix="download it and name its folder with --video-dir",
        )
    # The file may have been written on another system.
    stored = PureWindowsPath(name) if "\\" in name or name[1:2] == ":" else PurePosixPath(name)
    # In a folder that is given, the whole stored path is tried, then ever shorter ends of it.
    parts = stored.relative_to(stored.anchor).parts
    if video_dir is not None:
        folder = Path(video_dir)
        if not folder.is_dir():
            raise SourceError(f"there is no folder {video_dir}", where=where, fix="check the path given as --video-dir")
        tried = [folder.joinpath(*parts[start:]) for start in range(len(parts))]
        tried = [file for file in tried if session.allow_outside or is_inside(file, folder)]
        found = next((file for file in tried if file.is_file()), None)
        if found is None:
            raise SourceError(
                f"its video file {name} is not in {video_dir}", where=where, fix="check the folder given as --video-dir"
            )
        return found
    # A path of Windows is never absolute here: its parts are tried beside the NWB file.
    absolute = isinstance(stored, PurePosixPath) and stored.is_absolute()
    folder = Path(str(beside)).absolute().parent
    file = Path(stored) if absolute else folder.joinpath(*parts)
    if not session.allow_outside and not is_inside(file, folder):
        raise SourceError(
            f"its video file {name} lies outside the folder of the NWB file",
            where=where,
            fix="name the folder that holds it with --video-dir, or trust the file's paths with --allow-outside",
        )
    if not file.is_file():
        raise SourceError(
            f"its video file {name} is missing: there is no {file}",
            where=where,
            fix="put it there, or name the folder that holds it with --video-dir",
        )
    return file

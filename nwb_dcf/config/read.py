"""What to read from a file, and how."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field

from .time_scale import TimeScales
from .validation import Count, Fraction, Index, NotNegative, Positive, Settings, names_of, require, settings

MIN_SIDE = 4
"""Least side of a frame in pixels."""
Side = Annotated[int, Field(ge=MIN_SIDE)]

PLACES = ("mask", "video_dir", "keep_frames", "allow_outside")
"""Settings that name or make files of this machine: given by whoever asks, never obeyed from a file."""


@settings
class ReadConfig:
    """What to read from a file: the settings of `nwb_dcf.read_recording`.

    Parameters
    ----------
    source : str or tuple of str, optional
        ``"units"``, the path of an object, or a name that is unique in the file. By default the first kind that the
        file has; the recording's notes say why. Several are joined on one clock: the bins of units, else the samples
        of the slowest.
    bin_width_s : float
        Width of spike count bins in seconds; a series keeps its own samples.
    resample_hz : float, optional
        Frames a second, for a series that is not to keep its own samples (`io.recordings.resample`); of several, the
        clock on which they are joined. Units have bins instead.
    trials : str or tuple of str
        ``"auto"``: the table ``trials`` if its intervals are usable, else the continuous intervals.
        ``"none"``: the continuous intervals. Else the name or path of a table of intervals, or of several that are
        read as one.
    tags : str or tuple of str, optional
        Which intervals: those with one of these in their column ``tags``. With ``trials="auto"`` of the table
        ``epochs``, if it has tags.
    align : str, optional
        A column of that table with times, or with ``trials="auto"`` a TimeSeries of events; segments are then windows
        around them.
    window : (float, float), optional
        Start and stop of those windows in seconds, relative to the times.
    overlap : {"refuse", "first"}
        What to do with intervals that overlap: refuse them, or leave out those that begin within one that is taken.
    min_length_s : float
        Segments shorter than this many seconds are left out.
    where : str, optional
        Which trials: a condition on columns, such as ``"direction == 3 and correct == 1"``.
    units : str or tuple of int, optional
        Which units: ids, or a condition on columns, such as ``"location == 'M1'"``.
    rois : str or tuple of int, optional
        Which ROIs: ids, a condition on columns of their PlaneSegmentation, or ``"all"``. By default those that its
        quality columns (``Accepted``, ``iscell``, ``Rejected``) call good.
    transpose : bool
        Whether the data of the series are stored as (channel, time), and are to be read so; of several sources, those
        that are wider than long.
    max_gap_s : float, optional
        Missing samples (NaN) are interpolated where the values around them are at most so many seconds apart; longer
        gaps cut the segment. 0.5 for ROIs, families of series and pose; NaN in other series is refused unless
        this is given.
    dff : bool
        Turn raw fluorescence into dF/F, F0 being a running quantile.
    dff_window_s, dff_quantile : float
        Length of its window in seconds, and the quantile.
    size : int or (int, int)
        Frames of video or imaging are read at no more than so many pixels a side, or (width, height): each pixel is the
        mean of the area it stands for, and an oblong frame is read as a square. Smaller frames stay as they are.
    crop : (int, int, int, int), optional
        The part of the frames that is read: x and y of its upper left corner, width and height, in their own pixels.
    every : int
        Read the first frame of every so many.
    mask : str, optional
        An image as large as the whole frames, or an array of that shape in a .npy file. Where it is black (0), and in
        every pixel that stands for any such part, frames are set to 0. A relative path starts here or, failing that,
        at the folder of the NWB file.
    video_dir : str, optional
        Folder that holds the video files, where they are no longer where the NWB file says.
    frame_times : {"auto", "nwb", "file"}
        When frames were taken: as the NWB file says, or as the video files say, counted from its first time. ``auto``
        takes the NWB file's, unless it has merely a rate that the video files contradict.
    keep_frames : bool
        Keep the frames as read in a file beside the video, and take them from there the next time.
    min_confidence : float
        Positions of body parts whose confidence is lower are missing; 0 trusts all.
    egocentric : (str, str), optional
        Two body parts: the first becomes the origin, and the second lies in the direction of x.
    bands : str, optional
        Frequency bands of an ElectricalSeries in Hz, such as ``"4-8,30-80"``, or ``"none"`` for the voltages
        themselves. By default 1-4, 4-8, 8-12, 12-30 and 30-80.
    power_rate_hz : float
        Power in bands is averaged so many times a second.
    time_scale : str, float or tuple of them, optional
        What stored times are multiplied by to be seconds: ``0.001`` or ``"1/30000"`` for those of what is fitted,
        ``"trials=0.001"`` for one table, series or column. 1 says that they are seconds, whatever they look like.
    cut_gaps : bool
        Cut units where nothing was recorded: where none of them fires for far longer than their rates allow
        (`nwb_dcf.io.recordings.silence`).
    keep_invalid : bool
        Read what the file marks as invalid for the source too.
    allow_external : bool
        Read values that lie in other files, to which the file leads.
    allow_outside : bool
        Open video files by paths that leave the folder of the NWB file, or `video_dir`.
    """

    source: str | tuple[str, ...] | None = None
    bin_width_s: Positive = 0.02
    resample_hz: Positive | None = None
    trials: str | tuple[str, ...] = "auto"
    tags: str | tuple[str, ...] | None = None
    align: str | None = None
    window: tuple[float, float] | None = None
    overlap: Literal["refuse", "first"] = "refuse"
    min_length_s: NotNegative = 0.0
    where: str | None = None
    units: str | tuple[int, ...] | None = None
    rois: str | tuple[int, ...] | None = None
    transpose: bool = False
    max_gap_s: NotNegative | None = None
    dff: bool = False
    dff_window_s: Positive = 60.0
    dff_quantile: Fraction = 0.1
    size: Side | tuple[Side, Side] = 64
    crop: tuple[Index, Index, Side, Side] | None = None
    every: Count = 1
    mask: str | None = None
    video_dir: str | None = None
    frame_times: Literal["auto", "nwb", "file"] = "auto"
    keep_frames: bool = False
    min_confidence: Fraction = 0.6
    egocentric: tuple[str, str] | None = None
    bands: str | None = None
    power_rate_hz: Positive = 20.0
    time_scale: str | float | tuple[str | float, ...] | None = None
    cut_gaps: bool = True
    keep_invalid: bool = False
    allow_external: bool = True
    allow_outside: bool = False

    def __post_init__(self) -> None:
        self._refuse_empty()
        require(
            self.dff or (self.dff_window_s == 60 and self.dff_quantile == 0.1),
            "--dff-window or --dff-quantile is given, yet dF/F is not asked for",
            "add --dff",
        )
        if isinstance(self.source, tuple):
            require(bool(self.source), "source is empty", "give a name")
            require(
                len(set(self.source)) == len(self.source), f"sources are {', '.join(self.source)}", "name each once"
            )
            object.__setattr__(self, "source", self.source if len(self.source) > 1 else self.source[0])
        if self.window is not None:
            require(self.window[0] < self.window[1], f"window is {self.window}", "give two times, the earlier first")
        require(
            (self.align is None) == (self.window is None),
            "--align and --window belong together",
            "give both --align COLUMN and --window A B",
        )
        for name in ("trials", "tags"):
            object.__setattr__(self, name, _simplify(getattr(self, name)))
        require(bool(self.trials), "trials names no table", "give 'auto', 'none' or the name of a table")
        require(
            not (self.trials == "none" and (self.align or self.where or self.tags)),
            "trials is 'none', yet --align, --where or --tags selects trials",
            "name a table of intervals with --trials",
        )
        require(
            isinstance(self.trials, str) or not {"auto", "none"} & set(self.trials),
            f"trials is {', '.join(self.trials)}",
            "give 'auto' or 'none' alone, or names of tables",
        )
        TimeScales.parse(self.time_scale)

    def _refuse_empty(self) -> None:
        """Refuse text that says nothing: an unset variable of a shell would otherwise choose everything."""
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            words = value if isinstance(value, tuple) else (value,)
            empty = any(isinstance(word, str) and not word.strip() for word in words)
            require(not empty, f"{field.name} is empty", "leave it out, or give a value")

    @classmethod
    def make(cls, **values: Any) -> Self:
        """Make a config of `values`, sequences of any kind for tuples.

        Raises
        ------
        ParameterError
            If a name is unknown or a value is invalid.
        """
        return cls(**values)

    def to_record(self) -> Settings:
        """Return the settings for a result, JSON-able, without folders of this machine: archives publish them."""
        mask = Path(self.mask).name if self.mask else None
        return {**dataclasses.asdict(self), "mask": mask, "video_dir": None}

    def without_places(self) -> Self:
        """Return the settings that shape the data, for what a stored fit says: it opens and writes no other files."""
        return dataclasses.replace(self, **{name: getattr(type(self)(), name) for name in PLACES})

    @classmethod
    def names(cls) -> frozenset[str]:
        """Names of the settings."""
        return frozenset(names_of(cls))


def _simplify(names: str | tuple[str, ...] | None) -> str | tuple[str, ...] | None:
    """One name as itself, none as None, several as a tuple: "a,b" and ("a", "b") are one setting."""
    if names is None:
        return None
    words = [names] if isinstance(names, str) else list(names)
    split = tuple(part.strip() for word in words for part in word.split(",") if part.strip())
    return split[0] if len(split) == 1 else split or None

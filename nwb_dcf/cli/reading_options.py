"""Options that say what is read of a file and how: the same for every command that fits or scans one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from .options import join_names, parse_seconds, parse_size

_OPTIONS = (
    click.option(
        "--source",
        multiple=True,
        callback=join_names,
        metavar="NAME",
        help="What to fit: 'units', 'video', or the path or name of a series; repeat it to join several.",
    ),
    click.option(
        "--bin",
        "bin_width_s",
        callback=parse_seconds,
        metavar="SECONDS|auto",
        help="Width of a bin; auto: a quarter of the smoothing that the data choose, 0.02 to 0.1 s.",
    ),
    click.option("--resample", "resample_hz", type=float, metavar="HZ", help="Put a series on a regular clock."),
    click.option(
        "--trials",
        multiple=True,
        callback=join_names,
        metavar="auto|none|TABLE",
        help="Intervals to fit within, auto by default; repeat it to join several tables.",
    ),
    click.option(
        "--tags", multiple=True, callback=join_names, metavar="TAG", help="Which epochs: those tagged so; repeat it."
    ),
    click.option("--align", metavar="COLUMN|SERIES", help="Cut a window about these times; needs --window."),
    click.option(
        "--window", type=float, nargs=2, metavar="A B", help="That window: seconds from the time to its edges."
    ),
    click.option("--where", metavar="EXPRESSION", help="Which trials, as \"outcome == 'hit' and direction < 90\"."),
    click.option("--overlap", metavar="refuse|first", help="Of intervals; first: leave later ones out."),
    click.option("--min-length", "min_length_s", type=float, metavar="SECONDS", help="Leave shorter segments out."),
    click.option(
        "--time-scale",
        multiple=True,
        callback=join_names,
        metavar="[NAME=]FACTOR",
        help="What times are multiplied by to be seconds, as 0.001, 1/30000 or trials=0.001; repeat it.",
    ),
    click.option("--gaps/--no-gaps", "cut_gaps", default=True, help="Cut, or keep, pauses where no unit was recorded."),
    click.option("--keep-invalid", is_flag=True, help="Read what the file marks as invalid too."),
    click.option(
        "--external/--no-external", "allow_external", default=True, help="Read, or refuse, values in other files."
    ),
    click.option("--units", metavar="EXPRESSION|IDS", help="Which units, as \"location == 'M1'\" or 3,5,9."),
    click.option("--rois", metavar="EXPRESSION|IDS|all", help="Which ROIs; by default those accepted in their table."),
    click.option(
        "--transpose", is_flag=True, default=None, help="The data are stored as (channel, time): read them so."
    ),
    click.option(
        "--max-gap", "max_gap_s", type=float, metavar="SECONDS", help="Bridge NaN up to this; longer ones cut."
    ),
    click.option("--dff", is_flag=True, help="Turn fluorescence into dF/F; F0 is a running quantile."),
    click.option(
        "--dff-window", "dff_window_s", type=float, default=60.0, show_default=True, help="Its window, seconds."
    ),
    click.option("--dff-quantile", type=float, default=0.1, show_default=True, help="The quantile, 0 to 1."),
    click.option(
        "--size", callback=parse_size, metavar="N|WxH", help="Of a video's frames at most, pixels; 64 by default."
    ),
    click.option("--crop", type=int, nargs=4, metavar="X Y W H", help="The part of them that is read, pixels."),
    click.option("--every", type=int, metavar="N", help="Read one frame of every N."),
    click.option("--mask", metavar="IMAGE", help="Hide what is black in this image, as large as the frames."),
    click.option("--video-dir", metavar="FOLDER", help="Where the video files are, if they were moved."),
    click.option("--allow-outside", is_flag=True, help="Open videos by paths that leave the folder of FILE."),
    click.option("--frame-times", metavar="auto|nwb|file", help="Whose clock, if they disagree."),
    click.option("--keep-frames", is_flag=True, default=None, help="Keep the frames as read beside the video."),
    click.option("--min-confidence", type=float, default=0.6, show_default=True, help="Of a position, to be trusted."),
    click.option(
        "--egocentric", nargs=2, metavar="A B", help="Body part A is the origin, B lies in the direction of x."
    ),
    click.option("--bands", metavar="LOW-HIGH,...|none", help="Of power, in Hz; none: fit the voltages themselves."),
    click.option("--power-rate", "power_rate_hz", type=float, default=20.0, show_default=True, help="Of power, in Hz."),
)


def with_reading_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add an option for each field of `nwb_dcf.config.ReadConfig` to a command."""
    for option in reversed(_OPTIONS):  # click lists first what is added last
        command = option(command)
    return command

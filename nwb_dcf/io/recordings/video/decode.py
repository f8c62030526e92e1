"""Video files by PyAV: their headers, their packets, and their frames at the size that is wanted.

A filter graph crops, shrinks and turns to gray within ffmpeg, so that a full frame never becomes an array.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ....errors import SourceError

if TYPE_CHECKING:
    from jaxtyping import Float, Int, Real, UInt8

WHITE = 255.0
DEEP_WHITE = 65535.0
"""White in 8 and in 16 bits: videos with more than 8 bits are read in 16, and scaled to the range of 8."""

CONTAINERS = (
    "mov", "mp4", "m4a", "3gp", "3g2", "mj2", "avi", "matroska", "webm", "mpeg", "mpegts", "mpegvideo", "m4v", "mjpeg",
    "h264", "hevc", "ogg", "flv", "asf", "gif", "mxf", "ivf", "dv", "nut", "yuv4mpegpipe",
    "png_pipe", "jpeg_pipe", "bmp_pipe", "tiff_pipe", "webp_pipe", "pgm_pipe", "pgmyuv_pipe", "pbm_pipe", "ppm_pipe",
)  # fmt: skip
"""Containers of ffmpeg that hold frames themselves. Lists of other files and descriptions of streams are not among
them: a file of a stranger would have ffmpeg open what it names."""
OPEN_OPTIONS = {"protocol_whitelist": "file", "format_whitelist": ",".join(CONTAINERS)}

SEEK_BEYOND = 60
"""Frames: up to a frame less far ahead all frames are decoded, which is faster than to seek it."""


@dataclass(frozen=True)
class VideoFile:
    """A video file: its frames, their size and times.

    Attributes
    ----------
    path : Path
    width, height : int
        Pixels, of the frames as players show them.
    deep : bool
        Whether a pixel has more than 8 bits.
    n_frames : int
        Frames found; 0 in the summary of `peek_video` where the header has no number.
    n_declared : int
        Frames that the header of the file promises; 0 where it has no number.
    time_s : array of float64, shape (frame,), or None
        Presentation time of each frame, from the first one; None where the file has none.
    tick_s : float
        Resolution of those times.
    n_hidden : int
        Frames that an edit list hides from players: those before a cut that was made without encoding anew. In the
        summary of `peek_video` those at the beginning.
    turned : int
        Degrees, clockwise, by which players turn the frames: 0, 90, 180 or 270.
    rate_hz : float
        Frames a second, by the header; 0 where it has no rate.
    """

    path: Path
    width: int
    height: int
    deep: bool
    n_frames: int
    n_declared: int
    time_s: Float[np.ndarray, " frame"] | None = None
    tick_s: float = 0.0
    n_hidden: int = 0
    turned: int = 0
    rate_hz: float = 0.0


def peek_video(path: Path) -> VideoFile:
    """Describe a video by its header alone.

    Raises
    ------
    SourceError
        If it cannot be opened, or holds no video.
    """
    with _open_stream(path) as (container, stream):
        n_hidden = _count_hidden(container, stream)
        return _describe_stream(path, stream, n_frames=max(int(stream.frames) - n_hidden, 0), n_hidden=n_hidden)


def probe_video(path: Path) -> VideoFile:
    """Describe a video by all of its packets, which are counted and not decoded.

    Raises
    ------
    SourceError
        If it cannot be read, or holds no video or no frame.
    """
    with _open_stream(path) as (container, stream):
        # Packets are counted without decoding them, since headers may promise other numbers.
        shown, n_hidden = [], 0
        for packet in container.demux(stream):
            if packet.size and packet.is_discard:  # ffmpeg marks what an edit list hides
                n_hidden += 1
            elif packet.size:
                shown.append(packet.pts)
        if not shown:
            raise SourceError("this video has no frames", where=str(path), fix="copy it again or record it anew")
        time = None
        # Raw streams have no presentation times.
        if all(pts is not None for pts in shown):
            ticks = np.sort(np.array(shown, np.int64))  # packets come in the order of decoding, B-frames late
            if (np.diff(ticks) > 0).all():
                time = (ticks - ticks[0]) * float(stream.time_base)
        return _describe_stream(path, stream, n_frames=len(shown), time=time, n_hidden=n_hidden)


def decode_frames(
    video: VideoFile, crop: tuple[int, int, int, int], size: tuple[int, int], wanted: Int[np.ndarray, " wanted"]
) -> Iterator[Real[np.ndarray, "y x"]]:
    """Decode the frames whose numbers are `wanted`, in gray.

    Parameters
    ----------
    video : VideoFile
        As `probe_video` returns it.
    crop : (int, int, int, int)
        x, y, width and height of the part that is wanted.
    size : (int, int)
        Width and height to shrink it to.
    wanted : array of int, shape (wanted,)
        Numbers of frames in the file, increasing.

    Yields
    ------
    array of uint8, or of float32 where the video is deep, shape (height, width)
        0 (black) to 255 (white).

    Raises
    ------
    SourceError
        If the file is damaged, ends early, or changes its size.

    Notes
    -----
    The frames before a wanted one are decoded too, in as many threads as there are cores: seeking would need
    the index of the file, which many cameras write wrongly.
    """
    numbers = iter(wanted.tolist())
    next_wanted = next(numbers, None)
    if next_wanted is None:
        return
    n_decoded = 0
    with _open_stream(video.path) as (container, stream):
        stream.thread_type = "AUTO"
        # Within ffmpeg, where a full frame never becomes an array.
        shrink = _Shrinker(video, crop, size, stream.time_base)
        for frame in container.decode(stream):
            if n_decoded == next_wanted:
                yield shrink(frame, n_decoded)
                next_wanted = next(numbers, None)
                if next_wanted is None:
                    return
            n_decoded += 1
    raise SourceError(
        f"only {n_decoded} of {video.n_frames} frames can be decoded: the video is truncated or damaged",
        where=str(video.path),
        fix="copy it again",
    )


class FrameSeeker:
    """Frames of one video by number, in any order, in colour: for figures, not for fitting.

    Frames that follow are decoded one after the other; a far one is sought. The index of the file is not trusted: a
    frame is identified by its presentation time, and where that fits none, or the wanted frame has been passed, the
    file is decoded from its start.

    Parameters
    ----------
    video : VideoFile
        As `probe_video` returns it.
    most : int
        Frames are shrunk until no side has more pixels.
    """

    def __init__(self, video: VideoFile, most: int) -> None:
        self.video = video
        factor = min(1.0, most / max(video.width, video.height))
        self.size = max(1, round(video.width * factor)), max(1, round(video.height * factor))
        self._stack = ExitStack()
        self._frames: Iterator[Any] = iter(())
        self._container: Any = None
        self._stream: Any = None
        self._next = 0
        self._first: int | None = None

    def read(self, number: int) -> UInt8[np.ndarray, "y x 3"]:
        """Decode frame `number`.

        Returns
        -------
        array of uint8, shape (y, x, 3)

        Raises
        ------
        SourceError
            If the file is damaged or ends early.
        """
        if not 0 <= number < self.video.n_frames:
            raise SourceError(f"there is no frame {number} of {self.video.n_frames}", where=str(self.video.path))
        found = None
        if self._container is not None and self._next <= number < self._next + SEEK_BEYOND:
            found = self._decode_to(number)
        elif self.video.time_s is not None and number >= SEEK_BEYOND:
            found = self._seek(number)
        if found is None:
            self._restart()
            found = self._decode_to(number)
        if found is None:
            raise SourceError(
                f"frame {number} of {self.video.n_frames} cannot be decoded: the video is truncated or damaged",
                where=str(self.video.path),
                fix="copy it again",
            )
        width, height = self.size
        return np.asarray(found.reformat(width=width, height=height, format="rgb24").to_ndarray())

    def close(self) -> None:
        """Close the file."""
        self._stack.close()
        self._container = None

    def _restart(self) -> None:
        self.close()
        self._stack = ExitStack()
        self._container, self._stream = self._stack.enter_context(_open_stream(self.video.path))
        self._stream.thread_type = "AUTO"
        self._frames, self._next = self._container.decode(self._stream), 0

    def _decode_to(self, number: int) -> Any:
        for frame in self._frames:
            if self._next == 0 and self._first is None:
                self._first = frame.pts
            self._next += 1
            if self._next == number + 1:
                return frame
        self._container = None  # a decoder at its end gives no more frames, even after a seek
        return None

    def _seek(self, number: int) -> Any:
        """Seek frame `number`; None where the times of the frames after the seek do not lead to it."""
        if self._first is None or self._container is None:
            self._restart()
            self._decode_to(0)
        if self._first is None or self.video.time_s is None:
            return None
        # Presentation times need not start at 0.
        tick = round(float(self.video.time_s[number]) / self.video.tick_s) + self._first
        self._container.seek(tick, stream=self._stream, backward=True)
        self._frames = self._container.decode(self._stream)
        for frame in self._frames:
            if frame.pts is None:
                return None
            time = (frame.pts - self._first) * self.video.tick_s
            # Half a tick of tolerance: times are whole numbers of ticks.
            here = int(np.searchsorted(self.video.time_s, time - self.video.tick_s / 2))
            if here >= self.video.n_frames or abs(self.video.time_s[here] - time) > self.video.tick_s / 2:
                return None
            if here >= number:
                self._next = here + 1
                return frame if here == number else None
        return None


def decode_image(path: Path) -> UInt8[np.ndarray, "y x"]:
    """Read a picture in gray, 0 (black) to 255 (white).

    Raises
    ------
    SourceError
        If the file is no picture.
    """
    with _open_stream(path) as (container, stream):
        for frame in container.decode(stream):
            return np.asarray(frame.to_ndarray(format="gray"))
    raise SourceError("this image is empty", where=str(path), fix="save it again")


TURNS: dict[int, tuple[tuple[str, ...], ...]] = {
    0: (),
    90: (("transpose", "clock"),),
    180: (("hflip",), ("vflip",)),
    270: (("transpose", "cclock"),),
}
"""Filters that turn a frame clockwise by so many degrees."""


class _Shrinker:
    """Crops, shrinks and turns to gray by one filter graph, built for the format of the first frame."""

    def __init__(self, video: VideoFile, crop: tuple[int, int, int, int], size: tuple[int, int], time_base: Any):
        self.video, self.crop, self.size, self.time_base = video, crop, size, time_base
        self.graph: Any = None
        self.format: Any = None

    def __call__(self, frame: Any, number: int) -> Real[np.ndarray, "y x"]:
        video = self.video
        size = (video.height, video.width) if video.turned in (90, 270) else (video.width, video.height)
        # ffmpeg would scale it to the size of the first without a word.
        if (frame.width, frame.height) != size:
            raise SourceError(
                f"frame {number} has {frame.width} x {frame.height} pixels, the first {size[0]} x {size[1]}",
                where=str(video.path),
                fix="divide the video where its size changes",
            )
        # The pixel format may change within a file, as where a camera is reconfigured.
        if self.format is None or frame.format.name != self.format.name:
            self.format = frame.format
            self.graph = self._build_graph()
        self.graph.vpush(frame)
        values = np.asarray(self.graph.vpull().to_ndarray())
        return values.astype(np.float32) * np.float32(WHITE / DEEP_WHITE) if video.deep else values

    def _build_graph(self) -> Any:
        # Imported late: av is an optional dependency.
        from av.filter import Graph

        graph, video = Graph(), self.video
        x, y, width, height = self.crop
        size = (video.height, video.width) if video.turned in (90, 270) else (video.width, video.height)
        nodes = [graph.add_buffer(width=size[0], height=size[1], format=self.format, time_base=self.time_base)]
        # Crops are given in pixels of the frames that players show, so that frames are turned first.
        nodes += [graph.add(*step) for step in TURNS[video.turned]]
        if (width, height) != (video.width, video.height):
            nodes.append(graph.add("crop", f"{width}:{height}:{x}:{y}:exact=1"))
        nodes.append(graph.add("scale", f"{self.size[0]}:{self.size[1]}:flags=area"))
        nodes.append(graph.add("format", "gray16le" if video.deep else "gray"))
        nodes.append(graph.add("buffersink"))
        for earlier, later in zip(nodes[:-1], nodes[1:], strict=True):
            earlier.link_to(later)
        graph.configure()
        return graph


@contextmanager
def _open_stream(path: Path) -> Iterator[tuple[Any, Any]]:
    """Open a file and its first video stream; errors of ffmpeg become errors for people."""
    try:
        import av
    except ImportError as error:
        raise SourceError(
            "reading video needs the package av", where=str(path), fix="pip install 'nwb-dcf[video]'"
        ) from error
    try:
        # "file:" and an absolute path: a name is never taken for an address, nor for a list of other files
        name = f"file:{Path(path).absolute()}"
        with av.open(name, options=dict(OPEN_OPTIONS), metadata_errors="replace") as container:
            if not container.streams.video or container.streams.video[0].codec_context is None:
                raise SourceError("this file holds no video", where=str(path), fix="give the video that was recorded")
            yield container, container.streams.video[0]
    except av.error.FFmpegError as error:
        why = "it is truncated or damaged"
        if isinstance(error, av.error.ArgumentError):  # what ffmpeg says of containers that are not on the list
            why = "it is damaged, or of a container that is not read (avi, mp4, mov, mkv and their like are)"
        raise SourceError(
            f"this video cannot be read, {why}: {error.strerror}", where=str(path), fix="copy it again"
        ) from error
    except OSError as error:
        raise SourceError(f"this video cannot be read: {error}", where=str(path), fix="check the file") from error


def _describe_stream(
    path: Path,
    stream: Any,
    *,
    n_frames: int,
    time: Float[np.ndarray, " frame"] | None = None,
    n_hidden: int = 0,
) -> VideoFile:
    codec = stream.codec_context
    if codec.width == 0 or codec.height == 0 or codec.format is None:
        raise SourceError("this video has no frames", where=str(path), fix="copy it again or record it anew")
    # The components of a palette are indices.
    deep = not codec.format.has_palette and max(component.bits for component in codec.format.components) > 8
    turned = _find_turn(path)
    width, height = (codec.height, codec.width) if turned in (90, 270) else (codec.width, codec.height)
    return VideoFile(
        path,
        width,
        height,
        deep,
        n_frames,
        int(stream.frames),
        time,
        float(stream.time_base),
        n_hidden=n_hidden,
        turned=turned,
        rate_hz=float(stream.average_rate or 0.0),
    )


def _count_hidden(container: Any, stream: Any) -> int:
    """Count the frames at the beginning that an edit list hides."""
    n_hidden = 0
    for packet in container.demux(stream):
        if packet.size and not packet.is_discard:
            break
        n_hidden += bool(packet.size)
    return n_hidden


def _find_turn(path: Path) -> int:
    """Find by how many degrees, clockwise, players turn the frames: the first frame has it, the header has not."""
    with _open_stream(path) as (container, stream):
        try:
            frame = next(iter(container.decode(stream)), None)
        except (OSError, ValueError):  # a damaged frame is reported where frames are read
            return 0
        turned = round(-(frame.rotation if frame is not None else 0)) % 360
    return turned if turned in TURNS else 0

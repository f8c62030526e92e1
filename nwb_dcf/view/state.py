"""What a page shows, as the query of a link that restores it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SPEEDS = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
MOST_CHOSEN = 12  # moments side by side


@dataclass(frozen=True)
class ViewState:
    """What a page shows.

    Attributes
    ----------
    t : float
        The moment, seconds on the session clock.
    window : (float, float)
        What the views against time show, seconds.
    axes : tuple of int
        Latents of the trajectory, from 1: two or three.
    azimuth, elevation : float
        From where three are seen, degrees.
    color : str
        What frames are coloured by.
    sort : int
        The latent by whose loadings rows are sorted, from 1.
    speed : float
        Seconds of the session in one second of playing.
    traces : tuple of str
        What is drawn below the latents.
    picture : str
        What is shown beside the trajectory.
    chosen : tuple of float
        Moments that are compared, seconds.
    """

    t: float
    window: tuple[float, float]
    axes: tuple[int, ...] = (1, 2)
    azimuth: float = 35.0
    elevation: float = 25.0
    color: str = "time"
    sort: int = 1
    speed: float = 1.0
    traces: tuple[str, ...] = ("speed",)
    picture: str = ""
    chosen: tuple[float, ...] = ()

    def to_query(self) -> dict[str, str]:
        """Return the state as the query of a link: short texts."""
        return {
            "t": f"{self.t:.4f}",
            "window": f"{self.window[0]:.3f},{self.window[1]:.3f}",
            "axes": ",".join(map(str, self.axes)),
            "angle": f"{self.azimuth:.0f},{self.elevation:.0f}",
            "color": self.color,
            "sort": str(self.sort),
            "speed": f"{self.speed:g}",
            "traces": "|".join(self.traces),
            "picture": self.picture,
            "chosen": ",".join(f"{t:.4f}" for t in self.chosen),
        }


@dataclass(frozen=True)
class Choices:
    """Valid values of a state, as links come from anywhere.

    Attributes
    ----------
    span : (float, float)
        First and last moment, seconds.
    dim : int
        Number of latents.
    colors, traces, pictures : sequence of str
    """

    span: tuple[float, float]
    dim: int
    colors: Sequence[str]
    traces: Sequence[str]
    pictures: Sequence[str]


def read_state(query: Mapping[str, str], start: ViewState, choices: Choices) -> tuple[ViewState, list[str]]:
    """Read a state from the query of a link.

    Parameters
    ----------
    query : mapping of str to str
    start : ViewState
        State where the link has no entry.
    choices : Choices

    Returns
    -------
    state : ViewState
    ignored : list of str
        One sentence for each part of the link that is invalid here.
    """
    found: dict[str, object] = {}
    ignored: list[str] = []

    def take(key: str, parse: Callable[[str], Any]) -> Any:
        text = query.get(key)
        if text is None:
            return None
        try:
            return parse(text)
        except ValueError:
            ignored.append(f"the link's {key} {text[:40]!r} is invalid here and was left out")
            return None

    low, high = choices.span
    found["t"] = take("t", lambda text: _number(text, low, high))
    found["window"] = take("window", lambda text: _window(text, choices.span))
    found["axes"] = take("axes", lambda text: _axes(text, choices.dim))
    angle = take("angle", lambda text: _numbers(text, -360, 360, 2))
    found["azimuth"], found["elevation"] = angle or (None, None)
    found["color"] = take("color", lambda text: _one(text, choices.colors))
    found["sort"] = take("sort", lambda text: _axes(text, choices.dim, least=1)[0])
    found["speed"] = take("speed", lambda text: _one(_number(text, 0, 1000), SPEEDS))
    found["traces"] = take("traces", lambda text: tuple(_one(one, choices.traces) for one in text.split("|") if one))
    found["picture"] = take("picture", lambda text: _one(text, choices.pictures))
    found["chosen"] = take("chosen", lambda text: _numbers(text, low, high, None))
    return _replace(start, found), ignored


def _replace(start: ViewState, found: Mapping[str, object]) -> ViewState:
    return ViewState(**{**vars(start), **{key: value for key, value in found.items() if value is not None}})


def _number(text: str, low: float, high: float) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    # to the nearest that is there: a link to a longer session still leads somewhere
    return min(max(value, low), high)


def _numbers(text: str, low: float, high: float, count: int | None) -> tuple[float, ...]:
    values = tuple(_number(part, low, high) for part in text.split(",") if part)
    if (count is not None and len(values) != count) or len(values) > MOST_CHOSEN:
        raise ValueError(text)
    return values


def _window(text: str, span: tuple[float, float]) -> tuple[float, float]:
    start, stop = _numbers(text, *span, 2)
    if stop <= start:
        raise ValueError(text)
    return start, stop


def _axes(text: str, dim: int, least: int = 2) -> tuple[int, ...]:
    axes = tuple(int(part) for part in text.split(","))
    if not min(least, dim) <= len(axes) <= 3 or not all(1 <= axis <= dim for axis in axes):
        raise ValueError(text)
    return axes


def _one(value: Any, known: Sequence[Any]) -> Any:
    if value not in known:
        raise ValueError(value)
    return value

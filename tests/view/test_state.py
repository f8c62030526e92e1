"""A link brings a view back, and one that was tampered with is said to be so."""

from __future__ import annotations

import pytest

pytest.importorskip("panel", reason="could not import panel")

from nwb_dcf.view.state import Choices, ViewState, read_state

CHOICES = Choices((0.0, 100.0), 4, ["time", "side"], ["speed", "place"], ["video", "map of place"])
START = ViewState(0.0, (0.0, 20.0))


def test_a_link_brings_everything_back() -> None:
    state = ViewState(
        12.5, (10.0, 15.0), (4, 1, 2), -20.0, 60.0, "side", 3, 0.25, ("speed", "place"), "map of place", (1.5, 7.25)
    )
    assert read_state(state.to_query(), START, CHOICES) == (state, [])


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("t", "soon"),
        ("t", "nan"),
        ("window", "5,5"),
        ("window", "1"),
        ("axes", "1,9"),
        ("axes", "1,2,3,4"),
        ("axes", ""),
        ("color", "<script>"),
        ("sort", "0"),
        ("speed", "3"),
        ("traces", "speed|nothing"),
        ("picture", "map of nowhere"),
        ("chosen", ",".join(["1"] * 13)),
        ("angle", "1,2,3"),
    ],
)
def test_what_is_invalid_is_left_out_and_named(key: str, value: str) -> None:
    state, ignored = read_state({key: value}, START, CHOICES)
    assert state == START
    assert len(ignored) == 1
    assert key in ignored[0]


def test_a_moment_outside_the_session_becomes_its_end() -> None:
    assert read_state({"t": "1e9", "other": "x"}, START, CHOICES)[0].t == 100.0

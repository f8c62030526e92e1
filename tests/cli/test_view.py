"""``nwb-dcf view``: its options reach the viewer, and errors take one line."""

from __future__ import annotations

from typing import Any

import pytest

import nwb_dcf
from nwb_dcf.cli import main
from nwb_dcf.errors import compose_install


def test_options_reach_the_viewer_and_the_address_is_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def view(*arguments: Any, announce: Any, **options: Any) -> None:
        calls.append((arguments, options))
        announce("http://127.0.0.1:5006/?token=x")

    monkeypatch.setattr(nwb_dcf.view, "view_nwb", view)
    link = "http://127.0.0.1:1/?t=1"
    assert main(["view", "s.nwb", "fit", "--port", "5006", "--no-browser", "--link", link, "--video-dir", "v"]) == 0
    options = {"port": 5006, "browser": False, "link": link, "data": None}
    options |= {"video_dir": "v", "mask": None, "allow_outside": False}
    assert calls == [(("s.nwb", "fit"), options)]
    assert capsys.readouterr().out == "http://127.0.0.1:5006/?token=x\nCtrl-C ends\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["view", "nowhere.nwb", "--no-browser"], "no such file"),
        (["view", "nowhere.nwb", "--link", "http://elsewhere/"], "is no link to a view"),
    ],
)
def test_errors_take_one_line(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("panel", reason="could not import panel")
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_without_panel_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "panel", None)
    assert main(["view", "nowhere.nwb"]) == 2
    assert compose_install("view") in capsys.readouterr().err

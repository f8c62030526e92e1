"""A video from file to latents, through the command line, and read back by pynwb alone."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nwb_dcf import read_result
from nwb_dcf.cli import main
from tests.video_files import make_video_session, simulate_frames, write_video

pytest.importorskip("av")
READ_BACK = """
import json, sys
from pynwb import NWBHDF5IO
with NWBHDF5IO(sys.argv[1], "r") as io:
    fit = io.read().processing["dcf"]["video_dim2"]
    print(json.dumps([fit["latents"].data[:].tolist(), [float(t) for t in fit["latents"].get_timestamps()], fit.kind]))
"""


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A session whose camera was moved to another folder, played at another rate than the NWB file says."""
    folder = tmp_path_factory.mktemp("video")
    (folder / "moved").mkdir()
    write_video(folder / "moved" / "camera.mkv", simulate_frames(240), rate_hz=25)
    return make_video_session(folder / "s.nwb", ["./camera.mkv"], rate=30.0, starting_time=5.0, num_samples=240)


def test_fit_and_read_back(session: Path, run_cli: Callable[..., Any]) -> None:
    before = session.read_bytes()
    options = ("--size", "16x12", "--every", 2, "--dim", 2, "--steps", 3, "-o", "out.nwb", "--json")
    done = run_cli("fit", session, "--video-dir", "moved", *options, cwd=session.parent)
    assert done.code == 0, done.stderr
    assert session.read_bytes() == before
    report = json.loads(done.stdout)
    assert report["name"] == "video_dim2"
    for words in ("192 pixels, 120 frames in 1 segment", "read at 16 x 12, one of every 2", "30 Hz", "25 Hz"):
        assert words in done.stderr
    output = session.parent / "out.nwb"
    plain = subprocess.run(
        [sys.executable, "-I", "-c", READ_BACK, str(output)], capture_output=True, text=True, check=True, timeout=120
    )
    latents, time, kind = json.loads(plain.stdout)
    result = read_result(output)
    np.testing.assert_array_equal(latents, result.dataset["latents"])
    np.testing.assert_allclose(time, 5 + np.arange(0, 240, 2) / 25, atol=1e-9)
    assert kind == "video"
    assert result.dataset["loadings"].dims == ("y", "x", "component")
    assert result.config["read"]["size"] == [16, 12]
    assert result.config["read"]["video_dir"] is None
    stored = json.dumps([result.config, result.provenance])
    assert str(session.parent) not in stored
    assert "moved" not in stored


@pytest.mark.slow
def test_a_refit_is_told_where_the_videos_are(session: Path, run_cli: Callable[..., Any]) -> None:
    output = session.parent / "again.nwb"
    moved = ("--video-dir", session.parent / "moved")
    done = run_cli("fit", session, *moved, "--size", 12, "--dim", 2, "--steps", 3, "-o", output)
    assert done.code == 0, done.stderr
    again = ("refit", output, "--data", session, "--json")
    lost, found = run_cli(*again), run_cli(*again, *moved)
    assert (lost.code, found.code) == (2, 0), found.stderr
    assert "camera.mkv is missing" in lost.stderr
    assert json.loads(found.stdout)["repeated"] is True


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("", "s.nwb|/acquisition/camera|camera.mkv is missing|--video-dir"),
        ("--source video", "s.nwb: /acquisition/camera|camera.mkv is missing|--video-dir"),
        ("--video-dir elsewhere", "elsewhere"),
        ("--video-dir moved --crop 0 0 99 9", "crop|32 x 24"),
        ("--video-dir moved --mask none.png", "none.png|no such mask"),
        ("--video-dir moved --size 8x8x8", "size"),
        ("--video-dir moved --size small", "small|WIDTHxHEIGHT"),
        ("--video-dir moved --every 240", "240 frames, of which --every 240 leaves 1"),
        ("--video-dir moved --units 3", "units"),
    ],
)
def test_refusals_in_one_line(
    session: Path, arguments: str, words: str, capsys: Any, monkeypatch: pytest.MonkeyPatch, look_at: Any
) -> None:
    monkeypatch.chdir(session.parent)
    before = look_at(session.parent)
    assert main(["fit", "s.nwb", *arguments.split()]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert [word for word in words.split("|") if word not in err] == []
    assert look_at(session.parent) == before


def test_info_names_the_missing_video_and_finds_the_moved_one(session: Path, capsys: Any) -> None:
    assert main(["info", str(session)]) == 0
    assert "camera.mkv is missing" in capsys.readouterr().out
    assert main(["info", str(session), "--video-dir", str(session.parent / "moved")]) == 0
    assert "240 x 24 x 32" in capsys.readouterr().out


def test_frame_settings_are_for_video(tmp_path: Path, capsys: Any) -> None:
    from tests.nwb_files import make_spike_session

    assert main(["fit", str(make_spike_session(tmp_path / "s.nwb")), "--crop", "0", "0", "8", "8"]) == 2
    assert "crop is for video, and this is /units" in capsys.readouterr().err

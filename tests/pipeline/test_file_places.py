"""A stored fit of a moved or masked video is used again once its reader says where the files are, and not before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

pytest.importorskip("av", reason="could not import av")

import nwb_dcf
from nwb_dcf.errors import DCFError
from nwb_dcf.pipeline.evaluate import evaluate_nwb
from nwb_dcf.pipeline.plot import plot_nwb
from nwb_dcf.pipeline.simulate import simulate_nwb
from tests.video_files import make_video_session, simulate_frames, write_video

pytestmark = pytest.mark.long
N = 240


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fit of a video whose path leaves the folder, read through a mask, with a speed beside it."""
    pillow = pytest.importorskip("PIL.Image", reason="could not import PIL")
    folder = tmp_path_factory.mktemp("places")
    (folder / "here").mkdir()
    (folder / "away").mkdir()
    write_video(folder / "away" / "v.mkv", simulate_frames(N))
    path = make_video_session(folder / "here" / "s.nwb", ["../away/v.mkv"], num_samples=N)
    with h5py.File(path, "r+") as file:
        video = next(iter(file["acquisition"].values()))
        speed = file.create_group("acquisition/speed")
        speed.attrs.update({key: video.attrs[key] for key in ("namespace", "comments", "description")})
        speed.attrs.update(neurodata_type="TimeSeries", object_id="12345678-1234-1234-1234-123456789012")
        speed["data"] = np.sin(np.arange(N) / 9)
        speed["data"].attrs.update(unit="cm/s", conversion=1.0, offset=0.0, resolution=-1.0)
        speed["starting_time"] = 0.0
        speed["starting_time"].attrs.update(unit="seconds", rate=30.0)
    mask = np.full((24, 32), 255, np.uint8)
    mask[:8] = 0
    pillow.fromarray(mask).save(folder / "here" / "mask.png")
    nwb_dcf.fit_nwb(
        path, 2, source="video", size=12, steps=2, frame_times="nwb",
        allow_outside=True, mask=str(folder / "here" / "mask.png"),
    )  # fmt: skip
    return path


def draw(path: Path, **places: Any) -> None:
    done = plot_nwb(path, output=path.with_suffix(".png"), figure="examples", overwrite=True, **places)
    assert done["figures"] == ["examples"]


USES: dict[str, Callable[..., Any]] = {
    "plot": draw,
    "simulate": lambda path, **places: simulate_nwb(path, n_frames=2, **places),
    "evaluate": lambda path, **places: evaluate_nwb(path, against="speed", **places),
    "refit": nwb_dcf.refit,
}


@pytest.mark.parametrize("use", USES)
def test_it_is_read_again_where_the_files_are_named(session: Path, use: str) -> None:
    mask, away = str(session.parent / "mask.png"), str(session.parent.parent / "away")
    USES[use](session, mask=mask, allow_outside=True)
    USES[use](session, mask=mask, video_dir=away)


@pytest.mark.parametrize("use", ["simulate", "refit", "plot"])
def test_no_stored_fit_opens_other_files_by_itself(session: Path, use: str) -> None:
    with pytest.raises(DCFError, match="read through a mask, and a stored fit opens no other files"):
        USES[use](session, allow_outside=True)
    with pytest.raises(DCFError, match="lies outside the folder"):
        USES[use](session, mask=str(session.parent / "mask.png"))


def test_a_page_shows_the_video_where_it_may_be_opened(session: Path) -> None:
    pytest.importorskip("panel", reason="could not import panel")
    from nwb_dcf.config.file_places import FilePlaces
    from nwb_dcf.view.data import gather_view

    assert gather_view(session).frames is None
    shown = gather_view(session, places=FilePlaces(mask=str(session.parent / "mask.png"), allow_outside=True))
    assert shown.frames is not None
    assert shown.recording is not None

"""Tutorials run as they are written."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nwb_dcf.errors import StoreError
from nwb_dcf.pipeline.installation import EXTRAS

TUTORIALS = Path(__file__).resolve().parents[1] / "tutorials"


def run(name: str, **given: object) -> dict[str, Any]:
    """Run a tutorial in the current folder, with other parameters, and return its variables."""
    pytest.importorskip("matplotlib", reason="could not import matplotlib")
    text = (TUTORIALS / name).read_text()
    for key, value in given.items():
        text, n = re.subn(rf"^{key} = .*$", f"{key} = {value!r}", text, count=1, flags=re.MULTILINE)
        assert n == 1, key
    variables: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(text, name, "exec"), variables)
    return variables


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float, str]:
    """The folder of the first tutorial, its R2 and what it prints."""
    folder, said = tmp_path_factory.mktemp("first"), io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.chdir(folder):
        r2 = run("01_spikes_from_file_to_figure.py", n_trials=24, steps=20)["r2"]
    return folder, r2, said.getvalue()


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_spikes_from_file_to_figure(first: tuple[Path, float, str]) -> None:
    folder, r2, said = first
    assert r2 > 0.8
    assert "fit would take /units" in said
    assert "latents (1440, 3)" in said
    assert sorted(path.name for path in folder.iterdir()) == ["tutorial.html", "tutorial.nwb", "tutorial.png"]
    assert (folder / "tutorial.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.long
def test_video_with_snapshots_along_bands(in_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("av", reason="could not import av")
    result = run("02_video_with_snapshots_along_bands.py", size=16, every=4, steps=3)["result"]
    assert result.dataset["latents"].shape == (150, 3)
    said = capsys.readouterr().out
    assert "ball.nwb: fit would take /acquisition/behavior_video" in said
    assert said.count("snapshots at") == 4
    assert sorted(path.name for path in in_folder.iterdir()) == [
        "ball.mp4",
        "ball.nwb",
        "bands.png",
        "video_latents.nwb",
    ]


@pytest.mark.slow
def test_the_video_of_a_mouse(real_data: Callable[[str], Path], in_folder: Path) -> None:
    session = real_data("openfield_video.nwb")
    result = run("02_video_with_snapshots_along_bands.py", session=str(session), size=16, every=4, steps=10)["result"]
    assert result.dataset["latents"].shape == (583, 3)
    assert sorted(path.name for path in in_folder.iterdir()) == ["bands.png", "video_latents.nwb"]


@pytest.mark.long
def test_a_result_is_read_where_there_is_no_nwb_dcf(first: tuple[Path, float, str], in_folder: Path) -> None:
    shutil.copy(first[0] / "tutorial.nwb", in_folder)
    script = TUTORIALS / "03_read_a_result_without_nwb_dcf.py"
    code = f"import runpy, sys; sys.modules['nwb_dcf'] = None; runpy.run_path({str(script)!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=in_folder)
    assert done.returncode == 0, done.stderr
    assert "pynwb: latents (1440, 3)" in done.stdout
    assert "pynapple: (1440, 3) from 10.01 s; 60 frames in the first segment" in done.stdout
    assert "mean_velocity (17, 17, 17, 3)" in done.stdout
    assert sorted(path.name for path in in_folder.iterdir()) == ["field.png", "tutorial.nwb"]


@pytest.mark.long
def test_a_stored_model_on_a_new_session(in_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = run("04_a_stored_model_on_a_new_session.py", n_trials=18, steps=10)["report"]
    assert report.scores["ridge"]["latents"]["value"] > 0.7
    said = capsys.readouterr().out
    assert ", 3) by units_dim3 of monday.nwb" in said
    assert "refused: " in said
    assert "5 of the model's 50 units are missing" in said
    made = {"monday.nwb", "tuesday.nwb", "fewer.nwb", "paths.csv", "paths.png", "tuesday.nc"}
    assert {path.name for path in in_folder.iterdir()} == made


@pytest.mark.long
def test_spikeinterface_from_sorting_to_nwb(in_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("05_spikeinterface_from_sorting_to_nwb.py", duration_s=12.0, steps=4)["r2"] > 0.6
    said = capsys.readouterr().out
    assert "latents (600, 2) (time, latent), first bin at 30.01 s" in said
    assert "session.nwb holds units_dim2: latents (600, 2)" in said
    assert "fitted from the file: largest difference 0.0e+00" in said
    assert sorted(path.name for path in in_folder.iterdir()) == ["analyzer", "curated", "latents.png", "session.nwb"]


@pytest.mark.long
def test_a_cohort_of_four_animals(in_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("plotly", reason="could not import plotly")
    variables = run("06_a_cohort_of_four_animals.py", n_bins=16, n_permutations=19)
    assert variables["found"].ratio > 0.9
    assert variables["comparison"].kinds.p_speed > 0.05
    said = capsys.readouterr().out
    assert "good: conditions differ in a common way across the sessions" in said
    assert "newcomer.nwb: " in said
    assert "open cohort.html" in said
    made = {"animals", "newcomer.nwb", "cohort.nwb", "cohort.html"}
    assert {path.name for path in in_folder.iterdir()} == made


@pytest.mark.long
def test_choose_settings_and_compare(in_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    variables = run("07_choose_settings_and_compare.py", n_trials=20, steps=10)
    assert variables["summary"]["smoothing"]["smooth_s"] == variables["result"].provenance["smoothing"]["smooth_s"]
    assert [row["method"] for row in variables["comparison"].rows] == ["DCF", "PCA"]
    said = capsys.readouterr().out
    assert said.count("->") == 1
    assert variables["comparison"].verdict in said
    assert {path.name for path in in_folder.iterdir()} == {"reaches.nwb", "reaches.html"}


@pytest.mark.long
def test_look_at_a_fit(in_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    panel = pytest.importorskip("panel", reason="could not import panel")
    variables = run("08_look_at_a_fit.py", n_trials=20, steps=10)
    assert isinstance(variables["page"], panel.Column)
    said = capsys.readouterr().out
    assert said.count("latent units a second, direction") == 3
    assert {path.name for path in in_folder.iterdir()} == {"looked_at.nwb"}


@pytest.mark.parametrize(
    ("name", "extra", "package"),
    [
        ("01_spikes_from_file_to_figure.py", "plot", "plotly"),
        ("02_video_with_snapshots_along_bands.py", "video", "av"),
        ("04_a_stored_model_on_a_new_session.py", "plot", "matplotlib"),
        ("05_spikeinterface_from_sorting_to_nwb.py", "spikeinterface", "spikeinterface"),
        ("06_a_cohort_of_four_animals.py", "plot", "plotly"),
        ("07_choose_settings_and_compare.py", "plot", "matplotlib"),
        ("08_look_at_a_fit.py", "view", "panel"),
    ],
)
def test_an_extra_that_is_missing_stops_before_anything_is_written(
    name: str, extra: str, package: str, in_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == package else found(name, *rest)
    )
    with pytest.raises(StoreError, match=rf"{package} not installed; .*install .*{extra}"):
        run(name)
    assert list(in_folder.iterdir()) == []


def test_every_tutorial_is_a_notebook_that_names_its_extra_first() -> None:
    jupytext = pytest.importorskip("jupytext", reason="could not import jupytext")
    for path in TUTORIALS.glob("*.py"):
        notebook = jupytext.read(path, fmt="py:percent")
        title, extra = (line for line in notebook.cells[0].source.splitlines()[:3] if line)
        assert notebook.cells[0].cell_type == "markdown"
        assert title.startswith(f"# {int(path.name[:2])}. ")
        assert re.match(r"\*\*Needs (the extras?|no extra)", extra)
        named = set(re.findall(r"`(\w+)`", extra)) & EXTRAS.keys()
        assert named == set(re.findall(r'"(\w+)"', "".join(re.findall(r"require_extras\((.*)\)", path.read_text()))))
        assert sum(cell.cell_type == "code" for cell in notebook.cells) >= 4


def test_every_tutorial_is_run() -> None:
    assert [path.name for path in sorted(TUTORIALS.glob("*.py"))] == [
        "01_spikes_from_file_to_figure.py",
        "02_video_with_snapshots_along_bands.py",
        "03_read_a_result_without_nwb_dcf.py",
        "04_a_stored_model_on_a_new_session.py",
        "05_spikeinterface_from_sorting_to_nwb.py",
        "06_a_cohort_of_four_animals.py",
        "07_choose_settings_and_compare.py",
        "08_look_at_a_fit.py",
    ]

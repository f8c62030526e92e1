"""One fit on one page: what is written, what is refused, and what a browser makes of it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="could not import matplotlib")
pytest.importorskip("plotly", reason="could not import plotly")

from nwb_dcf import DCFResult, fit_nwb
from nwb_dcf.errors import ParameterError, SourceError, StoreError
from nwb_dcf.pipeline import plot
from nwb_dcf.pipeline.plot import gather_material, plot_nwb
from nwb_dcf.plots.report import list_views, write_page

from ..nwb_files import make_spike_session
from ..pipeline.test_transform import QUICK

EVIL = "</script><script>document.title='taken'</script><img src=x onerror=alert(1)>"
FIGURES = ["latents", "conditions", "trajectories", "spectrum", "curve", "loadings", "examples", "paths", "field"]
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a fit, one of whose columns tries to break out of the page; not to be changed."""
    path = tmp_path_factory.mktemp("report") / "s.nwb"
    trials = [(1.5 * k, 1.5 * k + 1.2) for k in range(12)]
    columns = {"side": ["left", EVIL] * 6, "direction": [k % 3 for k in range(12)]}
    make_spike_session(path, n_units=8, duration_s=20, trials=trials, trial_columns=columns)
    fit_nwb(path, 3, bin_width_s=0.05, **QUICK)
    return path


def test_a_picture_of_everything(fitted: Path, tmp_path: Path) -> None:
    output = tmp_path / "fit.png"
    done = plot_nwb(fitted, output=output, color="direction")
    assert done == {"written": str(output), "name": "units_dim3", "figures": FIGURES, "left_out": {}}
    assert output.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(StoreError, match="the output exists"):
        plot_nwb(fitted, output=output)


def test_one_figure_alone_and_the_same_twice(fitted: Path, tmp_path: Path) -> None:
    for name in ("a.svg", "b.svg"):
        assert plot_nwb(fitted, "units_dim3", output=tmp_path / name, figure="field")["figures"] == ["field"]
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_a_page_holds_all_it_needs_and_runs_nothing_from_the_file(fitted: Path, tmp_path: Path) -> None:
    output = tmp_path / "fit.html"
    assert plot_nwb(fitted, output=output, color="side")["figures"] == FIGURES
    page = output.read_text()
    assert EVIL not in page
    assert "<script>document" not in page
    assert not re.search(r'<(script|link|img)[^>]+(src|href)="(https?:)?//', page)
    assert [name for name in re.findall(r'<section id="(\w+)"', page) if name != "certificate"] == FIGURES
    assert page.count('class="plotly-graph-div"') == page.count('role="img" aria-label="') == len(FIGURES)
    assert len(page) < 6_000_000  # plotly's script once, and the numbers
    assert "<h1>units_dim3 of s.nwb</h1>" in page
    assert "12 segments" in page


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no chromium or chrome on the path")
def test_a_browser_draws_the_page(fitted: Path, tmp_path: Path) -> None:
    page, shot = tmp_path / "fit.html", tmp_path / "shot.png"
    plot_nwb(fitted, output=page, color="side")
    command = [
        str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--enable-unsafe-swiftshader",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=10000",
    ]  # fmt: skip
    dom = subprocess.run(
        [*command, "--dump-dom", page.as_uri()], capture_output=True, text=True, check=True, timeout=240
    ).stdout
    assert "<title>units_dim3 of s.nwb</title>" in dom  # the column of the file has not run
    assert "<canvas" in dom  # plotly has drawn
    assert "modebar" in dom
    subprocess.run([*command, f"--screenshot={shot}", page.as_uri()], capture_output=True, check=True, timeout=240)
    assert shot.stat().st_size > 10_000


def test_without_the_source_examples_are_left_out_and_it_says_why(
    fitted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise SourceError("the source of units_dim3 cannot be read here", where="s.nwb")

    monkeypatch.setattr(plot, "read_fitted", refuse)
    done = plot_nwb(fitted, output=tmp_path / "fit.html")
    assert done["figures"] == [name for name in FIGURES if name not in ("examples", "paths")]
    assert done["left_out"] == dict.fromkeys(
        ("examples", "paths"), "s.nwb: the source of units_dim3 cannot be read here"
    )
    assert "No examples: " in (tmp_path / "fit.html").read_text()
    with pytest.raises(ParameterError, match=r"there is no figure 'examples'; .*cannot be read here"):
        plot_nwb(fitted, output=tmp_path / "e.png", figure="examples")


def test_what_cannot_be_drawn_is_refused_before_any_work(fitted: Path, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"'fit.gif' names no format; end the output in .png, .svg, .pdf, .html"):
        plot_nwb(fitted, output=tmp_path / "fit.gif")
    with pytest.raises(ParameterError, match="no column 'colour' to colour by"):
        plot_nwb(fitted, output=tmp_path / "fit.png", color="colour")
    with pytest.raises(ParameterError, match=r"no figure 'bars'; choose one of latents, conditions"):
        plot_nwb(fitted, output=tmp_path / "fit.png", figure="bars")
    assert list(tmp_path.iterdir()) == []


def test_missing_packages_are_named(fitted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "plotly", None)
    with pytest.raises(StoreError, match=r"plots need plotly; .*\[plot\]"):
        plot_nwb(fitted, output=tmp_path / "fit.html")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(StoreError, match="plots need matplotlib"):
        plot_nwb(fitted, output=tmp_path / "fit.png")


@pytest.mark.long
def test_drawing_what_is_stored_needs_no_torch(fitted: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from nwb_dcf import plot_nwb; "
        f"plot_nwb({str(fitted)!r}, output={str(tmp_path / 'f.png')!r}, figure='field'); "
        "print('torch' in sys.modules, 'matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


@pytest.mark.long
def test_two_and_one_latents_have_pages_too(tmp_path: Path) -> None:
    from tests.io.results.synthetic import make_result

    for dim in (1, 2):
        result = make_result(np.arange(8), dim=dim)
        result = DCFResult(result.dataset, result.config, result.provenance, result.weights, f"units_dim{dim}")
        material = gather_material(tmp_path / "absent.nwb", result)
        page = write_page(material, list_views(material, "time", 2), "s.nwb")
        assert "latent 1" in page


def test_the_command_line_says_what_it_drew(
    fitted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from nwb_dcf.cli import main

    output = tmp_path / "curve.png"
    assert main(["plot", str(fitted), "-o", str(output), "--figure", "curve"]) == 0
    assert capsys.readouterr().out == f"written   {output}: curve of units_dim3\n"
    assert main(["plot", str(fitted), "-o", str(output)]) == 2
    assert "the output exists" in capsys.readouterr().err


def real_plot(name: str, real_data: Callable[[str], Path], tmp_path: Path) -> Path:
    output = tmp_path / "fit.nwb"
    fit_nwb(real_data(name), 3, bin_width_s=0.1, output=output, **QUICK)
    return output


@pytest.mark.slow
@pytest.mark.parametrize("name", ["reach_chewie.nwb", "three_units.nwb"])
def test_real_recordings(name: str, real_data: Callable[[str], Path], tmp_path: Path) -> None:
    path = real_plot(name, real_data, tmp_path)
    figures = plot_nwb(path, output=tmp_path / "fit.html")["figures"]
    # where the data chose the smoothing its picture is there, and without trials there are no conditions
    assert set(figures) ^ set(FIGURES) <= {"smoothing", "conditions"}
    assert ("conditions" in figures) is (name == "reach_chewie.nwb")

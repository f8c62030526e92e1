"""The verdict stands first in reports, and the whole certificate behind it on request."""

from __future__ import annotations

import html
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import nwb_dcf
from nwb_dcf.cli import main
from nwb_dcf.cli.certificate_report import describe_certificate, describe_verdict
from nwb_dcf.cli.fit_report import describe_fit
from nwb_dcf.data.certificate import LINES
from nwb_dcf.errors import name_options
from nwb_dcf.io.results import write_result
from tests.cli.conftest import Run, SmallFit
from tests.data.test_certificate import make_lines
from tests.nwb_files import make_spike_session

Cli = Callable[..., Run]


def make_report(**changes: Any) -> dict[str, Any]:
    """A report of a fit with a certificate."""
    return {
        "file": "s.nwb", "name": "units_dim3", "source": {"path": "/units"}, "kind": "units", "channels": 8, "bins": 90,
        "segments": 3, "notes": [], "left_out": [], "dim": 3, "scores": {}, "interrupted": False, "seconds": None,
        "write_notes": [], "certificate": make_lines(PCA="fail", again="not measured"), **changes,
    }  # fmt: skip


def test_three_lines_of_verdict_come_first() -> None:
    lines = describe_fit(make_report()).splitlines()
    assert lines[0].startswith("verdict   latents: pass. Predicts left-out channels (R2 0.250 [0.200, 0.300])")
    assert lines[0].endswith("; not measured: found again")
    assert lines[1] == "          beside PCA: fail. Better than PCA: fail"
    assert lines[2] == "          dynamics: pass. Predicts the future: pass"
    assert lines[3].startswith("read      /units")
    lines = describe_fit(make_report(scores={"bottleneck_r2": 0.4, "pca_r2": 0.3})).splitlines()
    assert [line[:8] for line in lines[3:6]] == ["scores  ", " " * 8, "read    "]


def test_a_doubt_of_the_file_comes_before_any_verdict() -> None:
    lines = describe_fit(make_report(notes=["doubt: the clock runs backwards"])).splitlines()
    assert [line[:8] for line in lines[:2]] == ["doubt   ", "verdict "]


def test_every_line_is_behind_verbose() -> None:
    assert "certificate" not in describe_fit(make_report())
    text = describe_fit(make_report(), verbose=True)
    for name in LINES:
        assert f"  {name} " in text
    assert "20 segments" in text


def test_a_fit_without_certificate_has_no_verdict() -> None:
    assert describe_verdict([]) == describe_certificate([]) == []
    assert describe_fit(make_report(certificate=[])).startswith("read")


def test_fit_and_show_begin_with_the_verdict(small_fit: SmallFit, run_cli: Cli) -> None:
    fit = json.loads(small_fit.done.stdout)
    assert [line["line"] for line in fit["certificate"]] == list(LINES)
    assert "certificate" not in fit["scores"]
    assert small_fit.done.stderr.splitlines()[-1] != ""
    report = [line for line in small_fit.done.stderr.splitlines() if line.startswith(("verdict", "read  "))]
    assert [line[:7] for line in report] == ["verdict", "read   "]
    shown = run_cli("show", small_fit.output, "--verbose")
    assert shown.code == 0, shown.stderr
    assert [line[:9].strip() for line in shown.stdout.splitlines()[:2]] == ["state", "verdict"]
    assert "  found again " in shown.stdout


@pytest.mark.long
def test_certify_measures_every_line_and_says_before_how_long_it_takes(tmp_path: Path, run_cli: Cli) -> None:
    path = make_spike_session(tmp_path / "s.nwb", n_units=8, duration_s=20)
    done = run_cli("fit", path, "--dim", 2, "--steps", 5, "--smooth", 0.05, "--scale", "soft", "--certify", "--json")
    assert done.code == 0, done.stderr
    fit = json.loads(done.stdout)
    assert (fit["scores"]["null"]["fits"], fit["scores"]["agreement"]["fits"]) == (19, 3)
    lines = {line["line"]: line for line in fit["certificate"]}
    assert lines["found again"]["verdict"] != "not measured"
    assert lines["not invented"]["value"] == pytest.approx(
        min(one["decoded"] for one in fit["scores"]["agreement"]["invented"]["latents"])
    )
    assert "latents 1, 2, ... decoded from the other fits: R2" in done.stderr
    assert (lines["not made of noise"]["over"], lines["not made of noise"]["n"]) == ("fits", 19)
    assert "21 more fits, at most" in done.stderr.partition("verdict ")[0]


@pytest.mark.long
def test_a_real_recording_is_certified(tmp_path: Path, run_cli: Cli, real_data: Callable[[str], Path]) -> None:
    path = Path(shutil.copyfile(real_data("reach_chewie.nwb"), tmp_path / "s.nwb"))
    path.chmod(0o644)
    done = run_cli("fit", path, "--bin", 0.1, "--smooth", 0.1, "--scale", "soft", "--steps", 40, "--json")
    assert done.code == 0, done.stderr
    lines = {line["line"]: line for line in json.loads(done.stdout)["certificate"]}
    # 152 units of motor cortex in reaches: they do have something in common
    assert lines["predicts left-out channels"]["verdict"] == "pass"
    assert lines["not made of noise"]["verdict"] == "pass"
    assert lines["predicts left-out channels"]["value"] > 0.05


def test_list_has_the_three_verdicts_and_names_the_best(
    small_fit: SmallFit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Path(shutil.copyfile(small_fit.output, tmp_path / "fit.nwb"))
    fit = nwb_dcf.read_result(path)
    worse = [{**line, "verdict": "fail"} for line in fit.certificate]
    scores = {**fit.scores, "certificate": worse}
    write_result(replace(fit, dataset=fit.dataset.assign_attrs(scores=scores)), path, name="worse")
    first, second = nwb_dcf.list_results(path)
    assert (first["best"], second["best"]) == (True, False)
    assert set(second["certificate"].values()) == {"fail"}
    # a reader of tables has what the summary has, and nothing counts as altered
    assert first["altered"] == second["altered"] == []
    with h5py.File(path) as file:
        table = file["processing/dcf/worse/certificate"]
        assert [text.decode() for text in table["line"][:]] == list(LINES)
        assert [text.decode() for text in table["verdict"][:]] == ["fail"] * len(LINES)
        np.testing.assert_array_equal(
            table["value"][:], [np.nan if line["value"] is None else line["value"] for line in worse]
        )
    assert main(["list", str(path)]) == 0
    head, _, row, *rest = capsys.readouterr().out.splitlines()[2:]
    assert [head.find(word) > 0 for word in ("latents", "beside PCA", "dynamics")] == [True] * 3
    assert row.split()[4:7] == ["fail", "fail", "fail"]
    assert rest[-1] == "best by the certificate: units_dim2"


def test_the_page_begins_with_the_certificate(small_fit: SmallFit, tmp_path: Path) -> None:
    page = tmp_path / "fit.html"
    nwb_dcf.plot_nwb(small_fit.output, output=page)
    text = page.read_text()
    assert text.index('id="certificate"') < text.index('class="plotly-graph-div"')
    for line in nwb_dcf.read_result(small_fit.output).certificate:
        assert html.escape(name_options(line["sentence"])) in text

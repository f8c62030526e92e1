"""DCF and other methods on one file: a whole comparison from the outside."""

from __future__ import annotations

import hashlib
import html
import json
from collections.abc import Callable
from pathlib import Path

import pytest

import nwb_dcf
from nwb_dcf.data.synthetic import simulate_lorenz
from nwb_dcf.errors import name_options
from nwb_dcf.io.results import write_session

from .conftest import Run

QUICK = ["--bin", "0.04", "--smooth", "0.08", "--scale", "soft", "--steps", "60"]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    simulation = simulate_lorenz(n_trials=16, n_units=20, seed=0)
    path = tmp_path_factory.mktemp("compare") / "s.nwb"
    return write_session(simulation.recording, path, truth=simulation.truth, seed=0)


@pytest.mark.long
def test_a_comparison_from_the_outside(session: Path, tmp_path: Path, run_cli: Callable[..., Run]) -> None:
    before, page = hashlib.sha256(session.read_bytes()).hexdigest(), tmp_path / "page.html"
    wanted = ["--method", "pca", "--method", "fa", "--rival", "sklearn.decomposition:FastICA"]
    done = run_cli("compare", session, "--dim", "2", *QUICK, *wanted, "--certify", "-o", page, "--json")
    assert done.code == 0, done.stderr
    report = json.loads(done.stdout)
    assert [row["method"] for row in report["rows"]] == ["DCF", "PCA", "factor analysis", "FastICA"]
    assert report["verdict"] in done.stderr
    assert (report["over"], report["n"]) == ("blocks", 18)  # three held-out trials are too few to draw from
    for row in report["rows"]:
        assert set(row["scores"]) == {"reconstruction", "left_out"}, row
        assert 0 < row["largest_channel"] <= 1 <= row["fewest_channels"] <= 20
        assert row["found_again"] <= 1
        lines = {line["line"]: line for line in row["certificate"]}
        assert all(lines[name]["value"] is not None for name in ("predicts left-out channels", "found again"))
        assert (lines["predicts the future"]["verdict"] == "not measured") == (row["method"] != "DCF")
        # FastICA's latents are PCA's, turned
        assert lines["better than PCA"]["verdict"] == {"PCA": "not measured", "FastICA": "fail"}.get(
            row["method"], lines["better than PCA"]["verdict"]
        )
    assert "not one channel" in done.stderr
    pca = report["rows"][1]
    ours = report["rows"][0]["scores"]["reconstruction"]["value"]
    difference = pca["differences"]["reconstruction"]
    assert difference["value"] == pytest.approx(ours - pca["scores"]["reconstruction"]["value"])
    text = page.read_text()
    assert "http" not in text.split("</style>")[1].replace("https://www.w3.org", "")  # it opens offline
    assert "factor analysis" in text
    assert "Certificates" in text
    # what follows stands on the page as in the report
    fails = [line for row in report["rows"] for line in row["certificate"] if line["verdict"] == "fail"]
    assert fails
    assert all(
        html.escape(name_options(line["sentence"])) in text for line in fails if line["line"] == "better than PCA"
    )
    assert hashlib.sha256(session.read_bytes()).hexdigest() == before
    assert run_cli("compare", session, *QUICK, "-o", page).code == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--method", "pac"], "there is no method 'pac'"),
        (["--rival", "nothing"], "module:Class"),
        (["--against", "behavior/nothing"], "nothing"),
        (["--held-out", "0"], "nothing is held out"),
        (["-o", "page.txt"], ".html"),
        (["--longest", "0"], "longest is 0; give seconds above 0"),
    ],
)
def test_bad_input_is_refused_before_training(
    session: Path, run_cli: Callable[..., Run], options: list[str], words: str
) -> None:
    done = run_cli("compare", session, *QUICK, *options)
    assert done.code == 2, done.stderr
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_method_that_fails_is_a_row_that_says_so(
    session: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_rival.py").write_text(
        "class Broken:\n"
        "    def __init__(self, n_components): pass\n"
        "    def fit(self, x): raise RuntimeError('it cannot')\n"
        "    def transform(self, x): return x\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    report = nwb_dcf.compare_nwb(
        session,
        2,
        methods=["pca"],
        rivals=["broken_rival:Broken"],
        bin_width_s=0.04,
        smooth=0.08,
        scale="soft",
        steps=20,
    )
    assert report.rows[2]["failed"] == "RuntimeError: it cannot"
    assert "scores" in report.rows[1]


def test_what_cannot_be_seeded_is_fitted_twice_only_where_scores_can_differ(
    session: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "unseeded_rival.py").write_text(
        "class Unseeded:\n"
        "    fits = 0\n"
        "    def __init__(self, n_components): self.n = n_components\n"
        "    def fit(self, x): type(self).fits += 1\n"
        "    def transform(self, x): return x[:, : self.n]\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    report = nwb_dcf.compare_nwb(
        session,
        2,
        methods=["pca"],
        rivals=["unseeded_rival:Unseeded"],
        output=tmp_path / "page.html",
        bin_width_s=0.04,
        smooth=0.08,
        scale="soft",
        steps=20,
    )
    from unseeded_rival import Unseeded  # type: ignore[import-not-found]

    assert Unseeded.fits == 1
    # the page, as the command line does, has options where Python's report has arguments
    assert "name behaviour with `against=`, or give `certify=True`" in report.verdict
    assert "name behaviour with --against, or give --certify" in (tmp_path / "page.html").read_text()
    assert "Unseeded gave nothing to compare" in report.verdict
    assert report.notes[-1] == "methods marked ~ cannot be seeded: another run gives other latents"

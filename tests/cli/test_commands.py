"""The command line against a public API that only notes how it was called."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import nwb_dcf
from nwb_dcf.cli import main
from nwb_dcf.config.progress import Progress
from nwb_dcf.data.result import DCFResult
from nwb_dcf.errors import StoreError
from nwb_dcf.pipeline.progress_bar import ProgressBar

GOLDEN = Path(__file__).resolve().parents[1] / "golden"


@dataclass
class Report:
    values: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        return self.values


def make_result(**provenance: Any) -> DCFResult:
    dataset = xr.Dataset(
        {
            "latents": (("time", "latent"), np.zeros((1640, 3))),
            "loadings": (("unit", "component"), np.zeros((163, 4))),
            "mean": ("unit", np.zeros(163)),
            "spectrum": ("component", [4.0, 2.0, 1.0, 0.5]),
            "bottleneck_r2": ("component", [0.2, 0.3, 0.4, np.nan]),
            "pca_r2": ("component", [0.2, 0.25, 0.35, np.nan]),
            "segment_start": ("segment", np.arange(159.0)),
        },
        attrs={"kind": "units", "k_eff": 14, "dim": 3, "scores": {"bottleneck_r2": 0.4312, "pca_r2": np.float64(0.38)}},
    )
    return DCFResult(
        dataset,
        {"read": {"bin_width_s": 0.1}},
        {
            "source": {"file": "s.nwb", "path": "/units", "type": "Units"},
            "notes": ["Segments are the 159 trials of /intervals/trials.", "4 units left out: 3, 8, 12, 40"],
            "left_out": [{"what": "unit", "id": i, "why": "no spikes"} for i in (3, 8, 12)]
            + [{"what": "unit", "id": 40, "why": "the same count in every bin"}],
            "split": {"training": 127, "held_out": 32, "rule": "whole trials, drawn with seed 0"},
            "seconds": 41.3,
            "written": {"file": "s.nwb", "name": "units_dim3", "notes": ["The NWB schema rose from 2.4.0 to 2.10.0."]},
            **provenance,
        },
        b"",
    )


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, dict[str, Any]]]:
    """Replace `fit_nwb` and `plan_fit`; return the list of their calls."""
    made: list[tuple[Any, dict[str, Any]]] = []

    def fit_nwb(path: Any, **options: Any) -> DCFResult:
        options.pop("progress")(Progress("train", 1, 2, 0.5))
        made.append((path, options))
        return make_result()

    def plan_fit(path: Any, **options: Any) -> Report:
        made.append((path, options))
        return Report(
            {"source": {"file": "s.nwb", "path": "/units"}, "kind": "units", "bins": 10, "name": "units_dim3"}
        )

    monkeypatch.setitem(vars(nwb_dcf), "fit_nwb", fit_nwb)
    monkeypatch.setitem(vars(nwb_dcf), "plan_fit", plan_fit)
    return made


def test_only_options_that_were_given_are_passed_on(calls: list[Any]) -> None:
    assert main(["fit", "s.nwb"]) == 0
    path, options = calls[0]
    assert path == "s.nwb"
    assert options == {}


def test_every_option_reaches_the_api_in_its_kind(calls: list[Any]) -> None:
    line = (
        "fit s.nwb --dim 5 --source units --bin 0.1 --trials trials --align go_cue --window -0.5 1 "
        "--transformation sqrt --smooth 0.1 --scale soft --held-out 0.25 --preset paper --seed 7 --device cpu "
        "--steps 50 --null 2 --repeats 3 --name mine --tags run --tags rest --overlap first --min-length 0.5 "
        "--overwrite -o out.nwb --keep-partial --quiet"
    )
    assert main([*line.split(), "--where", "outcome == 'hit'", "--units", "3,5"]) == 0
    assert calls[0][1] == {
        "dim": 5,
        "source": "units",
        "bin_width_s": 0.1,
        "trials": "trials",
        "align": "go_cue",
        "window": (-0.5, 1.0),
        "tags": ("run", "rest"),
        "overlap": "first",
        "min_length_s": 0.5,
        "where": "outcome == 'hit'",
        "units": "3,5",
        "transformation": "sqrt",
        "smooth": 0.1,
        "scale": "soft",
        "held_out": 0.25,
        "preset": "paper",
        "seed": 7,
        "device": "cpu",
        "steps": 50,
        "null": 2,
        "repeats": 3,
        "name": "mine",
        "overwrite": True,
        "output": "out.nwb",
        "keep_partial": True,
    }


def test_options_that_are_repeated_come_as_one(calls: list[Any]) -> None:
    line = "fit s.nwb --source units --source video --trials a --trials b --tags run --resample 20"
    assert main(line.split()) == 0
    options = calls[0][1]
    assert (options["source"], options["trials"], options["tags"]) == (("units", "video"), ("a", "b"), "run")
    assert options["resample_hz"] == 20.0


def test_dry_run_plans_and_does_not_fit(calls: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "s.nwb", "--dry-run", "--smooth", "auto"]) == 0
    assert calls[0][1]["smooth"] == "auto"
    assert "nothing was fitted or written" in capsys.readouterr().out


def test_fit_report_reads_as_agreed(calls: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    main(["fit", "s.nwb"])
    assert capsys.readouterr().out == (GOLDEN / "fit_report.txt").read_text()


def test_report_of_a_bare_result_does_not_fail(
    calls: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = DCFResult(xr.Dataset({"latents": (("time", "latent"), np.zeros((4, 2)))}), {}, {}, b"", name="series_dim2")
    monkeypatch.setitem(vars(nwb_dcf), "fit_nwb", lambda path, **options: bare)
    assert main(["fit", "s.nwb"]) == 0
    assert "/processing/dcf/series_dim2" in capsys.readouterr().out
    assert main(["fit", "s.nwb", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["axes_for_95_percent"] is None


def test_json_is_one_document_and_text_goes_to_stderr(calls: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "s.nwb", "--json", "-o", "copy.nwb"]) == 0
    out, err = capsys.readouterr()
    fit = json.loads(out)
    assert fit["file"] == "copy.nwb"
    assert fit["name"] == "units_dim3"
    assert fit["scores"] == {"bottleneck_r2": 0.4312, "pca_r2": 0.38}
    assert fit["bottleneck_r2"] == [0.2, 0.3, 0.4, None]
    assert "/processing/dcf/units_dim3 in copy.nwb" in err


def test_quiet_says_nothing_to_people(calls: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "s.nwb", "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")
    assert main(["fit", "s.nwb", "--quiet", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["dim"] == 3
    assert err == ""


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (
            StoreError("a fit units_dim3 exists", where="s.nwb: /processing/dcf", fix="use --overwrite or --name"),
            2,
            "nwb-dcf: error: s.nwb: /processing/dcf: a fit units_dim3 exists; use --overwrite or --name\n",
        ),
        (KeyboardInterrupt(), 130, "nwb-dcf: interrupted; nothing was written\n"),
        (
            KeyError("rate\nof change"),
            1,
            "nwb-dcf: error: KeyError: 'rate\\nof change'; this is a defect of nwb_dcf, please report it with what "
            "the same command prints under NWB_DCF_DEBUG=1\n",
        ),
    ],
)
def test_each_failure_has_its_code_its_line_and_its_document(
    error: BaseException, code: int, line: str, calls: list[Any], monkeypatch: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(path: Any, **options: Any) -> None:
        raise error

    monkeypatch.delenv("NWB_DCF_DEBUG", raising=False)
    monkeypatch.setitem(vars(nwb_dcf), "fit_nwb", fail)
    assert main(["fit", "s.nwb"]) == code
    # click ends the line that ^C stands on
    assert capsys.readouterr().err.lstrip("\n") == line
    assert main(["fit", "s.nwb", "--json"]) == code
    document = json.loads(capsys.readouterr().out)["error"]
    assert document["exit_code"] == code
    if code == 2:
        assert (document["type"], document["where"]) == ("StoreError", "s.nwb: /processing/dcf")


def test_a_defect_shows_its_traceback_on_request(
    calls: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(vars(nwb_dcf), "fit_nwb", lambda path, **options: {}["absent"])
    monkeypatch.setenv("NWB_DCF_DEBUG", "1")
    assert main(["fit", "s.nwb"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_kept_partial_fit_is_reported_and_exits_130(
    calls: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(vars(nwb_dcf), "fit_nwb", lambda path, **options: make_result(interrupted=True))
    assert main(["fit", "s.nwb", "--keep-partial"]) == 130
    assert "training was interrupted" in capsys.readouterr().out


def test_bar_follows_stages_with_loss_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal:
        text = ""

        def write(self, text: str) -> None:
            self.text += text

        def flush(self) -> None: ...

        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with ProgressBar() as bar:
        for stage, loss in (("train", 0.5), ("refit", 0.25)):
            for step in (1, 40, 80):
                bar(Progress(stage, step, 80, loss))
    train, refit = terminal.text.find("train"), terminal.text.find("refit")
    assert 0 <= train < refit
    assert "80/80" in terminal.text
    assert "loss 0.5000" in terminal.text
    assert "loss 0.2500" in terminal.text
    assert "<" in terminal.text  # elapsed<left


def test_bar_is_silent_where_hidden_and_a_line_where_no_terminal_is(capsys: pytest.CaptureFixture[str]) -> None:
    for bar, written in ((ProgressBar(hidden=True), ""), (ProgressBar(), "train: step 1 of 2, loss 0.5000\n")):
        with bar:
            bar(Progress("train", 1, 2, 0.5))
        assert capsys.readouterr().err == written

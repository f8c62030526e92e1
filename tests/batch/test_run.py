"""One batch of a few small files serves most tests; engines are compared to the bit."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import nwb_dcf
from nwb_dcf import batch
from nwb_dcf.batch.engines import run_engine
from nwb_dcf.batch.job import FitJob
from nwb_dcf.batch.outcome import JobOutcome
from nwb_dcf.batch.run import list_sessions, make_jobs
from nwb_dcf.cli import main
from nwb_dcf.data.synthetic import simulate_reach
from nwb_dcf.errors import ParameterError
from nwb_dcf.io.results import write_session
from tests.file_server import serve

QUICK = {"dim": 2, "steps": 20, "bin_width_s": 0.05, "name": "quick"}


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("original")
    for i in range(2):
        simulation = simulate_reach(n_trials=12, n_bins=20, n_units=8, bin_width_s=0.05, seed=i)
        write_session(simulation.recording, folder / f"s{i}.nwb", seed=i)
    (folder / "broken.nwb").write_bytes(b"no file of HDF5")
    return folder


@pytest.fixture(scope="module")
def fitted(original: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, batch.BatchReport]:
    folder = tmp_path_factory.mktemp("batch") / "sessions"
    shutil.copytree(original, folder)
    return folder, batch.run(folder, "loop", report=folder.parent / "table.csv", **QUICK)


def test_one_broken_file_is_a_line_and_stops_nothing(fitted: tuple[Path, batch.BatchReport]):
    folder, report = fitted
    assert report.counts == {"fitted": 2, "skipped": 0, "failed": 1}
    assert [Path(row["file"]).name for row in report.rows] == ["broken.nwb", "s0.nwb", "s1.nwb"]
    assert "HDF5" in report.rows[0]["message"]
    assert nwb_dcf.read_result(folder / "s1.nwb", "quick").dim == 2
    with (folder.parent / "table.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["state"] for row in rows] == ["failed", "fitted", "fitted"]
    assert float(rows[1]["bottleneck_r2"]) == report.rows[1]["bottleneck_r2"]


def test_running_again_skips_what_is_there(fitted: tuple[Path, batch.BatchReport]):
    folder, _ = fitted
    states = [path.stat().st_mtime_ns for path in sorted(folder.glob("s*.nwb"))]
    again = batch.run(folder, "loop", **QUICK)
    assert again.counts == {"fitted": 0, "skipped": 2, "failed": 1}
    assert [path.stat().st_mtime_ns for path in sorted(folder.glob("s*.nwb"))] == states


def test_another_request_is_not_skipped_and_replaces_nothing_unasked(fitted: tuple[Path, batch.BatchReport]):
    folder, _ = fitted
    other = batch.run(folder / "s0.nwb", "loop", **{**QUICK, "steps": 25})
    assert other.counts["failed"] == 1
    assert "this fit exists" in other.rows[0]["message"]


@pytest.mark.long
def test_processes_give_the_same_latents_to_the_bit(
    fitted: tuple[Path, batch.BatchReport], original: Path, tmp_path: Path
):
    folder, _ = fitted
    files = [original / "s0.nwb", original / "s1.nwb"]
    report = batch.run(files, "joblib", {"n_jobs": 2}, output_folder=tmp_path, **QUICK)
    assert report.counts["fitted"] == 2
    for name in ("s0.nwb", "s1.nwb"):
        one, other = (nwb_dcf.read_result(place / name, "quick").dataset["latents"] for place in (folder, tmp_path))
        assert np.array_equal(one.values, other.values)
    assert nwb_dcf.list_results(original / "s0.nwb") == []


def test_the_command_ends_with_3_where_some_failed(
    fitted: tuple[Path, batch.BatchReport], capsys: pytest.CaptureFixture[str]
):
    folder, _ = fitted
    options = ["--dim", "2", "--steps", "20", "--bin", "0.05", "--name", "quick", "--engine", "loop"]
    table, config = folder.parent / "t.csv", str(folder / "c.toml")
    assert main(["fit", str(folder), *options, "--json", "--csv", str(table)]) == 3
    document = json.loads(capsys.readouterr().out)
    assert document["counts"] == {"fitted": 0, "skipped": 2, "failed": 1}
    assert table.read_text().count("skipped") == 2
    both = [str(folder / name) for name in ("s0.nwb", "s1.nwb")]
    assert main(["fit", *both, *options, "--quiet", "--save-config", config]) == 0
    assert batch.load_config(config) == QUICK
    assert main(["fit", *both, "--config", config, "--engine", "loop", "--quiet"]) == 0


@pytest.mark.long
def test_a_fit_of_one_file_is_skipped_by_a_batch(original: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for name in ("s0.nwb", "s1.nwb"):
        shutil.copy(original / name, tmp_path)
    options = ["--dim", "2", "--steps", "20", "--bin", "0.05", "--name", "quick"]
    assert main(["fit", str(tmp_path / "s0.nwb"), *options, "--quiet"]) == 0
    assert main(["fit", str(tmp_path), *options, "--engine", "loop", "--json"]) == 0
    states = [row["state"] for row in json.loads(capsys.readouterr().out)["files"]]
    assert states == ["skipped", "fitted"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-o", "x.nwb"], "-o is for one file; name --output-folder; see nwb-dcf fit --help"),
        (["--keep-partial"], "--keep-partial is for one file; see"),
        (["--engine", "loop", "--jobs", "2"], "--jobs has no meaning for loop; see"),
        (["--csv", "table.txt"], "--csv is 'table.txt'; name a .csv or .json file"),
        (["--overrides", "nothing.csv"], "nothing.csv: cannot be read"),
        (["--output-folder", "nowhere"], "nowhere: no such folder"),
        (["--config", "nowhere.toml"], "nowhere.toml: cannot be read"),
        (["--engine-option", "x"], "'x' is not NAME=VALUE"),
    ],
)
def test_what_is_wrong_for_all_files_is_one_line(
    original: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
):
    before = {path: path.read_bytes() for path in original.iterdir()}
    assert main(["fit", str(original / "s0.nwb"), str(original / "s1.nwb"), *options]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert message in err
    assert {path: path.read_bytes() for path in original.iterdir()} == before


@pytest.mark.long
def test_a_dandiset_is_a_row_for_each_of_its_files(
    original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    pytest.importorskip("requests")
    monkeypatch.setenv("NWB_DCF_CACHE", str(tmp_path / "cache"))
    options = ["--dim", "2", "--steps", "5", "--bin", "0.05", "--engine", "loop", "--json"]
    with serve(original) as served:
        monkeypatch.setenv("NWB_DCF_DANDI_API", f"{served.url}/api/")
        assert main(["fit", "dandi://000001", *options]) == 2
        assert "--output-folder" in capsys.readouterr().err
        assert main(["fit", "dandi://000001/sub-2/", *options]) == 2
        assert "has no NWB file in HDF5 in sub-2/" in capsys.readouterr().err
        assert main(["fit", "dandi://000001", *options, "--output-folder", str(tmp_path)]) == 3
    rows = json.loads(capsys.readouterr().out)["files"]
    assert [row["file"] for row in rows] == [
        f"dandi://000001@0.240101.0000/sub-1/{name}.nwb" for name in ("broken", "s0", "s1")
    ]
    assert [row["state"] for row in rows] == ["failed", "fitted", "fitted"]
    assert nwb_dcf.read_result(tmp_path / "s1.nwb").dim == 2


@pytest.mark.long
def test_a_server_that_does_not_answer_is_a_line_among_others(original: Path, tmp_path: Path):
    pytest.importorskip("requests")
    report = batch.run([original / "s0.nwb", "http://127.0.0.1:9/x.nwb"], "loop", output_folder=tmp_path, **QUICK)
    assert report.counts == {"fitted": 1, "skipped": 0, "failed": 1}
    assert "127.0.0.1:9 refuses connections" in report.rows[1]["message"]


def test_overrides_are_for_their_file_alone(tmp_path: Path):
    jobs = make_jobs(["x/a.nwb", "x/b.nwb"], {"dim": 3}, {"b.nwb": {"dim": 2}}, None)
    assert [job.options["dim"] for job in jobs] == [3, 2]
    with pytest.raises(ParameterError, match=r"names c\.nwb, which is none of the files"):
        make_jobs(["x/a.nwb"], {}, {"c.nwb": {}})


def test_what_cannot_be_run_is_refused(tmp_path: Path):
    with pytest.raises(ParameterError, match="engine is 'slrm'"):
        batch.run(tmp_path, "slrm")
    with pytest.raises(ParameterError, match="holds no NWB file"):
        batch.run(tmp_path)
    with pytest.raises(ParameterError, match="is listed twice"):
        list_sessions([tmp_path / "a.nwb", tmp_path / "a.nwb"])
    with pytest.raises(ParameterError, match=r"name a \.csv or \.json file"):
        batch.run(tmp_path / "a.nwb", report="table.txt")
    with pytest.raises(ParameterError, match="takes no n_jobs"):
        batch.run(tmp_path / "a.nwb", "loop", {"n_jobs": 2})
    with pytest.raises(ParameterError, match="joblib has no argument 'jobs'"):
        batch.run(tmp_path / "a.nwb", "joblib", {"jobs": 2})


def test_slurm_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("submitit")
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(ParameterError, match="Slurm is not on this machine"):
        list(run_engine("slurm", [FitJob("a.nwb", {})]))


def test_dask_without_a_client_is_refused():
    pytest.importorskip("distributed")
    with pytest.raises(ParameterError, match="there is no Dask client"):
        list(run_engine("dask", [FitJob("a.nwb", {})]))


def test_a_file_that_is_not_there_is_a_line(tmp_path: Path):
    (outcome,) = batch.run(tmp_path / "a.nwb", "loop").outcomes
    assert isinstance(outcome, JobOutcome)
    assert outcome.state == "failed"
    assert outcome.message.endswith("no such file")


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["processpoolexecutor", "dask", "slurm"])
def test_every_engine_gives_the_same_latents(
    engine: str, fitted: tuple[Path, batch.BatchReport], original: Path, tmp_path: Path
):
    folder, _ = fitted
    files = [original / "s0.nwb", original / "s1.nwb"]
    kwargs: dict[str, object] = {}
    client = None
    if engine == "dask":
        distributed = pytest.importorskip("distributed")
        client = distributed.Client(n_workers=1, threads_per_worker=1, dashboard_address=None)
        kwargs = {"client": client}
    elif engine == "slurm":
        pytest.importorskip("submitit")
        kwargs = {"cluster": "local", "folder": tmp_path / "logs"}
    try:
        report = batch.run(files, engine, kwargs, output_folder=tmp_path, **QUICK)
    finally:
        if client is not None:
            client.close()
    assert report.counts["fitted"] == 2, report.rows
    for name in ("s0.nwb", "s1.nwb"):
        one, other = (nwb_dcf.read_result(place / name, "quick").dataset["latents"] for place in (folder, tmp_path))
        assert np.array_equal(one.values, other.values)


def test_a_dry_run_plans_and_writes_nothing(
    fitted: tuple[Path, batch.BatchReport], original: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    folder, _ = fitted
    shutil.copy(original / "s0.nwb", tmp_path / "new.nwb")
    files = [folder / "broken.nwb", folder / "s0.nwb", tmp_path / "new.nwb"]
    before = [file.read_bytes() for file in files]
    report = batch.run(files, "loop", dry_run=True, **QUICK)
    assert report.counts == {"planned": 1, "fitted": 0, "skipped": 1, "failed": 1}
    assert "8 channels" in report.rows[2]["message"]
    assert report.rows[2]["dim"] == 2
    assert [file.read_bytes() for file in files] == before
    assert not (tmp_path / "new.nwb").with_suffix(".dcf").exists()
    assert main(["fit", *map(str, files), "--dim", "2", "--dry-run", "--engine", "loop", "--name", "x"]) == 3
    assert "nothing was fitted or written" in capsys.readouterr().out


def test_a_fit_that_was_ended_goes_on_from_its_checkpoint(monkeypatch: pytest.MonkeyPatch, original: Path):
    asked: list[bool] = []

    class Fitted:
        name = "quick"
        dataset = SimpleNamespace(attrs={})

    def fit(file: str, **options: object) -> Fitted:
        asked.append(bool(options.get("resume")))
        if options.get("resume") and len(asked) == 1:
            raise ParameterError("the checkpoint is of another fit (train.steps: 5 then, 9 now)")
        return Fitted()

    monkeypatch.setattr("nwb_dcf.pipeline.fit.fit_nwb", fit)
    file = original / "s0.nwb"
    left = [{"path": "x", "file": "s0.nwb", "fit": "quick"}]
    monkeypatch.setattr("nwb_dcf.batch.job.list_checkpoints", lambda folder: left)
    # of a fit with other settings: from the beginning; then of this one
    for expected in ([True, False], [True, False, True]):
        assert batch.run([file], "loop", name="quick").counts["fitted"] == 1
        assert asked == expected
    left.clear()
    batch.run([file], "loop", name="quick", resume=True)
    assert asked == [True, False, True, False]

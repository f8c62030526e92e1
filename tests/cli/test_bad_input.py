"""Bad input, through the command line as people meet it.

Each is answered by one line that says what is wrong, where, and what to do, with exit code 2; the
file stays as it was to the byte and nothing is left beside it.
"""

from __future__ import annotations

import json
import os
import resource
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from nwb_dcf.cli import main
from nwb_dcf.io.results.read import SCHEMA_VERSION
from tests.nwb_files import make_faulty_session, make_spike_session

from .conftest import Run, SmallFit
from .odd_files import (
    add_late_series,
    break_stop_times,
    held_open_for_writing,
    make_infinite,
    make_one_unit,
    mounted_tmpfs,
    raise_schema_of_fits,
    write_text,
)

Look = Callable[[Path], dict[str, bytes]]
Cli = Callable[..., Any]


def check_refusal(done: Any, words: str, *, stages: int = 0) -> None:
    """One line on stderr with every one of `words`, separated by |, exit code 2, and nothing else.

    Of work that was begun, a line for each of `stages` comes before it.
    """
    assert done.code == 2, done.stderr
    assert done.stdout == ""
    *progress, refusal = done.stderr.splitlines()
    assert len(progress) == stages, done.stderr
    assert refusal.startswith("nwb-dcf: error: ")
    assert done.stderr.endswith("\n")
    assert [word for word in words.split("|") if word.lower() not in refusal.lower()] == []


def fault(name: str) -> Callable[[Path], Path]:
    return lambda path: make_faulty_session(path, name)


MADE = {
    # each in a process of its own: how the file is made, what is asked of it, words of the answer
    "not HDF5": (write_text, "", "s.nwb|hdf5"),
    "dim 0": (make_spike_session, "--dim 0", "dim is 0|number 1 or more"),
    "unknown source": (make_spike_session, "--source unitz", "unitz|s.nwb|units"),
    "unknown table": (make_spike_session, "--trials trails", "trails|s.nwb|trials"),
    "unknown column to align": (make_spike_session, "--align goo --window 0 1", "goo|go_time"),
    "NaN in data": (fault("NaN data"), "--source signal", "/acquisition/signal|NaN|channel 3|5 s"),
    "infinity in data": (make_infinite, "--source signal", "/acquisition/signal|infinite|channel 1|10 s"),
    "a named table that is unusable": (break_stop_times, "--trials trials", "/intervals/trials|stop"),
    "unsorted spike times": (fault("unsorted spike times"), "", "/units|unit 2|sort"),
    "trials of less than two bins": (
        fault("short trials"),
        "--trials trials",
        "/intervals/trials|shorter than two bins",
    ),
    "trials outside": (fault("trials outside the recording"), "--trials trials", "/intervals/trials|outside"),
    "intervals that overlap": (fault("overlapping trials"), "--trials trials", "/intervals/trials|overlap|0 and 1"),
    "nan as bin": (make_spike_session, "--bin nan", "bin|nan|finite number"),
}

MORE = {
    # the same in this process, which is quicker
    "dim below 0": (make_spike_session, "--dim -2", "dim is -2"),
    "dim above the units": (make_spike_session, "--dim 9", "9|8|dim"),
    "one unit": (make_one_unit, "", "1|unit"),
    "unknown column in where": (make_spike_session, "--where 'diraction == 1'", "diraction|direction"),
    "align without a window": (make_spike_session, "--align go_time", "--align|--window"),
    "NaN spike times": (fault("NaN spike times"), "", "/units|unit 2|NaN"),
    "rate 0": (fault("rate zero"), "--source signal", "/acquisition/signal|0 Hz|true rate"),
    "rate NaN": (fault("rate NaN"), "--source signal", "/acquisition/signal|nan Hz|true rate"),
    "rate below 0": (fault("rate below zero"), "--source signal", "/acquisition/signal|-20 Hz|true rate"),
    "too few timestamps": (fault("timestamps of another number"), "--source signal", "/acquisition/signal|590|600"),
    "too many timestamps": (fault("more timestamps than samples"), "--source signal", "/acquisition/signal|610|600"),
    "timestamps that go back": (fault("timestamps that go back"), "--source signal", "/acquisition/signal|sort"),
    "unknown tag": (make_spike_session, "--tags rest", "s.nwb|no table of intervals has tags"),
    "no segment as long as asked": (make_spike_session, "--min-length 5", "s.nwb|as long as 5 s|--min-length"),
    "nan as least length": (make_spike_session, "--min-length nan", "--min-length|nan"),
    "auto beside a table": (make_spike_session, "--trials auto --trials trials", "auto|alone"),
    "windows that overlap": (make_spike_session, "--align go_time --window -1 1", "/intervals/trials|--overlap first"),
    "sources that do not overlap": (
        add_late_series,
        "--source units --source late",
        "s.nwb|/units|/acquisition/late goes from 1000 to 1029.95 s|compare their clocks",
    ),
    "a source that is there twice": (make_spike_session, "--source units --source /units", "/units|twice"),
    "an unknown source beside units": (make_spike_session, "--source units --source hand", "hand|s.nwb"),
    "units that are to be resampled": (make_spike_session, "--resample 10", "/units|--bin"),
    "resampling to 0": (fault("NaN data"), "--source signal --resample 0", "resample|0|above 0"),
    "complex numbers": (fault("complex data"), "--source signal", "/acquisition/signal|complex"),
    "compound values": (fault("compound data"), "--source signal", "/acquisition/signal|compound"),
    "no samples": (fault("no samples"), "--source signal", "/acquisition/signal|(0, 5)"),
    "one sample": (fault("one sample"), "--source signal", "/acquisition/signal|(1, 3)"),
    "text": (fault("text data"), "--source signal", "/acquisition/signal|text"),
    "ROIs transposed": (fault("ROIs transposed"), "--source raw", "Fluorescence/raw|(roi, time)"),
    "transposed and not named": (fault("ROIs transposed"), "", "Fluorescence/raw|(roi, time)"),
    "ROIs without a value": (fault("ROIs without a value"), "", "Fluorescence/raw|every roi is NaN"),
    "a setting of another source": (make_spike_session, "--bands 4-8", "bands|ElectricalSeries|/units"),
    "rois of units": (make_spike_session, "--rois all", "rois|ROI responses|/units"),
    "max gap below 0": (fault("NaN data"), "--source signal --max-gap -1", "--max-gap|-1"),
    "bin below 0": (make_spike_session, "--bin -0.02", "bin|-0.02"),
    "a bin longer than the recording": (make_spike_session, "--bin 1000", "bin"),
    "nan to smooth": (make_spike_session, "--smooth nan", "smooth|nan"),
    "held-out above 1": (make_spike_session, "--held-out 1.5", "hold out|1.5"),
    "no such device": (make_spike_session, "--device abacus", "abacus|cpu"),
    "steps 0": (make_spike_session, "--steps 0", "steps|0"),
    "a name that HDF5 cannot hold": (make_spike_session, "--name a/b", "a/b|name"),
    "output in no folder": (make_spike_session, "-o nowhere/out.nwb", "nowhere"),
}


@pytest.mark.parametrize("case", MADE)
def test_bad_input_is_one_line(case: str, tmp_path: Path, run_cli: Cli, look_at: Look) -> None:
    build, arguments, words = MADE[case]
    path = build(tmp_path / "s.nwb")
    before = look_at(tmp_path)
    check_refusal(run_cli("fit", path, *shlex.split(arguments), "--steps", "2"), words)
    assert look_at(tmp_path) == before


@pytest.mark.parametrize("case", MORE)
def test_more_bad_input_is_one_line(
    case: str, tmp_path: Path, look_at: Look, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    build, arguments, words = MORE[case]
    path = build(tmp_path / "s.nwb")
    before = look_at(tmp_path)
    monkeypatch.chdir(tmp_path)
    code = main(["fit", str(path), "--steps", "2", *shlex.split(arguments)])
    check_refusal(Run(code, *capsys.readouterr()), words)
    assert look_at(tmp_path) == before


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("not_nwb2.nwb", "", "not_nwb2.nwb|NWB 2"),
        ("no_neural_data.nwb", "", "no_neural_data.nwb|States|--source"),
        ("three_units.nwb", "--dim 4", "4|3|units"),
        ("mouse_alm_000006.nwb", "", "mouse_alm_000006.nwb|/units"),
        ("mouse_alm_000006.nwb", "--trials trials", "/units|not in order|sort"),
        ("openfield_video.nwb", "", "openfield_video.nwb|/acquisition/behavior_video|m3v1mp4.mp4|missing|--video-dir"),
        ("openfield_video.nwb", "--video-dir nowhere", "openfield_video.nwb|nowhere|--video-dir"),
        ("pose_bad_clock.nwb", "--source video", "pose_bad_clock.nwb|PoseEstimation|no video|fake_path"),
    ],
)
def test_a_real_file_that_cannot_be_fitted(
    name: str, arguments: str, words: str, tmp_path: Path, run_cli: Cli, look_at: Look, real_data: Callable[[str], Path]
) -> None:
    path = shutil.copyfile(real_data(name), tmp_path / name)
    before = look_at(tmp_path)
    check_refusal(run_cli("fit", path, *arguments.split(), "--steps", 2), words)
    assert look_at(tmp_path) == before


def test_no_such_file(tmp_path: Path, run_cli: Cli, look_at: Look) -> None:
    check_refusal(run_cli("fit", tmp_path / "absent.nwb"), "absent.nwb|no such file")
    check_refusal(run_cli("info", tmp_path / "absent.nwb"), "absent.nwb|no such file")
    check_refusal(run_cli("fit", tmp_path), "folder")
    assert look_at(tmp_path) == {}


def test_a_refusal_is_a_document_under_json(tmp_path: Path, run_cli: Cli) -> None:
    path = make_spike_session(tmp_path / "s.nwb")
    done = run_cli("fit", path, "--source", "unitz", "--json")
    error = json.loads(done.stdout)["error"]
    assert done.code == error["exit_code"] == 2
    assert "unitz" in error["what"]
    assert "s.nwb" in error["where"]
    assert done.stderr == f"nwb-dcf: error: {error['message']}\n"


def test_auto_falls_back_from_an_unusable_table_and_says_so(tmp_path: Path, run_cli: Cli) -> None:
    path = break_stop_times(tmp_path / "s.nwb")
    done = run_cli("fit", path, "--dry-run", "--json")
    assert done.code == 0, done.stderr
    assert "trials" in " ".join(json.loads(done.stdout)["notes"])


def test_trials_without_the_cue_are_skipped_and_counted(
    tmp_path: Path, run_cli: Cli, real_data: Callable[[str], Path]
) -> None:
    path = shutil.copyfile(real_data("mouse_alm_000009.nwb"), tmp_path / "s.nwb")
    catalog = json.loads(run_cli("info", path, "--json").stdout)
    times = next(table["time_columns"] for table in catalog["tables"] if table["path"] == "/intervals/trials")
    cue = next(name for name in times if "cue" in name)
    done = run_cli("fit", path, "--align", cue, "--window", -0.5, 1, "--dim", 2, "--dry-run", "--json")
    assert done.code == 0, done.stderr
    fit = json.loads(done.stdout)
    said = " ".join([*fit["notes"], *(str(item) for item in fit["left_out"])])
    assert "70" in said
    assert cue in said


def test_a_file_open_for_writing_elsewhere(tmp_path: Path, run_cli: Cli, look_at: Look) -> None:
    path = make_spike_session(tmp_path / "s.nwb")
    before = look_at(tmp_path)
    with held_open_for_writing(path):
        for command in ("info", "fit"):
            check_refusal(run_cli(command, path), "s.nwb|HDF5_USE_FILE_LOCKING")
    assert look_at(tmp_path) == before


def test_a_read_only_file_and_a_read_only_folder(tmp_path: Path, run_cli: Cli, look_at: Look) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    path = make_spike_session(folder / "s.nwb")
    before = look_at(tmp_path)
    try:
        path.chmod(0o444)
        check_refusal(run_cli("fit", path), "s.nwb|read-only|-o")
        path.chmod(0o644)
        folder.chmod(0o555)
        check_refusal(run_cli("fit", path), "folder|read-only|-o")
    finally:
        folder.chmod(0o755)
    assert look_at(tmp_path) == before


def test_a_file_size_limit_met_while_writing(tmp_path: Path, run_cli: Cli, look_at: Look) -> None:
    path = make_spike_session(tmp_path / "s.nwb")
    before = look_at(tmp_path)
    limit = path.stat().st_size + 100_000  # the copy fits, the fit does not

    def limit_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    done = run_cli("fit", path, "--dim", 2, "--steps", 2, preexec_fn=limit_files)
    check_refusal(done, "s.nwb|disk", stages=4)
    assert look_at(tmp_path) == before


@pytest.mark.parametrize("table", ["units", pytest.param("intervals/trials", marks=pytest.mark.long)])
def test_ids_that_refer_to_their_own_table_are_refused_at_once(table: str, tmp_path: Path, run_cli: Cli) -> None:
    """Followed, they would lead round until the memory is full."""
    path = make_spike_session(tmp_path / "s.nwb")
    with h5py.File(path, "r+") as file:
        ids = file[f"{table}/id"]
        attributes, n = dict(ids.attrs), len(ids)
        del file[f"{table}/id"]
        file[f"{table}/id"] = np.array([file[table].ref] * n, dtype=h5py.ref_dtype)
        file[f"{table}/id"].attrs.update(attributes)

    def limit_memory() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (6 * 2**30,) * 2)

    for arguments in (["info", path], ["fit", path, "--dry-run"]):
        check_refusal(run_cli(*arguments, preexec_fn=limit_memory), f"/{table}/id: ids of rows are references")


def test_a_full_disk(tmp_path: Path, run_cli: Cli, look_at: Look) -> None:
    path = make_spike_session(tmp_path / "s.nwb")
    with mounted_tmpfs(tmp_path / "disk", path.stat().st_size + 300_000) as mounted:
        if not mounted:
            pytest.skip("mounting a small file system needs more rights than this process has")
        path = Path(shutil.copy(path, tmp_path / "disk" / "s.nwb"))
        before = look_at(tmp_path)
        check_refusal(run_cli("fit", path, "--dim", 2, "--steps", 2), "disk|free|-o")
        assert look_at(tmp_path) == before


def test_an_existing_fit_and_a_fit_of_a_newer_schema(
    tmp_path: Path, run_cli: Cli, look_at: Look, small_fit: SmallFit
) -> None:
    path = Path(shutil.copyfile(small_fit.output, tmp_path / "s.nwb"))
    before = look_at(tmp_path)
    check_refusal(run_cli("fit", path, "--dim", 2), "units_dim2|--overwrite|--name")
    assert look_at(tmp_path) == before
    raise_schema_of_fits(path)
    before = look_at(tmp_path)
    check_refusal(run_cli("fit", path, "--dim", 2, "--name", "third"), f"s.nwb|9.0.0|{SCHEMA_VERSION}")
    assert look_at(tmp_path) == before


def test_an_existing_output_is_kept(tmp_path: Path, run_cli: Cli, look_at: Look) -> None:
    path = make_spike_session(tmp_path / "s.nwb")
    (tmp_path / "out.nwb").write_bytes(b"precious")
    before = look_at(tmp_path)
    check_refusal(run_cli("fit", path, "-o", tmp_path / "out.nwb"), "out.nwb|exists")
    assert look_at(tmp_path) == before
    assert os.listdir(tmp_path).count("s.nwb") == 1

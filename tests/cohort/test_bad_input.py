"""What cannot make a cohort, on the command line: one line, exit 2, and every file as it was."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from nwb_dcf.cli import main
from nwb_dcf.cohort.files import CohortResult

FIT = ("cohort", "fit", "s", "--align-on", "trials.condition", "--bin", "0.06", "--permutations", "19", "-o", "c.nwb")
Change = Callable[[Path], None]


@pytest.fixture
def sessions(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three sessions in a folder s, without the broken one and without fits."""
    (tmp_path / "s").mkdir()
    for i in range(3):
        shutil.copy(folder / "raw" / f"animal{i}.nwb", tmp_path / "s")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def rewrite(name: str, change: Callable[[np.ndarray], np.ndarray]) -> None:
    """Change the column of conditions of a session, and its type."""
    with h5py.File(f"s/{name}.nwb", "r+") as file:
        table = file["intervals/trials"]
        values, attributes = table["condition"][()], dict(table["condition"].attrs)
        del table["condition"]
        new = change(values)
        texts = new.dtype.kind in "OU"
        made = table.create_dataset("condition", data=new, dtype=h5py.string_dtype() if texts else None)
        made.attrs.update(attributes)


def rewrite_all(change: Callable[[np.ndarray, int], np.ndarray]) -> None:
    for i in range(3):
        rewrite(f"animal{i}", lambda values, i=i: change(values, i))  # type: ignore[misc]


def to_text(prefix: str) -> Callable[[np.ndarray], np.ndarray]:
    return lambda values: np.array([f"{prefix}{int(value)}" for value in values], object)


def spell_otherwise() -> None:
    rewrite("animal0", to_text("left "))
    rewrite("animal1", to_text("Left "))


def write_groups(text: str) -> Change:
    def write(folder: Path) -> None:
        (folder / "g.csv").write_text(text)

    return write


def double(folder: Path) -> None:
    shutil.copy(folder / "s/animal0.nwb", folder / "s/copy.nwb")


def make_still(folder: Path) -> None:
    """Add a series that stays at 0 to each session."""
    for i in range(3):
        with h5py.File(f"s/animal{i}.nwb", "r+") as file:
            group = file["processing/simulation"]
            group.copy("latents", group, "still")
            group["still"].attrs["object_id"] = str(uuid.uuid4())
            del group["still/data"]
            data = group["still"].create_dataset("data", data=np.zeros(len(group["still/timestamps"])))
            data.attrs.update({"conversion": 1.0, "offset": 0.0, "resolution": -1.0, "unit": "a.u."})


CASES: list[tuple[str, Change | None, tuple[str, ...], str]] = [
    ("no common condition", lambda _: rewrite_all(lambda v, i: v + 100 * i), FIT, "no condition is in two sessions"),
    (
        "spelt otherwise",
        lambda _: rewrite("animal2", to_text("c")),
        FIT,
        "animal2.nwb: it has none of the others' conditions: it has c0, c1",
    ),
    (
        "upper case",
        lambda _: spell_otherwise(),
        ("cohort", "fit", "s/animal0.nwb", "s/animal1.nwb", *FIT[3:]),
        "is left 0 the other's Left 0? Spell conditions alike",
    ),
    ("one session", None, ("cohort", "fit", "s/animal0.nwb", *FIT[3:]), "1 of 1 files can be used; give two or more"),
    ("no column", None, (*FIT, "--align-on", "trials.kondition"), "did you mean condition?"),
    ("constant", lambda _: rewrite_all(lambda v, i: 0 * v), FIT, "every trial has the label '0'"),
    ("a label for each trial", None, (*FIT, "--align-on", "trials.start_time"), "every trial has a label of its own"),
    ("few conditions", None, (*FIT, "--where", "condition == 3"), "every trial has the label '3'"),
    ("few trials", None, (*FIT, "--where", "id < 1"), "no condition is in two sessions"),
    ("no window", None, (*FIT, "--align", "start_time"), "--align and --window belong together"),
    ("outside", None, (*FIT, "--align", "start_time", "--window", "5000", "5001"), "0 of 3 files can be used"),
    ("short window", None, (*FIT, "--align", "start_time", "--window", "0", "0.13"), "or a longer window"),
    ("twice by identifier", double, FIT, "copy.nwb and animal0.nwb are one session"),
    ("twice by name", None, ("cohort", "fit", "s", "s/animal0.nwb", *FIT[3:]), "animal0.nwb is listed twice"),
    ("no group", write_groups("file,group\nanimal0.nwb,a\n"), (*FIT, "--groups", "g.csv"), "2 of 3 files"),
    (
        "three groups",
        write_groups("file,group\nanimal0.nwb,a\nanimal1.nwb,b\nanimal2.nwb,c\n"),
        (*FIT, "--groups", "g.csv"),
        "3 groups: a, b, c; compare two",
    ),
    ("no such groups", None, (*FIT, "--groups", "g.csv"), "g.csv: cannot be read"),
    ("an address", None, ("cohort", "fit", "s", "http://127.0.0.1:9/x.nwb", *FIT[3:]), "x.nwb cannot be written to"),
    ("no labels", None, (*FIT, "--align-on", "none"), "3 sessions without labels: 4 are needed"),
    ("constant behaviour", make_still, (*FIT, "--align-on", "simulation/still"), "still is constant, 0"),
    ("no behaviour", None, (*FIT, "--align-on", "behavior/nothing"), "0 of 3 files can be used"),
    ("dim", None, (*FIT, "--dim", "0"), "--dim is 0; give a whole number"),
    ("too many latents", None, (*FIT, "--dim", "900"), "fewer than the 900 latents"),
    ("seed", None, (*FIT, "--seed", "-1"), "--seed is -1; give a whole number, 0 or more"),
    ("no name of a file", None, (*FIT, "-o", "c.txt"), "c.txt: is no name of an NWB file; end it with .nwb"),
    ("permutations", None, (*FIT, "--permutations", "3"), "--permutations is 3; give a whole number, 19 or more"),
    ("output", None, (*FIT, "-o", "s/animal0.nwb", "--overwrite"), "animal0.nwb: no cohort: it holds none"),
    ("no folder", None, (*FIT, "-o", "nowhere/c.nwb"), "no such folder; make it first"),
    ("over the sessions", None, (*FIT, "--sessions-to", "s"), "animal0.nwb: holds more than results of a cohort"),
    ("results nowhere", None, (*FIT, "--sessions-to", "nowhere"), "nowhere: no such folder; make it first"),
    ("no cohort", None, ("cohort", "show", "s/animal0.nwb"), "no cohort: it holds none"),
    ("no file", None, ("cohort", "plot", "c.nwb", "-o", "p.html"), "c.nwb: no such file"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "arguments", "message"), [case[1:] for case in CASES], ids=[c[0] for c in CASES])
def test_one_line_and_nothing_changed(
    sessions: Path,
    look_at: Callable[[Path], dict[str, bytes]],
    change: Change | None,
    arguments: tuple[str, ...],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if change is not None:
        change(sessions)
    before = look_at(sessions)
    assert main(list(arguments)) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.rpartition("\r")[2].count("\n") == 1
    assert message in err
    assert look_at(sessions) == before


@pytest.mark.long
def test_a_broken_file_and_a_server_that_is_gone_are_named_and_end_with_3(
    sessions: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("requests", reason="could not import requests")
    (sessions / "s" / "broken.nwb").write_bytes(b"no file of HDF5")
    (sessions / "out").mkdir()
    arguments = ("cohort", "fit", "s", "http://127.0.0.1:9/x.nwb", *FIT[3:], "--sessions-to", "out", "--dim", "2")
    assert main(list(arguments)) == 3
    said = capsys.readouterr().out
    assert "broken.nwb: this is not an HDF5 file" in said
    assert "x.nwb: 127.0.0.1:9 refuses connections" in said
    assert sorted(path.name for path in (sessions / "out").iterdir()) == [f"animal{i}.nwb" for i in range(3)]


@pytest.mark.long
def test_a_label_that_one_session_alone_has_is_named(sessions: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for i in range(3):
        rewrite(f"animal{i}", to_text("cue "))
    rewrite("animal1", lambda values: np.array([b"Cue 2" if v == b"cue 2" else v for v in values], object))
    assert main([*FIT, "--dim", "2", "--sessions-to", "."]) == 0
    sentence = "trials of animal1.nwb have labels that no other session has (Cue 2, is Cue 2 their cue 2?)"
    assert sentence in capsys.readouterr().out


def test_a_cohort_of_a_newer_schema_is_refused(
    fitted: CohortResult, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    newer = tmp_path / "newer.nwb"
    shutil.copy(fitted.output, newer)
    with h5py.File(newer, "r+") as file:
        file["processing/dcf/cohort"].attrs["schema_version"] = "9.0.0"
    before = newer.read_bytes()
    for arguments in (
        ["show"],
        ["list"],
        ["compare", "--compare", "outcome"],
        ["plot", "-o", str(tmp_path / "p.html")],
    ):
        assert main(["cohort", arguments[0], str(newer), *arguments[1:]]) == 2
        assert "9.0.0" in capsys.readouterr().err
    assert newer.read_bytes() == before

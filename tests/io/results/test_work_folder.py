"""The folder in which a write is prepared is ours or it is refused; nothing that others put there is touched."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nwb_dcf.errors import StoreError
from nwb_dcf.io.results import atomic as replacement
from nwb_dcf.io.results import (
    check_derived,
    check_writable,
    find_leftovers,
    list_results,
    read_result,
    remove_leftovers,
    remove_result,
    write,
    write_result,
)
from nwb_dcf.io.results.atomic import LONGEST_NAME, lock_work_folder, work_folder_of

from .synthetic import assert_same_result, digest, result_for

HEX = "0123456789abcdef" * 2


@pytest.fixture(scope="module")
def written(real_data: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A session that holds a fit, written once."""
    path = Path(shutil.copyfile(real_data("three_units.nwb"), tmp_path_factory.mktemp("written") / "s.nwb"))
    path.chmod(0o644)
    write_result(result_for(path), path)
    return path.read_bytes()


@pytest.fixture
def fitted(session: Path, written: bytes) -> Path:
    """A copy of it, alone in its folder."""
    session.write_bytes(written)
    return session


def refuse_everywhere(session: Path, words: str) -> None:
    """Each way of writing ends in one line, before and after the long work."""
    calls: list[Callable[[], Any]] = [
        lambda: check_writable(session, name="other", kind="units", dim=3),
        lambda: write_result(result_for(session), session, name="other"),
        lambda: remove_result(session, "units_dim3"),
        lambda: check_derived(session, name="x", kind="units", dim=3, overwrite=True),
    ]
    for call in calls:
        with pytest.raises(StoreError, match=words) as caught:
            call()
        assert "\n" not in str(caught.value)
    remove_leftovers(session)


def test_a_link_in_its_place_is_refused_and_what_is_behind_it_stays(fitted: Path, tmp_path: Path) -> None:
    letters = tmp_path / "letters"
    letters.mkdir()
    for name in ("lock", "payload.npz", "empty.nwb", f"{HEX}.nwb", "dear.txt"):
        (letters / name).write_text("dear")
    before = digest(fitted)
    work_folder_of(fitted).symlink_to(letters)
    refuse_everywhere(fitted, "a symbolic link has the name of the folder that a write needs")
    assert {path.read_text() for path in letters.iterdir()} == {"dear"}
    assert len(list(letters.iterdir())) == 5
    assert find_leftovers(fitted.parent) == []
    assert digest(fitted) == before


def test_a_dangling_link_or_a_file_in_its_place_is_refused(fitted: Path, tmp_path: Path) -> None:
    work_folder_of(fitted).symlink_to(tmp_path / "nowhere")
    refuse_everywhere(fitted, "a symbolic link")
    assert not (tmp_path / "nowhere").exists()
    work_folder_of(fitted).unlink()
    work_folder_of(fitted).write_text("mine")
    refuse_everywhere(fitted, "no folder has the name")
    assert work_folder_of(fitted).read_text() == "mine"


def test_a_folder_of_another_owner_is_refused(fitted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = work_folder_of(fitted)
    folder.mkdir()
    (folder / "payload.npz").write_text("theirs")
    if os.geteuid() == 0:
        os.chown(folder, 12345, 12345)
    else:
        monkeypatch.setattr(replacement, "_is_own", lambda status, parent: status.st_ino != folder.stat().st_ino)
    refuse_everywhere(fitted, "belongs to another user")
    assert (folder / "payload.npz").read_text() == "theirs"


def test_where_a_drive_gives_every_file_to_one_user_its_folder_is_ours(
    session: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = work_folder_of(session)
    folder.mkdir()
    (folder / "payload.npz").write_text("left")
    monkeypatch.setattr(os, "geteuid", lambda: 54321)  # who asks is another than whom files belong to
    write_result(result_for(session), session)
    assert len(list_results(session)) == 1
    assert os.listdir(session.parent) == [session.name]


@pytest.mark.parametrize("kind", ["link", "hard link", "text"])
def test_a_lock_that_would_empty_a_file_is_refused(fitted: Path, tmp_path: Path, kind: str) -> None:
    letter = tmp_path / "letter.txt"
    letter.write_text("dear")
    lock = work_folder_of(fitted) / "lock"
    lock.parent.mkdir()
    if kind == "link":
        lock.symlink_to(letter)
    elif kind == "hard link":
        os.link(letter, lock)
    else:
        lock.write_text("dear")
    refuse_everywhere(fitted, "this is not the lock of a write")
    assert letter.read_text() == "dear"
    assert lock.read_text() == "dear"


def test_only_names_that_a_write_makes_are_removed(session: Path, tmp_path: Path) -> None:
    folder, letter = work_folder_of(session), tmp_path / "letter.txt"
    letter.write_text("dear")
    (folder / "empty.nwb").mkdir(parents=True)
    (folder / "empty.nwb" / "inside").write_text("dear")
    (folder / "notes.txt").write_text("dear")
    (folder / "payload.npz").symlink_to(letter)
    (folder / f"{HEX}.nwb").write_text("left by a killed write")
    (folder / f"packed-{HEX}.nwb").write_text("left by a killed write")
    mine = session.with_name(f"{folder.name}-mine")
    mine.mkdir()
    elsewhere = session.with_name(f"{folder.name}-{HEX}")
    elsewhere.symlink_to(tmp_path)
    write_result(result_for(session), session)
    assert letter.read_text() == "dear"
    assert sorted(path.name for path in folder.iterdir()) == ["empty.nwb", "notes.txt"]
    assert mine.is_dir()
    assert elsewhere.is_symlink()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_nobody_else_can_read_what_is_being_written(session: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session.chmod(0o664)
    seen: dict[str, set[int]] = {}
    run_clean, folder = write.run_clean, work_folder_of(session)

    def look(script: str, request: dict[str, Any], **place: Any) -> dict[str, Any]:
        report = run_clean(script, request, **place)
        seen.setdefault("folder", set()).add(stat.S_IMODE(folder.stat().st_mode))
        seen.setdefault("files", set()).update(stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir())
        return report

    monkeypatch.setattr(write, "run_clean", look)
    before = os.umask(0)
    try:
        write_result(result_for(session), session)
    finally:
        os.umask(before)
    assert seen == {"folder": {0o700}, "files": {0o600}}
    assert stat.S_IMODE(session.stat().st_mode) == 0o664


def test_leftovers_are_listed_and_go_with_the_next_write_into_that_folder(session: Path) -> None:
    other = session.with_name("other.nwb")
    left = work_folder_of(other)
    left.mkdir()
    (left / "lock").touch()
    (left / f"{HEX}.nwb").write_bytes(b"0" * 100)
    zarr = session.with_name(f".z.nwb.zarr.nwb-dcf-{HEX}")
    (zarr / "units").mkdir(parents=True)
    checkpoints = work_folder_of(session.with_name("third.nwb"))
    checkpoints.mkdir()
    (checkpoints / "checkpoint-units_dim3.npz").write_text("dear")
    assert find_leftovers(session.parent) == sorted([left, zarr])
    check_writable(session, kind="units", dim=3)
    list_results(session)
    assert find_leftovers(session.parent) == sorted([left, zarr])  # neither a check nor a reader removes them
    with lock_work_folder(session):
        assert find_leftovers(session.parent) == sorted([left, zarr])  # of a write that is alive nothing is left
    write_result(result_for(session), session)
    assert find_leftovers(session.parent) == []
    assert sorted(os.listdir(session.parent)) == sorted([session.name, checkpoints.name])
    assert (checkpoints / "checkpoint-units_dim3.npz").read_text() == "dear"


def test_a_write_that_is_alive_is_left_alone(session: Path) -> None:
    other = session.with_name("other.nwb")
    with lock_work_folder(other) as folder:
        (folder / "payload.npz").write_text("needed")
        assert find_leftovers(session.parent) == []
        write_result(result_for(session), session)
        assert (folder / "payload.npz").read_text() == "needed"


@pytest.mark.parametrize("name", ["ü" * 120 + ".nwb", "n" * 250 + ".nwb"])
def test_names_as_long_as_a_file_system_takes_them(session: Path, name: str) -> None:
    path = session.rename(session.with_name(name))
    twin = path.with_name(name[:-5] + "x.nwb")
    assert work_folder_of(path) != work_folder_of(twin)
    assert len(os.fsencode(work_folder_of(path).name)) <= LONGEST_NAME + 20
    left = work_folder_of(twin)
    left.mkdir()
    write_result(result_for(path), path)
    assert_same_result(read_result(path), result_for(path))
    assert left.exists()  # its owner cannot be known, so it stays

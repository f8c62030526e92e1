"""A fit that its own file did not take stands in another, and goes into the first when that is mended."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from nwb_dcf.errors import StoreError
from nwb_dcf.io.recordings import describe_session
from nwb_dcf.io.results import find_unfinished, read_result, rescue, rescue_result
from nwb_dcf.io.results.atomic import work_folder_of
from nwb_dcf.io.results.staleness import hash_stored
from nwb_dcf.pipeline.attach import attach_nwb
from tests.io.results.synthetic import assert_same_result, result_for
from tests.nwb_files import make_spike_session


@pytest.fixture
def session(tmp_path: Path) -> Path:
    return make_spike_session(tmp_path / "s.nwb", n_units=4, duration_s=10)


def describe(session: Path) -> tuple[dict, object]:
    import h5py

    about = describe_session(session)
    result = result_for(session)
    with h5py.File(session) as file:
        known = {"identifier": about["identifier"], "file": session.name, "sha256": hash_stored(file["units"])}
    source = {**result.provenance["source"], **known}
    return about, dataclasses.replace(result, provenance={**result.provenance, "source": source})


@pytest.mark.timeout(600)
def test_a_kept_fit_is_attached_and_equals_what_was_meant(session: Path) -> None:
    about, result = describe(session)
    kept = rescue_result(result, about, session, "units_dim3")
    assert kept == session.with_name("s_units_dim3.nwb")
    assert attach_nwb(kept, session).name == "units_dim3"
    assert_same_result(read_result(session), dataclasses.replace(result, name="units_dim3"))
    with pytest.raises(StoreError, match="this fit exists"):
        attach_nwb(kept, session)
    with pytest.raises(StoreError, match="in this file already"):
        attach_nwb(kept, kept)
    other = make_spike_session(session.with_name("other.nwb"), n_units=4, duration_s=12, seed=5)
    before = other.read_bytes()
    with pytest.raises(StoreError, match=r"another session|another object|has changed"):
        attach_nwb(kept, other)
    assert other.read_bytes() == before


@pytest.mark.timeout(600)
def test_where_its_folder_does_not_take_it_the_users_own_does(
    session: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    about, result = describe(session)
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setattr(rescue, "list_rescue_folders", lambda target: [tmp_path / "file" / "x", tmp_path / "own"])
    kept = rescue_result(result, about, session, "units_dim3")
    assert kept == tmp_path / "own" / "s_units_dim3.nwb"
    assert os.stat(kept.parent).st_mode & 0o777 == 0o700
    monkeypatch.setattr(rescue, "list_rescue_folders", lambda target: [])
    assert rescue_result(result, about, session, "units_dim3") is None


def test_leftovers_and_checkpoints_are_told_apart(session: Path) -> None:
    assert find_unfinished(session) == {}
    folder = work_folder_of(session)
    folder.mkdir()
    (folder / "payload.npz").write_text("left")
    assert find_unfinished(session) == {"leftovers": [str(folder)]}
    (folder / "payload.npz").unlink()
    kept = folder / "checkpoint-units_dim3-0123456789ab.safetensors"
    kept.write_bytes(b"not a checkpoint")
    assert find_unfinished(session) == {"checkpoints": [{"path": str(kept)}]}
    assert find_unfinished("https://example.org/s.nwb") == {}

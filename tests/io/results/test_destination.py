"""What a result may replace: an NWB file, and nothing that only has the name of one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nwb_dcf.errors import StoreError
from nwb_dcf.io.results.destination import check_target
from tests.nwb_files import make_spike_session


@pytest.fixture
def session(tmp_path: Path) -> Path:
    return make_spike_session(tmp_path / "s.nwb", n_units=2, duration_s=2)


@pytest.mark.parametrize("content", [b"dear", b"", b"\x89HDF\r\n\x1a\n and no more"])
def test_only_nwb_is_overwritten(content: bytes, session: Path) -> None:
    target = session.with_name("notes.nwb")
    target.write_bytes(content)
    with pytest.raises(StoreError, match="replaces NWB files alone"):
        check_target(session, target, overwrite=True)
    assert target.read_bytes() == content
    check_target(session, make_spike_session(target, n_units=2, duration_s=2), overwrite=True)


def test_neither_a_pipe_nor_a_device_is_an_output(session: Path) -> None:
    pipe = session.with_name("pipe.nwb")
    os.mkfifo(pipe)
    with pytest.raises(StoreError, match=r"pipe\.nwb: the output is a pipe"):
        check_target(session, pipe, overwrite=True)
    link = session.with_name("device.nwb")
    link.symlink_to(os.devnull)
    with pytest.raises(StoreError, match="the output is a device"):
        check_target(session, link, overwrite=True)

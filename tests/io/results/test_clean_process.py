"""Processes that are started before it is known what they are to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from nwb_dcf.errors import StoreError
from nwb_dcf.io.results.clean_process import run_clean, start_clean


def test_a_process_that_is_asked_for_nothing_ends_with_its_block(tmp_path: Path) -> None:
    with start_clean("verify.py", tmp_path) as process:
        assert process.poll() is None
    assert process.returncode not in (None, 0)


def test_a_process_ends_with_an_error_of_the_block(tmp_path: Path) -> None:
    started = []

    def fail() -> None:
        with start_clean("verify.py", tmp_path) as process:
            started.append(process)
            raise RuntimeError("as expected")

    with pytest.raises(RuntimeError, match="as expected"):
        fail()
    assert started[0].returncode not in (None, 0)


def test_a_process_that_has_died_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    with start_clean("verify.py", tmp_path) as process:
        process.kill()
        process.wait()
        with pytest.raises(StoreError, match=r"s\.nwb.*verify\.py ended with -9.*unchanged"):
            run_clean("verify.py", {}, folder=tmp_path, where="s.nwb", started=process)

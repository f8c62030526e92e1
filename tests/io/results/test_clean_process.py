"""Processes that are started before it is known what they are to do."""

from __future__ import annotations

import subprocess
import sys
import time
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


STARTED = """
import sys
import subprocess
import sys
import time
from pathlib import Path
from nwb_dcf.io.results.clean_process import run_clean, run_forked
run, script, folder = sys.argv[1:]
place = {"folder": Path(folder), "where": "s.nwb"}
if run == "clean":
    run_clean(script, {}, **place)
else:
    with run_forked(script, {}, **place):
        pass
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with the one that started it")
@pytest.mark.parametrize("run", ["clean", "forked"])
def test_a_process_ends_with_the_one_that_was_killed(run: str, tmp_path: Path) -> None:
    script, pid = tmp_path / "sleeps.py", tmp_path / "pid"
    script.write_text(
        "import os, pathlib, time\n"
        "def run(request):\n"
        f"    pathlib.Path({str(tmp_path / 'new')!r}).write_text(str(os.getpid()))\n"
        f"    os.rename({str(tmp_path / 'new')!r}, {str(pid)!r})\n"
        "    time.sleep(60)\n"
    )
    started = subprocess.Popen([sys.executable, "-c", STARTED, run, str(script), str(tmp_path)])
    while not pid.exists() and started.poll() is None:
        time.sleep(0.02)
    started.kill()
    started.wait()
    deadline = time.monotonic() + 20
    while Path(f"/proc/{pid.read_text()}").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not Path(f"/proc/{pid.read_text()}").exists()

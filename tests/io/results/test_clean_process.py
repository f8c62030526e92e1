"""Processes that are started before it is known what they are to do."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nwb_dcf.errors import StoreError
from nwb_dcf.io.results import clean_process, remove_result, write_result
from nwb_dcf.io.results.clean_process import run_clean, start_clean
from nwb_dcf.pipeline import fit as pipeline_fit

from .synthetic import result_for


def test_a_process_that_is_asked_for_nothing_ends_with_its_block(tmp_path: Path) -> None:
    with start_clean(tmp_path) as process:
        assert process.process.poll() is None
    assert process.process.returncode not in (None, 0)


def test_a_process_ends_with_an_error_of_the_block(tmp_path: Path) -> None:
    started = []

    def fail() -> None:
        with start_clean(tmp_path) as process:
            started.append(process)
            raise RuntimeError("as expected")

    with pytest.raises(RuntimeError, match="as expected"):
        fail()
    assert started[0].process.returncode not in (None, 0)


def test_a_process_that_has_died_while_it_waited_is_replaced(tmp_path: Path) -> None:
    with start_clean(tmp_path) as process:
        process.process.kill()
        process.process.wait()
        with pytest.raises(StoreError, match=r"s\.nwb: writing failed: 'name'"):
            run_clean("verify.py", {}, folder=tmp_path, where="s.nwb", started=process)
        process.process.kill()
        process.process.wait()
        with pytest.raises(StoreError, match=r"s\.nwb.*verify\.py ended with -9.*unchanged"):
            run_clean("verify.py", {}, folder=tmp_path, where="s.nwb", started=process)


@pytest.mark.skipif(sys.platform == "win32", reason="a terminal there sends no signals")
def test_ctrl_c_in_training_leaves_the_process_that_will_write(tmp_path: Path) -> None:
    with start_clean(tmp_path) as process:
        with pytest.raises(StoreError, match="'name'"):  # it listens
            run_clean("verify.py", {}, folder=tmp_path, where="s.nwb", started=process)
        process.process.send_signal(signal.SIGINT)
        with pytest.raises(StoreError, match="'name'"):
            run_clean("verify.py", {}, folder=tmp_path, where="s.nwb", started=process)
        assert process.process.poll() is None


STARTED = """
import sys
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
    deadline = time.monotonic() + 8
    while Path(f"/proc/{pid.read_text()}").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not Path(f"/proc/{pid.read_text()}").exists()


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Commands of the processes that are started."""
    found: list[list[str]] = []

    def start(command: list[str], **options: Any) -> subprocess.Popen[str]:
        found.append(command)
        return subprocess.Popen(command, **options)

    namespace = SimpleNamespace(Popen=start, PIPE=subprocess.PIPE)
    monkeypatch.setattr(clean_process, "subprocess", namespace)
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere each script has a process of its own")
def test_one_process_writes_verifies_and_removes(session: Path, starts: list[list[str]]) -> None:
    """What `append` imports, the extension, is not there when `verify` asks for it: the two are forks."""
    write_result(result_for(session), session)
    assert len(starts) == 1
    remove_result(session, "units_dim3")
    assert len(starts) == 2


def test_a_fork_that_dies_is_an_error_and_the_next_one_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scripts = tmp_path / "scripts"
    shutil.copytree(clean_process._SCRIPTS, scripts)
    (scripts / "die.py").write_text("import os\nimport signal\ndef run(_): os.kill(os.getpid(), signal.SIGKILL)\n")
    (scripts / "count.py").write_text("import sys\ndef run(_): print('noise'); return {'n': len(sys.modules)}\n")
    monkeypatch.setattr(clean_process, "_SCRIPTS", scripts)
    with start_clean(tmp_path) as process:
        with pytest.raises(StoreError, match=r"die\.py ended with -9"):
            run_clean("die.py", {}, folder=tmp_path, where="s.nwb", started=process)
        assert run_clean("count.py", {}, folder=tmp_path, where="s.nwb", started=process)["n"] > 100


def test_a_fit_starts_one_process_before_it_trains(
    session: Path, starts: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[int] = []
    monkeypatch.setattr(pipeline_fit, "fit_recording", _note_starts(pipeline_fit.fit_recording, found, starts))
    pipeline_fit.fit_nwb(
        session, 2, steps=3, width=8, depth=1, smooth=0.1, scale="global", output=session.with_name("o.nwb")
    )
    assert found == [1]
    assert len(starts) == 1


def _note_starts(function: Any, found: list[int], starts: list[list[str]]) -> Any:
    def noted(*given: Any, **settings: Any) -> Any:
        found.append(len(starts))
        return function(*given, **settings)

    return noted

"""Sessions behind a server, at the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.file_server import serve
from tests.nwb_files import make_spike_session


def test_the_command_line_says_what_a_server_answered(tmp_path: Path, run_cli: Callable[..., Any]) -> None:
    make_spike_session(tmp_path / "s.nwb")
    out, env = tmp_path / "out.nwb", {"NWB_DCF_CACHE": "off"}
    with serve(tmp_path) as server:
        run = run_cli("info", f"{server.url}/s.nwb", env=env)
        assert run.code == 0
        assert "/units" in run.stdout
        for fault, word in (("missing", "404"), ("whole", "no byte ranges")):
            run = run_cli("fit", f"{server.url}/{fault}/s.nwb", "-o", out, "--quiet", env=env)
            assert run.code == 2
            assert run.stderr.count("\n") == 1
            assert word in run.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["s.nwb"]

"""A message names what its reader typed: arguments in Python, options on the command line."""

from __future__ import annotations

import ast
import inspect
import json
import re
from pathlib import Path

import click
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nwb_dcf
from nwb_dcf import batch, cohort
from nwb_dcf.cli import cli, main
from nwb_dcf.cli.options import print_report
from nwb_dcf.config import Destination, FitConfig, ReadConfig
from nwb_dcf.config.validation import names_of
from nwb_dcf.data.recording import make_recording
from nwb_dcf.errors import (
    FLAGS,
    NEGATED,
    OPTIONS,
    SEVERAL,
    DCFError,
    ParameterError,
    compose_install,
    name_arguments,
    name_installation,
    name_options,
)
from nwb_dcf.io.recordings.reader import _put_doubts_first
from nwb_dcf.pipeline.fit_request import FitRequest
from tests.nwb_files import make_series_session, make_spike_session, simulate_series

PACKAGE = Path(nwb_dcf.__file__).parent
OF_THE_COMMAND_LINE = {
    "as_json", "config", "dry_run", "engine", "engine_kwargs", "log", "quiet", "verbose", "version",
}  # fmt: skip


def list_options(command: click.Command) -> list[click.Option]:
    """List the options of a command and of those below it."""
    below = command.commands.values() if isinstance(command, click.Group) else ()
    own = [param for param in command.params if isinstance(param, click.Option)]
    return own + [option for each in below for option in list_options(each)]


def test_every_option_stands_in_the_table_with_its_argument() -> None:
    known = set()
    for option in list_options(cli):
        if option.name in OF_THE_COMMAND_LINE:
            continue
        name = min(option.opts, key=len)
        negated = [other for other in (*option.secondary_opts, *option.opts) if other in NEGATED]
        known |= {name, *negated} if name not in NEGATED else {name}
        if name not in NEGATED:
            assert OPTIONS[name] == option.name
            assert (option.name in FLAGS) == option.is_flag, name
            assert SEVERAL.get(OPTIONS[name], 1) == option.nargs, name
    assert known == OPTIONS.keys() | NEGATED.keys()


def test_every_argument_in_the_table_is_one_of_python() -> None:
    functions = [getattr(nwb_dcf, name) for name in nwb_dcf.__all__ if inspect.isfunction(getattr(nwb_dcf, name))]
    functions += [
        batch.run,
        batch.save_config,
        cohort.fit_cohort,
        cohort.plot_cohort,
        nwb_dcf.view.view_nwb,
        FitRequest.make,
    ]
    known = {name for function in functions for name in inspect.signature(function).parameters}
    known |= {*FitConfig().to_settings(), "dim", "seed", "device", *ReadConfig.names(), *names_of(Destination)}
    known |= {"transformation", "preset", "save_config"}
    assert {*OPTIONS.values(), *NEGATED.values()} <= known


def list_texts() -> list[str]:
    """List every text of the package that names an option, with 5 for what is filled in."""
    found = []
    for path in PACKAGE.rglob("*.py"):
        if path.parent.name in ("cli", "errors"):
            continue
        tree = ast.parse(path.read_text())
        parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
        docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                text = "".join(str(p.value) if isinstance(p, ast.Constant) else "5" for p in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts | docs:
                text = node.value
            else:
                continue
            if re.search(r"(?<!\w)--[a-z]|(?<!\w)-o ", text) and "pip install" not in text:
                found.append(text)
    return found


def test_every_message_of_the_package_names_arguments_and_comes_back() -> None:
    texts = list_texts()
    assert len(texts) > 100
    for text in texts:
        named = name_arguments(text)
        assert not re.search(r"(?<!\w)--[a-z]|(?<!\w)-o ", named), named
        assert name_options(named).replace("'", "").replace('"', "") == text.replace("'", "").replace('"', "")
        assert name_arguments(named) == named


@pytest.mark.parametrize(
    ("options", "arguments"),
    [
        ("give a wider --bin, or --trials none.", "give a wider `bin_width_s=`, or `trials='none'`."),
        ("choose a shorter --window, or --overlap first", "choose a shorter `window=`, or `overlap='first'`"),
        ("cut windows: --align lick_times --window A B", "cut windows: `align='lick_times'` `window=(A, B)`"),
        ("leave --dff out", "leave `dff=True` out"),
        ("--no-gaps reads them; --gaps cuts", "`cut_gaps=False` reads them; `cut_gaps=True` cuts"),
        ("as --time-scale 1/30000", "as `time_scale='1/30000'`"),
        ("give -o RESULT.nwb", "give `output='RESULT.nwb'`"),
        ("--source chooses another: a, b", "`source=` chooses another: a, b"),
        ("a file of --that name; see x--dim", "a file of --that name; see x--dim"),
        ("choose with --rois 'depth > 3'", "choose with `rois='depth > 3'`"),
    ],
)
def test_values_are_read_out_of_prose(options: str, arguments: str) -> None:
    assert name_arguments(options) == arguments
    assert name_options(arguments) == options


def test_a_value_with_blanks_is_one_word_of_the_shell() -> None:
    assert name_options("use `name='my fit'`") == "use --name 'my fit'"


def test_an_error_of_a_setting_names_what_was_typed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = make_spike_session(tmp_path / "s.nwb")
    with pytest.raises(ParameterError) as raised:
        nwb_dcf.plan_fit(path, bin_width_s=-1.0)
    assert str(raised.value) == "bin_width_s is -1.0; give a number above 0"
    assert main(["fit", str(path), "--bin", "-1", "--dry-run"]) == 2
    assert capsys.readouterr().err == "nwb-dcf: error: --bin is -1.0; give a number above 0\n"


def test_an_error_of_the_data_names_what_was_typed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = make_spike_session(tmp_path / "s.nwb")
    with pytest.raises(DCFError) as raised:
        nwb_dcf.read_recording(path, bin_width_s=30.0)
    assert "--" not in str(raised.value)
    assert "`bin_width_s=`" in str(raised.value)
    assert main(["fit", str(path), "--bin", "30", "--json"]) == 2
    printed = capsys.readouterr()
    assert "--bin" in printed.err
    assert "bin_width_s" not in printed.err
    error = json.loads(printed.out)["error"]
    assert "--bin" in error["message"]
    assert "`" not in error["fix"]


def test_notes_name_arguments_in_python_and_options_in_reports(capsys: pytest.CaptureFixture[str]) -> None:
    notes = ["pauses are cut; --no-gaps reads them as silence"]
    recording = _put_doubts_first(make_recording(np.ones((4, 2)), np.arange(4.0), notes=notes))
    assert recording.attrs["notes"] == ["pauses are cut; `cut_gaps=False` reads them as silence"]
    print_report(dict(recording.attrs), lambda report: report["notes"][0], as_json=True, quiet=False)
    printed = capsys.readouterr()
    assert printed.err == notes[0] + "\n"
    assert json.loads(printed.out)["notes"] == notes


def test_lists_of_sources_name_arguments(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = make_series_session(tmp_path / "s.nwb", simulate_series(6, 4000), rate=50.0)
    listed = str(nwb_dcf.list_sources(path).to_dict())
    assert "`transpose=True`" in listed
    assert "--" not in listed
    assert main(["info", str(path), "--json"]) == 0
    assert "--transpose" in capsys.readouterr().out


REQUIRES = ["numpy>=2", "matplotlib>=3.9; extra == 'plot'", "plotly>=5.24; extra == 'plot'", "av>=14; extra == 'video'"]


class Installed:
    """An installation of this package as its tool leaves it."""

    requires = REQUIRES

    def __init__(self, installer: str, direct: dict[str, object] | None = None) -> None:
        self.texts = {"INSTALLER": f"{installer}\n", "direct_url.json": direct and json.dumps(direct)}

    def read_text(self, name: str) -> str | None:
        return self.texts[name]


@pytest.mark.parametrize(
    ("found", "prefix", "command"),
    [
        (Installed("pip"), "/env", "pip install 'nwb-dcf[plot]'"),
        (Installed("uv"), "/env", "uv pip install 'nwb-dcf[plot]'"),
        (Installed("conda"), "/env", "conda install -c conda-forge 'matplotlib>=3.9' 'plotly>=5.24'"),
        (Installed("pip"), "/home/me/pipx/venvs/nwb-dcf", "pipx inject nwb-dcf 'matplotlib>=3.9' 'plotly>=5.24'"),
        (Installed("uv"), "/home/me/uv/tools/nwb-dcf", "uv tool install --force 'nwb-dcf[plot]'"),
        (
            Installed("pip", {"url": "file" + "://" + "/home/me/my%20code", "dir_info": {"editable": True}}),
            "/env",
            "pip install -e '/home/me/my code[plot]'",
        ),
        (Installed("pip", {"url": "file" + "://" + "/code", "dir_info": {}}), "/env", "pip install '/code[plot]'"),
        (
            Installed("pip", {"url": "https://h/r.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}}),
            "/env",
            "pip install 'nwb-dcf[plot] @ git+https://h/r.git@abc'",
        ),
        (
            Installed("pip", {"url": "https://h/r.whl", "archive_info": {}}),
            "/env",
            "pip install 'nwb-dcf[plot] @ https://h/r.whl'",
        ),
    ],
)
def test_an_extra_is_installed_as_the_package_was(
    found: Installed, prefix: str, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.metadata.distribution", lambda name: found)
    monkeypatch.setattr("sys.prefix", prefix)
    compose_install.cache_clear()
    assert compose_install("plot") == command
    assert name_installation("first pip install 'nwb-dcf[plot]', or write .csv") == f"first {command}, or write .csv"
    assert str(DCFError("no plots", fix="pip install nwb-dcf[plot]")) == f"no plots; {command}"
    compose_install.cache_clear()


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.one_of(st.sampled_from(sorted(OPTIONS)), st.text("ab ,.'\"`=;:\\\n()-1", max_size=6)), min_size=1, max_size=6
    )
)
def test_any_text_with_options_in_it_can_be_shown(words: list[str]) -> None:
    named = name_arguments(" ".join(words))
    assert isinstance(name_options(named), str)


def test_an_option_before_a_lone_sign_is_named() -> None:
    assert name_arguments("this is no expression: --bin , 3") == "this is no expression: `bin_width_s=` , 3"

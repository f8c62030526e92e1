from __future__ import annotations

from pathlib import Path

import pytest

from nwb_dcf.batch import load_config, load_overrides, save_config
from nwb_dcf.config.request import hash_request
from nwb_dcf.errors import ParameterError


def test_settings_come_back_from_toml(tmp_path: Path):
    settings = {
        "dim": 3,
        "smooth": 0.04,
        "where": "outcome == 'hit' and name != \"ä\\n\"",
        "window": (-0.5, 1.0),
        "dff": True,
        "source": None,
        "model": {"window": 2, "width": None},
    }
    save_config(settings, tmp_path / "s.toml")
    read = load_config(tmp_path / "s.toml")
    assert read == {
        "dim": 3,
        "smooth": 0.04,
        "where": settings["where"],
        "window": [-0.5, 1.0],
        "dff": True,
        "model": {"window": 2},
    }
    assert hash_request(read) == hash_request(settings)


def test_names_of_the_command_line_are_understood(tmp_path: Path):
    (tmp_path / "s.toml").write_text("bin = 0.05\n")
    assert load_config(tmp_path / "s.toml") == {"bin_width_s": 0.05}


@pytest.mark.parametrize(("text", "message"), [("dim 3", "is no TOML"), (None, "cannot be read")])
def test_a_config_that_cannot_be_read_is_refused(tmp_path: Path, text: str | None, message: str):
    if text is not None:
        (tmp_path / "s.toml").write_text(text)
    with pytest.raises(ParameterError, match=message):
        load_config(tmp_path / "s.toml")


def test_what_toml_does_not_know_is_refused(tmp_path: Path):
    with pytest.raises(ParameterError, match="no place in a TOML file"):
        save_config({"x": object()}, tmp_path / "s.toml")


def test_empty_cells_change_nothing_and_groups_are_no_settings(tmp_path: Path):
    table = "file,group,bin,source,dff,window\nsub/a.nwb,wt,0.05,,true,-0.5 1\nb.nwb,ko,,units,,\n"
    (tmp_path / "o.csv").write_text(table)
    assert load_overrides(tmp_path / "o.csv") == {
        "a.nwb": {"bin_width_s": 0.05, "dff": True, "window": (-0.5, 1.0)},
        "b.nwb": {"source": "units"},
    }


def test_text_that_looks_like_a_number_stays_text(tmp_path: Path):
    (tmp_path / "o.csv").write_text("file,units,name\na.nwb,12,1e3\n")
    assert load_overrides(tmp_path / "o.csv") == {"a.nwb": {"units": "12", "name": "1e3"}}


@pytest.mark.parametrize(
    ("text", "message"), [("name\na\n", "no column file"), ("file,dim\na.nwb,2\na.nwb,3\n", "a.nwb has two rows")]
)
def test_overrides_that_cannot_be_meant_are_refused(tmp_path: Path, text: str, message: str):
    (tmp_path / "o.csv").write_text(text)
    with pytest.raises(ParameterError, match=message):
        load_overrides(tmp_path / "o.csv")


def test_the_request_is_what_was_asked_and_not_where_it_goes():
    asked = {"dim": 3, "window": (0, 1), "train": {"steps": 5, "seed": None}}
    assert hash_request(asked) == hash_request({"train": {"steps": 5}, "window": [0.0, 1.0], "dim": 3, "name": "x"})
    assert hash_request(asked) != hash_request({**asked, "dim": 2})
    assert hash_request({**asked, "device": "cpu"}) == hash_request(asked)

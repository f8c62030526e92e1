"""list, show, remove and refit as commands, and a fit into a small file of results."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import pytest

from nwb_dcf import list_results
from nwb_dcf.cli import main
from tests.cli.conftest import Run, SmallFit


@pytest.fixture
def stored(small_fit: SmallFit, tmp_path: Path) -> Path:
    """A copy of the file with the fit, alone in its folder."""
    return Path(shutil.copyfile(small_fit.output, tmp_path / "fit.nwb"))


def test_a_fit_is_listed_shown_and_made_again_to_the_bit(stored: Path, run_cli: Callable[..., Run]) -> None:
    listed = run_cli("list", "fit.nwb", cwd=stored.parent)
    assert listed.code == 0, listed.stderr
    assert listed.stdout.startswith("fit.nwb: 1 fit\n\nname        kind   dim  axes for 95 %  latents ")
    assert listed.stdout.rstrip().endswith("current")
    shown = json.loads(run_cli("show", "fit.nwb", "--json", cwd=stored.parent).stdout)
    assert (shown["name"], shown["stale"], shown["dim"], shown["schema_version"]) == ("units_dim2", False, 2, "1.2.0")
    assert shown["provenance"]["arguments"] == {"dim": 2, "held_out": 0.2, "null": 1, "repeats": 2}
    before = stored.read_bytes()
    done = run_cli("refit", "fit.nwb", "units_dim2", "--json", cwd=stored.parent)
    assert done.code == 0, done.stderr
    compared = json.loads(done.stdout)
    assert (compared["equal"], compared["difference"], compared["environment"]) == (True, 0.0, [])
    assert "equal to the bit" in done.stderr
    assert stored.read_bytes() == before


def test_one_moved_spike_makes_it_stale_and_refit_refuses(stored: Path, run_cli: Callable[..., Run]) -> None:
    with h5py.File(stored, "r+") as file:
        file["units/spike_times"][7] += 1e-4
    listed = run_cli("list", "fit.nwb", cwd=stored.parent)
    assert listed.stdout.rstrip().endswith("stale: /units has changed since it was fitted")
    assert "state     stale: /units has changed" in run_cli("show", "fit.nwb", cwd=stored.parent).stdout
    done = run_cli("refit", "fit.nwb", cwd=stored.parent)
    assert (done.code, done.stdout) == (2, "")
    assert done.stderr == (
        "nwb-dcf: error: fit.nwb: /units has changed since it was fitted: the fit cannot be repeated; "
        "fit the new data with nwb-dcf fit\n"
    )


def test_results_alone_are_written_listed_and_made_again_from_the_session_beside(
    small_fit: SmallFit, tmp_path: Path, run_cli: Callable[..., Run]
) -> None:
    shutil.copyfile(small_fit.session, tmp_path / "s.nwb")
    options = ("--dim", 2, "--steps", 5, "-o", "small.nwb", "--results-only", "--quiet")
    done = run_cli("fit", "s.nwb", *options, cwd=tmp_path)
    assert done.code == 0, done.stderr
    (fit,) = list_results(tmp_path / "small.nwb")
    assert fit["stale_because"] == "the source lies in another file, s.nwb"
    done = run_cli("refit", "small.nwb", cwd=tmp_path)
    assert done.code == 0, done.stderr
    assert "equal to the bit" in done.stdout
    (tmp_path / "s.nwb").rename(tmp_path / "moved.nwb")
    done = run_cli("refit", "small.nwb", cwd=tmp_path)
    assert done.code == 2
    assert "units_dim2 was fitted to s.nwb, which is not here; name it with --data FILE" in done.stderr


def test_a_fit_is_removed_and_what_is_not_there_is_not(stored: Path, run_cli: Callable[..., Run]) -> None:
    done = run_cli("remove", "fit.nwb", "units_dim2", cwd=stored.parent)
    assert done.code == 0, done.stderr
    assert done.stdout.startswith("removed   /processing/dcf/units_dim2 from fit.nwb\nleft      none\n")
    assert run_cli("list", "fit.nwb", cwd=stored.parent).stdout == "fit.nwb: no fits in processing/dcf\n"
    done = run_cli("remove", "fit.nwb", "units_dim2", cwd=stored.parent)
    assert (done.code, done.stderr.count("\n")) == (2, 1)
    assert "no fit 'units_dim2': it holds no fit" in done.stderr


def test_a_fit_that_cannot_be_read_hides_no_other(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with h5py.File(stored, "r+") as file:
        fits = file["processing/dcf"]
        fits.copy("units_dim2", "broken")
        fits["broken/provenance"][()] = "[" * 50
    broken, good = list_results(stored)
    assert (broken["name"], broken["dim"], good["unreadable"]) == ("broken", 0, None)
    assert good["altered"] == []
    assert main(["list", str(stored)]) == 0
    out = capsys.readouterr().out
    assert "broken" in out
    assert "cannot be read: " in out
    assert main(["show", str(stored), "units_dim2"]) == 0
    assert "state     current" in capsys.readouterr().out
    assert main(["show", str(stored), "broken"]) == 2
    assert "/processing/dcf/broken: the fit cannot be read" in capsys.readouterr().err


def test_a_fit_that_was_edited_is_altered_and_says_where(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert list_results(stored)[0]["altered"] == []
    with h5py.File(stored, "r+") as file:
        file["processing/dcf/units_dim2/latents/data"][3, 1] += 1e-3
        file["processing/dcf/units_dim2/coupling/weights"][-9] ^= 1
    (fit,) = list_results(stored)
    assert (fit["altered"], fit["stale"]) == (["coupling", "latents"], False)
    for command in ("list", "show"):
        assert main([command, str(stored)]) == 0
        assert "altered: coupling, latents of the fit are not what was written; current" in capsys.readouterr().out

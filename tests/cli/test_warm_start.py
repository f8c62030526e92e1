"""--warm-start FILE#NAME: a stored fit begins another."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nwb_dcf import fit_nwb, read_result
from nwb_dcf.errors import StoreError
from tests.nwb_files import make_spike_session


@pytest.mark.long
def test_a_stored_fit_begins_another_with_other_bins(tmp_path: Path, run_cli: Callable[..., Any]) -> None:
    path = make_spike_session(tmp_path / "s.nwb")
    fit_nwb(path, dim=2, steps=20, name="wide", bin_width_s=0.1)
    done = run_cli(
        "fit", path, "--dim", "2", "--steps", "20", "--bin", "0.05", "--name", "fine", "--warm-start", f"{path}#wide"
    )
    assert done.code == 0, done.stderr
    result = read_result(path, "fine")
    wide = read_result(path, "wide")
    assert result.provenance["init"] == {
        "fit": f"{path.name}#wide",
        "sha256": hashlib.sha256(wide.weights).hexdigest(),
    }
    with pytest.raises(StoreError, match="no fit 'none'"):
        fit_nwb(path, dim=2, steps=5, name="other", warm_start=f"{path}#none")
    refused = run_cli("fit", path, "--dim", "3", "--steps", "5", "--name", "other", "--warm-start", f"{path}#wide")
    assert refused.code == 2
    assert refused.stderr.strip().endswith(
        f"{path.name}#wide: --dim is 3, and that of the fit to start from 2; give --dim 2, or start without it"
    )

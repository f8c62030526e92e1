"""Fits in real files, read again by us and by programs that know nothing of us."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from nwb_dcf.io.results import read_result
from nwb_dcf.io.results.payload import join_weights

from ..io.results.synthetic import assert_same_result
from .conftest import SESSIONS, FittedSession

FitSession = Callable[[str], FittedSession]
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize("name", SESSIONS)
def test_read_gives_what_was_written(fit_session: FitSession, name: str) -> None:
    session = fit_session(name)
    for fit, result in session.results.items():
        assert_same_result(read_result(session.path, fit), result)


@pytest.mark.parametrize("name", SESSIONS)
def test_plain_pynwb_reads_every_part(fit_session: FitSession, name: str) -> None:
    session = fit_session(name)
    script = Path(__file__).with_name("plain_pynwb.py")
    # The cached specifications of that file lack a part, so that pynwb cannot validate even the original.
    check = "read only" if name == "human_mtl_000207.nwb" else "validate"
    output = subprocess.run(
        [sys.executable, "-I", str(script), check, str(session.path), *session.results],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    report: dict[str, Any] = json.loads(output.splitlines()[-1])
    assert report["imported"] == []
    assert report["problems"] == []
    for fit, result in session.results.items():
        read, data = report[fit], result.dataset
        assert {"LatentSeries", "TimeSeries"} <= set(read["bases"])
        np.testing.assert_array_equal(np.array(read["latents"], np.float32), data["latents"])
        for times in read["times"]:
            np.testing.assert_allclose(times, data["time"], rtol=0, atol=1e-9)
        assert read["rate"] == (50.0 if data.sizes["segment"] == 1 else None)
        assert read["units"] == ["a.u.", "a.u./s"]
        segments = read["segments"]
        assert segments["start_time"] == data["segment_start"].values.tolist()
        assert segments["row"] == data["segment_row"].values.tolist()
        assert segments["held_out"] == data["segment_held_out"].values.tolist()
        assert segments["trial_outcome"] == data["trial_outcome"].values.tolist()
        assert segments["count"] == np.bincount(data["segment_index"]).tolist()
        assert read["spectrum"] == data["spectrum"].values.tolist()
        assert read["steps"] == data["step"].values.tolist()
        assert tuple(read["loadings"]) == data["loadings"].shape
        parts = {part: bytes.fromhex(weights) for part, (weights, _) in read["parts"].items()}
        assert join_weights(parts) == result.weights
        assert read["symbols"] == ["u", "v"]
        assert "u.last.weight" in read["parts"]["compressive_flow"][1]["tensors"]
        assert read["field"] == [
            "held",
            data["grid_1"].values.tolist(),
            data["field_frames"].values.tolist(),
            list(data["field_velocity"].shape),
            "1/s",
        ]
        assert [(row["path"], row["type"]) for row in read["sources"]] == [("/units", "Units")]
        assert read["config"] == result.config
        assert read["attributes"] == [result.dim, 4, "units", "1.2.0"]
        assert read["source_is_units"]
        assert read["unit_ids"] == data["unit"].values.tolist()
        assert read["rows_of_units"] == data.sizes["unit"]


@pytest.mark.parametrize("name", SESSIONS)
def test_everything_else_keeps_its_object_id_and_bytes(fit_session: FitSession, name: str) -> None:
    session = fit_session(name)

    def collect(path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}

        def visit(where: str, item: h5py.Group | h5py.Dataset) -> None:
            if where.startswith(("processing/dcf", "specifications")):
                return
            content = item[()] if isinstance(item, h5py.Dataset) and item.dtype.kind in "iuf" else None
            found[where] = (item.attrs.get("object_id"), None if content is None else np.asarray(content).tobytes())

        with h5py.File(path) as file:
            file.visititems(visit)
            found["cached specifications"] = sorted(file["specifications"])
        return found

    before, after = collect(session.original), collect(session.path)
    assert after.pop("cached specifications") == sorted({*before.pop("cached specifications"), *ADDED})
    assert {where: after[where] for where in before} == before
    assert set(after) - set(before) <= {"processing"}


ADDED = ("core", "hdmf-common", "hdmf-experimental", "ndx-dcf")


def test_pynapple_restricts_latents_to_segments(fit_session: FitSession) -> None:
    nap = pytest.importorskip("pynapple")
    session = fit_session("reach_chewie.nwb")
    (result,) = session.results.values()
    file = nap.load_file(str(session.path))
    latents, segments = file["latents"], file["segments"]
    assert isinstance(latents, nap.TsdFrame)
    assert isinstance(segments, nap.IntervalSet)
    for number, count in enumerate(np.bincount(result.dataset["segment_index"])):
        rows = latents.restrict(segments[[number]])
        assert len(rows) == count
        expected = result.dataset["latents"].values[result.dataset["segment_index"].values == number]
        np.testing.assert_array_equal(rows.values, expected)
    assert isinstance(nap.load_file(str(fit_session("three_units.nwb").path))["units_dim3/latents"], nap.TsdFrame)


@pytest.mark.parametrize("name", ["reach_chewie.nwb", "mouse_alm_000009.nwb"])
def test_nwbinspector_finds_nothing_new_of_weight(fit_session: FitSession, name: str) -> None:
    nwbinspector = pytest.importorskip("nwbinspector")
    session = fit_session(name)

    def find(path: Path) -> set[tuple[str, str, str]]:
        messages = nwbinspector.inspect_nwbfile(nwbfile_path=str(path))
        return {(m.importance.name, m.check_function_name, m.location or "") for m in messages}

    new = find(session.path) - find(session.original)
    # It recommends the names of its own modules only, and doubts tables of one row: a session without trials.
    accepted = {"check_processing_module_name", "check_single_row"}
    # What pynwb adds to a file brings its own schema, by which objects of NWB 2.1 lack what was not yet required.
    aged = {finding for finding in new if finding[0] == "PYNWB_VALIDATION" and "dcf" not in finding[2]}
    assert not aged or name == "mouse_alm_000009.nwb"
    assert {finding for finding in new - aged if finding[1] not in accepted} == set()

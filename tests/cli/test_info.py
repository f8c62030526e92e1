"""`nwb-dcf info` on real recordings."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nwb_dcf.cli.fit_report import describe_info

GOLDEN = Path(__file__).resolve().parents[1] / "golden"

CATALOG: dict[str, Any] = {
    "file": "s.nwb",
    "identifier": "session 1",
    "nwb_version": "2.8.0",
    "sources": (
        {
            "kind": "units",
            "path": "/units",
            "neurodata_type": "Units",
            "shape": (174,),
            "unit": "s",
            "rate_hz": None,
            "median_step_s": None,
            "start_s": 0.5,
            "duration_s": 321.25,
            "problem": "",
            "why": "spikes are binned",
            "members": (),
        },
        {
            "kind": "video",
            "path": "/acquisition/camera",
            "neurodata_type": "ImageSeries",
            "shape": (2330, 480, 640),
            "unit": "n.a.",
            "rate_hz": 30.0,
            "median_step_s": None,
            "start_s": None,
            "duration_s": None,
            "problem": "not yet fitted by this version",
            "why": "",
            "members": (),
        },
    ),
    "tables": (
        {
            "path": "/intervals/trials",
            "rows": 159,
            "columns": ("start_time", "stop_time", "go_cue", "direction"),
            "time_columns": ("start_time", "stop_time", "go_cue"),
            "problem": "",
        },
        {"path": "/intervals/epochs", "rows": 2, "columns": (), "time_columns": (), "problem": "intervals overlap"},
    ),
    "fits": ("units_dim3",),
    "default": "/units",
    "why": "it has units with spikes",
}


def test_catalog_reads_as_agreed() -> None:
    assert describe_info(CATALOG) + "\n" == (GOLDEN / "info_report.txt").read_text()


def test_an_empty_catalog_says_so() -> None:
    empty = {**CATALOG, "sources": (), "tables": (), "fits": (), "default": None, "why": "nothing here"}
    text = describe_info(empty)
    assert "no units and no TimeSeries" in text
    assert "no tables of intervals" in text
    assert "fits in processing/dcf: none yet" in text
    assert "takes nothing unless it is named" in text


@pytest.mark.parametrize(
    ("name", "default", "names"),
    [
        ("reach_chewie.nwb", "/units", ["/processing/behavior/hand_velocity", "/intervals/trials"]),
        ("human_mtl_000207.nwb", "/units", ["/intervals/encoding_table", "/intervals/recognition_table"]),
        (
            "ophys_rois.nwb",
            "/processing/ophys/Fluorescence/RoiResponseSeries",
            ["/processing/ophys/Fluorescence/Neuropil"],
        ),
        ("no_neural_data.nwb", None, ["/acquisition/States"]),
        ("celegans_moving.nwb", "/acquisition/Activity_*", ["Tracked 2D position"]),
        ("openfield_video.nwb", "/acquisition/behavior_video", ["ImageSeries"]),
    ],
)
def test_info_lists_what_a_real_file_holds(
    name: str, default: str | None, names: list[str], run_cli: Callable[..., Any], real_data: Callable[[str], Path]
) -> None:
    path = real_data(name)
    done = run_cli("info", path, "--json")
    assert done.code == 0, done.stderr
    catalog = json.loads(done.stdout)
    assert catalog["default"] == default
    assert catalog["why"]
    assert done.stderr == describe_info(catalog) + "\n"
    assert [part for part in names if part not in done.stderr] == []


def test_info_prints_to_stdout_without_json(run_cli: Callable[..., Any], real_data: Callable[[str], Path]) -> None:
    done = run_cli("info", real_data("three_units.nwb"))
    assert done.code == 0
    assert done.stderr == ""
    assert "fit takes /units" in done.stdout

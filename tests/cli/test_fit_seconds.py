"""The time of a fit is told before it is begun."""

from __future__ import annotations

import dataclasses
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nwb_dcf
from nwb_dcf.config.presets import make_config
from nwb_dcf.model.training.early_stopping import HELD_OUT_SAMPLES, UNET_SAMPLES
from nwb_dcf.pipeline import fit_seconds
from nwb_dcf.pipeline.fit_seconds import Machine, Work
from tests.nwb_files import make_series_session, make_spike_session

ALONE = Machine()
SMALL = Work(10_000, 50, "counts", make_config("default", {}, kind="counts"))


def estimate(**changes: Any) -> float:
    return dataclasses.replace(SMALL, **changes).estimate(ALONE, 1.0)


def test_it_grows_with_all_that_takes_time() -> None:
    least = estimate()
    longer = make_config("default", {"steps": 4000}, kind="counts")
    wider = make_config("default", {"width": 1024}, kind="counts")
    for more in ({"config": longer}, {"config": wider}, {"frames": 1_000_000}, {"values": 2000}, {"more": 20}):
        assert estimate(**more) > 1.5 * least, more
    unet = make_config("default", {"network": "unet"}, kind="images")
    assert estimate(kind="images", values=64**2, config=unet) < estimate(kind="images", values=128**2, config=unet)


def test_held_out_samples_are_as_many_as_early_stopping_draws() -> None:
    assert fit_seconds.EVALUATED_IMAGES == UNET_SAMPLES
    assert fit_seconds.EVALUATED == HELD_OUT_SAMPLES


def test_a_slower_or_busier_machine_takes_longer() -> None:
    alone = SMALL.estimate(ALONE, 0.0)
    assert SMALL.estimate(Machine(busy=3), 0.0) == pytest.approx(3 * alone)
    assert SMALL.estimate(Machine(product=2, python=2), 0.0) == pytest.approx(2 * alone)


def test_this_machine_is_measured_soon() -> None:
    started = time.process_time()
    machine = Machine.measure()
    assert time.process_time() - started < 0.5
    assert machine.busy >= 1
    assert 0.05 < machine.product < 100
    assert 0.05 < machine.python < 100
    assert Machine.measure() is machine


def test_info_and_dry_run_and_python_say_it(tmp_path: Path, run_cli: Callable[..., Any]) -> None:
    path = make_spike_session(tmp_path / "s.nwb", n_units=4, duration_s=20)
    assert "on this CPU" in run_cli("info", path).stdout
    assert 1 < json.loads(run_cli("info", path, "--json").stdout)["seconds"] < 2000
    assert "\ntime      about " in run_cli("fit", path, "--dry-run", "--smooth", "0.1").stdout
    few, many = (nwb_dcf.plan_fit(path, 2, smooth=0.1, steps=steps).to_dict()["seconds"] for steps in (3, 100_000))
    assert 1 < few < many / 5


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize(
    "what", ["counts", "many counts", "values", "many values", "few steps", "wide", "repeats", "video", "reach", "worm"]
)
def test_the_estimate_is_within_half(what: str, tmp_path: Path, real_data: Callable[[str], Path]) -> None:
    """In CPU seconds, which neighbours on the machine disturb little."""
    rng, path, options = np.random.default_rng(0), tmp_path / "s.nwb", []
    if what in ("reach", "worm"):
        path = real_data({"reach": "reach_chewie.nwb", "worm": "celegans_moving.nwb"}[what])
    elif what == "video":
        path, films = real_data("openfield_video.nwb"), real_data("m3v1mp4.mp4")
        options = ["--video-dir", str(films.parent)]
    elif "values" in what:
        n = 100_000 if what == "many values" else 5_000
        make_series_session(path, np.cumsum(rng.normal(size=(n, 4)), 0) @ rng.normal(size=(4, 40)) / 30)
        options = ["--source", "signal"]
    else:
        many = what == "many counts"
        make_spike_session(path, n_units=200 if many else 30, duration_s=1800 if many else 300)
        options = {"few steps": ["--steps", "40"], "repeats": ["--repeats", "3"]}.get(what, [])
        options += ["--bin", "0.02", "--smooth", "0.1"] if many else []
        if what == "wide":
            (tmp_path / "c.toml").write_text("width = 512\nencoder_width = 512\n")
            options = ["--config", str(tmp_path / "c.toml")]
    command = [sys.executable, "-m", "nwb_dcf", "fit", str(path), *options, "-o", str(tmp_path / "out.nwb")]
    command += ["--json", "--quiet"]
    plan = json.loads(subprocess.run([*command, "--dry-run"], capture_output=True, check=True).stdout)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    took = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    said = plan["seconds"] / plan["busy"]
    print(f"{what}: {said:.0f} s said, {took:.0f} CPU s taken, {100 * (said / took - 1):+.0f} %")
    assert said == pytest.approx(took, rel=0.5)

"""Bad input: one clear error each, and the analyzer loads as before."""

from __future__ import annotations

import re
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import spikeinterface.core as si
from spikeinterface.core import NumpySorting

from nwb_dcf.errors import DataError, DCFError, ParameterError, StoreError
from nwb_dcf.spikeinterface.safe_extension import SafeExtension

from .sessions import QUICK, RATE_HZ, make_analyzer, make_recording

ROOT = Path(__file__).resolve().parents[2]


def of_units(trains, durations=(6.0,)):
    sorting = NumpySorting.from_unit_dict(trains, RATE_HZ)
    return make_analyzer(sorting, make_recording(durations))


def one_train(seed=0):
    return np.sort(np.random.default_rng(seed).choice(60_000, 300, replace=False))


@pytest.mark.parametrize(
    ("analyzer", "params", "error", "says"),
    [
        (lambda: of_units({}), {}, DataError, "has no units"),
        (lambda: of_units({"a": one_train()}), {}, DataError, "1 usable unit: there is nothing to compress"),
        (
            lambda: of_units(
                [dict.fromkeys("ab", np.empty(0, int)), {"a": one_train(), "b": one_train(1)}], (6.0, 6.0)
            ),
            {},
            DataError,
            "segment 0: the segment is empty: none of 2 units has a spike",
        ),
        (
            lambda: of_units({"a": one_train(), "b": one_train(1)}),
            {"dim": 3},
            ParameterError,
            "above the 2 usable units",
        ),
    ],
    ids=["no units", "one unit", "empty segment", "dim above units"],
)
def test_sortings_that_cannot_be_fitted(analyzer, params, error, says):
    analyzer = analyzer()
    with pytest.raises(error, match=re.escape(says)) as caught:
        analyzer.compute("dcf_latents", **params)
    assert "\n" not in str(caught.value)
    assert not analyzer.has_extension("dcf_latents")


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"dim": "three"}, "dim is 'three'"),
        ({"dim": 0}, "dim is 0"),
        ({"dim": 2.5}, "dim is 2.5"),
        ({"dim": None}, "dim is None"),
        ({"dim": [3]}, "dim is"),
        ({"bin_width_s": 0}, "bin_width_s is 0"),
        ({"bin_width_s": "20"}, "bin_width_s is '20'"),
        ({"bin_width_s": np.nan}, "bin_width_s is nan"),
        ({"smooth": -1}, "smooth is -1"),
        ({"smooth": None}, "smooth is None"),
        ({"held_out": 1}, "held_out is 1"),
        ({"seed": -1}, "seed is -1"),
        ({"extent": 3}, "extent is 3"),
        ({"curation": True}, "curation is True"),
        ({"valid_unit_periods": 1}, "valid_unit_periods is 1"),
        ({"device": "tpu"}, "device is 'tpu'"),
        ({"preset": "best"}, "preset is 'best'"),
        ({"bins": 3}, "there is no setting bins"),
        ({"steps": object()}, "a parameter is <object"),
        ({"smooth_ms": 40}, "give smooth in seconds"),
    ],
)
def test_parameters_of_the_wrong_kind(params, says, analyzer):
    with pytest.raises(ParameterError, match=re.escape(says)) as caught:
        analyzer.compute("dcf_latents", **params)
    assert "\n" not in str(caught.value)


@pytest.fixture(params=["binary_folder", "zarr"])
def stored(request, computed, tmp_path):
    """Folder of an analyzer with latents, and the latents."""
    folder = tmp_path / ("a.zarr" if request.param == "zarr" else "a")
    computed.save_as(format=request.param, folder=folder)
    return folder, computed.get_extension("dcf_latents").get_data()


def assert_loads_as_before(stored):
    folder, latents = stored
    analyzer = si.load_sorting_analyzer(folder)
    for found, expected in zip(analyzer.get_extension("dcf_latents").get_data(), latents, strict=True):
        np.testing.assert_array_equal(found, expected)
    assert analyzer.copy().get_loaded_extension_names() == ["dcf_latents"]


def test_a_read_only_folder_is_refused_before_the_fit(stored):
    folder, _ = stored
    analyzer = si.load_sorting_analyzer(folder)
    mode = stat.S_IMODE(folder.stat().st_mode)
    folder.chmod(0o555)
    try:
        with pytest.raises(StoreError, match="the analyzer's folder is read-only; make it writable"):
            analyzer.compute("dcf_latents", **QUICK)
        assert_loads_as_before(stored)
        kept = analyzer.compute("dcf_latents", save=False, seed=1, **QUICK)  # the way that the message names
        assert kept.get_data()[0].shape == (600, 3)
        assert_loads_as_before(stored)
    finally:
        folder.chmod(mode)


def test_an_analyzer_loaded_read_only_computes_in_memory(stored):
    analyzer = si.load_sorting_analyzer(stored[0], read_only=True)
    assert analyzer.compute("dcf_latents", dim=2, **QUICK).get_data()[0].shape == (600, 2)
    assert_loads_as_before(stored)


@pytest.mark.parametrize("error", [KeyboardInterrupt, DCFError("no"), OSError("disk full")])
def test_whatever_stops_a_run_leaves_the_earlier_latents(error, stored, monkeypatch):
    def fail(*args, **kwargs):
        raise error

    analyzer = si.load_sorting_analyzer(stored[0])
    monkeypatch.setattr("nwb_dcf.spikeinterface.extension.fit_latents", fail)
    with pytest.raises(type(error) if isinstance(error, Exception) else error):
        analyzer.compute("dcf_latents", **QUICK)
    assert_loads_as_before(stored)


def run_until(code, line):
    """Run `code` in a process of its own; return it once it has printed `line`."""
    process = subprocess.Popen([sys.executable, "-u", "-c", code], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    while line not in process.stdout.readline():
        assert process.poll() is None
    return process


def test_killed_in_the_middle_of_the_fit(stored):
    process = run_until(
        "import spikeinterface.core as si, nwb_dcf.spikeinterface\n"
        f"analyzer = si.load_sorting_analyzer({str(stored[0])!r})\n"
        "analyzer.compute('dcf_latents', steps=100_000, verbose=True, progress_bar=False)",
        "dcf_latents: 1000 bins",
    )
    time.sleep(1)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    process.stdout.close()
    assert_loads_as_before(stored)


@pytest.mark.parametrize("at", ["_save_params", "_save_run_info", "_save_data", "_place_folder", "_place_group"])
@pytest.mark.long
def test_killed_in_the_middle_of_saving(at, stored):
    """Whatever is written lies beside until it is whole."""
    folder, _ = stored
    if at not in vars(SafeExtension) and not hasattr(SafeExtension, at):
        pytest.fail(f"no method {at}: the test would kill nothing")
    if (at == "_place_folder") != (folder.suffix != ".zarr") and at.startswith("_place"):
        pytest.skip("of the other format")
    code = (
        "import os, signal, spikeinterface.core as si, nwb_dcf.spikeinterface as ns\n"
        "def die(*args): os.kill(os.getpid(), signal.SIGKILL)\n"
        f"ns.DCFLatents.{at} = die\n"
        f"analyzer = si.load_sorting_analyzer({str(folder)!r})\n"
        "analyzer.get_extension('dcf_latents').save()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, cwd=ROOT)
    assert done.returncode == -signal.SIGKILL
    assert_loads_as_before(stored)
    analyzer = si.load_sorting_analyzer(folder)
    analyzer.compute("dcf_latents", dim=2, **QUICK)  # and what was left beside is in nobody's way
    assert si.load_sorting_analyzer(folder).get_extension("dcf_latents").get_data()[0].shape == (600, 2)

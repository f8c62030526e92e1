"""What one fit of a file does how often: preparing and encoding frames, checking recordings, building settings."""

from __future__ import annotations

import ast
import importlib
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import xarray as xr

from nwb_dcf import fit_nwb
from nwb_dcf.config.presets import make_config
from nwb_dcf.data.preprocessing import Preprocessor, check_size
from nwb_dcf.data.recording import validate_recording
from nwb_dcf.data.split import split_recording
from nwb_dcf.data.synthetic import simulate_lorenz
from nwb_dcf.estimator.fitted import FittedModel, PreparedFrames
from nwb_dcf.evaluation.shared_signal import N_FOLDS, SampledFrames
from nwb_dcf.io.results import write_session
from nwb_dcf.pipeline import fit

LINES = 60  # of `fit_nwb`, `plan_fit` and what they share, their descriptions aside


class Counts:
    """How often functions are called, wherever they were imported to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monkeypatch = monkeypatch
        self.calls: dict[str, list[int]] = {}

    def watch(self, function: Callable[..., Any], size: Callable[..., int] = lambda *_, **__: 1) -> None:
        """Note the `size` of every call of a function of a module."""
        noted = self._wrap(function, size)
        modules = [module for name, module in list(sys.modules.items()) if name.startswith("nwb_dcf")]
        for module in modules:
            if vars(module).get(function.__name__) is function:
                self.monkeypatch.setattr(module, function.__name__, noted)

    def watch_method(self, cls: type, name: str, size: Callable[..., int]) -> None:
        self.monkeypatch.setattr(cls, name, self._wrap(getattr(cls, name), size))

    def _wrap(self, function: Callable[..., Any], size: Callable[..., int]) -> Callable[..., Any]:
        calls = self.calls.setdefault(function.__name__, [])

        def noted(*args: Any, **settings: Any) -> Any:
            calls.append(size(*args, **settings))
            return function(*args, **settings)

        return noted


def test_one_fit_of_the_demo_session_does_everything_a_few_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = simulate_lorenz(seed=0).recording
    path = write_session(recording, tmp_path / "s.nwb")
    for module in ("estimator.dcf", "evaluation.resampling"):  # so that all that could be called is watched
        importlib.import_module(f"nwb_dcf.{module}")
    counts = Counts(monkeypatch)
    for function in (validate_recording, make_config, split_recording, check_size):
        counts.watch(function)

    def count_prepared(self: Preprocessor, recording: xr.Dataset, frames: slice) -> int:
        return frames.stop - frames.start

    hidden: list[int] = []
    hide = SampledFrames.hide

    def note_hidden(self: SampledFrames, *given: Any) -> PreparedFrames:
        hidden.append(len(self.values))
        return hide(self, *given)

    monkeypatch.setattr(SampledFrames, "hide", note_hidden)

    def count_encoded(self: FittedModel, frames: PreparedFrames, k: int | None = None) -> int:
        return len(frames)

    counts.watch_method(Preprocessor, "apply_to", count_prepared)
    counts.watch_method(FittedModel, "encode", count_encoded)
    for name in ("compress", "flow"):
        counts.watch_method(FittedModel, name, lambda _, frames: len(frames))
    result = fit_nwb(path, 3, steps=3, bin_width_s=0.02, smooth=0.04)  # what is chosen takes more
    n_frames = result.dataset.sizes["time"]
    calls = counts.calls
    per_frame = {name: sum(calls[name]) / n_frames for name in ("apply_to", "encode")}
    times = {name: len(calls[name]) for name in ("validate_recording", "make_config", "split_recording", "check_size")}
    print(per_frame, times)
    assert 1 < per_frame["apply_to"] <= 3
    # frames with a fifth of the channels hidden are other frames: once each, and not with their windows
    certificate = sum(hidden) / n_frames
    assert 1 < certificate <= N_FOLDS
    assert 1 <= per_frame["encode"] - certificate <= 3
    # integrated once: flowed latents and scores are read from the same states
    assert sum(calls["compress"]) + sum(calls["flow"]) == n_frames
    assert 1 <= times.pop("validate_recording") <= 2
    # a recording is split once for what is held out of the fit, and once for what chooses the steps
    assert times == {"make_config": 1, "split_recording": 2, "check_size": 1}


def test_the_whole_way_is_one_page() -> None:
    tree = ast.parse(inspect.getsource(fit))
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert set(functions) == {"fit_nwb", "plan_fit", "_follow"}
    lines = 0
    for function in functions.values():
        described = function.body[0]
        lines += (function.end_lineno or 0) - function.lineno + 1
        lines -= (described.end_lineno or 0) - described.lineno + 1
    assert lines < LINES

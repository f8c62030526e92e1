"""How long a fit will take, before it is begun: its operations counted, and this machine measured for a moment."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from ..config import FitConfig, ModelConfig, TrainConfig
from ..config.presets import adapt_to_kind, configure_encoder, make_config
from ..data.recording import frame_dims, median_step_s, name_kind
from .fit_memory import BIN_WIDTH_S, SIDE

if TYPE_CHECKING:
    from ..io.recordings.source_kinds import Source
    from .fit_repeats import Repeats

# The machine that the figures below were measured on, in CPU seconds of one thread (benchmarks/RESULTS.md).
PRODUCT_S, PYTHON_S = 0.030e-9, 105e-9
MEASURED_S, LONGEST_S = 0.02, 0.2  # of CPU for each of the two, and of waiting where other jobs have it
MATRIX = 48  # rows of the matrices: small enough for one thread, whatever else this machine does

START_S, WRITE_S = 2.9, 1.6  # torch and pynwb are loaded; the file is copied, appended to and verified
STEP_S = 2.5e-3  # of a step of training, whatever its size
LAYER_S, UNIT_S = 0.056e-9, 11.8e-9  # of a multiply-add of training, forward and back, and of a unit of its layer
PIXEL_S = 0.15e-6  # of a pixel of a frame that a U-Net of 32, 64 and 128 channels learns from
# of the choice of smoothing and scale: of any, of a row of its regressions, of a value of one, of one that is smoothed
CHOICE_S, ROW_S, ROW_VALUE_S, SMOOTHED_VALUE_S = 0.11, 40e-6, 0.47e-6, 0.02e-6
CHEAP_S = 1.0  # up to which a plan makes the choice itself
SCANNED_ROWS, SCANNED_CHANNELS, SCAN_BIN_S = 40_000, 300, 0.04  # at most, see `metrics.cross_prediction`
SCORES_S, PASSES = 0.7, 7  # of all scores; how often each frame passes each network, forward
EXACT = 30  # times as long with dopri5
CALIBRATED_S = 0.3e-6  # of a count whose rates are calibrated and scored
READ_S, FRAME_S, SMOOTHED_S = 0.7, 1.2e-3, 1.5  # that `info` does not take: for a file, a frame of video, the scan
# of a schedule: short ones are taken to the end and finished on all frames, long ones settle before half
SHORT_STEPS, TAKEN_OF_SHORT, TAKEN_OF_LONG = 600, 1.1, 0.45
EVALUATIONS, EVALUATED, EVALUATED_IMAGES = 20, 2048, 512  # over a schedule, and frames of each


@dataclass(frozen=True)
class Machine:
    """How fast this machine is.

    Attributes
    ----------
    product, python : float
        Time of a multiply-add, and of an operation of Python, as a multiple of those of the machine that the
        figures were measured on.
    busy : float
        Seconds that pass for each one that this process is given: 1 where nothing else runs.
    """

    product: float = 1.0
    python: float = 1.0
    busy: float = 1.0

    @classmethod
    @cache
    def measure(cls) -> Machine:
        """Measure this machine, in about a tenth of a second; once in a process."""
        left, right = np.ones((MATRIX, MATRIX), np.float32), np.full((MATRIX, MATRIX), 1 / MATRIX, np.float32)

        def multiply() -> None:
            for _ in range(20):
                np.matmul(left, right)

        def interpret() -> None:
            kept = {}
            for number in range(500):
                kept[number & 63] = (number, str(number))

        product, waited = _time(multiply, 20 * MATRIX**3)
        python, also_waited = _time(interpret, 500)
        return cls(product / PRODUCT_S, python / PYTHON_S, max(1.0, (waited + also_waited) / 2))


def _time(work: Callable[[], None], n: int) -> tuple[float, float]:
    """CPU seconds of one of the `n` operations of `work`, and the seconds that passed for each of them."""
    work()  # the first call loads what it needs
    rounds, started, began = 0, time.process_time(), time.perf_counter()
    while not rounds or (time.process_time() - started < MEASURED_S and time.perf_counter() - began < LONGEST_S):
        work()
        rounds += 1
    # clocks of some systems move by 16 ms
    taken = max(time.process_time() - started, 1e-6)
    return taken / (rounds * n), (time.perf_counter() - began) / taken


@dataclass(frozen=True)
class Work:
    """What a fit has to do.

    Attributes
    ----------
    frames, values : int
        Of the recording; values are those of one frame.
    kind : {"counts", "images", "values"}
    config : FitConfig
        Of that kind.
    more : int
        Fits beside the first.
    """

    frames: int
    values: int
    kind: str
    config: FitConfig
    more: int = 0

    def estimate(self, machine: Machine, read_s: float) -> float:
        """Estimate the seconds from the command to its report, of which `read_s` go into reading and choosing."""
        training, scoring = self._train(machine), self._score(machine)
        fixed = (START_S + WRITE_S) * machine.python
        # those beside it learn the encoder and u alone, and are scored by less than half
        beside = self.more * (self._train(machine, with_v=False) + scoring / 2)
        return machine.busy * (fixed + training + scoring + beside) + read_s

    def _train(self, machine: Machine, *, with_v: bool = True) -> float:
        train, model = self.config.train, self.config.model
        frame_s = self._time_frame(machine)
        joined = model.train_encoder_with_flows or train.single_stage
        u, v = frame_s["u"] + (frame_s["coupling"] if joined else 0), frame_s["v"]
        aligned = train.align_steps if model.start == "random" and not train.single_stage else 0
        flows = [(train, u + v if train.single_stage else u)]
        if not train.single_stage and train.beta and with_v:
            steps, batch = round(train.dynamics_fraction * train.steps), train.dynamics_batch_size
            flows.append((replace(train, steps=max(1, steps), batch_size=batch or train.batch_size), v))
        tried = configure_encoder(self.config)
        if tried is not None:
            flows.append((tried.train, u + frame_s["coupling"]))
        step_s = STEP_S * machine.python
        return aligned * (step_s + train.batch_size * frame_s["coupling"]) + sum(
            self._learn(step_s, *flow) for flow in flows
        )

    def _learn(self, step_s: float, train: TrainConfig, frame_s: float) -> float:
        """Seconds until a part has learned, with a step's overhead and what a frame takes in it."""
        if not train.early_stopping:
            return train.steps * (step_s + train.batch_size * frame_s)
        taken = TAKEN_OF_SHORT if train.steps <= SHORT_STEPS else TAKEN_OF_LONG
        looked = 1 + min(EVALUATIONS, train.steps) * min(taken, 1.0)
        frames = EVALUATED_IMAGES if self._is_unet else EVALUATED
        return taken * train.steps * (step_s + train.batch_size * frame_s) + looked * frames * frame_s / 3

    def _time_frame(self, machine: Machine) -> dict[str, float]:
        """Seconds in which each part learns from one frame, forward and back."""
        model = self.config.model
        if self._is_unet:
            grown = sum(channels**2 for channels in model.channels) / sum(n**2 for n in (32, 64, 128))
            return dict.fromkeys(("u", "v"), self.values * PIXEL_S * grown * machine.product) | {"coupling": 0.0}
        layer_s = (LAYER_S + UNIT_S / model.width) * machine.product
        return {name: n * layer_s for name, n in count_weights(model, self.values).items()}

    def _score(self, machine: Machine) -> float:
        model = self.config.model
        passes = self.frames * PASSES * sum(self._time_frame(machine).values()) / 3
        passes *= EXACT if model.solver == "dopri5" else 1
        # frames onto their axes and back
        turned = 2 * PASSES * self.frames * self.values * model.network_axes * LAYER_S / 3
        counted = self.frames * self.values * CALIBRATED_S if self.kind == "counts" else 0.0
        return SCORES_S * machine.python + passes + (turned + counted) * machine.product

    @property
    def _is_unet(self) -> bool:
        return self.kind == "images" and self.config.model.network != "mlp"


def count_weights(model: ModelConfig, n_values: int) -> dict[str, int]:
    """Count the weights of each part of a model of perceptrons, about."""
    seen = model.network_axes or n_values
    inner = 1.6  # of a layer's: those that are conditioned on tau and K
    u = 2 * seen * model.width + inner * model.depth * model.width**2
    v = (2 + model.history) * seen * model.width + inner * model.depth * model.width**2
    window = 2 + 2 * model.encoder_window
    coupling = window * seen * model.encoder_width + inner * model.encoder_depth * model.encoder_width**2
    return {"u": round(u), "v": round(v), "coupling": round(coupling)}


def estimate_choice_seconds(recording: xr.Dataset) -> float:
    """Estimate the seconds that smoothing and scale of counts take to be chosen, on frames that are merged before."""
    machine = Machine.measure()
    return machine.busy * machine.product * _count_choice_seconds(recording)


def is_choice_cheap(recording: xr.Dataset) -> bool:
    """Whether smoothing and scale are chosen in about a second, by the data alone and not by what else is running."""
    return _count_choice_seconds(recording) <= CHEAP_S


def _count_choice_seconds(recording: xr.Dataset) -> float:
    """Seconds of the choice on the machine that the figures are of."""
    from ..metrics.cross_prediction import FEWEST_CHANNELS, N_SPLITS, count_splits  # scikit-learn

    n_channels = math.prod(recording.sizes[dim] for dim in frame_dims(recording))
    if n_channels < FEWEST_CHANNELS:
        return 0.0
    # in as many more halves few units are scanned as often, on as many fewer rows where there are more
    more = count_splits(n_channels) / N_SPLITS
    merged = recording.sizes["time"] * min(1.0, median_step_s(recording) / SCAN_BIN_S)
    channels, rows = min(n_channels, SCANNED_CHANNELS), min(more * merged, SCANNED_ROWS)
    return more * CHOICE_S + rows * (ROW_S + channels * ROW_VALUE_S) + merged * channels * SMOOTHED_VALUE_S


def estimate_recording_seconds(recording: xr.Dataset, config: FitConfig, repeats: Repeats, planned_s: float) -> float:
    """Estimate the seconds of a fit of `recording` on a CPU, whose plan took `planned_s`."""
    n_values = math.prod(recording.sizes[dim] for dim in frame_dims(recording))
    work = Work(recording.sizes["time"], n_values, name_kind(recording), config, repeats.n_more)
    return work.estimate(Machine.measure(), planned_s)


def estimate_source_seconds(source: Source) -> float | None:
    """Estimate the seconds of a fit of all of a source with the standard settings; None where they are unknown."""
    machine = Machine.measure()
    read_s = READ_S
    match source.kind:
        case "units":
            if source.duration_s is None:
                return None
            frames, values, kind = int(source.duration_s / BIN_WIDTH_S), source.shape[0], "counts"
            read_s += SMOOTHED_S
        case "video" | "imaging" | "stimulus":
            frames, values, kind = source.shape[0], SIDE**2, "images"
            read_s += FRAME_S * frames
        case "lfp":
            return None
        case _:
            frames, values = source.shape[0], math.prod(source.shape[1:])
            kind = "counts" if source.kind == "binned" else "values"
    config = adapt_to_kind(make_config("default", {}), kind)
    return Work(frames, values, kind, config).estimate(machine, read_s * machine.python * machine.busy)

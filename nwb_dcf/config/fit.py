"""The settings of preparation, model and training, and all of a fit's together."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field

from .read import ReadConfig
from .validation import (
    LONGEST,
    Fraction,
    Frames,
    Index,
    Layers,
    NotNegative,
    Positive,
    Settings,
    Size,
    Steps,
    refuse_unknown,
    require,
    settings,
)

MOST_AXES = 100_000
"""Axes, each as long as a frame: an image of 316 x 316 pixels has no more."""
Axes = Annotated[int, Field(ge=0, le=MOST_AXES)]
Levels = Annotated[tuple[Size, ...], Field(min_length=1, max_length=8)]
OwnSteps = Annotated[int, Field(ge=0, le=LONGEST)]
Lag = Annotated[int, Field(ge=-10_000, le=10_000)]

# Names that fits stored before 0.1.0 carry, and what they are called since.
FORMER_NAMES: dict[str, dict[str, str]] = {
    "prepare": {"transform": "transformation"},
    "model": {
        "joined": "train_encoder_with_flows",
        "conditioned": "condition_on_k",
        "window": "encoder_window",
        "noise": "bridge_noise",
    },
    "train": {
        "rate": "learning_rate",
        "encoder_rate": "encoder_learning_rate",
        "batch": "batch_size",
        "ema": "ema_decay",
        "clip": "max_grad_norm",
        "tolerance": "early_stopping_tolerance",
        "jointly": "single_stage",
    },
}


@settings
class PrepareConfig:
    """How values become what the model sees.

    ``transformation="auto"`` follows the kind of data. ``auto`` of ``smooth`` and ``scale`` lets the training segments
    choose, where they are counts (see `smoothing_and_scale`); ``smooth="standard"`` is 0.04 s for spikes, 2 frames for
    other counts and nothing for other values: with ``scale="global"`` what was the default before.
    """

    transformation: Literal["auto", "sqrt", "none"] = "auto"
    smooth: NotNegative | Literal["auto", "standard"] = "auto"  # seconds; frames where time has no unit
    scale: Literal["auto", "global", "soft", "zscore", "none"] = "auto"


@settings
class ModelConfig:
    """The model's shape. Symbols and sections as in the paper.

    ``start="pca"`` starts (b, L, d) and mu at the optimum of L_align, the principal axes. ``condition_on_k`` shows K
    to both flows. ``masked_endpoints`` lets the flows see m_K * mu instead of mu. ``train_encoder_with_flows`` lets
    the gradients of the flow losses reach the encoder. ``closed_form`` gives u its Gaussian part. ``bridge_noise`` is
    the bridge's sigma, ``relative`` to each axis' standard deviation or ``absolute``. ``decoder`` reconstructs frames
    from K numbers by their conditional mean, one evaluation of u at tau = 0, or by integrating u from there, which
    gives a typical frame. ``network`` is that of u, v and mu; presets of images name theirs, and ``auto``, in fits of
    before they did, is the U-Net where frames have ``y`` and ``x``. ``encoder_window`` frames before and after each
    one are seen by mu.
    """

    dim: Annotated[int, Field(ge=1, le=MOST_AXES)] = 3
    network: Literal["auto", "mlp", "unet"] = "auto"
    channels: Levels = (16, 32, 64)  # of the U-Net, level by level
    network_axes: Axes = 0  # principal axes of the frames that a perceptron sees and gives; 0: the channels
    patch: Frames = 0  # pixels per side of a place of its first level; 0: as many as leave 8 places a side
    k_max: Axes | None = None  # None: min(D, rank, max(16, 2 dim)); 0: D
    history: Frames = 3
    history_start: Literal["repeat", "drop"] = "repeat"
    width: Size = 128
    depth: Layers = 3
    encoder_width: Size = 128
    encoder_depth: Layers = 2
    linear_encoder: bool = True  # whether mu has a linear part beside its network
    encoder_dropout: Annotated[float, Field(ge=0, le=0.9)] = 0.0  # fraction of channels hidden from mu in training
    momentum: Annotated[float, Field(ge=0, le=0.9999)] = 0.99  # of mu's running mean and standard deviation
    encoder_window: Frames = 0
    start: Literal["pca", "random"] = "pca"
    train_encoder_with_flows: bool = False
    masked_endpoints: bool = True
    condition_on_k: bool = True
    closed_form: bool = True
    bridge_noise: NotNegative = 0.05
    noise_scale: Literal["relative", "absolute"] = "relative"
    kept_noise: Fraction = 1.0  # fraction of it that u sees on the axes it keeps, whose numbers it decodes
    decoder: Literal["mean", "flow"] = "mean"
    solver: Literal["rk4", "midpoint", "dopri5"] = "rk4"
    solver_steps: Annotated[int, Field(ge=1, le=10_000)] = 4
    clock: Literal["way", "angle"] = "angle"  # what u sees of tau and is integrated along, see `CompressionClock`
    clock_frequencies: Annotated[int, Field(ge=1, le=64)] = 8  # sines and cosines of it that u sees

    def __post_init__(self) -> None:
        require(
            not self.k_max or self.k_max >= self.dim, f"k_max is {self.k_max} and dim {self.dim}", "give k_max >= dim"
        )
        require(
            self.network_axes == 0 or self.network_axes >= self.dim,
            f"network_axes is {self.network_axes} and dim {self.dim}",
            "give network_axes >= dim, or 0 for the channels themselves",
        )
        require(
            self.network_axes == 0 or self.network == "mlp",
            f"network_axes is {self.network_axes}, and network {self.network!r}",
            "a U-Net sees pixels: give network='mlp', or network_axes=0",
        )
        require(
            not (self.closed_form and (self.bridge_noise == 0 or self.noise_scale == "absolute")),
            "the closed-form part of u needs noise relative to each axis",
            "set bridge_noise above 0 and noise_scale='relative', or closed_form=False",
        )


@settings
class TrainConfig:
    """How long, how fast and on what the model is trained."""

    seed: Index = 0
    device: str = "auto"
    precision: Literal["auto", "full", "reduced"] = "auto"  # of matrix products in training, see `model.precision`
    steps: Steps = 1200
    dynamics_fraction: Annotated[float, Field(gt=0, le=1)] = 1.0  # steps of v where it learns alone, of `steps`
    batch_size: Annotated[int, Field(ge=1, le=10**7)] = 512
    dynamics_batch_size: Annotated[int, Field(ge=0, le=10**7)] = 0  # of v where it learns alone; 0: `batch_size`
    learning_rate: Positive = 8e-3
    rate_axes: Axes = 0  # principal axes that it is for: networks on fewer of them learn faster; 0: on any number
    encoder_learning_rate: Positive = 8e-4
    weight_decay: NotNegative = 0.01
    max_grad_norm: NotNegative = 1.0  # 0: none
    schedule: Literal["cosine", "constant"] = "cosine"
    ema_decay: Fraction = 0.98  # of the flows' weights, per step
    ema_encoder: bool = True  # False: the encoder's weights are taken as they are, as the authors do
    single_stage: bool = False  # True: all parts learn at once, as in the paper; False: v on the finished latents
    align_steps: OwnSteps = 1500  # of the coupling alone, where it starts at random and not in a single stage
    align_rate: Positive = 2e-2
    prefix_p: Annotated[float, Field(gt=0, le=1)] = 0.125  # Geometric(p) of the prefix length K
    prefix_at_dim: Fraction = 0.5  # fraction of samples with K = dim
    prefix_ramp: Index = 0  # samples over which E[K] rises from 1 to 1/p
    balance_prefixes: bool = False  # whether each prefix counts in L_cf by what it leaves unexplained
    prefix_per_sample: bool = True  # False: one K per step, as in the paper
    tau_in_angle: Fraction = 1.0  # fraction of u's taus drawn uniformly in arctan(tau / noise)
    tau_at_zero: Fraction = 0.1  # fraction of u's taus at 0, where the decoder reads it
    v_tau_at_zero: Fraction = 0.5  # fraction of v's taus at 0, where rollouts of latents read it
    alpha: NotNegative = 1.0  # weight of L_cf
    beta: NotNegative = 1.0  # weight of L_df
    eta: NotNegative = 1.0  # weight of L_align
    gamma: NotNegative = 0.0  # weight of L_context: frames around from the latents
    context_lags: Annotated[tuple[Lag, ...], Field(max_length=1000)] = (-2, -1, 1, 2)  # those frames
    early_stopping: bool = True
    steps_by: Literal["objective", "reconstruction"] = "objective"  # what chooses them while the encoder learns
    held_out: Annotated[float, Field(ge=0, le=0.9)] = 0.2  # fraction of the fitted segments that choose the step
    finish: Annotated[float, Field(ge=0, le=2)] = 0.25  # steps on all frames after that, as a fraction of those chosen
    early_stopping_tolerance: Annotated[float, Field(ge=0, le=0.5)] = 0.0  # fraction by which a loss has to fall
    try_encoder: bool = (
        False  # whether an encoder is trained beside PCA's latents, and taken where held-out frames say so
    )

    def __post_init__(self) -> None:
        require(
            self.device in ("auto", "cpu", "cuda", "mps") or re.fullmatch(r"cuda:\d{1,3}", self.device) is not None,
            f"device is {self.device!r}",
            "give one of auto, cpu, cuda, mps",
        )


STAGES: dict[str, type[Any]] = {"prepare": PrepareConfig, "model": ModelConfig, "train": TrainConfig}


@settings
class FitConfig:
    """Every setting of one fit."""

    prepare: PrepareConfig = dataclasses.field(default_factory=PrepareConfig)
    model: ModelConfig = dataclasses.field(default_factory=ModelConfig)
    train: TrainConfig = dataclasses.field(default_factory=TrainConfig)
    read: ReadConfig | None = None
    preset: str = "default"
    chosen: frozenset[str] | None = dataclasses.field(
        default=None, repr=False, compare=False
    )  # given by name; None: finished

    def to_dict(self) -> Settings:
        """Return a JSON-able dict that `from_dict` accepts."""
        return {name: value for name, value in dataclasses.asdict(self).items() if name != "chosen"}

    def to_settings(self) -> Settings:
        """Return the settings of preparation, model and training by name, without `dim`, seed and device."""
        stages = (self.prepare, self.model, self.train)
        every = {name: value for stage in stages for name, value in dataclasses.asdict(stage).items()}
        return {name: value for name, value in every.items() if name not in ("dim", "seed", "device")}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Make a config from `to_dict`'s output, of this version or of an earlier one.

        Raises
        ------
        ParameterError
            If a key is unknown or a value is invalid.
        """
        refuse_unknown(values, [field.name for field in dataclasses.fields(cls)], of=cls.__name__)
        parts: Settings = dict(values)
        for name, stage in {**STAGES, "read": ReadConfig}.items():
            if parts.get(name) is not None:
                require(isinstance(parts[name], Mapping), f"{name} is {parts[name]!r}", "give its settings by name")
                former = FORMER_NAMES.get(name, {})
                parts[name] = stage(**{former.get(key, key): value for key, value in parts[name].items()})
        return cls(**parts)

"""The settings of preparation, model and training, and all of a fit's together."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from .read import ReadConfig
from .validation import (
    build_from_dict,
    require,
    require_choice,
    require_flag,
    require_number,
    require_whole,
    use_plain_numbers,
)


@dataclass(frozen=True)
class PrepareConfig:
    """How values become what the model sees.

    ``transform="auto"`` follows the kind of data. ``auto`` of ``smooth`` and ``scale`` lets the training segments
    choose, where they are counts (see `smoothing_and_scale`); ``smooth="standard"`` is 0.04 s for spikes, 2 frames for
    other counts and nothing for other values: with ``scale="global"`` what was the default before.
    """

    transform: Literal["auto", "sqrt", "none"] = "auto"
    smooth: float | Literal["auto", "standard"] = "auto"  # seconds; frames where time has no unit
    scale: Literal["auto", "global", "soft", "zscore", "none"] = "auto"

    def __post_init__(self) -> None:
        use_plain_numbers(self)
        require_choice("transform", self.transform, ("auto", "sqrt", "none"))
        require_choice("scale", self.scale, ("auto", "global", "soft", "zscore", "none"))
        if self.smooth not in ("auto", "standard"):
            require_number("smooth", self.smooth, low=0)


@dataclass(frozen=True)
class ModelConfig:
    """The model's shape. Symbols and sections as in the paper.

    ``start="pca"`` starts (b, L, d) and mu at the optimum of L_align, the principal axes; ``conditioned``
    shows K to both flows; ``masked_endpoints`` lets the flows see m_K * mu instead of mu; ``joined``
    lets the gradients of the flow losses reach the encoder; ``closed_form`` gives u its Gaussian
    part; ``noise`` is the bridge's sigma, ``relative`` to each axis' standard deviation or ``absolute``;
    ``decoder`` rebuilds frames from K numbers by their conditional mean, one evaluation of u at tau = 0, or by
    integrating u from there, which gives a typical frame. ``network`` is that of u, v and mu; ``auto`` takes the
    U-Net where frames have ``y`` and ``x``. ``window`` frames before and after each one are seen by mu.
    """

    dim: int = 3
    network: Literal["auto", "mlp", "unet"] = "auto"
    channels: tuple[int, ...] = (16, 32, 64)  # of the U-Net, level by level
    network_axes: int = 0  # principal axes of the frames that a perceptron sees and gives; 0: the channels themselves
    patch: int = 0  # pixels per side of a place of its first level; 0: as many as leave 8 places a side
    k_max: int | None = None  # None: min(D, rank, max(16, 2 dim)); 0: D
    history: int = 3
    history_start: Literal["repeat", "drop"] = "repeat"
    width: int = 128
    depth: int = 3
    encoder_width: int = 128
    encoder_depth: int = 2
    linear_encoder: bool = True  # whether mu has a linear part beside its network
    encoder_dropout: float = 0.0  # share of channels that mu does not see, drawn for each training frame
    momentum: float = 0.99  # of mu's running mean and standard deviation
    window: int = 0
    start: Literal["pca", "random"] = "pca"
    joined: bool = False
    masked_endpoints: bool = True
    conditioned: bool = True
    closed_form: bool = True
    noise: float = 0.05
    noise_scale: Literal["relative", "absolute"] = "relative"
    decoder: Literal["mean", "flow"] = "mean"
    solver: Literal["rk4", "midpoint", "dopri5"] = "rk4"
    solver_steps: int = 4

    def __post_init__(self) -> None:
        use_plain_numbers(self)
        for name in ("dim", "width", "depth", "encoder_width", "encoder_depth", "solver_steps"):
            require_whole(name, getattr(self, name), low=1)
        for name in ("linear_encoder", "joined", "masked_endpoints", "conditioned", "closed_form"):
            require_flag(name, getattr(self, name))
        for name in ("history", "window", "patch", "network_axes"):
            require_whole(name, getattr(self, name), low=0)
        require_number("encoder_dropout", self.encoder_dropout, low=0, high=0.9)
        require_number("momentum", self.momentum, low=0, high=0.9999)
        require_choice("network", self.network, ("auto", "mlp", "unet"))
        require(
            isinstance(self.channels, tuple) and len(self.channels) > 0,
            f"channels is {self.channels!r}",
            "give the channels of each level, as (16, 32, 64)",
        )
        for n in self.channels:
            require_whole("channels", n, low=1)
        if self.k_max is not None:
            require_whole("k_max", self.k_max, low=0)
            require(
                self.k_max == 0 or self.k_max >= self.dim,
                f"k_max is {self.k_max} and dim {self.dim}",
                "give k_max >= dim",
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
        require_choice("history_start", self.history_start, ("repeat", "drop"))
        require_choice("start", self.start, ("pca", "random"))
        require_choice("noise_scale", self.noise_scale, ("relative", "absolute"))
        require_choice("solver", self.solver, ("rk4", "midpoint", "dopri5"))
        require_choice("decoder", self.decoder, ("mean", "flow"))
        require_number("noise", self.noise, low=0)
        require(
            not (self.closed_form and (self.noise == 0 or self.noise_scale == "absolute")),
            "the closed-form part of u needs noise relative to each axis",
            "set noise above 0 and noise_scale='relative', or closed_form=False",
        )


@dataclass(frozen=True)
class TrainConfig:
    """How long, how fast and on what the model is trained."""

    seed: int = 0
    device: str = "auto"
    precision: Literal["auto", "full", "reduced"] = "auto"  # of matrix products in training, see `model.precision`
    steps: int = 1200
    batch: int = 512
    rate: float = 8e-3
    encoder_rate: float = 8e-4
    weight_decay: float = 0.01
    clip: float = 1.0  # 0: none
    schedule: Literal["cosine", "constant"] = "cosine"
    ema: float = 0.98  # of the flows' weights, per step
    ema_encoder: bool = True  # False: the encoder's weights are taken as they are, as the authors do
    jointly: bool = False  # True: all parts learn at once, as in the paper; False: v on the finished code
    align_steps: int = 1500  # of the coupling alone, where it starts at random and not jointly
    align_rate: float = 2e-2
    prefix_p: float = 0.125  # Geometric(p) of the prefix length K
    prefix_at_dim: float = 0.5  # share of samples with K = dim
    prefix_ramp: int = 0  # samples over which E[K] rises from 1 to 1/p
    prefix_per_sample: bool = True  # False: one K per step, as in the paper
    tau_in_angle: float = 1.0  # share of u's taus drawn uniformly in arctan(tau / noise)
    tau_at_zero: float = 0.1  # share of u's taus at 0, where the decoder reads it
    v_tau_at_zero: float = 0.5  # share of v's taus at 0, where rollouts of latents read it; the rest are uniform
    alpha: float = 1.0  # weight of L_cf
    beta: float = 1.0  # weight of L_df
    eta: float = 1.0  # weight of L_align
    gamma: float = 0.0  # weight of L_context: frames around from the code
    context_lags: tuple[int, ...] = (-2, -1, 1, 2)  # those frames
    early_stopping: bool = True
    held_out: float = 0.2  # share of the segments given to `fit` that choose the step
    finish: float = 0.25  # steps on all frames after that, as a share of those chosen
    tolerance: float = 0.0  # share by which a held-out loss has to fall, else the schedule ends by itself

    def __post_init__(self) -> None:
        use_plain_numbers(self)
        for name, low in (("seed", 0), ("steps", 1), ("batch", 1), ("prefix_ramp", 0), ("align_steps", 0)):
            require_whole(name, getattr(self, name), low=low)
        for name in ("prefix_per_sample", "early_stopping", "ema_encoder", "jointly"):
            require_flag(name, getattr(self, name))
        for name in ("rate", "encoder_rate", "align_rate"):
            require_number(name, getattr(self, name), low=0, open_low=True)
        for name in ("weight_decay", "clip", "alpha", "beta", "eta", "gamma"):
            require_number(name, getattr(self, name), low=0)
        for name in ("ema", "prefix_at_dim", "tau_in_angle", "tau_at_zero", "v_tau_at_zero"):
            require_number(name, getattr(self, name), low=0, high=1)
        require_number("prefix_p", self.prefix_p, low=0, high=1, open_low=True)
        require_number("held_out", self.held_out, low=0, high=0.9)
        require_number("tolerance", self.tolerance, low=0, high=0.5)
        require_number("finish", self.finish, low=0, high=2)
        require_choice("precision", self.precision, ("auto", "full", "reduced"))
        require_choice("schedule", self.schedule, ("cosine", "constant"))
        require(
            isinstance(self.device, str)
            and (self.device in ("auto", "cpu", "cuda", "mps") or self.device.startswith("cuda:")),
            f"device is {self.device!r}",
            "choose auto, cpu, cuda or mps",
        )


@dataclass(frozen=True)
class FitConfig:
    """Every setting of one fit."""

    prepare: PrepareConfig = field(default_factory=PrepareConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    read: ReadConfig | None = None
    preset: str = "default"

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-able dict that `from_dict` accepts."""
        return dataclasses.asdict(self)

    def to_settings(self) -> dict[str, Any]:
        """Return the settings of preparation, model and training by name, without `dim`, seed and device."""
        stages = (self.prepare, self.model, self.train)
        every = {name: value for stage in stages for name, value in dataclasses.asdict(stage).items()}
        return {name: value for name, value in every.items() if name not in ("dim", "seed", "device")}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Make a config from `to_dict`'s output.

        Raises
        ------
        ParameterError
            If a key is unknown or a value cannot be meant.
        """
        parts: dict[str, Any] = dict(values)
        stages: dict[str, type[Any]] = {
            "prepare": PrepareConfig,
            "model": ModelConfig,
            "train": TrainConfig,
            "read": ReadConfig,
        }
        for name, stage in stages.items():
            if parts.get(name) is not None:
                parts[name] = build_from_dict(stage, parts[name])
        return build_from_dict(cls, parts)

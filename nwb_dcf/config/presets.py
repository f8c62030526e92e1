"""Named settings: the default, and the paper's two, of the same code.

``paper`` is the text of Wei et al. 2026 as written (sections 2 to 3): flows see masked endpoints and
their gradients reach the encoder, one K per step. ``authors`` is what their research code ran: the
endpoint is detached and unmasked. Neither conditions u on K; both start at random and integrate by
dopri5. Their learning rate is not known: 3e-4 is ours. Steps are the paper's (55.7 M samples);
give `steps` to stay shorter.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

from ..errors import ParameterError
from .fit import STAGES, FitConfig
from .read import ReadConfig
from .sort_settings import sort_settings
from .validation import Settings, names_of, refuse_unknown

_PAPER_BATCH = 256
_PAPER: Settings = {
    "smooth": "standard",
    "scale": "global",
    "k_max": 0,
    "history": 10,
    "width": 256,
    "depth": 4,
    "channels": (32, 64, 128, 256),
    "patch": 1,
    "encoder_width": 256,
    "encoder_depth": 4,
    "linear_encoder": False,
    "momentum": 0.9,
    "start": "random",
    "train_encoder_with_flows": True,
    "masked_endpoints": True,
    "condition_on_k": False,
    "closed_form": False,
    "bridge_noise": 0.1,
    "noise_scale": "absolute",
    "decoder": "flow",
    "solver": "dopri5",
    "steps": 217_000,
    "batch_size": _PAPER_BATCH,
    "learning_rate": 3e-4,
    "encoder_learning_rate": 3e-4,
    "weight_decay": 0.0,
    "max_grad_norm": 0.0,
    "schedule": "constant",
    "ema_decay": 0.5 ** (_PAPER_BATCH / 500_000),  # half-life of 500,000 samples
    "ema_encoder": False,
    "single_stage": True,
    "prefix_p": 1 / 50,
    "prefix_at_dim": 0.0,
    "prefix_ramp": 1_000_000,
    "prefix_per_sample": False,
    "tau_in_angle": 0.0,
    "tau_at_zero": 0.0,
    "v_tau_at_zero": 0.0,
    "early_stopping": False,
}
PRESETS: dict[str, Settings] = {
    "default": {},
    "paper": _PAPER,
    "authors": {**_PAPER, "train_encoder_with_flows": False, "masked_endpoints": False, "history_start": "drop"},
}
# By one frequency half of the evaluations of u are as exact (benchmarks/RESULTS.md).
_CLOCK: Settings = {"clock": "way", "clock_frequencies": 1, "solver_steps": 2}
# What kinds of recording want otherwise (benchmarks/RESULTS.md has the measurements). Of other values, such as calcium,
# PCA's latents are often the best: held-out frames decide between them and an encoder trained as that of counts is.
COUNTS: dict[str, Settings] = {
    "default": {
        "train_encoder_with_flows": True,
        "encoder_window": 2,
        "encoder_dropout": 0.2,
        "gamma": 1.0,
        # more holds latents to axes that reconstruct less; with .1 axes of resampled trials agree less (RESULTS.md)
        "eta": 0.2,
        "prefix_at_dim": 0.8,
        "tau_at_zero": 0.5,
        "batch_size": 256,
        "steps": 400,
        # with half of its steps rollouts of counts are worse
        "dynamics_fraction": 1.0,
        "dynamics_batch_size": 0,
        "learning_rate": 4e-3,
        "encoder_learning_rate": 1.2e-3,
        "steps_by": "reconstruction",
        **_CLOCK,
    },
}
VALUES: dict[str, Settings] = {
    "default": {"try_encoder": True, "dynamics_fraction": 0.5, "dynamics_batch_size": 256},
}
# Perceptrons on the principal axes of the frames: they reconstruct more than a U-Net, and more can be decoded from
# their latents, in a fraction of its time (benchmarks/RESULTS.md). The paper takes the U-Net, and no history.
_PERCEPTRON: Settings = {
    "network": "mlp",
    "network_axes": 256,
    # with fewer frequencies one of five splits of a video learned nothing
    "clock": "way",
    "clock_frequencies": 4,
    "solver_steps": 3,
    # held-out blocks show what no other frame does: a quarter of the chosen steps learns too little of them
    "finish": 1.0,
    "train_encoder_with_flows": True,
    "kept_noise": 0.2,
    "balance_prefixes": True,
    "prefix_at_dim": 0.8,
    "gamma": 0.3,
    "tau_at_zero": 0.8,
    "batch_size": 256,
    "steps": 800,
    "steps_by": "reconstruction",
    "dynamics_fraction": 0.75,
    "learning_rate": 4e-3,
    "rate_axes": 256,
    "encoder_learning_rate": 2e-3,
}
# A U-Net's steps are dear: few, small, and most of them of what `dim` latents reconstruct.
_UNET: Settings = {
    "network": "unet",
    "channels": (32, 64, 128),
    "train_encoder_with_flows": True,
    "gamma": 1.0,
    "prefix_at_dim": 0.8,
    "tau_at_zero": 0.8,
    "batch_size": 64,
    "steps": 240,
    "steps_by": "reconstruction",
    "finish": 0.5,
    "dynamics_fraction": 0.75,
    "learning_rate": 4e-3,
    "encoder_learning_rate": 1.5e-3,
}
IMAGES: dict[str, Settings] = {
    "default": _PERCEPTRON,
    "paper": {"network": "unet", "history": 0},
    "authors": {"network": "unet", "history": 0},
}
KINDS: dict[str, dict[str, Settings]] = {"counts": COUNTS, "images": IMAGES, "values": VALUES}


def make_config(preset: str, settings: Settings, *, kind: str = "values") -> FitConfig:
    """Build the configuration of a preset, with `settings` (name to value) in place of its own.

    Parameters
    ----------
    preset : {"default", "paper", "authors"}
    settings : dict
    kind : {"counts", "images", "values"}
        Of the recording, see `nwb_dcf.data.recording.name_kind`: each has settings of its own. Those of images are a
        perceptron's on their principal axes, and the U-Net's where it, or what it alone has, is asked for.

    Raises
    ------
    ParameterError
        If the preset or a setting is unknown, or a value is invalid.
    """
    if preset not in PRESETS:
        raise ParameterError(f"preset is {preset!r}", fix=f"choose one of {', '.join(PRESETS)}")
    settings = {**settings, "dim": 1} if settings.get("dim") == "auto" else settings  # until the data have chosen
    wanted = {**PRESETS[preset], **settings, **_choose_own(preset, kind, settings)}
    stages = {}
    for stage, cls in STAGES.items():
        stages[stage] = cls(**{name: wanted.pop(name) for name in names_of(cls) if name in wanted})
    refuse_unknown(wanted, [name for stage in STAGES.values() for name in names_of(stage)])
    return FitConfig(**stages, preset=preset, chosen=frozenset(settings))


def resolve_settings(dim: int | Literal["auto"], settings: Mapping[str, Any]) -> tuple[ReadConfig, FitConfig, bool]:
    """Make the configurations of a fit from settings of all stages, before its recording is known.

    Parameters
    ----------
    dim : int or "auto"
        Number of latents; ``auto`` stands at 1 until the data have chosen.
    settings : mapping
        As `sort_settings` takes them, and ``preset``.

    Returns
    -------
    ReadConfig
    FitConfig
        Which `adapt_to_kind` finishes.
    bool
        Whether bins of spikes are to be chosen: ``bin_width_s`` is not given, or ``auto``.

    Raises
    ------
    ParameterError
        If a setting is unknown or invalid.
    """
    reading, others = sort_settings(settings)
    choose_bins = reading.get("bin_width_s", "auto") == "auto"
    if choose_bins:
        reading.pop("bin_width_s", None)
    config = make_config(others.pop("preset", "default"), {**others, "dim": dim})
    return ReadConfig.make(**reading), config, choose_bins


def adapt_to_kind(config: FitConfig, kind: str) -> FitConfig:
    """Set what the preset has of its own for a `kind` of recording, where it was not given by name.

    A configuration that does not say what was given by name, such as a stored one, is finished and stays as it is.
    """
    if config.chosen is None:
        return config
    stages = {stage: getattr(config, stage) for stage in STAGES}
    every = {name: getattr(part, name) for part in stages.values() for name in names_of(type(part))}
    given = {name: value for name, value in every.items() if name in config.chosen}
    own = _choose_own(config.preset, kind, given)
    for stage, part in stages.items():
        names = [name for name in names_of(type(part)) if name in own]
        stages[stage] = dataclasses.replace(part, **{name: own[name] for name in names})
    return dataclasses.replace(config, **stages)


def configure_encoder(config: FitConfig) -> FitConfig | None:
    """Return the settings under which an encoder is trained beside PCA's latents; None where none is to be tried.

    They are those of counts, but for what was given by name, and for the clock of u: tracked body parts ask for more
    frequencies than counts do.
    """
    model, train, given = config.model, config.train, config.chosen or frozenset()
    keeps = model.start != "pca" or model.train_encoder_with_flows or "train_encoder_with_flows" in given
    if not train.try_encoder or keeps or train.single_stage or not train.alpha:
        return None
    wanted = {name: value for name, value in COUNTS["default"].items() if name not in {*given, *_CLOCK}}
    stages = {}
    for stage, cls in STAGES.items():
        own = {name: value for name, value in wanted.items() if name in names_of(cls)}
        stages[stage] = dataclasses.replace(getattr(config, stage), **own)
    return dataclasses.replace(config, **stages)


def _choose_own(preset: str, kind: str, given: Mapping[str, Any]) -> Settings:
    """Settings that `preset` has of its own for a `kind` of recording, but for those that were given by name."""
    if kind != "images":
        own = KINDS[kind].get(preset, {})
        if "batch_size" in given:  # which is that of all parts then
            own = {name: value for name, value in own.items() if name != "dynamics_batch_size"}
        # the draws of K order axes that do not start at PCA's (benchmarks/RESULTS.md)
        if given.get("start") == "random" and "prefix_at_dim" in own:
            own = {**own, "prefix_at_dim": 0.0}
    else:
        own = _choose_image_settings(preset, given)
        given = {name: value for name, value in given.items() if (name, value) != ("network", "auto")}
    return {name: value for name, value in own.items() if name not in given}


def _choose_image_settings(preset: str, settings: Mapping[str, Any]) -> Settings:
    """Settings of images under `preset`: those of the U-Net where it, or what it alone has, is asked for."""
    network = settings.get("network", "auto")
    if preset != "default":
        return {} if network == "mlp" else IMAGES[preset]
    if network == "unet" or (network == "auto" and {"channels", "patch"} & settings.keys()):
        return _UNET
    dim = settings.get("dim", 0)  # checked later, where it is no number
    axes = max(_PERCEPTRON["network_axes"], 2 * dim) if isinstance(dim, int) else _PERCEPTRON["network_axes"]
    own = {**_PERCEPTRON, "network_axes": axes}
    if "learning_rate" in settings:  # a rate that was given is that rate, whatever the frames
        del own["rate_axes"]
    return own

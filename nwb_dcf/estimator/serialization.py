"""A fitted model as safetensors bytes: tensors, and settings and statistics as JSON beside them.

Nothing is pickled, so a file can be read without trusting it.
"""

from __future__ import annotations

import inspect
import json
from dataclasses import asdict, fields
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError

from ..config import FitConfig
from ..data.preprocessing import Preprocessor
from ..errors import DCFError, StoreError
from ..metrics.rate_calibration import RateCalibration
from ..model.dcf_model import DCFModel
from ..model.training import LossCurve
from .fitted import FittedModel
from .initialization import choose_device

FORMAT = 1
_CURVES = ("search", "curve")
_NETWORKS = (
    "network",
    "channels",
    "patch",
    "width",
    "depth",
    "condition_on_k",
    "closed_form",
    "bridge_noise",
    "noise_scale",
)
_SETTINGS = {
    "coupling": ("network", "encoder_width", "encoder_depth", "linear_encoder", "encoder_window", "start"),
    "u": (*_NETWORKS, "solver", "solver_steps", "decoder"),
    "v": (*_NETWORKS, "history", "masked_endpoints"),
}
_OBJECTS = ("config", "preparation", "model", "calibration", *_CURVES)
_PLAIN = tuple(f.name for f in fields(FittedModel) if f.name not in _OBJECTS)


def pack_weights(fitted: FittedModel) -> bytes:
    """Return `fitted` as safetensors bytes."""
    about: dict[str, Any] = {
        "format": FORMAT,
        "k_max": fitted.model.k_max,
        "n_channels": fitted.model.n_channels,
        "architecture": describe_architecture(fitted.model),
        "frame_shape": fitted.model.frame_shape,
        "n_axes": fitted.model.n_inputs if fitted.model.basis is not None else 0,
        "config": fitted.config.to_dict(),
        "preparation": fitted.preparation.to_dict(),
        "calibration": fitted.calibration.to_dict() if fitted.calibration else None,
        **{name: getattr(fitted, name) for name in _PLAIN},
        **{name: asdict(getattr(fitted, name)) for name in _CURVES},
    }
    tensors = {name: t.detach().cpu().contiguous() for name, t in fitted.model.state_dict().items()}
    return safetensors.torch.save(tensors, metadata={"nwb_dcf": json.dumps(about)})


def describe_architecture(model: DCFModel) -> dict[str, Any]:
    """Describe what the coupling and both flows compute, by their symbols in the paper: JSON-able, for readers."""
    settings = asdict(model.config)
    shape = {"n_channels": model.n_channels, "k_max": model.k_max, "frame_shape": model.frame_shape}
    parts = {"coupling": model.coupling, "u": model.u, "v": model.v}
    return {
        symbol: {
            "class": type(part).__qualname__,
            "description": inspect.cleandoc(type(part).__doc__ or ""),
            **shape,
            "settings": {name: settings[name] for name in _SETTINGS[symbol]},
        }
        for symbol, part in parts.items()
    }


def unpack_weights(data: bytes, device: str = "auto") -> FittedModel:
    """Load a model from the bytes of `pack_weights`, onto `device` whatever device it was fitted on.

    Raises
    ------
    StoreError
        If the bytes are not a model of this package, or of a newer one.
    """
    try:
        length = int.from_bytes(data[:8], "little")
        about = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["nwb_dcf"])
        tensors = safetensors.torch.load(data)
        if not isinstance(about["format"], int):
            raise StoreError(
                "this fit is a session of a cohort: a coupling and a field, and no model that stands alone",
                fix="couple new sessions with nwb-dcf cohort add, or fit this one with nwb-dcf fit",
            )
        if about["format"] > FORMAT:
            raise StoreError("the stored model is of a newer nwb_dcf", fix="upgrade nwb_dcf to read it")
        config = FitConfig.from_dict(about["config"])
        with torch.random.fork_rng(devices=[]):  # the drawn weights are replaced; the caller's generator stays
            shape = about.get("frame_shape")
            model = DCFModel(
                about["n_channels"],
                about["k_max"],
                config.model,
                tuple(shape) if shape else None,
                about.get("n_axes", 0),
            )
        model.load_state_dict(tensors)
        model.to(choose_device(device)).eval()
        older: dict[str, Any] = {
            "pixels": None,
            "settled": {},
            "finished": {},
            "init": {},
            "solver_error": {},
            "calibration": None,
        }  # fields that earlier fits were stored without
        about = {**older, **about}
        parts: dict[str, Any] = {name: about[name] for name in _PLAIN}
        parts |= {name: LossCurve(**about[name]) for name in _CURVES}
        calibration = RateCalibration.from_dict(about["calibration"]) if about["calibration"] else None
        return FittedModel(
            config=config,
            preparation=Preprocessor.from_dict(about["preparation"]),
            model=model,
            calibration=calibration,
            **parts,
        )
    except (KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
        if isinstance(error, DCFError):
            raise
        raise StoreError(
            f"the stored model cannot be read: {error}", fix="the file may be damaged; fit again"
        ) from error

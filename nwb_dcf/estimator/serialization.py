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
from torch.utils._python_dispatch import TorchDispatchMode

from ..config import FitConfig
from ..data.fit_documents import read_document
from ..data.preprocessing import Preprocessor
from ..data.records import JSON
from ..data.safetensors_header import read_header, refuse_not_finite
from ..data.stored_json import parse_json
from ..errors import DCFError, StoreError
from ..metrics.rate_calibration import RateCalibration
from ..model.dcf_model import DCFModel
from ..model.training import LossCurve
from .fitted import FittedModel
from .initialization import choose_device

FORMAT = 1
LONGEST_REASON = 300
MOST_TIMES = 8  # bytes that building may take at once for each that is stored
SPARE_BYTES = 2**26
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
    "u": (*_NETWORKS, "solver", "solver_steps", "clock", "clock_frequencies", "decoder"),
    "v": (*_NETWORKS, "history", "masked_endpoints"),
}
_OBJECTS = ("config", "preparation", "model", "calibration", *_CURVES)
_PLAIN = tuple(f.name for f in fields(FittedModel) if f.name not in _OBJECTS)


def pack_weights(fitted: FittedModel) -> bytes:
    """Return `fitted` as safetensors bytes."""
    about: JSON = {
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
    # on the CPU: a file must open on a machine without the device of the fit
    tensors = {name: t.detach().cpu().contiguous() for name, t in fitted.model.state_dict().items()}
    return safetensors.torch.save(tensors, metadata={"nwb_dcf": json.dumps(about)})


def describe_architecture(model: DCFModel) -> JSON:
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


class AllocationBound(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Raise within its block when a single tensor is larger than the bytes that are stored can account for.

    What is merely allocated takes no memory yet, so that it is soon enough to ask once it is there.

    Parameters
    ----------
    most : int
        Bytes.
    """

    def __init__(self, most: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.most = most

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for tensor in made if isinstance(made, tuple | list) else (made,):
            if isinstance(tensor, torch.Tensor) and tensor.numel() * tensor.element_size() > self.most:
                raise StoreError(
                    f"its settings ask for a tensor of {tuple(tensor.shape)}, and its weights are of other sizes",
                    fix="the file may be damaged; fit again",
                )
        return made


def unpack_weights(data: bytes, device: str = "auto") -> FittedModel:
    """Load a model from the bytes of `pack_weights`, onto `device` whatever device it was fitted on.

    Raises
    ------
    StoreError
        If the bytes are not a model of this package, or of a newer one.
    """
    try:
        header = read_header(data)
        refuse_not_finite(data, header)
        text = header.metadata["nwb_dcf"]
        version = parse_json(text, "model", allow_nan=True).get("format")
        if not isinstance(version, int):
            raise StoreError(
                "this fit is a session of a cohort: a coupling and a field, and no model that stands alone",
                fix="apply it with nwb_dcf.cohort.transform_session, couple new sessions with nwb-dcf cohort add, "
                "or fit this one with nwb-dcf fit",
            )
        if version > FORMAT:
            raise StoreError("the stored model is of a newer nwb_dcf", fix="upgrade nwb_dcf to read it")
        about = read_document(text, "model")
        tensors = safetensors.torch.load(data)
        config = FitConfig.from_dict(about["config"])
        # the drawn weights are replaced; the caller's generator stays
        with torch.random.fork_rng(devices=[]), AllocationBound(SPARE_BYTES + MOST_TIMES * len(data)):
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
        older: JSON = {
            "pixels": None,
            "settled": {},
            "finished": {},
            "init": {},
            "solver_error": {},
            "encoder": {},
            "calibration": None,
        }  # fields that earlier fits were stored without
        about = {**older, **about}
        parts: JSON = {name: about[name] for name in _PLAIN}
        parts |= {name: LossCurve(**about[name]) for name in _CURVES}
        calibration = RateCalibration.from_dict(about["calibration"]) if about["calibration"] else None
        return FittedModel(
            config=config,
            preparation=Preprocessor.from_dict(about["preparation"]),
            model=model,
            calibration=calibration,
            **parts,
        )
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError, MemoryError, SafetensorError) as error:
        if isinstance(error, DCFError):
            raise
        raise StoreError(
            f"the stored model cannot be read: {str(error)[:LONGEST_REASON]}", fix="the file may be damaged; fit again"
        ) from error

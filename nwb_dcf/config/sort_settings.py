"""Settings given by name, sorted by the stage that owns them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from ..errors import ParameterError
from .fit import STAGES as FIT_STAGES
from .read import ReadConfig
from .validation import Settings, names_of, refuse_unknown, require

STAGES: dict[str, type[Any]] = {"read": ReadConfig, **FIT_STAGES}


def sort_settings(settings: Mapping[str, Any]) -> tuple[Settings, Settings]:
    """Separate what to read from the settings of the fit.

    Parameters
    ----------
    settings : mapping
        Settings by name, where one stage alone has a setting of that name. Under ``read``, ``prepare``, ``model`` and
        ``train`` those of one stage: a mapping, or its configuration.

    Returns
    -------
    dict
        The settings of `nwb_dcf.config.ReadConfig` by name.
    dict
        All others by name, ``preset`` and unknown ones among them.

    Raises
    ------
    ParameterError
        If two stages own a name, if a setting is given twice, or if a stage has no setting of that name.

    Examples
    --------
    >>> sort_settings({"bin_width_s": 0.05, "steps": 200, "model": {"history": 2}})
    ({'bin_width_s': 0.05}, {'history': 2, 'steps': 200})
    """
    names = {stage: {f.name: str(f.type) for f in dataclasses.fields(cls)} for stage, cls in STAGES.items()}
    sorted_ = {stage: read_stage(stage, settings.get(stage), cls) for stage, cls in STAGES.items()}
    rest: Settings = {}
    for name, value in settings.items():
        if name in STAGES:
            continue
        owners = [stage for stage in STAGES if name in names[stage]]
        if len(owners) > 1:
            raise ParameterError(
                f"{name} is a setting of two stages: "
                + " and ".join(f"{stage} ({names[stage][name]})" for stage in owners),
                fix="give " + " or ".join(f"{stage}={{{name!r}: ...}}" for stage in owners),
            )
        require(
            not any(name in sorted_[stage] for stage in owners),
            f"{name} is given twice, by itself and in {', '.join(owners)}",
            "give it once",
        )
        (sorted_[owners[0]] if owners else rest)[name] = value
    read = sorted_.pop("read")
    return read, {name: value for stage in (*sorted_.values(), rest) for name, value in stage.items()}


def read_stage(stage: str, given: Any, cls: type[Any]) -> Settings:
    """Return the settings of one stage by name, given as a mapping or as its configuration, without ``dim``.

    Raises
    ------
    ParameterError
        If it is neither, or has a setting that the stage does not know.
    """
    if given is None:
        return {}
    if isinstance(given, cls):
        given = {f.name: getattr(given, f.name) for f in dataclasses.fields(cls) if f.name != "dim"}
    require(
        isinstance(given, Mapping) and all(isinstance(name, str) for name in given),
        f"{stage} is {given!r}",
        f"give a mapping of settings by name, or a {cls.__name__}",
    )
    require("dim" not in given, f"dim is given in {stage}", "give it by itself, as dim=3")
    refuse_unknown(given, [name for name in names_of(cls) if name != "dim"], of=stage)
    return dict(given)

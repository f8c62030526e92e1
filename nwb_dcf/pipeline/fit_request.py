"""What is asked of a fit, settled and checked before its file is opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from ..config import Destination, FitConfig, ReadConfig, sort_settings
from ..config.fit import STAGES
from ..config.presets import resolve_settings
from ..config.request import hash_request
from ..config.sort_settings import read_stage
from ..config.validation import names_of, refuse_unknown, require
from ..data.records import Arguments
from .destination import Target
from .fit_repeats import Repeats

DEFAULT_DIM = 3
Dim = int | Literal["auto"]


@dataclass(frozen=True)
class FitRequest:
    """All that is asked of a fit.

    Attributes
    ----------
    target : Target
        The file, and where the fit goes.
    dim : int or "auto"
    read : ReadConfig
    choose_bins : bool
        Whether bins of spikes are to be chosen with the smoothing.
    config : FitConfig
        As it was given, or what the keywords make of the preset; the kind of the recording may add to that.
    held_out : float
        Fraction of the segments that no part of the fit sees.
    repeats : Repeats
        Fits to make beside it.
    warm_start : str, Path or None
        ``FILE#NAME``, a stored fit to begin with.
    resume : bool
        Whether to go on from a checkpoint.
    checkpoint : str, Path or None
        Folder for the checkpoint.
    keep_partial : bool
        Whether Ctrl-C keeps what was learned so far.
    hash : str
        Of all that the result depends on, as it was asked for.
    """

    target: Target
    dim: Dim
    read: ReadConfig
    choose_bins: bool
    config: FitConfig
    held_out: float
    repeats: Repeats
    warm_start: str | Path | None
    resume: bool
    checkpoint: str | Path | None
    keep_partial: bool
    hash: str

    @classmethod
    def make(
        cls,
        path: str | Path,
        dim: Dim | None = None,
        *,
        read: ReadConfig | Mapping[str, Any] | None = None,
        config: FitConfig | None = None,
        write: Destination | Mapping[str, Any] | None = None,
        held_out: float = 0.2,
        null: int = 0,
        repeats: int = 1,
        certify: bool = False,
        warm_start: str | Path | None = None,
        resume: bool = False,
        checkpoint: str | Path | None = None,
        keep_partial: bool = False,
        **settings: Any,
    ) -> FitRequest:
        """Sort what `nwb_dcf.fit_nwb` was given by the stage that owns it, and refuse what is invalid.

        Raises
        ------
        ParameterError
            If a setting is unknown, invalid, given twice, or owned by two stages.
        """
        require(isinstance(certify, bool), f"certify is {certify!r}", "give True or False")
        counts, options = Repeats(null, repeats), dict(settings)
        counts = counts.certify() if certify else counts
        # named one by one, so that a batch that looks for this very request finds it by the keywords it was given
        asked = {
            "dim": DEFAULT_DIM if dim is None else dim, "held_out": held_out, "null": null, "repeats": repeats,
            "warm_start": warm_start, "read": read, "config": config, **({"certify": True} if certify else {}),
        }  # fmt: skip
        # apart from the other stages: where a fit goes is no part of what it is
        written = read_stage("write", write, Destination)
        for name in [name for name in names_of(Destination) if name in options]:
            require(name not in written, f"{name} is given twice, by itself and in write", "give it once")
            written[name] = options.pop(name)
        reading, others = sort_settings({**options, "read": read})
        # before the preset is made, so that a misspelt argument finds its nearest among all of them
        known = {name for stage in STAGES.values() for name in names_of(stage)} | {"preset"}
        refuse_unknown(others, known | ReadConfig.names() | set(names_of(Destination)) | _ARGUMENTS)
        if config is None:
            dim = DEFAULT_DIM if dim is None else dim
            read_config, config, bins = resolve_settings(dim, {**others, "read": reading})
        else:
            require(isinstance(config, FitConfig), f"config is {config!r}", "give a nwb_dcf.config.FitConfig")
            beside = ", ".join(sorted(others))
            require(not others, f"{beside} is given beside config", "give it in config, or leave config out")
            # of a finished config only what to read is settled here; its other settings are taken as they are
            read_config, _, bins = resolve_settings(DEFAULT_DIM, {"read": reading})
            if config.read is not None:
                require(not reading, "what to read is given twice, by itself and in config", "give it once")
                read_config, bins = config.read, False
            dim = config.model.dim if dim is None else dim
            # auto keeps the number there until the data have chosen
            shape = config.model if dim == "auto" else replace(config.model, dim=dim)
            config = replace(config, read=None, model=shape)
        return cls(
            Target(path, Destination(**written)), dim, read_config, bins, config, held_out, counts, warm_start, resume,
            checkpoint, keep_partial, hash_request({**asked, **settings}),
        )  # fmt: skip

    @property
    def arguments(self) -> Arguments:
        """What was asked for beside settings, for the provenance."""
        return {"dim": self.dim, "held_out": self.held_out, "null": self.repeats.null, "repeats": self.repeats.repeats}


_ARGUMENTS = {field.name for field in fields(FitRequest)} | {"certify", "null", "write"}

"""The settings and the fitted model of an estimator: resolved, held, kept in bytes and files, and brought back."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError as SklearnNotFittedError

from .codec import Codec
from .config import FitConfig
from .dimension import DimensionChoice
from .errors import NotFittedError, StoreError
from .fitting import Fitted, Warmth
from .presets import make_config
from .weights import pack_weights, unpack_weights

if TYPE_CHECKING:
    from .progress import Progress
    from .result import DCFResult

NOT_SETTINGS = ("preset", "settings", "init", "progress", "keep_partial")


class NotFittedDCFError(NotFittedError, SklearnNotFittedError):  # type: ignore[misc]  # untyped
    """Ours, and scikit-learn's: its tools wait for theirs."""


@dataclass(eq=False, repr=False)
class Persistent(BaseEstimator):  # type: ignore[misc]  # untyped
    """An estimator whose settings make a `FitConfig`, and whose fitted model can be saved and loaded."""

    def make_config(self, *, kind: str = "values") -> FitConfig:
        """Resolve the parameters and the preset to a full configuration for a `kind` of recording.

        Raises
        ------
        ParameterError
            If a value cannot be meant.
        """
        every = self.get_params(deep=False)
        params = {k: v for k, v in every.items() if k not in NOT_SETTINGS and (v is not None or k == "dim")}
        if params["dim"] == "auto":
            params["dim"] = 1  # until the data have chosen
        if "transformation" in params:  # `transform` is the method's name
            params["transform"] = params.pop("transformation")
        return make_config(every["preset"], {**(every["settings"] or {}), **params}, kind=kind)

    @classmethod
    def from_config(cls, config: FitConfig, *, progress: Callable[[Progress], None] | None = None) -> Self:
        """Make an estimator that is to fit with exactly the settings of `config`."""
        model = cls()
        model.set_params(
            dim=config.model.dim,
            preset=config.preset,
            seed=config.train.seed,
            device=config.train.device,
            settings=config.to_settings(),
            progress=progress,
        )
        return model

    def _read_init(self) -> Warmth | None:
        """The fit to begin with, None where none was given."""
        init = self.get_params(deep=False)["init"]
        if init is None:
            return None
        name = "" if isinstance(init, Persistent) else init.name or ""
        weights = init.to_bytes() if isinstance(init, Persistent) else init.weights
        about = {"fit": name, "sha256": hashlib.sha256(weights).hexdigest()}
        return Warmth(unpack_weights(weights, "cpu"), about)

    @property
    def fitted_(self) -> Fitted:
        """The trained model with all that belongs to it.

        Raises
        ------
        NotFittedError
            Before `fit`.
        """
        if "_fitted" not in self.__dict__:
            raise NotFittedDCFError("this DCF is not fitted yet", fix="call fit first")
        return self._fitted

    def __sklearn_is_fitted__(self) -> bool:
        return "_fitted" in self.__dict__

    def _adopt(self, fitted: Fitted, dimension: DimensionChoice | None = None) -> None:
        self._fitted, self._codec = fitted, Codec(fitted.model)
        coupling = fitted.model.coupling
        self.config_, self.preparation_, self.steps_ = fitted.config, fitted.preparation, fitted.steps
        self.dim_, self.k_max_, self.k_eff_ = fitted.config.model.dim, fitted.model.k_max, fitted.k_eff
        self.dimension_, self._n_features_out = dimension, self.dim_
        self.n_features_in_ = fitted.model.n_channels
        self.spectrum_ = coupling.variance.detach().cpu().numpy()
        self.loadings_ = coupling.axes.detach().cpu().numpy()
        self.mean_ = coupling.mean.cpu().numpy()

    def to_bytes(self) -> bytes:
        """Return the fitted model as safetensors bytes: weights, settings and statistics."""
        return pack_weights(self.fitted_)

    @classmethod
    def from_bytes(cls, data: bytes, device: str = "auto") -> Self:
        """Rebuild a fitted model from `to_bytes`; nothing is unpickled."""
        fitted = unpack_weights(data, device)
        model = cls.from_config(fitted.config)
        model.set_params(device=device)
        model._adopt(fitted)
        return model

    def save(self, path: str | Path) -> None:
        """Write the fitted model to a safetensors file."""
        try:
            Path(path).write_bytes(self.to_bytes())
        except OSError as error:
            raise StoreError(f"cannot be written: {error.strerror}", where=str(path), fix="choose another") from error

    @classmethod
    def load(cls, path: str | Path, device: str = "auto") -> Self:
        """Read a fitted model from `save`'s file."""
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            raise StoreError(f"cannot be read: {error.strerror}", where=str(path), fix="check the path") from error
        return cls.from_bytes(data, device)

    @classmethod
    def from_result(cls, result: DCFResult, device: str = "auto") -> Self:
        """Rebuild the fitted model of a stored result."""
        return cls.from_bytes(result.weights, device)

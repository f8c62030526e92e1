"""What every estimator of this package can do beside fitting: settings in and out, saving and loading."""

from __future__ import annotations

import inspect
import reprlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError as SklearnNotFittedError

from ..config import FitConfig
from ..config.presets import make_config
from ..data.result import DCFResult
from ..data.summary import format_summary_html
from ..errors import NotFittedError, ParameterError, StoreError
from .dimensionality import DimensionChoice
from .fit import WarmStart
from .fitted import FittedModel
from .serialization import pack_weights, unpack_weights
from .smoothing_and_scale import SmoothingChoice

if TYPE_CHECKING:
    from ..config.progress import Progress

NOT_SETTINGS = ("preset", "settings", "warm_start", "progress", "keep_partial")


class NotFittedDCFError(NotFittedError, SklearnNotFittedError):  # type: ignore[misc]  # untyped
    """Of this package and of scikit-learn at once, whose tools catch their own class."""


@dataclass(eq=False, repr=False)
class Persistent(BaseEstimator):  # type: ignore[misc]  # untyped
    """An estimator whose settings make a `FitConfig`, and whose fitted model can be saved and loaded."""

    def make_config(self, *, kind: str = "values") -> FitConfig:
        """Resolve the parameters and the preset to a full configuration for a `kind` of recording.

        Raises
        ------
        ParameterError
            If a value is invalid.
        """
        # parameters left at None take the preset's values; dim alone may be None on purpose
        every = self.get_params(deep=False)
        params = {k: v for k, v in every.items() if k not in NOT_SETTINGS and (v is not None or k == "dim")}
        return make_config(every["preset"], {**(every["settings"] or {}), **params}, kind=kind)

    @classmethod
    def from_config(cls, config: FitConfig, *, progress: Callable[[Progress], None] | None = None) -> Self:
        """Make an estimator whose settings are exactly those of `config`."""
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

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        facts = self._list_facts()
        return ", fitted: ".join(facts.values())

    def _repr_html_(self) -> str:
        return format_summary_html(self._list_facts())

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        # Jupyter asks for this one first, and scikit-learn's has every setting in it
        return {"text/plain": repr(self), "text/html": self._repr_html_()}

    def _list_facts(self) -> dict[str, str]:
        """Say how it was made, and what it was fitted to; parameters at their defaults are left out."""
        defaults = {name: one.default for name, one in inspect.signature(type(self)).parameters.items()}
        given = self.get_params(deep=False)
        shown = [
            f"{name}={reprlib.repr(value)}" for name, value in given.items() if name == "dim" or value != defaults[name]
        ]
        facts = {"DCF": f"{type(self).__name__}({', '.join(shown)})"}
        if "_fitted" in self.__dict__:
            fitted = self._fitted
            # the ids of images are those of their rows and columns
            sizes = [len(ids) for ids in fitted.frame_ids.values()]
            of = " x ".join(map(str, sizes)) + " pixels" if fitted.pixels else f"{sizes[0]} {fitted.channel_dim}s"
            facts["fitted"] = f"{fitted.dim} latents of {of}"
        return facts

    def _read_warm_start(self) -> WarmStart | None:
        """Fit whose networks training starts from, None where none was given."""
        first = self.get_params(deep=False)["warm_start"]
        if first is True:  # scikit-learn's meaning: continue from the last fit of this object
            first = self if "_fitted" in self.__dict__ else None
        if first is None or first is False:
            return None
        if isinstance(first, Persistent):
            return WarmStart.from_weights(first.to_bytes(), None)
        if not isinstance(first, DCFResult):
            raise ParameterError(f"warm_start is {first!r}", fix="give a fitted DCF, a DCFResult, True or None")
        return WarmStart.from_weights(first.weights, first.name)

    @property
    def fitted_(self) -> FittedModel:
        """The trained model with its preparation, configuration and losses.

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

    def _adopt(
        self, fitted: FittedModel, dimension: DimensionChoice | None = None, smoothing: SmoothingChoice | None = None
    ) -> None:
        self._fitted = fitted
        self.config_, self.preparation_, self.steps_ = fitted.config, fitted.preparation, fitted.steps
        self.dim_, self.k_max_, self.k_eff_ = fitted.dim, fitted.k_max, fitted.k_eff
        self.dimension_, self.smoothing_, self._n_features_out = dimension, smoothing, self.dim_
        self.n_features_in_ = fitted.model.n_channels
        self.spectrum_, self.loadings_, self.mean_ = fitted.spectrum, fitted.loadings, fitted.mean

    def to_bytes(self) -> bytes:
        """Return the fitted model as safetensors bytes: weights, settings and statistics."""
        return pack_weights(self.fitted_)

    @classmethod
    def from_bytes(cls, data: bytes, device: str = "auto") -> Self:
        """Load a fitted model from the bytes of `to_bytes`; nothing is unpickled."""
        # the configuration is stored with the model: no parameter of this class is pickled
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
            raise StoreError(
                f"cannot be written: {error.strerror}", where=str(path), fix="choose another path"
            ) from error

    @classmethod
    def load(cls, path: str | Path, device: str = "auto") -> Self:
        """Read a fitted model from a file that `save` wrote."""
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            raise StoreError(f"cannot be read: {error.strerror}", where=str(path), fix="check the path") from error
        return cls.from_bytes(data, device)

    @classmethod
    def from_result(cls, result: DCFResult, device: str = "auto") -> Self:
        """Load the fitted model of a stored result."""
        return cls.from_bytes(result.weights, device)

"""The manners of scikit-learn: parameters that can be asked for, set by name, and printed."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Self

from .errors import ParameterError


@dataclass(eq=False, repr=False)
class Parameters:
    """A dataclass whose fields are the parameters of an estimator, and nothing else."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters of the estimator, by name, as scikit-learn does."""
        return {parameter.name: getattr(self, parameter.name) for parameter in fields(self)}

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name, as scikit-learn does.

        Raises
        ------
        ParameterError
            If a name is unknown.
        """
        unknown = sorted(set(params) - set(self.get_params()))
        if unknown:
            raise ParameterError(
                f"DCF has no parameter {', '.join(unknown)}", fix=f"known are {', '.join(self.get_params())}"
            )
        for name, value in params.items():
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        shown = [f"{p.name}={getattr(self, p.name)!r}" for p in fields(self) if getattr(self, p.name) != p.default]
        return f"DCF({', '.join(shown)})"

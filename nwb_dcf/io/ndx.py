"""The extension ndx-dcf: its specification, loaded into pynwb, and its classes.

Importing this module needs pynwb alone. Other programs need not import it at all: the specification
is cached in every file that holds a fit.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hdmf.utils import docval, get_data_shape, get_docval
from pynwb import get_class, load_namespaces, register_class

from ..errors import DataError

NAMESPACE = "ndx-dcf"


def find_spec() -> Path:
    """Return the path of the extension's namespace file: the packaged one, else the repository's."""
    package = Path(__file__).resolve().parents[1]
    # A wheel carries the files inside the package; a checkout has them beside it.
    for folder in (package / "spec", package.parent / "spec"):
        path = folder / f"{NAMESPACE}.namespace.yaml"
        if path.exists():
            return path
    raise FileNotFoundError(f"the specification of {NAMESPACE} is missing from {package}; install nwb_dcf again")


load_namespaces(str(find_spec()))

# hdmf makes the classes from the specification, so that no field is written down twice. It leaves shapes to the
# validator, which runs after writing if at all, hence the checks below.
FlowField: Any = get_class("FlowField", NAMESPACE)
LatentCoupling: Any = get_class("LatentCoupling", NAMESPACE)
CohortSpace: Any = get_class("CohortSpace", NAMESPACE)
_VelocityField: Any = get_class("VelocityField", NAMESPACE)
_LatentSeries: Any = get_class("LatentSeries", NAMESPACE)
_DynamicCompressionFlow: Any = get_class("DynamicCompressionFlow", NAMESPACE)


@register_class("LatentSeries", NAMESPACE)
class LatentSeries(_LatentSeries):  # type: ignore[misc]
    """Latent coordinates in time: a ``TimeSeries`` whose data are (time, latent).

    Raises
    ------
    DataError
        If data are not two-dimensional.
    """

    @docval(*get_docval(_LatentSeries.__init__))  # type: ignore[untyped-decorator]
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        shape = get_data_shape(self.data)
        if shape is None or len(shape) != 2:
            raise DataError(f"data have shape {shape}", where=self.name, fix="give an array (time, latent)")


@register_class("VelocityField", NAMESPACE)
class VelocityField(_VelocityField):  # type: ignore[misc]
    """The dynamical flow on a grid of the first one, two or three latents.

    Raises
    ------
    DataError
        If velocities, frames and grid differ in shape.
    """

    @docval(*get_docval(_VelocityField.__init__))  # type: ignore[untyped-decorator]
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # Fits of one or two latents have no further axes.
        axes = (self.grid_1, self.grid_2, self.grid_3)
        grid = tuple(get_data_shape(axis)[0] for axis in axes if axis is not None)
        shapes = [get_data_shape(part)[:-1] for part in (self.velocity, self.mean_velocity) if part is not None]
        if {grid} != {get_data_shape(self.frames), *shapes}:
            raise DataError(f"velocities or frames are not on the grid of {grid} points", where=self.name)


@register_class("DynamicCompressionFlow", NAMESPACE)
class DynamicCompressionFlow(_DynamicCompressionFlow):  # type: ignore[misc]
    """One fit: series of latents, tables of segments, axes and losses, and the model.

    Raises
    ------
    DataError
        If its parts disagree about the number of channels or axes.
    """

    @docval(*get_docval(_DynamicCompressionFlow.__init__))  # type: ignore[untyped-decorator]
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        loadings = get_data_shape(self.loadings)
        expected = (*get_data_shape(self.mean), len(self.axes))
        if loadings != expected:
            raise DataError(f"loadings have shape {loadings}, not {expected} (channel, component)", where=self.name)
        for part in ("channels", "units"):
            ids = getattr(self, part)
            if ids is not None and get_data_shape(getattr(ids, "data", ids))[0] != loadings[0]:
                raise DataError(f"{part} and loadings differ in number", where=self.name)

"""Pictures of a fit, each drawn by matplotlib into a figure that is given.

Every ``draw_`` function takes a figure or subfigure and what it shows: a `nwb_dcf.DCFResult`, and for examples and
frames the recording. Nothing here keeps a state: no pyplot, no current figure.
"""

from .clusters import draw_clusters
from .color import Coloring, choose_coloring, list_colorings
from .examples import draw_examples
from .spectrum import draw_curve, draw_spectrum
from .trajectories import draw_trajectories
from .velocity_field import draw_field

__all__ = [
    "Coloring",
    "choose_coloring",
    "draw_clusters",
    "draw_curve",
    "draw_examples",
    "draw_field",
    "draw_spectrum",
    "draw_trajectories",
    "list_colorings",
]

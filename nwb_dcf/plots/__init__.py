"""Pictures of a fit, each drawn by matplotlib into a figure that is given.

Every ``draw_`` function takes a figure or subfigure and what it shows: a `nwb_dcf.DCFResult`, and for examples and
frames the recording. Nothing here keeps a state: no pyplot, no current figure.
"""

from .clusters import draw_clusters
from .color import Coloring, choose_coloring, list_colorings
from .conditions import average_conditions, draw_conditions, find_condition
from .examples import draw_examples
from .latents import draw_latents
from .loadings import draw_loadings
from .paths import draw_paths
from .smoothing import draw_smoothing
from .spectrum import draw_curve, draw_spectrum
from .trajectories import draw_trajectories
from .velocity_field import draw_field

__all__ = [
    "Coloring",
    "average_conditions",
    "choose_coloring",
    "draw_clusters",
    "draw_conditions",
    "draw_curve",
    "draw_examples",
    "draw_field",
    "draw_latents",
    "draw_loadings",
    "draw_paths",
    "draw_smoothing",
    "draw_spectrum",
    "draw_trajectories",
    "find_condition",
    "list_colorings",
]

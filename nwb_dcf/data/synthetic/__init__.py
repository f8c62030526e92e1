"""Recordings whose truth is known: a rotating ball, a Lorenz system, reaches, any number of dimensions.

Each function returns a `Simulation`, a recording as `nwb_dcf.data.recording` defines it beside the truth
that made it, on the same frames. The same seed gives the same values.
"""

from .ball import simulate_ball
from .cohort import CohortDesign, simulate_cohort
from .navigation import simulate_navigation
from .shared_dimensions import simulate_calcium, simulate_dimensions
from .simulation import Simulation
from .spikes import draw_spike_times, simulate_lorenz, simulate_reach

__all__ = [
    "CohortDesign",
    "Simulation",
    "draw_spike_times",
    "simulate_ball",
    "simulate_calcium",
    "simulate_cohort",
    "simulate_dimensions",
    "simulate_lorenz",
    "simulate_navigation",
    "simulate_reach",
]

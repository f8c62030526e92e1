"""Recordings whose truth is known: a rotating ball, a Lorenz system and centre-out reaches.

Each function returns a `Simulation`, a recording as `nwb_dcf.recording` defines it beside the truth
that made it, on the same frames. The same seed gives the same values.
"""

from .ball import simulate_ball
from .simulation import Simulation
from .spikes import draw_spike_times, simulate_lorenz, simulate_reach

__all__ = ["Simulation", "draw_spike_times", "simulate_ball", "simulate_lorenz", "simulate_reach"]

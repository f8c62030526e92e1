"""Make ndx-dcf-0.1.0.nwb, a file of schema 0.1.0 with two fits.

Run once, when 0.1.0 was released: ``python -m tests.back_compat.make_0_1_0``. Neither this script nor the file
is edited afterwards; later versions must go on reading what it left.
"""

from __future__ import annotations

from pathlib import Path

from nwb_dcf.data.synthetic import simulate_reach
from nwb_dcf.io.results import write_result, write_session

from ..io.results.synthetic import result_for

FILE = Path(__file__).with_name("ndx-dcf-0.1.0.nwb")

if __name__ == "__main__":
    simulation = simulate_reach(n_trials=3, n_bins=10, n_units=8, seed=0)
    write_session(simulation.recording, FILE, truth=simulation.truth, overwrite=True)
    write_result(result_for(FILE, seed=0), FILE)
    write_result(result_for(FILE, seed=1, dim=2, regular=True), FILE, name="one_segment")

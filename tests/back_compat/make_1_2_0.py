"""Make ndx-dcf-1.2.0.nwb, a file of schema 1.2.0 with three fits, one real with its certificate; and cohort-1.2.0.nwb.

Run once, when 1.2.0 was made: ``python -m tests.back_compat.make_1_2_0``. Neither this script nor the files
are edited afterwards; later versions must go on reading what it left.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from nwb_dcf import fit_nwb
from nwb_dcf.cohort import fit_cohort
from nwb_dcf.data.synthetic import simulate_cohort
from nwb_dcf.io.results import write_result, write_session

from ..io.results.synthetic import result_for

FILE = Path(__file__).with_name("ndx-dcf-1.2.0.nwb")
COHORT = Path(__file__).with_name("cohort-1.2.0.nwb")
QUICK = {"width": 8, "depth": 1, "encoder_width": 8, "encoder_depth": 1, "network": "mlp"}

if __name__ == "__main__":
    animals = simulate_cohort(
        3, 2, n_conditions=6, n_bins=10, bin_width_s=0.06, trials_per_condition=(5, 6), n_units=(20, 24), seed=6
    )
    with tempfile.TemporaryDirectory() as folder:
        sessions = [FILE, *(Path(folder) / f"animal{i}.nwb" for i in (1, 2))]
        for i, (animal, path) in enumerate(zip(animals, sessions, strict=True)):
            write_session(animal.recording, path, truth=animal.truth, seed=i, overwrite=True)
        write_result(result_for(FILE, seed=0), FILE)
        fit_nwb(FILE, 2, steps=5, seed=3, name="real", smooth=0.04, scale="global", bin_width_s=0.06, **QUICK)
        fit_cohort(
            sessions, 2, output=COHORT, overwrite=True, align_on="trials.condition", bin_width_s=0.06, n_permutations=99
        )

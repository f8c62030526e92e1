"""Calcium of a moving worm (celegans_moving.nwb), one TimeSeries a neuron; velocity.

``python benchmarks/celegans.py [--seeds 5] [--write] [--quick]``; see `compare` for what is measured.
"""

from compare import main

if __name__ == "__main__":
    main("celegans", __doc__)

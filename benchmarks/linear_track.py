"""Rat on a linear track (linear_track.nwb): bins of 500 ms, smoothed by 1 s; position.

``python benchmarks/linear_track.py [--seeds 5] [--write] [--quick]``; see `compare` for what is measured.
"""

from compare import main

if __name__ == "__main__":
    main("linear_track", __doc__)

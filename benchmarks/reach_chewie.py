"""Monkey reaches (reach_chewie.nwb): bins of 100 ms, square root, smoothed by 0.1 s; velocity of the hand.

``python benchmarks/reach_chewie.py [--seeds 5] [--write] [--quick]``; see `compare` for what is measured.
"""

from compare import main

if __name__ == "__main__":
    main("reach_chewie", __doc__)

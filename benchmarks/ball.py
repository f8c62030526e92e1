"""Rotating ball, 28 x 28: seven videos to fit, three held out; its angle.

``python benchmarks/ball.py [--seeds 5] [--write] [--quick]``; see `compare` for what is measured.
"""

from compare import main

if __name__ == "__main__":
    main("ball", __doc__)

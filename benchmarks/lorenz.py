"""A Lorenz system through a nonlinear map with Poisson counts; true rates and coordinates are known.

``python benchmarks/lorenz.py [--seeds 5] [--write] [--quick]``; see `compare` for what is measured.
"""

from compare import main

if __name__ == "__main__":
    main("lorenz", __doc__)

"""Simulated centre-out reaches; true rates and latents are known.

``python benchmarks/reach.py [--seeds 5] [--write] [--quick]``; see `compare` for what is measured.
"""

from compare import main

if __name__ == "__main__":
    main("reach", __doc__)

"""Mouse in an open field (m3v1mp4.mp4), 64 x 64 gray, the last fifth held out; body parts.

``python benchmarks/video.py [--seeds 5] [--write] [--quick]``; see `compare` for what is measured.
"""

from compare import main

if __name__ == "__main__":
    main("video", __doc__)

"""Run the command line with ``python -m nwb_dcf``."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())

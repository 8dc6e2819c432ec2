"""`python -m routebench`."""

from __future__ import annotations

import sys

from routebench.cli import main

if __name__ == "__main__":
    sys.exit(main())

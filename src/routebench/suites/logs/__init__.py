"""From a log of production calls to a suite: what belongs together, what it is, and what stands for the rest."""

from __future__ import annotations

from routebench.suites.logs.drawing import draw_suite, from_logs
from routebench.suites.logs.drawn import Drawn

__all__ = ["Drawn", "draw_suite", "from_logs"]

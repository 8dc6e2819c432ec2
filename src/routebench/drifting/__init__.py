"""Traces beside the evidence: what moved, how surely, and which cases to label next."""

from __future__ import annotations

from routebench.drifting.periods import by_period
from routebench.drifting.served import Served

__all__ = ["Served", "by_period"]

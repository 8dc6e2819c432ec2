"""Traces beside the evidence: what moved, how surely, and which cases to label next."""

from __future__ import annotations

from routebench.drifting.bounds import Bounds
from routebench.drifting.drift import Drift, drift
from routebench.drifting.expected import Expected, expect
from routebench.drifting.labelling import write_candidates
from routebench.drifting.periods import by_period
from routebench.drifting.row import Row
from routebench.drifting.scored import read_scores
from routebench.drifting.served import Served

__all__ = [
    "Bounds",
    "Drift",
    "Expected",
    "Row",
    "Served",
    "by_period",
    "drift",
    "expect",
    "read_scores",
    "write_candidates",
]

"""Choosing the policy."""

from __future__ import annotations

from routebench.tune.constraints import Constraints, Point, choose
from routebench.tune.evidence import Gates, check_evidence
from routebench.tune.search import Tuned, tune

__all__ = ["Constraints", "Gates", "Point", "Tuned", "check_evidence", "choose", "tune"]

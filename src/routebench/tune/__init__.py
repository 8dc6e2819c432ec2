"""Choosing the policy."""

from __future__ import annotations

from routebench.tune.constraints import Constraints, Point, choose
from routebench.tune.search import Tuned, tune

__all__ = ["Constraints", "Point", "Tuned", "choose", "tune"]

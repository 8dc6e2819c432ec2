"""Choosing the policy."""

from __future__ import annotations

from routebench.tune.constraints import Constraints, Point, choose
from routebench.tune.held_out import HeldOut, hold_out
from routebench.tune.insurance import Insurance, insure
from routebench.tune.protection import Protected, protect, with_guards
from routebench.tune.search import tune
from routebench.tune.tuned import Tuned

__all__ = [
    "Constraints",
    "HeldOut",
    "Insurance",
    "Point",
    "Protected",
    "Tuned",
    "choose",
    "hold_out",
    "insure",
    "protect",
    "tune",
    "with_guards",
]

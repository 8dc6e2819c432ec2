"""Choosing the policy."""

from __future__ import annotations

from routebench.tune.constraints import Constraints, Point, choose
from routebench.tune.curve import Curve
from routebench.tune.found import Found
from routebench.tune.held_out import HeldOut, hold_out
from routebench.tune.insurance import Insurance, insure
from routebench.tune.learning import learn, learning
from routebench.tune.measuring import finish
from routebench.tune.protection import Protected, protect, with_guards
from routebench.tune.search import tune
from routebench.tune.shortfall import Closest
from routebench.tune.study import Study
from routebench.tune.tuned import Tuned

__all__ = [
    "Closest",
    "Constraints",
    "Curve",
    "Found",
    "HeldOut",
    "Insurance",
    "Point",
    "Protected",
    "Study",
    "Tuned",
    "choose",
    "finish",
    "hold_out",
    "insure",
    "learn",
    "learning",
    "protect",
    "tune",
    "with_guards",
]

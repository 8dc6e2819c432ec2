"""The policy elsewhere: a rule set in the form of gateways that teams run already, with what is lost on the way."""

from __future__ import annotations

from routebench.export.capability import FEATURES, Capability
from routebench.export.effect import Effect, effect
from routebench.export.loss import Lost
from routebench.export.target import Exported, Target
from routebench.export.targets import TARGETS, find_target

__all__ = [
    "FEATURES",
    "TARGETS",
    "Capability",
    "Effect",
    "Exported",
    "Lost",
    "Target",
    "effect",
    "find_target",
]

"""The policy elsewhere: what other gateways load, what is lost on the way, and what the loss does."""

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

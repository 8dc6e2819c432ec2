"""The policy elsewhere: what other gateways load, what is lost on the way, and what the loss does.

Names are imported when they are asked for: what runs beside a gateway in production needs the rules and no workbench.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from routebench.export.capability import FEATURES, Capability
    from routebench.export.effect import Effect
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
    "find_target",
]

_ROOMS = {
    "FEATURES": "capability",
    "TARGETS": "targets",
    "Capability": "capability",
    "Effect": "effect",
    "Exported": "target",
    "Lost": "loss",
    "Target": "target",
    "find_target": "targets",
}


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"routebench.export.{_ROOMS[name]}"), name)

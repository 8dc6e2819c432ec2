"""Placeholder until the state machine is written."""

from __future__ import annotations
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class HealthPolicy:
    window_s: float = 10.0
    min_requests: int = 20
    max_error_rate: float = 0.2
    min_errors: int = 5
    slow_factor: float = 1.5
    cooldown_s: float = 10.0
    probe_per_s: float = 2.0
    max_window_s: float = 60.0
    reopen_bad: int = 3
    reopen_of: int = 30
    p90_s: Mapping[str, float] = field(default_factory=dict)
